package reach_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/reach"
)

func tree(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return out
}

const gomod = "module example.com/app\n\ngo 1.26\n\nrequire (\n\tgolang.org/x/crypto v0.1.0\n\texample.com/Lib v1.0.0\n)\n"

// cache is a module cache with a library that imports one package of x/crypto.
func cache(more map[string]string) fstest.MapFS {
	files := map[string]string{
		"golang.org/x/crypto@v0.1.0/ssh/ssh.go":          "package ssh\nimport _ \"crypto/rsa\"\n",
		"golang.org/x/crypto@v0.1.0/openpgp/openpgp.go":  "package openpgp\nimport _ \"golang.org/x/crypto/openpgp/packet\"\n",
		"golang.org/x/crypto@v0.1.0/openpgp/packet/p.go": "package packet\n",
		"example.com/!lib@v1.0.0/lib.go":                 "package lib\nimport \"golang.org/x/crypto/ssh\"\nvar _ = ssh.X\n",
		"example.com/!lib@v1.0.0/lib_test.go":            "package lib\nimport _ \"golang.org/x/crypto/openpgp\"\n",
	}
	for n, t := range more {
		files[n] = t
	}
	return tree(files)
}

var openpgp = []string{"golang.org/x/crypto/openpgp", "golang.org/x/crypto/openpgp/packet"}

func TestOnlyOnePackageOfAModuleIsVulnerable(t *testing.T) {
	const crypto = "golang.org/x/crypto"
	for _, row := range []struct {
		name  string
		files map[string]string
		cache fs.FS
		want  scanning.Reach
	}{
		{"another package of the module", map[string]string{"main.go": "package main\nimport \"example.com/Lib\"\n"}, cache(nil), scanning.ReachNotImported},
		{"directly", map[string]string{"main.go": "package main\nimport p \"golang.org/x/crypto/openpgp\"\n"}, cache(nil), scanning.ReachImported},
		{"under a build tag", map[string]string{"main.go": "package main\n", "x_plan9.go": "//go:build ignore\n\npackage main\nimport _ \"golang.org/x/crypto/openpgp/packet\"\n"}, cache(nil), scanning.ReachImported},
		{"by a test", map[string]string{"main.go": "package main\n", "a/a_test.go": "package a\nimport _ \"golang.org/x/crypto/openpgp\"\n"}, cache(nil), scanning.ReachImported},
		{"through another module", map[string]string{"main.go": "package main\nimport \"example.com/Lib\"\n"}, cache(map[string]string{"example.com/!lib@v1.0.0/deep.go": "package lib\nimport _ \"golang.org/x/crypto/openpgp\"\n"}), scanning.ReachImported},
		{"without a module cache", map[string]string{"main.go": "package main\nimport \"example.com/Lib\"\n"}, nil, scanning.ReachUnknown},
		{"without a module cache, directly", map[string]string{"main.go": "package main\nimport \"golang.org/x/crypto/openpgp\"\n"}, nil, scanning.ReachImported},
		{"vendored", map[string]string{
			"main.go": "package main\nimport \"example.com/Lib\"\n", "vendor/modules.txt": "", "vendor/example.com/Lib/lib.go": "package lib\nimport _ \"golang.org/x/crypto/ssh\"\n",
			"vendor/golang.org/x/crypto/ssh/ssh.go": "package ssh\n",
		}, nil, scanning.ReachNotImported},
		{"vendored and half missing", map[string]string{
			"main.go": "package main\nimport \"example.com/Lib\"\n", "vendor/modules.txt": "", "vendor/example.com/Lib/lib.go": "package lib\nimport _ \"golang.org/x/crypto/ssh\"\n",
		}, nil, scanning.ReachUnknown},
		{"a file that can't be read", map[string]string{"main.go": "package main\nimport (\n"}, cache(nil), scanning.ReachUnknown},
		{"a file of a dependency that can't be read", map[string]string{"main.go": "package main\nimport \"example.com/Lib\"\n"}, cache(map[string]string{"example.com/!lib@v1.0.0/bad.go": "pack"}), scanning.ReachUnknown},
		{"test data, hidden folders and other modules do not count", map[string]string{
			"main.go": "package main\n", "testdata/x.go": "package x\nimport _ \"golang.org/x/crypto/openpgp\"\n", "_old/x.go": "package x\nimport _ \"golang.org/x/crypto/openpgp\"\n",
			"tool/go.mod": "module t\n", "tool/x.go": "package x\nimport _ \"golang.org/x/crypto/openpgp\"\n",
		}, cache(nil), scanning.ReachNotImported},
		{"a package of its own that is missing", map[string]string{"main.go": "package main\nimport \"example.com/app/gone\"\n"}, cache(nil), scanning.ReachUnknown},
		{"a replacement in the tree", map[string]string{
			"go.mod": gomod + "replace example.com/Lib => ./fork\n", "main.go": "package main\nimport \"example.com/Lib\"\n",
			"fork/go.mod": "module example.com/Lib\n", "fork/lib.go": "package lib\nimport _ \"golang.org/x/crypto/openpgp\"\n",
		}, cache(nil), scanning.ReachImported},
		{"a go.mod of the future", map[string]string{"go.mod": gomod + "teleport example.com/x\n", "main.go": "package main\n"}, cache(nil), scanning.ReachUnknown},
		{"a replacement outside of it", map[string]string{"go.mod": gomod + "replace example.com/Lib => ../fork\n", "main.go": "package main\nimport \"example.com/Lib\"\n"}, cache(nil), scanning.ReachUnknown},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.files["go.mod"] == "" {
				row.files["go.mod"] = gomod
			}
			set, err := reach.Source(context.Background(), tree(row.files), reach.SourceOptions{ModCache: row.cache})
			if err != nil {
				t.Fatal(err)
			}
			if got := set.Reach(crypto, openpgp); got != row.want {
				t.Errorf("got %q, want %q; gaps %v, packages %v", got, row.want, set.Gaps(), set.Packages())
			}
			if row.want == scanning.ReachUnknown && set.Complete() || row.want == scanning.ReachNotImported && !set.Complete() {
				t.Errorf("complete: %v, gaps %v", set.Complete(), set.Gaps())
			}
		})
	}
}

func TestTheStandardLibraryIsKnownOnlyWithItsSource(t *testing.T) {
	app := tree(map[string]string{"go.mod": gomod, "main.go": "package main\nimport \"net/http\"\n"})
	set, err := reach.Source(context.Background(), app, reach.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Reach("stdlib", []string{"crypto/tls"}); got != scanning.ReachUnknown {
		t.Errorf("without source: %q", got)
	}
	root := tree(map[string]string{
		"net/http/h.go": "package http\nimport (\n\t\"crypto/tls\"\n\t\"golang.org/x/net/idna\"\n)\n", "crypto/tls/t.go": "package tls\n",
		"vendor/golang.org/x/net/idna/i.go": "package idna\n",
	})
	set, err = reach.Source(context.Background(), app, reach.SourceOptions{GOROOT: root})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Reach("stdlib", []string{"crypto/tls"}); got != scanning.ReachImported {
		t.Errorf("with source: %q", got)
	}
	if got := set.Reach("stdlib", nil); got != scanning.ReachImported {
		t.Errorf("any of it: %q", got)
	}
	app["newer.go"] = &fstest.MapFile{Data: []byte("//go:build go1.99\n\npackage main\nimport \"crypto/novel\"\n")}
	delete(root, "net/http/h.go")
	set, err = reach.Source(context.Background(), app, reach.SourceOptions{GOROOT: root})
	if err != nil || !set.Complete() || set.Reach("stdlib", []string{"crypto/none"}) != scanning.ReachUnknown {
		t.Errorf("a package of a newer Go: %v, %v: modules are known, the standard library is not", err, set.Gaps())
	}
}

// TestOwnPackagesAreThereBeforeTheyAreWalked holds that a package of the module
// that is imported by one which stands before it is no gap.
func TestOwnPackagesAreThereBeforeTheyAreWalked(t *testing.T) {
	set, err := reach.Source(t.Context(), tree(map[string]string{
		"go.mod":       "module example.com/m\n\ngo 1.26\n",
		"a/a.go":       "package a\n\nimport _ \"example.com/m/b/c/d\"\n",
		"b/c/d/d.go":   "package d\n",
		"b/c/other.go": "package c\n",
	}), reach.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !set.Complete() {
		t.Errorf("incomplete: %v", set.Gaps())
	}
}

func TestSourceNeedsAModule(t *testing.T) {
	for _, files := range []map[string]string{{}, {"go.mod": "modul x\n"}, {"go.mod": ""}} {
		if _, err := reach.Source(context.Background(), tree(files), reach.SourceOptions{}); err == nil {
			t.Errorf("%v", files)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := reach.Source(ctx, tree(map[string]string{"go.mod": gomod}), reach.SourceOptions{}); err == nil {
		t.Error("a cancelled question has no answer")
	}
}

// TestBinary asks the test's own program, which imports what this file does.
func TestBinary(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	set, err := reach.Binary(f)
	if err != nil {
		t.Fatal(err)
	}
	for module, row := range map[string]struct {
		packages []string
		want     scanning.Reach
	}{
		"golang.org/x/mod":    {[]string{"golang.org/x/mod/modfile"}, scanning.ReachImported},
		"golang.org/x/crypto": {openpgp, scanning.ReachNotImported},
		"stdlib":              {[]string{"net/http/cgi"}, scanning.ReachNotImported},
		"example.com/none":    {nil, scanning.ReachNotImported},
	} {
		if got := set.Reach(module, row.packages); got != row.want {
			t.Errorf("%s: %q, want %q", module, got, row.want)
		}
	}
	if !slices.Contains(set.Packages(), "github.com/interlock-security/interlock/scanning/reach") {
		t.Error("its own package is missing")
	}
}

func TestWhatIsNoProgramIsAnError(t *testing.T) {
	for _, b := range []string{"", "#!/bin/sh\n", "\x7fELF", strings.Repeat("MZ", 100)} {
		if _, err := reach.Binary(bytes.NewReader([]byte(b))); err == nil {
			t.Errorf("%.10q", b)
		}
	}
}

type records map[string]*advisory.Advisory

func (r records) Get(name string) (*advisory.Advisory, error) {
	if a := r[name]; a != nil {
		return a, nil
	}
	return nil, errors.New("none")
}

func TestApplyMarksFindingsByTheirAdvisories(t *testing.T) {
	entry := func(paths ...string) []advisory.Entry {
		e := advisory.Entry{Ecosystem: "Go", Name: "golang.org/x/crypto"}
		for _, p := range paths {
			e.Imports = append(e.Imports, advisory.GoPackage{Path: p})
		}
		return []advisory.Entry{e}
	}
	db := records{
		"GO-2026-5932": {ID: "GO-2026-5932", Affected: entry(openpgp...)},
		"GHSA-1":       {ID: "GHSA-1", Affected: entry()},
		"GO-2026-1":    {ID: "GO-2026-1", Affected: entry("golang.org/x/crypto/ssh")},
	}
	set, err := reach.Source(context.Background(), tree(map[string]string{"go.mod": gomod, "main.go": "package main\nimport \"example.com/Lib\"\n"}), reach.SourceOptions{ModCache: cache(nil)})
	if err != nil {
		t.Fatal(err)
	}
	mod := &scanning.Package{Ecosystem: "Go", Name: "golang.org/x/crypto"}
	v := scanning.ClassVulnerability
	findings := []scanning.Finding{
		{Rule: "GO-2026-5932", Aliases: []string{"GHSA-1"}, Class: v, Package: mod},
		{Rule: "GO-2026-1", Class: v, Package: mod},
		{Rule: "GHSA-1", Class: v, Package: mod},
		{Rule: "GO-2026-5932", Class: v, Package: &scanning.Package{Ecosystem: "npm", Name: "x"}},
		{Rule: "secret", Class: scanning.ClassSecret},
	}
	reach.Apply(set, db, findings)
	want := []scanning.Reach{scanning.ReachNotImported, scanning.ReachImported, scanning.ReachUnknown, scanning.ReachUnknown, scanning.ReachUnknown}
	for i, f := range findings {
		if f.Reach != want[i] {
			t.Errorf("%d %s: %q, want %q", i, f.Rule, f.Reach, want[i])
		}
	}
}

func FuzzBinary(f *testing.F) {
	f.Add([]byte("\x7fELF"))
	f.Add([]byte("\xff Go buildinf:"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if set, err := reach.Binary(bytes.NewReader(b)); err == nil && len(set.Packages()) == 0 {
			t.Error("a program of no packages")
		}
	})
}
