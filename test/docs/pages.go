package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Page is a Markdown file of the project.
type Page struct {
	Path   string // from the project's root, with slashes
	Text   string
	Blocks []Block
}

// Block is a fenced block, or shell in a comment that no reader sees.
type Block struct {
	Line   int // of its first line, from 1
	Lang   string
	Text   string
	Hidden bool
	// Run says that it is executed; Names are its placeholders.
	Run   bool
	Names []string
}

// Load reads every page below root, the project's folder.
func Load(root string) ([]Page, error) {
	var pages []Page
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		p, err := parse(filepath.ToSlash(rel), string(text))
		pages = append(pages, p)
		return err
	})
	if err == nil && len(pages) == 0 {
		err = fmt.Errorf("no pages below %s", root)
	}
	return pages, err
}

var marker = regexp.MustCompile(`^<!-- run((?: [A-Z][A-Z_]*)*) -->$`)

// parse finds the blocks of a page. What is not closed is an error: the rest of
// the page would pass for code.
func parse(path, text string) (Page, error) {
	p := Page{Path: path, Text: text}
	lines := strings.Split(text, "\n")
	var next *Block // what a marker said of the block that follows
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case marker.MatchString(line):
			next = &Block{Run: true, Names: strings.Fields(marker.FindStringSubmatch(line)[1])}
			continue
		case line == "<!-- run":
			end := slices.Index(lines[i:], "-->")
			if end < 0 {
				return p, fmt.Errorf("%s:%d: the comment does not end", path, i+1)
			}
			p.Blocks = append(p.Blocks, Block{Line: i + 2, Text: strings.Join(lines[i+1:i+end], "\n") + "\n", Hidden: true, Run: true})
			i += end
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			b, after, err := fenced(path, lines, i)
			if err != nil {
				return p, err
			}
			if next != nil {
				b.Run, b.Names = true, next.Names
			}
			p.Blocks = append(p.Blocks, b)
			i = after
		case next != nil:
			return p, fmt.Errorf("%s:%d: a run marker stands before no block", path, i)
		}
		next = nil
	}
	return p, nil
}

// fenced reads the block that begins at line i and returns the index of its
// last line.
func fenced(path string, lines []string, i int) (b Block, last int, err error) {
	indent := lines[i][:strings.Index(lines[i], "`")]
	b = Block{Line: i + 2, Lang: strings.TrimLeft(strings.TrimSpace(lines[i]), "`")}
	for last = i + 1; last < len(lines); last++ {
		if strings.TrimSpace(lines[last]) == "```" {
			return b, last, nil
		}
		b.Text += strings.TrimPrefix(lines[last], indent) + "\n"
	}
	return b, last, fmt.Errorf("%s:%d: the block does not end", path, i+1)
}

// Prose returns the page's text with the lines of blocks and comments empty, so
// that line numbers stay.
func (p Page) Prose() []string {
	lines := strings.Split(p.Text, "\n")
	for _, b := range p.Blocks {
		for i := b.Line - 2; i < b.Line+strings.Count(b.Text, "\n") && i < len(lines); i++ {
			lines[i] = ""
		}
	}
	return lines
}

func placeholder(name string) *regexp.Regexp { return regexp.MustCompile(`\b` + name + `\b`) }

// Script is what the page executes, one shell session, nil where it executes
// nothing. Before each block it says where it is.
func (p Page) Script() []byte {
	var s strings.Builder
	for _, b := range p.Blocks {
		if !b.Run {
			continue
		}
		text := b.Text
		for _, name := range b.Names {
			text = placeholder(name).ReplaceAllString(text, "$$("+name+")")
		}
		fmt.Fprintf(&s, "at %s:%d\n%s", p.Path, b.Line, text)
	}
	return []byte(s.String())
}
