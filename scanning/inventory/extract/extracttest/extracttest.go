// Package extracttest runs an extractor's cases: each file testdata/*.txtar is a
// tree and, in its last part named "want", what must be told of it, one line per
// package and per gap. go test -update writes the wants anew, to be read before
// they are believed.
package extracttest

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

var update = flag.Bool("update", false, "write what the cases want anew")

// Run asks the extractors of every case in testdata.
func Run(t *testing.T, extractors []*extract.Extractor) {
	t.Helper()
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { one(t, file, extractors) })
	}
}

func one(t *testing.T, file string, extractors []*extract.Extractor) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tree, want := fstest.MapFS{}, ""
	for _, f := range archive.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		tree[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644}
	}
	got := Show(Ask(t, tree, extractors))
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
	archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Ask walks a tree with some extractors.
func Ask(t testing.TB, tree fs.FS, extractors []*extract.Extractor) (packages []scanning.Package, gaps []scanning.Gap) {
	t.Helper()
	err := fs.WalkDir(tree, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		for _, x := range extractors {
			if !x.Matches(file, d) {
				continue
			}
			sink := extract.NewSink(file, extract.Defaults.Packages)
			in := &extract.Input{FS: tree, Path: file, Limits: extract.Defaults, Entry: d}
			if err := x.Read(context.Background(), in, sink); err != nil {
				sink.Fail(err)
			}
			p, g := sink.Told()
			packages, gaps = append(packages, p...), append(gaps, g...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages, gaps
}

// Show writes packages and gaps as the cases do.
func Show(packages []scanning.Package, gaps []scanning.Gap) string {
	var b strings.Builder
	for _, p := range packages {
		fmt.Fprintf(&b, "%s %s %s", p.Ecosystem, p.Name, p.Version)
		if p.Source != "" || p.SourceVersion != "" {
			fmt.Fprintf(&b, " source=%s@%s", p.Source, p.SourceVersion)
		}
		if p.Direct {
			b.WriteString(" direct")
		}
		if p.Dev {
			b.WriteString(" dev")
		}
		for _, l := range p.Licenses {
			fmt.Fprintf(&b, " licence=%q", l)
		}
		for _, algorithm := range []string{"md5", "sha1", "sha256", "sha384", "sha512"} {
			if h := p.Hashes[algorithm]; h != "" {
				fmt.Fprintf(&b, " %s=%.8s", algorithm, h)
			}
		}
		fmt.Fprintf(&b, "\n  %s in %s\n", p.PURL, p.File)
		for _, r := range p.Requires {
			fmt.Fprintf(&b, "  requires %s\n", r)
		}
	}
	for _, g := range gaps {
		fmt.Fprintf(&b, "gap %s %s: %s\n", g.Reason, g.What, g.Why)
	}
	return b.String()
}

// Seeds gives a fuzz target the files of the cases whose base name is one of
// names.
func Seeds(f *testing.F, names ...string) {
	f.Helper()
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range cases {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range archive.Files {
			if slices.Contains(names, filepath.Base(part.Name)) {
				f.Add(part.Data)
			}
		}
	}
}

// Fuzz feeds an extractor bytes under a name that it wants. It must end, and not
// panic.
func Fuzz(f *testing.F, x *extract.Extractor, file string, others map[string]string) {
	f.Helper()
	Seeds(f, filepath.Base(file))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree := fstest.MapFS{file: &fstest.MapFile{Data: data, Mode: 0o755}}
		for name, text := range others {
			tree[name] = &fstest.MapFile{Data: []byte(text)}
		}
		packages, _ := Ask(t, tree, []*extract.Extractor{x})
		for _, p := range packages {
			if p.Name == "" || p.Ecosystem == "" {
				t.Fatalf("a package without name or ecosystem: %+v", p)
			}
		}
	})
}
