package sigma

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits on a rule file, checked before and while it is read.
const (
	// MaxFile is the largest rule file accepted, in bytes.
	MaxFile = 512 << 10
	// maxDepth is how deep collections may nest.
	maxDepth = 32
	// maxNodes is how many values a file may have once its aliases are written out.
	maxNodes = 100_000
	// maxKeys is how many keys a map may have.
	maxKeys = 4096
)

type nodeKind uint8

const (
	kindNull nodeKind = iota
	kindString
	kindNumber
	kindBool
	kindList
	kindMap
)

var kindWords = [...]string{"nothing", "text", "a number", "a boolean", "a list", "a map"}

func (k nodeKind) String() string { return kindWords[k] }

// node is a YAML value with its place. Only what Sigma needs is kept: no tags,
// and aliases are what they stand for.
type node struct {
	kind nodeKind
	at   Pos
	text string // scalars
	// exact is set where byte i of text stands at column at.Col+shift+i.
	exact bool
	shift int
	list  []*node
	pairs []pair
}

type pair struct {
	key string
	at  Pos
	val *node
	// taken is set for what `<<` took over from another map.
	taken bool
}

func (n *node) get(key string) (*node, bool) {
	for _, p := range n.pairs {
		if p.key == key {
			return p.val, true
		}
	}
	return nil, false
}

// inside returns the place of byte i of a scalar.
func (n *node) inside(i int) Pos {
	if !n.exact {
		return n.at
	}
	return Pos{n.at.Line, n.at.Col + n.shift + utf8.RuneCountInString(n.text[:i])}
}

// yamlReader reads the block and flow forms of YAML 1.2: every node has its
// place, and what can't be read has a reason with a place. There are no complex
// keys and no tags in it, rules have no use for them.
type yamlReader struct {
	src     string
	i       int
	line    int // from 1
	start   int // where the line begins
	depth   int
	nodes   int
	anchors map[string]*node

	counted, runes int // the characters of the line up to a byte, for place
}

// parseYAML reads the documents of a file. A document that can't be read does
// not keep those behind it from being read.
func parseYAML(data []byte) (docs []*node, err error) {
	data, err = cleanText(data)
	if err != nil {
		return nil, err
	}
	r := &yamlReader{src: string(data), line: 1}
	var all []error
	for more := r.nextDocument(); more; more = r.nextDocument() {
		d, err := r.document()
		if err != nil {
			all = append(all, err)
			r.skipDocument()
			continue
		}
		if d != nil {
			docs = append(docs, d)
		}
	}
	return docs, errors.Join(all...)
}

// nextDocument goes to the beginning of a document and reports whether there
// is one.
func (r *yamlReader) nextDocument() bool {
	r.anchors = make(map[string]*node)
	r.depth = 0
	for {
		r.blanks()
		switch {
		case r.i == len(r.src):
			return false
		case r.marker("---"):
			r.i += 3
			return true
		case r.marker("..."), r.col() == 0 && r.src[r.i] == '%':
			r.toEnd()
		default:
			return true
		}
	}
}

// document reads one document, nil where it is empty.
func (r *yamlReader) document() (*node, error) {
	r.blanks()
	if r.ended() {
		return nil, nil
	}
	n, err := r.value(-1, true)
	if err != nil {
		return nil, err
	}
	r.blanks()
	if !r.ended() {
		return nil, r.stray()
	}
	return n, nil
}

func (r *yamlReader) stray() error {
	if r.col() > 0 {
		return bad(r.at(), "this line is indented unlike those above it; write it below the key that it belongs to")
	}
	return bad(r.at(), "this is no key with a colon; write `key: value`, or indent the line below its key")
}

// skipDocument goes to the marker of the next document.
func (r *yamlReader) skipDocument() {
	for r.i < len(r.src) && !r.marker("---") {
		r.toEnd()
		if r.i < len(r.src) {
			r.newline()
		}
	}
}

func (r *yamlReader) at() Pos { return r.place(r.i) }

// place is where byte i of the current line stands. It counts on from where it
// last was: a line can be the whole file.
func (r *yamlReader) place(i int) Pos {
	if r.counted < r.start || i < r.counted {
		r.counted, r.runes = r.start, 0
	}
	r.runes += utf8.RuneCountInString(r.src[r.counted:i])
	r.counted = i
	return Pos{r.line, r.runes + 1}
}

// col is how far the line is indented where a token begins it, from 0.
func (r *yamlReader) col() int { return r.i - r.start }

func (r *yamlReader) peek() byte {
	if r.i < len(r.src) {
		return r.src[r.i]
	}
	return 0
}

// marker reports whether the line begins with --- or ... at its very edge.
func (r *yamlReader) marker(m string) bool {
	return r.i == r.start && strings.HasPrefix(r.src[r.i:], m) && isBreak(r.src, r.i+3)
}

// ended reports whether the document is over.
func (r *yamlReader) ended() bool {
	return r.i == len(r.src) || r.marker("---") || r.marker("...")
}

// isBreak reports whether a word ends before byte i.
func isBreak(s string, i int) bool {
	return i >= len(s) || s[i] == ' ' || s[i] == '\n' || s[i] == '\t'
}

func (r *yamlReader) newline() {
	r.i++
	r.line++
	r.start = r.i
}

func (r *yamlReader) toEnd() {
	if n := strings.IndexByte(r.src[r.i:], '\n'); n >= 0 {
		r.i += n
		return
	}
	r.i = len(r.src)
}

// spaces skips blanks within a line, and a comment behind them.
func (r *yamlReader) spaces() {
	from := r.i
	for r.peek() == ' ' || r.peek() == '\t' {
		r.i++
	}
	if r.peek() == '#' && (r.i > from || r.i == r.start) {
		r.toEnd()
	}
}

// blanks skips blanks, comments and line ends. The indentation of the line that
// it ends in is of blanks alone, which tabs checks.
func (r *yamlReader) blanks() {
	for {
		r.spaces()
		if r.peek() != '\n' {
			return
		}
		r.newline()
	}
}

// tabs refuses a tab in the indentation.
func (r *yamlReader) tabs() error {
	if t := strings.IndexByte(r.src[r.start:r.i], '\t'); t >= 0 && strings.TrimLeft(r.src[r.start:r.i], " \t") == "" {
		return bad(r.place(r.start+t), "a tab can't indent a line in YAML; write blanks")
	}
	return nil
}

func (r *yamlReader) enter() error {
	r.depth++
	if r.depth > maxDepth+1 {
		return bad(r.at(), "nested deeper than %d levels; write it flatter", maxDepth)
	}
	return nil
}

// node counts the values of a file.
func (r *yamlReader) node(n node) (*node, error) {
	if r.nodes++; r.nodes > maxNodes {
		return nil, bad(n.at, "the file has more than %d values, aliases written out; write several files", maxNodes)
	}
	return &n, nil
}

// value reads what stands at the reader or on the lines below it, indented by
// more than parent. Where compact is set a map may begin right here.
func (r *yamlReader) value(parent int, compact bool) (*node, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer func() { r.depth-- }()
	empty := r.at()
	line := r.line
	r.blanks()
	if r.line != line {
		compact = true
	}
	if r.ended() || r.line != line && r.col() <= parent {
		return r.node(node{kind: kindNull, at: empty})
	}
	if r.line != line || r.col() == 0 {
		if err := r.tabs(); err != nil {
			return nil, err
		}
	}
	if c := r.peek(); c == '&' || c == '!' {
		return r.property(parent)
	}
	return r.content(parent, compact)
}

// property reads the anchor before a value; tags are refused.
func (r *yamlReader) property(parent int) (*node, error) {
	at := r.at()
	if r.peek() == '!' {
		return nil, bad(at, "YAML tags have no meaning in a rule; write the value without, in quotes if it is a text")
	}
	name := r.word()
	if name == "" {
		return nil, bad(at, "an anchor has no name; write the value in quotes if it begins with `&`")
	}
	n, err := r.value(parent, false)
	if err != nil {
		return nil, err
	}
	r.anchors[name] = n
	return n, nil
}

// word reads the name behind & or *.
func (r *yamlReader) word() string {
	from := r.i + 1
	for r.i++; !isBreak(r.src, r.i) && strings.IndexByte(",[]{}", r.src[r.i]) < 0; r.i++ {
		continue
	}
	return r.src[from:r.i]
}

func (r *yamlReader) alias() (*node, error) {
	at := r.at()
	name := r.word()
	n, ok := r.anchors[name]
	if !ok {
		return nil, bad(at, "there is no anchor `&%s` before this; write the value in quotes if it begins with a star", name)
	}
	if r.nodes += n.size(maxNodes); r.nodes > maxNodes {
		return nil, bad(at, "the file has more than %d values, aliases written out; write several files", maxNodes)
	}
	return n, nil
}

// size counts the values of n, no further than limit.
func (n *node) size(limit int) int {
	count := 1
	for _, k := range n.list {
		if count > limit {
			break
		}
		count += k.size(limit - count)
	}
	for _, p := range n.pairs {
		if count > limit {
			break
		}
		count += p.val.size(limit - count)
	}
	return count
}

// content reads a value that begins here.
func (r *yamlReader) content(parent int, compact bool) (*node, error) {
	switch c := r.peek(); {
	case c == '-' && isBreak(r.src, r.i+1):
		if !compact {
			return nil, bad(r.at(), "a list can't begin behind a key on the same line; write it on the lines below")
		}
		return r.blockList()
	case c == '?' && isBreak(r.src, r.i+1):
		return nil, bad(r.at(), "a key must be plain text; write `key: value`")
	case c == '|' || c == '>':
		return r.blockText(parent)
	}
	if compact && r.keyAhead() {
		return r.blockMap()
	}
	n, err := r.flowOrScalar(parent)
	if err != nil {
		return nil, err
	}
	return n, r.lineEnd()
}

// lineEnd refuses what stands behind a value on its line.
func (r *yamlReader) lineEnd() error {
	r.spaces()
	if r.i == len(r.src) || r.peek() == '\n' {
		return nil
	}
	if r.peek() == ':' {
		return bad(r.at(), "a second colon in one line; write the value in quotes")
	}
	return bad(r.at(), "%q stands behind the end of a value; write the whole value in quotes", r.peek())
}

// keyAhead reports whether a key with its colon begins here.
func (r *yamlReader) keyAhead() bool {
	i := r.i
	switch c := r.peek(); c {
	case '"', '\'':
		for i++; i < len(r.src) && r.src[i] != '\n'; i++ {
			if r.src[i] == '\\' && c == '"' {
				i++
			} else if r.src[i] == c {
				if c == '"' || i+1 >= len(r.src) || r.src[i+1] != c {
					break
				}
				i++
			}
		}
		for i++; i < len(r.src) && (r.src[i] == ' ' || r.src[i] == '\t'); i++ {
			continue
		}
		return i < len(r.src) && r.src[i] == ':' && isBreak(r.src, i+1)
	case '[', '{':
		return false
	}
	for ; i < len(r.src) && r.src[i] != '\n'; i++ {
		if r.src[i] == ':' && isBreak(r.src, i+1) {
			return true
		}
		if r.src[i] == '#' && i > r.i && (r.src[i-1] == ' ' || r.src[i-1] == '\t') {
			return false
		}
	}
	return false
}

func (r *yamlReader) blockList() (*node, error) {
	out := node{kind: kindList, at: r.at()}
	indent := r.col()
	for {
		r.i++
		for r.peek() == ' ' {
			r.i++
		}
		n, err := r.value(indent, true)
		if err != nil {
			return nil, err
		}
		out.list = append(out.list, n)
		r.blanks()
		if r.ended() || r.col() < indent || r.col() == indent && (r.peek() != '-' || !isBreak(r.src, r.i+1)) {
			return r.node(out)
		}
		if r.col() > indent {
			return nil, r.stray()
		}
		if err := r.tabs(); err != nil {
			return nil, err
		}
	}
}

func (r *yamlReader) blockMap() (*node, error) {
	out := node{kind: kindMap, at: r.at()}
	indent := r.col()
	for {
		if err := r.entry(&out, indent); err != nil {
			return nil, err
		}
		r.blanks()
		if r.ended() || r.col() < indent {
			return r.node(out)
		}
		if r.col() > indent {
			return nil, r.stray()
		}
		if err := r.tabs(); err != nil {
			return nil, err
		}
		if !r.keyAhead() {
			return nil, r.noKey(indent)
		}
	}
}

// noKey says why no key begins here; a list at the indentation of its key was
// read with it.
func (r *yamlReader) noKey(indent int) error {
	if r.peek() == '-' && isBreak(r.src, r.i+1) {
		return bad(r.at(), "a list stands among the keys of a map; write a key before it, or indent it")
	}
	if indent == 0 {
		return bad(r.at(), "this is no key with a colon; write `key: value`, or indent the line below its key")
	}
	return bad(r.at(), "this is no key with a colon; write `key: value`, or indent the line further")
}

// entry reads a key, its colon and its value.
func (r *yamlReader) entry(out *node, indent int) error {
	key, at, quoted, err := r.key()
	if err != nil {
		return err
	}
	line := r.line
	r.i++ // the colon
	empty := r.at()
	r.spaces()
	var val *node
	if r.i < len(r.src) && r.peek() == '\n' {
		val, err = r.below(indent, empty)
	} else {
		val, err = r.value(indent, false)
		if err == nil && val.kind == kindNull && val.text == "" && r.line == line {
			val.at = empty
		}
	}
	if err != nil {
		return err
	}
	if key == "<<" && !quoted {
		return r.merge(out, at, val)
	}
	return out.put(pair{key: key, at: at, val: val})
}

// below reads the value of a key whose line has none: on the lines below it,
// indented, or a list at the key's own indentation.
func (r *yamlReader) below(indent int, empty Pos) (*node, error) {
	r.blanks()
	if !r.ended() && r.col() == indent && r.peek() == '-' && isBreak(r.src, r.i+1) {
		if err := r.enter(); err != nil {
			return nil, err
		}
		defer func() { r.depth-- }()
		return r.blockList()
	}
	if r.ended() || r.col() <= indent {
		return r.node(node{kind: kindNull, at: empty})
	}
	if err := r.tabs(); err != nil {
		return nil, err
	}
	return r.value(indent, true)
}

// put adds a pair, once; it takes the place of what was taken over.
func (n *node) put(p pair) error {
	for i, have := range n.pairs {
		if have.key == p.key {
			if have.taken {
				n.pairs[i] = p
				return nil
			}
			return bad(p.at, "the key `%s` stands here and in line %d; write it once", p.key, have.at.Line)
		}
	}
	if len(n.pairs) == maxKeys {
		return bad(p.at, "a map has more than %d keys; write several files", maxKeys)
	}
	n.pairs = append(n.pairs, p)
	return nil
}

// merge takes over the keys of other maps that this one does not have.
func (r *yamlReader) merge(out *node, at Pos, val *node) error {
	maps := []*node{val}
	if val.kind == kindList {
		maps = val.list
	}
	for _, m := range maps {
		if m.kind != kindMap {
			return bad(at, "`<<` takes over the keys of a map, this is %s", m.kind)
		}
		for _, p := range m.pairs {
			if !slices.ContainsFunc(out.pairs, func(o pair) bool { return o.key == p.key }) {
				p.taken = true
				if err := out.put(p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// key reads a key and stops at its colon.
func (r *yamlReader) key() (string, Pos, bool, error) {
	at := r.at()
	if c := r.peek(); c == '"' || c == '\'' {
		n, err := r.quoted(-1)
		if err != nil {
			return "", at, true, err
		}
		r.spaces()
		if r.peek() != ':' { // the quote that was seen ahead was none, or the key goes over lines
			return "", at, true, bad(at, "a key in quotes ends on its line with a colon behind it; write `\"key\": value`")
		}
		at.Col++ // where the text of the key begins
		return n.text, at, true, nil
	}
	if c := r.peek(); strings.IndexByte("&*!%@`|>,]}", c) >= 0 {
		return "", at, false, bad(at, "a key can't begin with %q; write it in quotes", c)
	}
	from := r.i
	for r.peek() != ':' || !isBreak(r.src, r.i+1) {
		r.i++
	}
	return strings.TrimRight(r.src[from:r.i], " \t"), at, false, nil
}
