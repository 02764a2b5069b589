package sigma

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// flowOrScalar reads a value that is no block: a list or map in brackets, a
// quoted or plain text, an alias.
func (r *yamlReader) flowOrScalar(parent int) (*node, error) {
	switch c := r.peek(); c {
	case '[':
		return r.flowList(parent)
	case '{':
		return r.flowMap(parent)
	case '"', '\'':
		return r.quoted(parent)
	case '*':
		return r.alias()
	case '@', '`', '%':
		return nil, bad(r.at(), "a value can't begin with %q; write it in quotes", c)
	case ',', ']', '}', ':':
		if c != ':' || isBreak(r.src, r.i+1) {
			return nil, bad(r.at(), "%q stands where a value should; write it in quotes to mean it itself", c)
		}
	}
	return r.plain(parent, "")
}

// plain reads a text without quotes. Within brackets it ends at one of stop.
// Lines that are indented further go on with it.
func (r *yamlReader) plain(parent int, stop string) (*node, error) {
	at, from, line := r.at(), r.i, r.line
	text := r.plainLine(stop)
	for {
		i, l, s := r.i, r.line, r.start
		breaks := r.breaks()
		if breaks == 0 || r.ended() || r.peek() == '#' || r.col() <= parent || stop != "" && strings.IndexByte(stop+":", r.peek()) >= 0 {
			r.i, r.line, r.start = i, l, s
			break
		}
		if stop == "" && r.keyAhead() {
			return nil, bad(r.at(), "a key stands below the text of line %d and is indented further; write it less indented, or the text in quotes", at.Line)
		}
		text += fold(breaks) + r.plainLine(stop)
	}
	n := scalar(text)
	n.at, n.exact = at, r.line == line && strings.HasPrefix(r.src[from:], text)
	return r.node(n)
}

// plainLine reads a plain text as far as it goes on the line.
func (r *yamlReader) plainLine(stop string) string {
	from := r.i
	for ; r.i < len(r.src) && r.src[r.i] != '\n'; r.i++ {
		c := r.src[r.i]
		if c == ':' && (isBreak(r.src, r.i+1) || stop != "" && strings.IndexByte(stop, r.src[r.i+1]) >= 0) ||
			c == '#' && r.i > from && (r.src[r.i-1] == ' ' || r.src[r.i-1] == '\t') || stop != "" && strings.IndexByte(stop, c) >= 0 {
			break
		}
	}
	text := strings.TrimRight(r.src[from:r.i], " \t")
	r.i = from + len(text)
	return text
}

// breaks goes over line ends and blanks to the next text and counts the lines.
func (r *yamlReader) breaks() int {
	n := 0
	for {
		for r.peek() == ' ' || r.peek() == '\t' {
			r.i++
		}
		if r.peek() != '\n' {
			return n
		}
		r.newline()
		n++
	}
}

// fold is what line ends within a text become.
func fold(breaks int) string {
	if breaks == 1 {
		return " "
	}
	return strings.Repeat("\n", breaks-1)
}

var (
	yamlInt   = regexp.MustCompile(`^[-+]?[0-9]+$`)
	yamlFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	yamlHex   = regexp.MustCompile(`^0x[0-9a-fA-F]+$|^0o[0-7]+$`)
)

// scalar says what kind of value a plain text is, by the core schema of YAML
// 1.2. Numbers keep the digits that were written.
func scalar(text string) node {
	n := node{kind: kindString, text: text}
	switch text {
	case "", "~", "null", "Null", "NULL":
		return node{kind: kindNull}
	case "true", "True", "TRUE", "false", "False", "FALSE":
		n.kind, n.text = kindBool, strings.ToLower(text)
		return n
	}
	if c := text[0]; c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') {
		return n
	}
	switch {
	case yamlInt.MatchString(text), yamlFloat.MatchString(text):
		n.kind = kindNumber
	case yamlHex.MatchString(text):
		if v, err := strconv.ParseUint(text, 0, 64); err == nil {
			n.kind, n.text = kindNumber, strconv.FormatUint(v, 10)
		}
	}
	return n
}

// quoted reads a text in quotes.
func (r *yamlReader) quoted(parent int) (*node, error) {
	at, q, line, from := r.at(), r.peek(), r.line, r.i+1
	var b strings.Builder
	for r.i++; ; {
		switch c := r.peek(); {
		case r.i == len(r.src) || r.i == r.start && r.ended():
			return nil, bad(at, "the quote that opens here is not closed")
		case c == q && q == '\'' && r.i+1 < len(r.src) && r.src[r.i+1] == '\'':
			b.WriteByte('\'')
			r.i += 2
		case c == q:
			n := node{kind: kindString, at: at, text: b.String(), shift: 1}
			n.exact = r.line == line && r.src[from:r.i] == n.text
			r.i++
			return r.node(n)
		case c == '\\' && q == '"':
			if err := r.escape(&b); err != nil {
				return nil, err
			}
		case c == '\n':
			if err := r.foldQuoted(&b, parent); err != nil {
				return nil, err
			}
		default:
			b.WriteByte(c)
			r.i++
		}
	}
}

// foldQuoted takes the line ends within quotes as blanks.
func (r *yamlReader) foldQuoted(b *strings.Builder, parent int) error {
	text := strings.TrimRight(b.String(), " \t")
	b.Reset()
	b.WriteString(text)
	n := r.breaks()
	if r.i < len(r.src) && r.col() <= parent && !r.ended() {
		return bad(r.at(), "a text in quotes ends or goes on further right than its key; close the quote, or indent this line")
	}
	b.WriteString(fold(n))
	return nil
}

var escapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b", ' ': " ", '"': `"`, '/': "/", '\\': `\`,
	'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

// escape reads what stands behind a backslash in double quotes.
func (r *yamlReader) escape(b *strings.Builder) error {
	at := r.at()
	r.i++
	c := r.peek()
	if s, ok := escapes[c]; ok && r.i < len(r.src) {
		b.WriteString(s)
		r.i++
		return nil
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	switch {
	case c == '\n':
		r.newline()
		for r.peek() == ' ' || r.peek() == '\t' {
			r.i++
		}
		return nil
	case digits > 0 && r.i+1+digits <= len(r.src):
		v, err := strconv.ParseUint(r.src[r.i+1:r.i+1+digits], 16, 32)
		if err == nil && v <= utf8.MaxRune && utf8.ValidRune(rune(v)) {
			b.WriteRune(rune(v))
			r.i += 1 + digits
			return nil
		}
	}
	return bad(at, "`\\%c` is no escape of YAML; write the text in single quotes, or `\\\\` for a backslash", c)
}

// blockText reads the lines below | or >.
func (r *yamlReader) blockText(parent int) (*node, error) {
	at, style := r.at(), r.peek()
	chomp, indent := byte(0), -1
	for r.i++; !isBreak(r.src, r.i); r.i++ {
		switch c := r.peek(); {
		case c == '+' || c == '-':
			chomp = c
		case c >= '1' && c <= '9' && indent < 0:
			indent = int(c-'0') + max(parent, 0)
		default:
			return nil, bad(r.at(), "behind `%c` stand only `+`, `-` and a digit; write the text in quotes if it begins with that sign", style)
		}
	}
	r.spaces()
	if r.i < len(r.src) && r.peek() != '\n' {
		return nil, bad(r.at(), "a text behind `%c` begins on the next line", style)
	}
	lines, err := r.blockLines(parent, indent)
	if err != nil {
		return nil, err
	}
	text := strings.Join(lines, "\n")
	if style == '>' {
		text = folded(lines)
	}
	body := strings.TrimRight(text, "\n")
	switch {
	case chomp == '+' && len(lines) > 0:
		body = text + "\n"
	case chomp == 0 && body != "":
		body += "\n"
	}
	return r.node(node{kind: kindString, at: at, text: body})
}

// blockLines reads the lines that are indented further than parent, without
// their indentation: that of the first of them where indent is negative.
func (r *yamlReader) blockLines(parent, indent int) ([]string, error) {
	var lines []string
	for r.i < len(r.src) {
		r.newline()
		from := r.i
		for r.peek() == ' ' && (indent < 0 || r.col() < indent) {
			r.i++
		}
		if r.i == len(r.src) {
			break
		}
		if r.peek() != '\n' {
			if indent < 0 && r.peek() == '\t' {
				return nil, bad(r.at(), "a tab can't indent a line in YAML; write blanks")
			}
			if indent < 0 && r.col() > parent {
				indent = r.col()
			}
			if indent < 0 || r.col() < indent || indent == 0 && r.ended() {
				r.i = from
				break
			}
		}
		text := r.i
		r.toEnd()
		lines = append(lines, r.src[text:r.i])
	}
	return trimLast(lines), nil
}

// trimLast takes away lines of nothing but blanks at the end.
func trimLast(lines []string) []string {
	for i := len(lines) - 1; i >= 0 && strings.Trim(lines[i], " ") == ""; i-- {
		lines[i] = ""
	}
	return lines
}

// folded joins the lines of a text behind >: those that begin with a blank stay
// lines.
func folded(lines []string) string {
	var b strings.Builder
	empty, wasMore, begun := 0, false, false
	for _, l := range lines {
		if l == "" {
			empty++
			continue
		}
		more := l[0] == ' ' || l[0] == '\t'
		switch {
		case !begun:
			b.WriteString(strings.Repeat("\n", empty))
		case more || wasMore:
			b.WriteString(strings.Repeat("\n", empty+1))
		default:
			b.WriteString(fold(empty + 1))
		}
		b.WriteString(l)
		empty, wasMore, begun = 0, more, true
	}
	b.WriteString(strings.Repeat("\n", empty))
	return b.String()
}

// flowList reads [a, b].
func (r *yamlReader) flowList(parent int) (*node, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer func() { r.depth-- }()
	out := node{kind: kindList, at: r.at()}
	for r.i++; ; {
		r.blanks()
		if err := r.open(out.at, "["); err != nil {
			return nil, err
		}
		if r.peek() == ']' {
			r.i++
			return r.node(out)
		}
		n, err := r.flowItem(parent)
		if err != nil {
			return nil, err
		}
		out.list = append(out.list, n)
		if err := r.separator(out.at, ']'); err != nil {
			return nil, err
		}
	}
}

// open refuses the end of the document within brackets.
func (r *yamlReader) open(at Pos, bracket string) error {
	if r.ended() {
		return bad(at, "the bracket `%s` that opens here is not closed", bracket)
	}
	return nil
}

// separator goes over a comma, or stays at the closing bracket.
func (r *yamlReader) separator(at Pos, closing byte) error {
	r.blanks()
	switch {
	case r.ended():
		return r.open(at, map[byte]string{']': "[", '}': "{"}[closing])
	case r.peek() == ',':
		r.i++
	case r.peek() != closing:
		return bad(r.at(), "a comma or `%c` is missing before this", closing)
	}
	return nil
}

// flowItem reads one value within brackets; `key: value` in a list is a map.
func (r *yamlReader) flowItem(parent int) (*node, error) {
	n, err := r.flowValue(parent)
	if err != nil {
		return nil, err
	}
	r.blanks()
	if r.peek() != ':' || n.kind == kindList || n.kind == kindMap {
		return n, nil
	}
	r.i++
	r.blanks()
	val, err := r.flowValue(parent)
	if err != nil {
		return nil, err
	}
	return r.node(node{kind: kindMap, at: n.at, pairs: []pair{{key: n.text, at: n.at, val: val}}})
}

const flowStops = ",[]{}"

func (r *yamlReader) flowValue(parent int) (*node, error) {
	switch c := r.peek(); c {
	case ',', ']', '}':
		return r.node(node{kind: kindNull, at: r.at()})
	case '[', '{', '"', '\'', '*', '@', '`', '%':
		return r.flowOrScalar(parent)
	case '!', '&':
		return r.flowProperty(parent)
	}
	return r.plain(parent, flowStops)
}

func (r *yamlReader) flowProperty(parent int) (*node, error) {
	if r.peek() == '!' {
		return r.property(parent)
	}
	name := r.word()
	r.blanks()
	n, err := r.flowValue(parent)
	if err == nil {
		r.anchors[name] = n
	}
	return n, err
}

// flowMap reads {a: b}.
func (r *yamlReader) flowMap(parent int) (*node, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer func() { r.depth-- }()
	out, bracket := node{kind: kindMap, at: r.at()}, r.at()
	for r.i++; ; {
		r.blanks()
		if err := r.open(bracket, "{"); err != nil {
			return nil, err
		}
		if r.peek() == '}' {
			r.i++
			return r.node(out)
		}
		if len(out.pairs) == 0 {
			out.at = r.at() // a map stands where its first key does
		}
		if err := r.flowEntry(&out, parent); err != nil {
			return nil, err
		}
		if err := r.separator(bracket, '}'); err != nil {
			return nil, err
		}
	}
}

func (r *yamlReader) flowEntry(out *node, parent int) error {
	key, err := r.flowKey(parent)
	if err != nil {
		return err
	}
	at := key.at
	at.Col += key.shift
	empty := r.at()
	r.blanks()
	val, err := r.node(node{kind: kindNull, at: empty})
	if r.peek() == ':' {
		r.i++
		r.blanks()
		if err := r.open(out.at, "{"); err != nil {
			return err
		}
		val, err = r.flowValue(parent)
	}
	if err != nil {
		return err
	}
	if key.text == "<<" && key.shift == 0 {
		return r.merge(out, at, val)
	}
	return out.put(pair{key: key.text, at: at, val: val})
}

// flowKey reads a key within braces, as the text that it is.
func (r *yamlReader) flowKey(parent int) (*node, error) {
	switch c := r.peek(); c {
	case '"', '\'':
		return r.quoted(-1)
	case '[', '{', '*', '&', '!', '?', '@', '`', '%', ',', ']':
		return nil, bad(r.at(), "a key can't begin with %q; write it in quotes", c)
	}
	from := r.i
	n, err := r.plain(parent, flowStops)
	if err == nil && n.kind != kindString {
		n.text = r.src[from:r.i]
	}
	return n, err
}
