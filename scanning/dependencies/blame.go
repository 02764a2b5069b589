package dependencies

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/secrets/detect/source"
)

// Bounds of what is done to say which commit brought a package.
const (
	maxLockFile = 64 << 20
	blameTime   = 20 * time.Second
	lineWork    = 128 << 20
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
	search := lineSearch{left: lineWork}
	for _, file := range slices.Sorted(maps.Keys(files)) { // the same lines each time, should the work be cut off
		list := files[file]
		if text, err := readFile(target, file); err == nil {
			for i, line := range search.of(text, list) {
				list[i].Location.Line = line
			}
		}
		if committed {
			search.blame(ctx, target.Dir, file, list)
		}
	}
}

// lineSearch bounds what is matched to say lines: each package is sought from the
// top of its file, and a lock file of thousands of bad packages would take minutes.
type lineSearch struct{ left int } // bytes of lines that patterns are still tried on

// passingCost is how many bytes are passed over in the time that a pattern takes
// for one.
const passingCost = 32

// of returns the line of each finding; 0, as for what isn't found, once the work
// is used up. A package with many advisories is looked for once.
func (s *lineSearch) of(text []byte, findings []*scanning.Finding) []int {
	lines, known := make([]int, len(findings)), map[[3]string]int{}
	for i, f := range findings {
		key := [3]string{f.Package.Ecosystem, f.Package.Name, f.Package.Version}
		line, again := known[key]
		if !again && s.left > 0 {
			line = s.lineOf(text, f.Package)
			known[key] = line
		}
		lines[i] = line
	}
	return lines
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
func (s *lineSearch) blame(ctx context.Context, dir, file string, findings []*scanning.Finding) {
	text, err := source.Committed(ctx, dir, file, maxLockFile)
	if err != nil {
		return
	}
	at := s.of(text, findings)
	lines := slices.DeleteFunc(slices.Clone(at), func(line int) bool { return line == 0 })
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
