package dependencies

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// lockForm is how one kind of lock file writes a package: the line that begins
// its entry, and the line that says its version, which may be the same. NAME and
// VERSION stand for the package's; begins matches the beginning of any entry.
type lockForm struct {
	files         []string
	name, version string
	begins        string
}

// A line is one of an entry's first: the version stands within so many lines.
const longestEntry = 400

var lockForms = []lockForm{
	{[]string{"package-lock.json", "npm-shrinkwrap.json"}, `"(?:[^"]*node_modules/)?NAME"\s*:\s*\{`, `"version"\s*:\s*"VERSION"`, `"[^"]*"\s*:\s*\{`},
	{[]string{"yarn.lock"}, `^"?(?:[^"]*, ?)?NAME@`, `^\s+version:? "?VERSION"?\s*$`, `^\S`},
	{[]string{"pnpm-lock.yaml"}, `^\s+['"]?/?NAME[@/]VERSION(?:[^0-9A-Za-z.]|$)`, ``, `^\s+\S+:$`},
	{[]string{"go.mod"}, `^\s*(?:require\s+)?NAME\s+VERSION(?:\s|$)`, ``, ``},
	{[]string{"Cargo.lock", "poetry.lock", "uv.lock", "pdm.lock"}, `^name\s*=\s*"NAME"`, `^version\s*=\s*"VERSION"`, `^\[`},
	{[]string{"Pipfile.lock"}, `^\s+"NAME"\s*:\s*\{`, `"version"\s*:\s*"==VERSION"`, `^\s+"[^"]*"\s*:\s*\{`},
	{[]string{"composer.lock"}, `"name"\s*:\s*"NAME"`, `"version"\s*:\s*"v?VERSION"`, `^\s+"name"\s*:\s*"[^"]*",\s*$`},
	{[]string{"Gemfile.lock", "gems.locked"}, `^\s{4}NAME \(VERSION[-)]`, ``, ``},
	{[]string{"packages.lock.json"}, `"NAME"\s*:\s*\{`, `"resolved"\s*:\s*"VERSION"`, `"[^"]*"\s*:\s*\{`},
	{[]string{"gradle.lockfile", "buildscript-gradle.lockfile"}, `^NAME:VERSION=`, ``, ``},
	{[]string{"pubspec.lock"}, `^  NAME:$`, `^    version: "?VERSION"?$`, `^  \S+:$`},
	{[]string{"mix.lock"}, `"NAME":\s*\{:\w+,\s*:?"?\w+"?,\s*"VERSION"`, ``, ``},
}

// plainPins is the form of requirements files, whatever they are called.
var plainPins = lockForm{name: `^\s*NAME\s*(?:\[[^\]]*\])?\s*===?\s*VERSION(?:[\s;\\#]|$)`}

func formOf(file string) *lockForm {
	base := path.Base(file)
	for i := range lockForms {
		for _, f := range lockForms[i].files {
			if f == base {
				return &lockForms[i]
			}
		}
	}
	if strings.HasSuffix(base, ".txt") {
		return &plainPins
	}
	return nil
}

// lineOf is the line, from 1, on which a lock file says that it has the package
// in its version; 0 where the form is unknown, nothing says so, or the work is
// used up.
func (s *lineSearch) lineOf(text []byte, p *scanning.Package) int {
	form := formOf(p.File)
	if form == nil || p.Name == "" || p.Version == "" {
		return 0
	}
	name, err1 := regexp.Compile(form.fill(form.name, p))
	version, err2 := regexp.Compile(form.fill(form.version, p))
	if err1 != nil || err2 != nil {
		return 0
	}
	var begins *regexp.Regexp
	if form.begins != "" {
		begins = regexp.MustCompile(form.begins)
	}
	return s.find(text, []byte(literal(p)), name, version, begins)
}

// literal is a text that a line must hold before the pattern is asked.
func literal(p *scanning.Package) string {
	if p.Ecosystem == "PyPI" || p.Ecosystem == "NuGet" {
		return "" // written in more than one way
	}
	return p.Name
}

func (s *lineSearch) find(text, literal []byte, name, version, begins *regexp.Regexp) int {
	s.left -= len(text) / passingCost
	inside, n := 0, 0 // how many lines of an entry of that name may still follow
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimRight(line, "\r\n")
		if inside <= 0 && !bytes.Contains(line, literal) {
			continue
		}
		if s.left -= len(line) + 1; s.left < 0 {
			return 0
		}
		rest := line
		if at := match(name, line, literal); at != nil {
			inside, rest = longestEntry, line[at[1]:]
		} else if inside > 0 && begins != nil && begins.Match(line) {
			inside = 0
		}
		if inside > 0 && version.Match(rest) { // an empty pattern matches: the name's line says the version too
			return n
		}
		inside--
	}
	return 0
}

func match(name *regexp.Regexp, line, literal []byte) []int {
	if !bytes.Contains(line, literal) {
		return nil
	}
	return name.FindIndex(line)
}

// separators are equal in names of Python packages.
var separators = regexp.MustCompile(`[-_.]+`)

// fill puts the package into a pattern.
func (f *lockForm) fill(pattern string, p *scanning.Package) string {
	name, version := regexp.QuoteMeta(p.Name), regexp.QuoteMeta(strings.TrimPrefix(p.Version, "v"))
	switch p.Ecosystem {
	case "PyPI":
		pattern, name = "(?i)"+pattern, separators.ReplaceAllLiteralString(p.Name, `[-_.]+`)
	case "NuGet":
		pattern = "(?i)" + pattern
	case "Go":
		version = "v" + version
	}
	return strings.NewReplacer("NAME", name, "VERSION", version).Replace(pattern)
}
