package dependencies

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/reach"
)

// reach says of the findings about Go modules whether what is vulnerable is
// imported. They are asked file by file: each go.mod and each program has
// imports of its own. What could not be read leaves the answer unknown, which
// counts as imported, so it is no gap of the scan.
func (s *Scanner) reach(ctx context.Context, tree fs.FS, findings []scanning.Finding, db *advisory.DB) error {
	for _, file := range goFiles(findings) {
		set, err := s.imports(ctx, tree, file)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue
		}
		reach.Apply(set, db, of(findings, file))
	}
	return nil
}

// goFiles are the files that name Go packages, each once and in order.
func goFiles(findings []scanning.Finding) []string {
	var files []string
	for i := range findings {
		if p := findings[i].Package; p != nil && p.Ecosystem == "Go" && p.File != "" {
			files = append(files, p.File)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// of brings the findings of one file to the front and returns that part: Apply
// changes them in place, and they are put in order afterwards.
func of(findings []scanning.Finding, file string) []scanning.Finding {
	n := 0
	for i := range findings {
		if p := findings[i].Package; p != nil && p.File == file {
			findings[n], findings[i] = findings[i], findings[n]
			n++
		}
	}
	return findings[:n]
}

func (s *Scanner) imports(ctx context.Context, tree fs.FS, file string) (*reach.Set, error) {
	if path.Base(file) == "go.mod" {
		dir, err := fs.Sub(tree, path.Dir(file))
		if err != nil {
			return nil, err
		}
		return reach.Source(ctx, dir, s.Sources)
	}
	f, err := tree.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return reach.Binary(r)
}
