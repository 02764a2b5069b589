package inventory_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// What would take for ever if it were read naively; each ends because its size,
// its depth or its repetitions are bounded.
func TestWhatWouldTakeForEver(t *testing.T) {
	deep := strings.Repeat("node_modules/a/", 100_000)
	var same, versions, crates strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&same, `, "a%d/node_modules/x": {"version": "1.0.0", "dependencies": {"y%d": "1"}}`, i, i)
		fmt.Fprintf(&versions, "[[package]]\nname = \"a\"\nversion = \"%d\"\nsource = { registry = \"x\" }\ndependencies = [{ name = \"a\" }]\n", i)
		fmt.Fprintf(&crates, "[[package]]\nname = \"a\"\nversion = \"%d\"\nsource = \"x\"\ndependencies = [\"a %d\"]\n", i, i+1)
	}
	packages, gaps := take(t, files(map[string]string{
		"deep/package-lock.json":   `{"lockfileVersion": 3, "packages": {"` + deep + `": {"version": "1.0.0", "dependencies": {"x": "1"}}}}`,
		"same/package-lock.json":   `{"lockfileVersion": 3, "packages": {"": {}` + same.String() + `}}`,
		"uv.lock":                  "version = 1\n" + versions.String(),
		"Cargo.lock":               "version = 4\n" + crates.String(),
		"deep.yaml/pnpm-lock.yaml": strings.Repeat("- ", 100_000) + "a",
	}), inventory.Options{})
	if len(packages) != 10_001 || len(gaps) != 2 {
		t.Errorf("%d packages, gaps %.300v", len(packages), gaps)
	}
}

func TestFoldersInFoldersEnd(t *testing.T) {
	packages, gaps := take(t, files(map[string]string{
		strings.Repeat("d/", 399) + "package-lock.json":  fmt.Sprintf(lock, "x"),
		strings.Repeat("d/", 1000) + "package-lock.json": fmt.Sprintf(lock, "y"),
	}), inventory.Options{})
	if len(packages) != 1 || packages[0].Name != "x" || len(gaps) != 1 || gaps[0].Reason != scanning.ReasonTooDeep {
		t.Errorf("%v, %.300v", packages, gaps)
	}
}

// dependencies is a lockfile of npm with n packages, each needing two others.
func dependencies(n int) fstest.MapFS {
	var b strings.Builder
	b.WriteString(`{"name": "app", "lockfileVersion": 3, "packages": {"": {"dependencies": {"p0": "1"}}`)
	for i := range n {
		fmt.Fprintf(&b, `, "node_modules/p%d": {"version": "1.%d.0", "resolved": "https://registry.npmjs.org/p%d/-/p%d-1.%d.0.tgz",
"integrity": "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==", "license": "MIT", "dependencies": {"p%d": "^1", "p%d": "^1"}}`,
			i, i, i, i, i, (i*7+1)%n, (i*13+2)%n)
	}
	b.WriteString("}}")
	return files(map[string]string{"package-lock.json": b.String()})
}

func BenchmarkLockfileOf500(b *testing.B) {
	tree := dependencies(500)
	for b.Loop() {
		packages, gaps, err := inventory.FS(b.Context(), tree, inventory.Options{})
		if err != nil || len(packages) != 500 || len(gaps) > 0 {
			b.Fatal(len(packages), gaps, err)
		}
	}
}

func BenchmarkMachinesDpkg(b *testing.B) {
	var packages []scanning.Package
	for b.Loop() {
		var err error
		tree := only{os.DirFS("/"), []string{"etc", "usr", "usr/lib", "var", "var/lib", "var/lib/dpkg"}}
		if packages, _, err = inventory.FS(b.Context(), tree, inventory.Options{Only: []string{"dpkg"}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(packages)), "packages")
}

// TestQuotesHideNoDepth: a string may end in quotes of its own, behind which brackets
// are brackets.
func TestQuotesHideNoDepth(t *testing.T) {
	in := &extract.Input{Limits: extract.Limits{Objects: 10_000}}
	for _, quotes := range []string{"''''", "'''''"} {
		var f *extract.Fault
		err := extract.TOML(in, []byte("a=['''x"+quotes+","+strings.Repeat("[", 5_000)), new(any))
		if !errors.As(err, &f) || f.Reason != scanning.ReasonTooDeep {
			t.Errorf("behind %s: %v", quotes, err)
		}
	}
}
