package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	hidden  = regexp.MustCompile(`(?s)<!--.*?-->`)
)

// TestLinksResolve follows every link from a page to a file of the project, and
// to the heading that it names there.
func TestLinksResolve(t *testing.T) {
	for _, p := range pages(t) {
		for i, line := range p.Prose() {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
					continue
				}
				if why := follow(t, p, m[1]); why != "" {
					t.Errorf("%s:%d: %s: %s", p.Path, i+1, m[1], why)
				}
			}
		}
	}
}

func follow(t *testing.T, p Page, to string) (why string) {
	t.Helper()
	path, anchor, named := strings.Cut(to, "#")
	target := p.Path
	if path != "" {
		target = filepath.Join(filepath.Dir(p.Path), path)
	}
	info, err := os.Stat(filepath.Join(root, target))
	switch {
	case err != nil:
		return "there is no such file"
	case !named:
		return ""
	case info.IsDir():
		return "a folder has no headings"
	}
	text, err := os.ReadFile(filepath.Join(root, target))
	if err != nil {
		t.Fatal(err)
	}
	var anchors []string
	for _, h := range heading.FindAllStringSubmatch(string(text), -1) {
		anchors = append(anchors, anchorOf(h[1]))
	}
	if !slices.Contains(anchors, anchor) {
		return "there is no such heading"
	}
	return ""
}

// anchorOf names a heading as GitHub does.
func anchorOf(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// TestEveryPageIsListed keeps docs/README.md whole: who comes to the folder
// finds every page of it.
func TestEveryPageIsListed(t *testing.T) {
	list := pages(t)
	at := slices.IndexFunc(list, func(p Page) bool { return p.Path == "docs/README.md" })
	if at < 0 {
		t.Fatal("there is no docs/README.md")
	}
	index := hidden.ReplaceAllString(list[at].Text, "")
	for _, p := range list {
		name, ours := strings.CutPrefix(p.Path, "docs/")
		if ours && p.Path != "docs/README.md" && !strings.Contains(index, "("+name+")") {
			t.Errorf("docs/README.md does not list %s", name)
		}
	}
}
