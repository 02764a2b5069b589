package sigma

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf16"
)

// expression turns one value of a field item into an expression.
func (m *modifiers) expression(field string, v *node) (*expr, error) {
	if m.expand && v.kind == kindString {
		parts := splitPlaceholders(v.text)
		if len(parts) > 1 {
			return m.open(field, v, parts), nil
		}
		plain := *v
		plain.text = parts[0].text
		v = &plain
	}
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
	case v.kind == kindList:
		return nil, bad(v.at, "a list inside a list of values means nothing; write its values into the outer list")
	case v.kind == kindMap:
		return nil, bad(v.at, "a field's value can't be a map; write nested names with dots, like `%s.name: value`", orField(field))
	case m.exists:
		return existsExpr(field, v)
	case v.kind == kindNull:
		return m.nullExpr(field, v)
	case m.re:
		return m.regexExpr(field, v)
	case m.cidr:
		return cidrExpr(field, v)
	case m.part != partNone:
		return m.timeExpr(field, v)
	case m.compare != 0:
		return m.compareExpr(field, v)
	case m.ref:
		return m.refExpr(field, v)
	case v.kind == kindNumber && m.text == testEqual && len(m.encode) == 0 && field != "":
		return numberExpr(field, v)
	}
	return m.textExpr(field, v)
}

func existsExpr(field string, v *node) (*expr, error) {
	e := leaf(&predicate{field: field, test: testExists})
	switch strings.ToLower(v.text) {
	case "true":
		return e, nil
	case "false":
		return not(e), nil
	}
	return nil, bad(v.at, "`exists` takes true or false, not %q", v.text)
}

func (m *modifiers) nullExpr(field string, v *node) (*expr, error) {
	for _, w := range m.words {
		if w.word != "all" && w.word != "cased" && w.word != "neq" {
			return nil, bad(v.at, "null has no meaning with `%s`; write `%s: null`", w.word, orField(field))
		}
	}
	if field == "" {
		return nil, bad(v.at, "a keyword can't be null; write the word to look for")
	}
	return not(leaf(&predicate{field: field, test: testPresent})), nil
}

func numberExpr(field string, v *node) (*expr, error) {
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil {
		return nil, bad(v.at, "%q is not a number; write it in quotes if it is a text", v.text)
	}
	return leaf(&predicate{field: field, test: testNumber, text: v.text, num: f}), nil
}

func (m *modifiers) regexExpr(field string, v *node) (*expr, error) {
	src := v.text
	switch m.text {
	case testPrefix:
		src = "^(?:" + src + ")"
	case testSuffix:
		src = "(?:" + src + ")$"
	}
	if m.flags != "" {
		src = "(?" + m.flags + ")" + src
	}
	re, err := compileRegex(src, v, m.budget)
	if err != nil {
		return nil, err
	}
	return leaf(&predicate{field: field, test: testRegex, text: src, re: re}), nil
}

func cidrExpr(field string, v *node) (*expr, error) {
	text := strings.TrimSpace(v.text)
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, bad(v.at, "%q is not a network in CIDR form; write %s", v.text, cidrHint(text))
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return leaf(&predicate{field: field, test: testCIDR, text: p.Masked().String(), net: p.Masked()}), nil
}

// cidrHint makes a network of what is near to one: an address, or one with stars.
func cidrHint(text string) string {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return "`" + netip.PrefixFrom(a, a.BitLen()).String() + "`"
	}
	parts := strings.Split(strings.TrimSuffix(text, ".*"), ".")
	if n := len(parts); strings.HasSuffix(text, ".*") && n < 4 {
		for len(parts) < 4 {
			parts = append(parts, "0")
		}
		if a, err := netip.ParseAddr(strings.Join(parts, ".")); err == nil {
			return "`" + netip.PrefixFrom(a, 8*n).String() + "`"
		}
	}
	return "an address, a slash and the length, like `10.0.0.0/8` or `fe80::/10`"
}

func (m *modifiers) compareExpr(field string, v *node) (*expr, error) {
	f, err := number(v, orField(field)+"|"+m.those("gt", "gte", "lt", "lte")[0].word+": 5")
	if err != nil {
		return nil, err
	}
	return leaf(&predicate{field: field, test: m.compare, num: f}), nil
}

func (m *modifiers) timeExpr(field string, v *node) (*expr, error) {
	word := m.those(timeModifiers...)[0].word
	part := timeParts[word]
	f, err := number(v, orField(field)+"|"+word+": "+strconv.Itoa(part.high))
	if err != nil {
		return nil, err
	}
	if f < float64(part.low) || f > float64(part.high) || f != float64(int(f)) {
		return nil, bad(v.at, "`%s` is a whole number from %d to %d, not %s", word, part.low, part.high, v.text)
	}
	how := m.compare
	if how == 0 {
		how = testNumber
	}
	return leaf(&predicate{field: field, test: testTime, part: part.part, ref: how, num: f}), nil
}

func (m *modifiers) refExpr(field string, v *node) (*expr, error) {
	other := strings.TrimSpace(v.text)
	if v.kind != kindString || other == "" {
		return nil, bad(v.at, "`fieldref` takes the name of another field, this is %s", v.kind)
	}
	if strings.ContainsAny(other, "*?") {
		return nil, bad(v.at, "`fieldref` takes the name of one field; write it without wildcards")
	}
	return leaf(&predicate{field: field, test: testRef, cased: m.cased, other: other, ref: m.text}), nil
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
		toks = openEnds(toks, before, after)
		alternatives = append(alternatives, leaf(textPredicate(field, toks, m.cased)))
	}
	return or(alternatives...), nil
}

// maxDashes bounds the options in a value that is encoded: each multiplies the
// alternatives by the five dashes.
const maxDashes = 3

// encoded applies windash and then the encodings in the order in which they
// stand. Without an encoding a dash stays one token that matches each of its
// forms; an encoding needs them written out.
func (m *modifiers) encoded(v *node) ([][]tok, error) {
	toks := parsePattern(v.text)
	if m.windash {
		toks = winDash(toks)
	}
	if len(m.encode) == 0 {
		return [][]tok{toks}, nil
	}
	values, err := writtenOut(toks, v)
	if err != nil {
		return nil, err
	}
	for _, enc := range m.encode {
		var next []string
		for _, s := range values {
			if enc == "base64offset" && len(s) < 2 {
				return nil, bad(v.at, "%q is too short for `base64offset`: nothing of it stays the same wherever it begins; write two letters or more", v.text)
			}
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

// writtenOut lists the texts that tokens without wildcards stand for.
func writtenOut(toks []tok, v *node) ([]string, error) {
	values, options := []string{""}, 0
	for _, t := range toks {
		switch t.kind {
		case tokLit:
			for i := range values {
				values[i] += t.text
			}
		case tokDash:
			if options++; options > maxDashes {
				return nil, bad(v.at, "a value with more than %d options can't be encoded with all their dashes; write an item for each option", maxDashes)
			}
			values = eachDash(values)
		default:
			return nil, bad(v.at, "a value with wildcards can't be encoded; write the text between them, with `contains` and `all`")
		}
	}
	return values, nil
}

func eachDash(values []string) []string {
	out := make([]string, 0, len(values)*len(dashes))
	for _, s := range values {
		for _, d := range dashes {
			out = append(out, s+string(d))
		}
	}
	return out
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
