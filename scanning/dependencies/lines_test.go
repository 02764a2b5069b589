package dependencies

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/scanning"
)

// Each kind of lock file: the line that a commit changes when it brings another
// version. What only asks for the package, or is another one of a similar name,
// is not that line.
func TestLineOf(t *testing.T) {
	for _, c := range []struct {
		file, ecosystem, name, version string
		want                           int
		text                           string
	}{
		{"web/package-lock.json", "npm", "left", "1.2.0", 5, "{\n \"\": {\"dependencies\": {\"left\": \"1.2.0\"}},\n \"node_modules/leftover\": {\n  \"x\": 1},\n \"node_modules/left\": {\"version\": \"1.2.0\"\n"},
		{"package-lock.json", "npm", "@a/left", "1.2.0", 3, "{\n \"node_modules/@a/left\": {\n  \"version\": \"1.2.0\",\n  \"resolved\": \"x\"\n"},
		{"package-lock.json", "npm", "left", "2.0.0", 6, " \"node_modules/left\": {\n  \"version\": \"1.2.0\"\n },\n \"node_modules/b/node_modules/left\": {\n  \"dev\": true,\n  \"version\": \"2.0.0\"\n"},
		{"package-lock.json", "npm", "left", "2.0.0", 0, " \"node_modules/left\": {\n  \"version\": \"1.2.0\"\n },\n \"node_modules/right\": {\n  \"version\": \"2.0.0\"\n"},
		{"yarn.lock", "npm", "left", "1.2.0", 3, "# yarn\nleft@^1.2.0:\n  version \"1.2.0\"\n"},
		{"yarn.lock", "npm", "@a/left", "1.2.0", 2, "\"@a/left@npm:^1.0.0, @a/left@npm:^1.2.0\":\n  version: 1.2.0\n"},
		{"pnpm-lock.yaml", "npm", "@a/left", "1.2.0", 2, "packages:\n  '@a/left@1.2.0':\n    resolution: {}\n"},
		{"pnpm-lock.yaml", "npm", "left", "1.2.0", 3, "packages:\n  /left/1.2.01:\n  /left/1.2.0:\n"},
		{"sub/go.mod", "Go", "example.com/a", "v1.2.0", 4, "module m\nrequire (\n\texample.com/a/b v1.2.0\n\texample.com/a v1.2.0 // indirect\n)\n"},
		{"go.mod", "Go", "example.com/a", "1.2.0", 1, "require example.com/a v1.2.0\n"},
		{"Cargo.lock", "crates.io", "left", "1.2.0", 6, "[[package]]\nname = \"left\"\nversion = \"1.1.0\"\n[[package]]\nname = \"left\"\nversion = \"1.2.0\"\r\n"},
		{"poetry.lock", "PyPI", "left-pad", "1.2.0", 3, "[[package]]\nname = \"Left_Pad\"\nversion = \"1.2.0\"\n"},
		{"uv.lock", "PyPI", "left", "1.2.0", 2, "name = \"left\"\nversion = \"1.2.0\"\n"},
		{"Pipfile.lock", "PyPI", "left", "1.2.0", 5, "{\n        \"left\": {\n            \"hashes\": [\n            ],\n            \"version\": \"==1.2.0\"\n"},
		{"requirements/base.txt", "PyPI", "left.pad", "1.2.0", 2, "left.padding==1.2.0\nLeft-Pad[x]==1.2.0 ; python_version > '3'\n"},
		{"requirements.txt", "PyPI", "left", "1.2.0", 0, "left==1.2.0.post1\n"},
		{"composer.lock", "Packagist", "a/left", "1.2.0", 3, "{\"packages\": [\n  \"name\": \"a/left\",\n  \"version\": \"v1.2.0\",\n"},
		{"Gemfile.lock", "RubyGems", "left", "1.2.0", 3, "    right (1)\n      left (1.2.0)\n    left (1.2.0-x86_64-linux)\n"},
		{"packages.lock.json", "NuGet", "Left.Pad", "1.2.0", 3, "  \"left.pad\": {\n   \"requested\": \"[1.2.0, )\",\n   \"resolved\": \"1.2.0\",\n"},
		{"gradle.lockfile", "Maven", "org.a:left", "1.2.0", 2, "# x\norg.a:left:1.2.0=runtimeClasspath\n"},
		{"pubspec.lock", "Pub", "left", "1.2.0", 4, "packages:\n  left:\n    dependency: transitive\n    version: \"1.2.0\"\n"},
		{"mix.lock", "Hex", "left", "1.2.0", 2, "%{\n  \"left\": {:hex, :left, \"1.2.0\", \"abc\"},\n"},
		{"package-lock.json", "npm", "left", "1.2.0", 1, `{"packages":{"node_modules/left":{"version":"1.2.0"}}}`},
		{"package-lock.json", "npm", "l(ft[", "1.2.0", 0, "\n"},
		{"pom.xml", "Maven", "a:b", "1", 0, "a:b:1\n"},
		{"package-lock.json", "npm", "left", "", 0, `"node_modules/left":{"version":""}`},
	} {
		p := &scanning.Package{Ecosystem: c.ecosystem, Name: c.name, Version: c.version, File: c.file}
		if got := (&lineSearch{left: lineWork}).lineOf([]byte(c.text), p); got != c.want {
			t.Errorf("%s: %s %s is on line %d, want %d of\n%s", c.file, c.name, c.version, got, c.want, c.text)
		}
	}
}

// A lock file of nothing but bad packages is searched so far and not once for each;
// what has several advisories is looked for once.
func TestLinesAreSoughtWithinBounds(t *testing.T) {
	var text strings.Builder
	var findings []*scanning.Finding
	for i := range 40 {
		version := strconv.Itoa(i / 2)
		text.WriteString("name = \"a\"\nversion = \"" + strconv.Itoa(i) + "\"\n")
		findings = append(findings, &scanning.Finding{Package: &scanning.Package{Ecosystem: "crates.io", Name: "a", Version: version, File: "Cargo.lock"}})
	}
	search := lineSearch{left: 1000}
	got := search.of([]byte(text.String()), findings)
	if !slices.Equal(got[:6], []int{2, 2, 4, 4, 6, 6}) || !slices.Equal(got[30:], make([]int, 10)) || search.left > 0 {
		t.Errorf("%v, %d left", got, search.left)
	}
}

func FuzzLineOf(f *testing.F) {
	f.Add("package-lock.json", "npm", "left", "1.2.0", `{"node_modules/left":{"version":"1.2.0"}}`)
	f.Add("requirements.txt", "PyPI", "a_b", "1", "A-B==1\n")
	f.Add("Cargo.lock", "crates.io", "(", "[", "name = \"(\"\nversion = \"[\"\n")
	f.Fuzz(func(t *testing.T, file, ecosystem, name, version, text string) {
		p := &scanning.Package{Ecosystem: ecosystem, Name: name, Version: version, File: file}
		if n := (&lineSearch{left: lineWork}).lineOf([]byte(text), p); n < 0 || n > strings.Count(text, "\n")+1 {
			t.Fatalf("line %d", n)
		}
	})
}
