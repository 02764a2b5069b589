package golang

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

// TestBinary builds a program of a module that is there anyway, and asks the go
// command the same.
func TestBinary(t *testing.T) {
	self := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-o", self, "github.com/rogpeppe/go-internal/cmd/testscript")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command("go", "version", "-m", self).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		switch f := strings.Fields(line); {
		case len(f) >= 3 && (f[0] == "dep" || f[0] == "mod"):
			want = append(want, f[1]+" "+f[2])
		case len(f) == 2 && strings.HasPrefix(f[1], "go1."):
			want = append(want, "stdlib "+strings.TrimPrefix(f[1], "go"))
		}
	}
	packages, gaps := extracttest.Ask(t, os.DirFS(filepath.Dir(self)), Extractors())
	var got []string
	for _, p := range packages {
		if p.File == filepath.Base(self) {
			got = append(got, p.Name+" "+p.Version)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if len(got) < 4 || !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if len(gaps) > 0 {
		t.Errorf("gaps %v", gaps)
	}
}

func TestProgramsThatAreNone(t *testing.T) {
	elf := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 100)
	for name, c := range map[string]struct {
		data string
		want scanning.Reason
	}{
		"text":   {"#!/bin/sh\n", ""},
		"empty":  {"", ""},
		"broken": {elf, scanning.ReasonMalformed},
		"packed": {elf + "UPX!", scanning.ReasonUnsupported},
		"dos":    {"MZ" + strings.Repeat("\x00", 100), ""},
	} {
		tree := fstest.MapFS{name: {Data: []byte(c.data), Mode: 0o755}, name + ".txt": {Data: []byte(c.data), Mode: 0o755}}
		packages, gaps := extracttest.Ask(t, tree, Extractors())
		got := scanning.Reason("")
		if len(gaps) == 1 {
			got = gaps[0].Reason
		}
		if got != c.want || len(packages) > 0 || len(gaps) > 1 {
			t.Errorf("%s: %v, want %q", name, gaps, c.want)
		}
	}
}

func TestVersionThatTheLinkerWasGiven(t *testing.T) {
	for flags, want := range map[string]string{
		"-s -w -X main.version=1.2.3":                                          "v1.2.3",
		"-X 'k8s.io/component-base/version.gitVersion=v1.30.5' -X main.date=1": "v1.30.5",
		"-X main.version=v1.2.3-rc.1+build -X a.Version=1.2.3-rc.1":            "v1.2.3-rc.1",
		"-X main.version=1.2.3 -X lib.version=2.0.0":                           "",
		"-X main.version=dev":                                                  "",
		"":                                                                     "",
	} {
		if got := linked(&debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "-ldflags", Value: flags}}}); got != want {
			t.Errorf("%s: %q, want %q", flags, got, want)
		}
	}
}

// A program that was built locally has no version of its own. It is told without
// one, so that only an advisory that speaks of it makes a gap.
func TestWhatWasBuiltWithoutAVersion(t *testing.T) {
	out := extract.NewSink("program", 10)
	built(&debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "example.com/own", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.com/dep", Version: "v1.2.3"},
			{Path: "example.com/forked", Version: "v1.0.0", Replace: &debug.Module{Path: "./forked", Version: "(devel)"}},
		},
	}, out)
	packages, gaps := out.Told()
	var got []string
	for _, p := range packages {
		got = append(got, p.Name+"@"+p.Version)
	}
	if want := []string{"example.com/dep@v1.2.3", "example.com/forked@", "example.com/own@", "stdlib@1.26.8"}; !slices.Equal(got, want) || len(gaps) != 0 {
		t.Errorf("got %v, gaps %v", got, gaps)
	}
}

func TestStdlib(t *testing.T) {
	for version, want := range map[string]string{
		"go1.26.8": "1.26.8", "1.21": "1.21.0", "go1.22rc1": "1.22.0-rc.1", "go1.21.0 X:boringcrypto": "1.21.0",
		"go1.20.4-vendor": "1.20.4", "devel go1.23-abc Mon": "", "": "", "go1": "",
	} {
		p, ok := Stdlib(version)
		if p.Version != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", version, p.Version, ok)
		}
	}
}

func mod(f *testing.F, name string, i int) { extracttest.Fuzz(f, Extractors()[i], name, nil) }

func FuzzMod(f *testing.F)    { mod(f, "go.mod", 0) }
func FuzzWork(f *testing.F)   { mod(f, "go.work", 1) }
func FuzzVendor(f *testing.F) { mod(f, "vendor/modules.txt", 2) }
func FuzzBinary(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Add([]byte("MZ"))
	mod(f, "program", 3)
}
