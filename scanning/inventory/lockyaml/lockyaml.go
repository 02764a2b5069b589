// Package lockyaml reads the YAML that lockfiles are written in by pnpm, yarn and
// pub: maps, lists, plain and quoted scalars, each with its line. It has no
// anchors, aliases or tags, with which a small file can become a huge one: no
// lockfile has them, and one that does is an error.
package lockyaml

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Node is a value with its key.
type Node struct {
	Key  string
	Line int
	// Value is a scalar's text; a map's and a list's is "".
	Value string
	// Nodes are a map's or a list's members, in the order of the file; a list's
	// have no key.
	Nodes []*Node
}

// Get returns a member of a map; a missing one is an empty node, so that chains
// need no checks.
func (n *Node) Get(key string) *Node {
	for _, m := range n.Nodes {
		if m.Key == key {
			return m
		}
	}
	return &Node{}
}

// Error is what is wrong and where.
type Error struct {
	Line int
	Msg  string
}

// Error says it.
func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

const (
	maxDepth = 100
	maxLines = 500_000
)

type line struct {
	number, indent int
	text           string
}

type parser struct {
	lines []line
	at    int
}

// Parse reads the documents of a file into one map each.
func Parse(data string) ([]*Node, error) {
	p := &parser{}
	var docs []*Node
	number := 0
	finish := func() error {
		if len(p.lines) == 0 {
			return nil
		}
		doc, err := p.document()
		if err == nil {
			docs = append(docs, doc)
		}
		*p = parser{}
		return err
	}
	for text := range strings.Lines(strings.TrimPrefix(data, "\ufeff")) {
		number++
		text = strings.TrimRight(text, " \r\n")
		if text == "---" || text == "..." {
			if err := finish(); err != nil {
				return nil, err
			}
			continue
		}
		body := strings.TrimLeft(text, " ")
		if body == "" || body[0] == '#' {
			continue
		}
		if body[0] == '\t' {
			return nil, &Error{number, "indented by a tab"}
		}
		if len(p.lines) >= maxLines {
			return nil, &Error{number, "longer than any lockfile is"}
		}
		p.lines = append(p.lines, line{number, len(text) - len(body), body})
	}
	return docs, finish()
}

func (p *parser) document() (*Node, error) {
	doc := &Node{Line: p.lines[0].number}
	if err := p.block(doc, p.lines[0].indent, 0); err != nil {
		return nil, err
	}
	if p.at < len(p.lines) {
		return nil, &Error{p.lines[p.at].number, "indented less than what it belongs to"}
	}
	return doc, nil
}

// block reads the lines of one indentation into the members of a node.
func (p *parser) block(into *Node, indent, depth int) error {
	if depth > maxDepth {
		return &Error{p.lines[p.at].number, "nested deeper than any lockfile is"}
	}
	for p.at < len(p.lines) && p.lines[p.at].indent >= indent {
		l := p.lines[p.at]
		if l.indent > indent {
			return &Error{l.number, "indented more than what stands beside it"}
		}
		var err error
		if l.text == "-" || strings.HasPrefix(l.text, "- ") {
			err = p.item(into, l, depth)
		} else {
			err = p.entry(into, l, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// item reads a list's member. One that is a map is read as a block of its own,
// indented by the dash.
func (p *parser) item(into *Node, l line, depth int) error {
	body := strings.TrimLeft(strings.TrimPrefix(l.text, "-"), " ")
	n := &Node{Line: l.number}
	into.Nodes = append(into.Nodes, n)
	if body != "" {
		if _, _, err := splitKey(body); err != nil || body[0] == '{' || body[0] == '[' {
			p.at++
			return p.value(n, body, l.indent, depth)
		}
		indent := l.indent + len(l.text) - len(body)
		p.lines[p.at] = line{l.number, indent, body}
		return p.block(n, indent, depth+1)
	}
	p.at++
	return p.value(n, "", l.indent, depth)
}

func (p *parser) entry(into *Node, l line, depth int) error {
	key, rest, err := "", "", error(nil)
	if long, ok := strings.CutPrefix(l.text, "? "); ok {
		key, rest, err = p.longKey(long, l)
	} else {
		key, rest, err = splitKey(l.text)
		p.at++
	}
	if err != nil {
		return &Error{l.number, err.Error()}
	}
	n := &Node{Key: key, Line: l.number}
	into.Nodes = append(into.Nodes, n)
	return p.value(n, rest, l.indent, depth)
}

// longKey reads "? key" and the ": value" below it.
func (p *parser) longKey(text string, l line) (key, rest string, err error) {
	p.at++
	if p.at >= len(p.lines) || p.lines[p.at].indent != l.indent || p.lines[p.at].text[0] != ':' {
		return "", "", errors.New("a key without a value")
	}
	key, err = scalar(text)
	rest = strings.TrimLeft(p.lines[p.at].text[1:], " ")
	p.at++
	return key, rest, err
}

// value reads what stands after a key or a dash at the indentation indent.
func (p *parser) value(n *Node, text string, indent, depth int) (err error) {
	switch {
	case text == "":
		if p.at >= len(p.lines) {
			return nil
		}
		next := p.lines[p.at]
		// A list may stand as far left as its key.
		isList := next.indent == indent && n.Key != "" && (next.text == "-" || strings.HasPrefix(next.text, "- "))
		if isList {
			return p.list(n, indent, depth)
		}
		if next.indent > indent {
			return p.block(n, next.indent, depth+1)
		}
		return nil
	case text[0] == '|' || text[0] == '>':
		n.Value = p.folded(indent)
		return nil
	case text[0] == '{' || text[0] == '[':
		f := &flow{text: text}
		if err = f.node(n, 0); err == nil && strings.TrimSpace(f.text) != "" {
			err = errors.New("something follows the closing bracket")
		}
	default:
		n.Value, err = scalar(text)
	}
	if err != nil {
		return &Error{n.Line, err.Error()}
	}
	return nil
}

func (p *parser) list(n *Node, indent, depth int) error {
	for p.at < len(p.lines) {
		l := p.lines[p.at]
		if l.indent != indent || l.text != "-" && !strings.HasPrefix(l.text, "- ") {
			return nil
		}
		if err := p.item(n, l, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// folded joins the lines of a block scalar; how they were broken does not matter
// to anybody who reads lockfiles.
func (p *parser) folded(indent int) string {
	var parts []string
	for p.at < len(p.lines) && p.lines[p.at].indent > indent {
		parts = append(parts, p.lines[p.at].text)
		p.at++
	}
	return strings.Join(parts, " ")
}

// splitKey parts "key: value". A colon within a key is followed by no space.
func splitKey(text string) (key, rest string, err error) {
	if text[0] == '"' || text[0] == '\'' {
		key, rest, err = quoted(text)
		if err != nil {
			return "", "", err
		}
		rest, ok := strings.CutPrefix(strings.TrimLeft(rest, " "), ":")
		if !ok {
			return "", "", errors.New("no colon after the key")
		}
		return key, comment(strings.TrimLeft(rest, " ")), nil
	}
	if i := strings.Index(text, ": "); i > 0 {
		return text[:i], comment(strings.TrimLeft(text[i+2:], " ")), refuse(text)
	}
	if key, ok := strings.CutSuffix(comment(text), ":"); ok && key != "" {
		return key, "", refuse(text)
	}
	return "", "", fmt.Errorf("no key: %.60q", text)
}

// comment takes a remark away that stands after a value.
func comment(text string) string {
	if text == "" || text[0] == '"' || text[0] == '\'' {
		return text
	}
	if i := strings.Index(text, " #"); i >= 0 {
		return strings.TrimRight(text[:i], " ")
	}
	return text
}

// refuse keeps out what makes a small file large.
func refuse(text string) error {
	if text != "" && strings.IndexByte("&*!%@`", text[0]) >= 0 {
		return fmt.Errorf("anchors, aliases and tags are not read: %.60q", text)
	}
	return nil
}

func scalar(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if text[0] == '"' || text[0] == '\'' {
		value, rest, err := quoted(text)
		if err == nil && rest != "" && !strings.HasPrefix(rest, " #") {
			err = fmt.Errorf("something follows the closing quote: %.60q", rest)
		}
		return value, err
	}
	if text == "null" || text == "~" {
		return "", nil
	}
	return text, refuse(text)
}

// quoted reads the quoted text that stands at the beginning.
func quoted(text string) (value, rest string, err error) {
	q := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case q == '"' && text[i] == '\\':
			i++
		case text[i] != q:
		case q == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case q == '\'':
			return strings.ReplaceAll(text[1:i], "''", "'"), text[i+1:], nil
		default:
			value, err = strconv.Unquote(text[:i+1])
			if err != nil {
				value, err = strings.ReplaceAll(text[1:i], `\/`, "/"), nil
			}
			return value, text[i+1:], err
		}
	}
	return "", "", errors.New("a quote that does not end in its line")
}
