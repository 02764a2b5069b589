package dependencies

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/secrets/detect/source"
)

// Bounds of what is done to say which commit brought a package.
const (
	maxLockFile = 64 << 20
	blameTime   = 20 * time.Second
)

// locate says of findings in lock files on which line the package stands and, in
// a repository, which commit brought that line. It is an answer to "since when":
// where it can't be had, for want of git, of time or of a committed file, the
// findings stand without it.
func (s *Scanner) locate(ctx context.Context, target scanning.Target, findings []scanning.Finding) {
	files := map[string][]*scanning.Finding{}
	for i := range findings {
		if p := findings[i].Package; p != nil && p.File != "" && formOf(p.File) != nil {
			files[p.File] = append(files[p.File], &findings[i])
		}
	}
	committed := false
	if kind := target.Scope.Kind; target.Dir != "" && len(files) > 0 && (kind == scanning.ScopeFolder || kind == scanning.ScopeGit) {
		_, committed, _ = source.Repository(ctx, target.Dir)
	}
	ctx, stop := context.WithTimeout(ctx, blameTime)
	defer stop()
	for file, list := range files {
		if text, err := readFile(target, file); err == nil {
			for _, f := range list {
				f.Location.Line = lineOf(text, f.Package)
			}
		}
		if committed {
			blame(ctx, target.Dir, file, list)
		}
	}
}

func readFile(target scanning.Target, file string) ([]byte, error) {
	f, err := target.FS.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, maxLockFile))
}

// blame asks about the file as it was committed: what stands in the working tree
// alone has no commit yet.
func blame(ctx context.Context, dir, file string, findings []*scanning.Finding) {
	text, err := source.Committed(ctx, dir, file, maxLockFile)
	if err != nil {
		return
	}
	at := make([]int, len(findings))
	var lines []int
	for i, f := range findings {
		if at[i] = lineOf(text, f.Package); at[i] > 0 {
			lines = append(lines, at[i])
		}
	}
	if len(lines) == 0 {
		return
	}
	slices.Sort(lines)
	origins, err := source.Blame(ctx, dir, file, slices.Compact(lines))
	if err != nil {
		return
	}
	for i, f := range findings {
		if o, ok := origins[at[i]]; ok {
			f.Location.Commit, f.Location.Author, f.Location.Date = o.Commit, o.Author, o.Date
		}
	}
}
