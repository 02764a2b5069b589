package advisory_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/scanning/advisory"
)

// lists are the version lists that OSV holds its own libraries to, by
// ecosystem, with how many of their lines name what is no version: those must be
// refused, which is a gap, and never ordered.
var lists = map[string]struct {
	ecosystem string
	refused   int
}{
	"alpine-versions.txt":              {"Alpine", 33},
	"alpine-versions-generated.txt":    {"Alpine", 0},
	"cran-versions.txt":                {"CRAN", 0},
	"cran-versions-generated.txt":      {"CRAN", 0},
	"debian-versions.txt":              {"Debian", 0},
	"debian-versions-generated.txt":    {"Debian", 0},
	"hackage-versions.txt":             {"Hackage", 0},
	"maven-versions.txt":               {"Maven", 0},
	"maven-versions-generated.txt":     {"Maven", 5},
	"nuget-versions.txt":               {"NuGet", 0},
	"packagist-versions.txt":           {"Packagist", 2},
	"packagist-versions-generated.txt": {"Packagist", 0},
	"pub-versions.txt":                 {"Pub", 0},
	"pypi-versions.txt":                {"PyPI", 3},
	"pypi-versions-generated.txt":      {"PyPI", 2},
	"redhat-versions.txt":              {"Red Hat", 21},
	"rubygems-versions.txt":            {"RubyGems", 0},
	"rubygems-versions-generated.txt":  {"RubyGems", 0},
	"semver-versions.txt":              {"npm", 0},
}

func TestVersionsAreOrderedAsOSVOrdersThem(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/osv-scalibr").Output()
	if err != nil {
		t.Fatal(err)
	}
	for file, list := range lists {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(filepath.Join(strings.TrimSpace(string(out)), "semantic", "testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			refused, lines := orderAll(t, list.ecosystem, bufio.NewScanner(f))
			if refused != list.refused || lines == 0 {
				t.Errorf("%d of %d lines were refused, want %d", refused, lines, list.refused)
			}
		})
	}
}

func orderAll(t *testing.T, ecosystem string, s *bufio.Scanner) (refused, lines int) {
	for s.Scan() {
		parts := strings.Fields(s.Text())
		if len(parts) != 3 || strings.HasPrefix(s.Text(), "#") || strings.HasPrefix(s.Text(), "//") {
			continue
		}
		lines++
		got, err := advisory.CompareVersions(ecosystem, parts[0], parts[2])
		back, err2 := -got, error(nil)
		if lines%4 == 0 {
			back, err2 = advisory.CompareVersions(ecosystem, parts[2], parts[0])
		}
		want := map[string]int{"<": -1, "=": 0, ">": 1}[parts[1]]
		switch {
		case err != nil || err2 != nil:
			refused++
		case got != want || back != -want:
			t.Errorf("%s: got %d and back %d", s.Text(), got, back)
		}
	}
	return refused, lines
}
