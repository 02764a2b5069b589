// Package leakcorpus makes labelled files for judging a secret scanner: lines
// that leak a secret and lines that only look like it. Values are new for each
// seed, so that no rule can know them, and the templates hold none, so that the
// package itself leaks nothing.
package leakcorpus

import (
	"bytes"
	"embed"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf16"
)

//go:embed templates/*.txt
var templates embed.FS

// Label is what is true of the lines From to To, counted from 1.
type Label struct {
	From, To int
	Leak     bool
	Family   string
	Text     string // the first line
}

// File is one file of the corpus.
type File struct {
	Path   string
	Body   []byte
	Labels []Label
}

// Generate makes the corpus of one seed.
func Generate(seed uint64) ([]File, error) {
	names, err := fs.Glob(templates, "templates/*.txt")
	if err != nil {
		return nil, err
	}
	var files []File
	for i, name := range names {
		text, err := templates.ReadFile(name)
		if err != nil {
			return nil, err
		}
		family := strings.TrimSuffix(strings.TrimPrefix(name, "templates/"), ".txt")
		made, err := generate(family, string(text), rand.New(rand.NewPCG(seed, uint64(i))))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, made...)
	}
	return files, nil
}

// generate makes the files of one family. A file begins with a line
// "=== path [xN] [utf16le|utf16be|crlf]".
func generate(family, text string, r *rand.Rand) ([]File, error) {
	var files []File
	for part := range strings.SplitSeq("\n"+text, "\n=== ") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		head, body, _ := strings.Cut(part, "\n")
		words := strings.Fields(head)
		times, encoding := 1, ""
		for _, w := range words[1:] {
			if n, found := strings.CutPrefix(w, "x"); found {
				times, _ = strconv.Atoi(n)
			} else {
				encoding = w
			}
		}
		t, err := template.New(words[0]).Funcs(values(r)).Parse(body)
		if err != nil {
			return nil, err
		}
		for n := range times {
			f, err := fill(family, words[0], t, n, encoding)
			if err != nil {
				return nil, err
			}
			files = append(files, f)
		}
	}
	return files, nil
}

func fill(family, path string, t *template.Template, n int, encoding string) (File, error) {
	var out bytes.Buffer
	if err := t.Execute(&out, nil); err != nil {
		return File{}, err
	}
	f := File{Path: fmt.Sprintf("%s/%d/%s", family, n, path)}
	body, err := f.label(family, out.String())
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	f.Body = encode(body, encoding)
	return f, nil
}

// label takes the marks off: "+|" leaks, "-|" looks like it, " |" is neither, and
// lines between "+{" and "+}" leak together, as those between "-{" and "-}" look
// like it together.
func (f *File) label(family, text string) (string, error) {
	var b strings.Builder
	line, from := 0, 0
	add := func(s string) { line++; b.WriteString(s); b.WriteByte('\n') }
	for s := range strings.Lines(text) {
		s = strings.TrimSuffix(s, "\n")
		mark, rest := s[:min(2, len(s))], s[min(2, len(s)):]
		switch {
		case mark == "+{" || mark == "-{":
			from = line + 1
		case mark == "+}" || mark == "-}":
			f.Labels = append(f.Labels, Label{From: from, To: line, Leak: mark == "+}", Family: family, Text: nth(b.String(), from)})
			from = 0
		case from > 0:
			add(s)
		case mark == "+|" || mark == "-|":
			add(rest)
			f.Labels = append(f.Labels, Label{From: line, To: line, Leak: mark == "+|", Family: family, Text: rest})
		case mark == " |":
			add(rest)
		case s == "":
		default:
			return "", fmt.Errorf("a line without a mark: %q", s)
		}
	}
	return b.String(), nil
}

func nth(text string, line int) string {
	lines := strings.Split(text, "\n")
	if line-1 < len(lines) {
		return lines[line-1]
	}
	return ""
}

func encode(s, encoding string) []byte {
	switch encoding {
	case "crlf":
		return []byte(strings.ReplaceAll(s, "\n", "\r\n"))
	case "utf16le", "utf16be":
		var order binary.AppendByteOrder = binary.LittleEndian
		if encoding == "utf16be" {
			order = binary.BigEndian
		}
		out := order.AppendUint16(nil, 0xfeff)
		for _, u := range utf16.Encode([]rune(strings.ReplaceAll(s, "\n", "\r\n"))) {
			out = order.AppendUint16(out, u)
		}
		return out
	}
	return []byte(s)
}
