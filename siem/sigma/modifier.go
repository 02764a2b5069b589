package sigma

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// modifiers is the part of a field key after the first bar.
type modifiers struct {
	at                       Pos
	text                     test // testEqual, testContains, testPrefix, testSuffix
	all, cased, neq, windash bool
	encode                   []string
	re                       bool
	flags                    string // of the regular expression
	cidr, exists, ref        bool
	compare                  test // testGT ... testLTE, 0 for none
}

var (
	textModifiers    = map[string]test{"contains": testContains, "startswith": testPrefix, "endswith": testSuffix}
	compareModifiers = map[string]test{"gt": testGT, "gte": testGTE, "lt": testLT, "lte": testLTE}
	encodeModifiers  = []string{"base64", "base64offset", "wide", "utf16le", "utf16be", "utf16"}
	timeModifiers    = []string{"minute", "hour", "day", "week", "month", "year"}
)

// splitKey reads "Field|mod|mod".
func splitKey(key string, at Pos) (string, modifiers, error) {
	field, rest, _ := strings.Cut(key, "|")
	m := modifiers{at: at}
	col := at.Col + len(field) + 1
	for rest != "" {
		var word string
		word, rest, _ = strings.Cut(rest, "|")
		if err := m.add(word, Pos{at.Line, col}); err != nil {
			return "", m, err
		}
		col += len(word) + 1
	}
	return field, m, m.check()
}

func (m *modifiers) add(word string, at Pos) error {
	switch {
	case word == "all":
		m.all = true
	case word == "cased":
		m.cased = true
	case word == "neq":
		m.neq = true
	case word == "windash":
		m.windash = true
	case word == "re":
		m.re = true
	case slices.Contains([]string{"i", "m", "s"}, word):
		if !m.re {
			return bad(at, "modifier %q stands only after `re`", word)
		}
		m.flags += word
	case word == "cidr":
		m.cidr = true
	case word == "exists":
		m.exists = true
	case word == "fieldref":
		m.ref = true
	case slices.Contains(encodeModifiers, word):
		m.encode = append(m.encode, word)
	case word == "expand":
		return bad(at, "the `expand` modifier (placeholders) is not supported")
	case slices.Contains(timeModifiers, word):
		return bad(at, "the time modifier `%s` is not supported", word)
	default:
		return m.addTest(word, at)
	}
	return nil
}

func (m *modifiers) addTest(word string, at Pos) error {
	if t, ok := textModifiers[word]; ok {
		if m.text != testEqual {
			return bad(at, "only one of contains, startswith and endswith can stand on a field")
		}
		m.text = t
		return nil
	}
	if t, ok := compareModifiers[word]; ok {
		if m.compare != 0 {
			return bad(at, "only one of gt, gte, lt and lte can stand on a field")
		}
		m.compare = t
		return nil
	}
	return bad(at, "modifier %q is not known", word)
}

// check refuses combinations that mean nothing.
func (m *modifiers) check() error {
	kinds := 0
	for _, on := range []bool{m.re, m.cidr, m.exists, m.ref, m.compare != 0} {
		if on {
			kinds++
		}
	}
	textual := m.text != testEqual || m.windash || len(m.encode) > 0
	switch {
	case kinds > 1:
		return bad(m.at, "re, cidr, exists, fieldref and the comparisons exclude each other")
	case kinds == 1 && textual && !(m.ref && !m.windash && len(m.encode) == 0):
		return bad(m.at, "these modifiers can't stand together")
	case m.cased && (m.re || m.cidr || m.exists || m.compare != 0):
		return bad(m.at, "`cased` has no meaning here")
	}
	return nil
}

// expression turns one value of a field item into an expression.
func (m *modifiers) expression(field string, v *node) (*expr, error) {
	e, err := m.positive(field, v)
	if err != nil {
		return nil, err
	}
	if m.neq {
		e = not(e)
	}
	return e.named(labelValue, v.text, v.at), nil
}

func (m *modifiers) positive(field string, v *node) (*expr, error) {
	switch {
	case v.kind == kindList || v.kind == kindMap:
		return nil, bad(v.at, "a field's value can't be %s here", v.kind)
	case m.exists:
		return existsExpr(field, v)
	case v.kind == kindNull:
		return nullExpr(m, field, v)
	case m.re:
		return m.regexExpr(field, v)
	case m.cidr:
		return cidrExpr(field, v)
	case m.compare != 0:
		return m.compareExpr(field, v)
	case m.ref:
		return leaf(&predicate{field: field, test: testRef, cased: m.cased, other: v.text, ref: m.text}), nil
	case v.kind == kindNumber && m.text == testEqual && len(m.encode) == 0 && field != "":
		f, err := strconv.ParseFloat(v.text, 64)
		if err != nil {
			return nil, bad(v.at, "%q is not a number", v.text)
		}
		return leaf(&predicate{field: field, test: testNumber, text: v.text, num: f}), nil
	}
	return m.textExpr(field, v)
}

func existsExpr(field string, v *node) (*expr, error) {
	e := leaf(&predicate{field: field, test: testPresent})
	switch v.text {
	case "true":
		return e, nil
	case "false":
		return not(e), nil
	}
	return nil, bad(v.at, "`exists` takes true or false")
}

func nullExpr(m *modifiers, field string, v *node) (*expr, error) {
	if m.re || m.cidr || m.compare != 0 || m.ref || m.text != testEqual || len(m.encode) > 0 {
		return nil, bad(v.at, "null has no meaning with these modifiers")
	}
	if field == "" {
		return nil, bad(v.at, "a keyword can't be null")
	}
	return not(leaf(&predicate{field: field, test: testPresent})), nil
}

func (m *modifiers) regexExpr(field string, v *node) (*expr, error) {
	src := v.text
	if m.flags != "" {
		src = "(?" + m.flags + ")" + src
	}
	re, err := regexp.Compile(src)
	if err != nil {
		return nil, bad(v.at, "%s", regexProblem(err))
	}
	return leaf(&predicate{field: field, test: testRegex, text: src, re: re}), nil
}

// regexProblem says what of the PCRE dialect Go's engine leaves out, which is
// what keeps its time linear.
func regexProblem(err error) string {
	se, ok := err.(*syntax.Error) //nolint:errorlint // regexp returns it bare
	if !ok {
		return "regular expression: " + err.Error()
	}
	if se.Code == syntax.ErrInvalidPerlOp || se.Code == syntax.ErrMissingRepeatArgument && strings.HasPrefix(se.Expr, "(?") {
		return "look-around `" + se.Expr + "` is not supported"
	}
	return "regular expression: " + se.Code.String() + ": `" + se.Expr + "`"
}

func cidrExpr(field string, v *node) (*expr, error) {
	p, err := netip.ParsePrefix(v.text)
	if err != nil {
		return nil, bad(v.at, "%q is not a network in CIDR form", v.text)
	}
	return leaf(&predicate{field: field, test: testCIDR, text: p.Masked().String(), net: p.Masked()}), nil
}

func (m *modifiers) compareExpr(field string, v *node) (*expr, error) {
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil {
		return nil, bad(v.at, "%q is not a number", v.text)
	}
	return leaf(&predicate{field: field, test: m.compare, num: f}), nil
}

func (m *modifiers) textExpr(field string, v *node) (*expr, error) {
	before := m.text == testContains || m.text == testSuffix
	after := m.text == testContains || m.text == testPrefix
	if field == "" && m.text == testEqual {
		before, after = true, true // keywords stand anywhere in a value
	}
	values, err := m.encoded(v)
	if err != nil {
		return nil, err
	}
	var alternatives []*expr
	for _, toks := range values {
		if m.windash {
			toks = winDash(toks)
		}
		toks = openEnds(toks, before, after)
		alternatives = append(alternatives, leaf(textPredicate(field, toks, m.cased)))
	}
	return or(alternatives...), nil
}

// encoded applies the encoding modifiers in the order in which they stand.
func (m *modifiers) encoded(v *node) ([][]tok, error) {
	toks := parsePattern(v.text)
	if len(m.encode) == 0 {
		return [][]tok{toks}, nil
	}
	text, plain := literal(toks)
	if !plain {
		return nil, bad(v.at, "a value with wildcards can't be encoded")
	}
	values := []string{text}
	for _, enc := range m.encode {
		var next []string
		for _, s := range values {
			next = append(next, encodeText(enc, s)...)
		}
		values = next
	}
	out := make([][]tok, len(values))
	for i, s := range values {
		if s != "" {
			out[i] = []tok{{tokLit, s}}
		}
	}
	return out, nil
}

func encodeText(how, s string) []string {
	switch how {
	case "base64":
		return []string{base64.StdEncoding.EncodeToString([]byte(s))}
	case "base64offset":
		return base64Offsets(s)
	case "utf16be":
		return []string{utf16Text(s, binary.BigEndian)}
	case "utf16":
		return []string{"\xff\xfe" + utf16Text(s, binary.LittleEndian)}
	}
	return []string{utf16Text(s, binary.LittleEndian)}
}

// base64Offsets gives what stays the same of s's encoding at each of the three
// places where it can begin.
func base64Offsets(s string) []string {
	start, end := [3]int{0, 2, 3}, [3]int{0, 3, 2}
	out := make([]string, 0, 3)
	for i := range 3 {
		b := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", i) + s))
		out = append(out, b[start[i]:max(start[i], len(b)-end[(len(s)+i)%3])])
	}
	return out
}

func utf16Text(s string, order binary.AppendByteOrder) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}
