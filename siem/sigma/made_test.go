package sigma_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/interlock-security/interlock/siem/sigma"
)

// Made-up rules and events: rules follow the grammar of the language, events
// are built from what the rules look for, so that many of them match.

// madeRule is a rule as a tree, which can be written and made smaller.
type madeRule struct {
	source     sigma.Logsource
	selections []*madeSelection
	condition  *madeCondition
	// filters makes it a filter for all rules before it that its source covers.
	filter bool
}

type madeSelection struct {
	name string
	maps [][]*madeItem // alternatives; an item without a key is a bare keyword
}

type madeItem struct {
	field string
	mods  []string
	vals  []madeValue
	bare  bool // a keyword, not a map
}

// madeValue is what stands in the file and some text that it might match.
type madeValue struct {
	text   string
	quoted bool
	bait   string
}

type madeCondition struct {
	op   string // "", and, or, not, "1 of", "all of"
	text string
	kids []*madeCondition
}

func (r *madeRule) id(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", n) }

// write puts a rule file together, one document a rule.
func writeRules(rules []*madeRule) string {
	var b strings.Builder
	for i, r := range rules {
		if i > 0 {
			b.WriteString("---\n")
		}
		fmt.Fprintf(&b, "title: Rule %d\nid: %s\nauthor: A\nlogsource:\n  product: %s\n", i, r.id(i), r.source.Product)
		if r.source.Category != "" {
			fmt.Fprintf(&b, "  category: %s\n", r.source.Category)
		}
		if r.filter {
			b.WriteString("filter:\n  rules: any\n")
		} else {
			b.WriteString("detection:\n")
		}
		for _, s := range r.selections {
			s.write(&b)
		}
		fmt.Fprintf(&b, "  condition: %s\n", quoteYAML(r.condition.String()))
	}
	return b.String()
}

func (s *madeSelection) write(b *strings.Builder) {
	fmt.Fprintf(b, "  %s:\n", quoteYAML(s.name))
	for _, items := range s.maps {
		for i, it := range items {
			lead := "    "
			if len(s.maps) > 1 || it.bare {
				lead = map[bool]string{true: "    - ", false: "      "}[i == 0]
			}
			if it.bare {
				fmt.Fprintf(b, "%s%s\n", lead, it.vals[0])
				continue
			}
			key := strings.Join(append([]string{it.field}, it.mods...), "|")
			vals := make([]string, len(it.vals))
			for j, v := range it.vals {
				vals[j] = v.String()
			}
			value := vals[0]
			if len(vals) > 1 {
				value = "[" + strings.Join(vals, ", ") + "]"
			}
			fmt.Fprintf(b, "%s%s: %s\n", lead, quoteYAML(key), value)
		}
	}
}

func (v madeValue) String() string {
	if v.quoted {
		return quoteYAML(v.text)
	}
	return v.text
}

// quoteYAML writes text in double quotes, which take JSON's escapes.
func quoteYAML(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)
	return strings.TrimSpace(b.String())
}

func (c *madeCondition) String() string {
	switch c.op {
	case "":
		return c.text
	case "not":
		return "not " + c.kids[0].group()
	case "1 of", "all of":
		return c.op + " " + c.text
	}
	parts := make([]string, len(c.kids))
	for i, k := range c.kids {
		parts[i] = k.group()
	}
	return strings.Join(parts, " "+c.op+" ")
}

func (c *madeCondition) group() string {
	if c.op == "and" || c.op == "or" {
		return "(" + c.String() + ")"
	}
	return c.String()
}

// maker makes rules and events from one seed.
type maker struct{ *rand.Rand }

func newMaker(seed, n uint64) *maker { return &maker{rand.New(rand.NewPCG(seed, n))} }

func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

func pick[T any](m *maker, from []T) T { return from[m.IntN(len(from))] }

var (
	madeFields  = []string{"a", "b", "c", "a.b", "a.b.c", "d", "Über.x", "e f"}
	madeSources = []sigma.Logsource{{Product: "linux"}, {Product: "linux", Category: "file_event"}, {Product: "windows"}, {Product: "windows", Category: "process_creation"}}
	madeAtoms   = []string{
		"cmd", "powershell", ".exe", `C:\Windows\`, `\`, "-enc", " -e ", "/c", " /q", "–x", "Über", "ß", "ẞ", "ſ", "s", "K", "k", "İ", "i", "ı", "σς",
		"日本", "😀", "\u202e", "e\u0301", "é", "a", "A", "b", "", "x", "foo", "bar", "4688", "22", "10.0.0.1", "null", "true", "1e3", "%p%", "http://", "\t", "\n", "\x00", `"`, "'",
		"=", ",", "aa", "aab", "ab", "ba", "abab", "0x16", "-5", "\u00a0", "\ufeff",
	}
	madeWildcards = []string{"*", "?", `\*`, `\?`, `\\`, `\\*`, `\\\*`, "**", "*?", "?*", "??"}
	madeNumbers   = []string{"22", "0", "-5", "4688", "1.5", "1000", "0x16", "9007199254740993", "1000000"}
	madeNetworks  = []struct{ net, bait string }{
		{"10.0.0.0/8", "10.9.8.7"}, {"192.168.1.0/24", "::ffff:192.168.1.9"}, {"::1/128", "::1"}, {"fe80::/10", "fe80::1%eth0"}, {"0.0.0.0/0", "1.2.3.4"}, {"10.1.2.3/32", "10.1.2.3"}, {"2001:db8::/32", "[2001:db8::5]"},
	}
	madeRegexes = []struct{ re, bait string }{
		{`^a.c$`, "abc"},
		{`(foo|bar)baz`, "xbarbaz"},
		{`[0-9]{2,4}`, "a123"},
		{`(evil)+$`, "evilevil"},
		{`a\.b`, "a.b"},
		{`\\cmd\.exe`, `C:\cmd.exe`},
		{`^$`, ""},
		{`.*`, "x"},
		{`x*`, ""},
		{`[^a]b`, "cb"},
		{`é+x`, "ééx"},
		{`a$`, "a\n"},
		{`^b`, "a\nb"},
		{`a.c`, "a\nc"},
		{`\bfoo\b`, "a foo b"},
		{`Kelvin`, "\u212aelvin"},
		{`Foo|Bar`, "BAR"},
		{`(a|b|c)(d|e)f`, "cef"},
		{`.{3}xyz`, "abcxyz"},
		{`[Ss]hell`, "\u017fhell"},
		{`\w+\s-\w`, "ps -e"},
		{`\d+`, "7"},
		{`(foo)?bar`, "bar"},
		{`(foo){2}`, "foofoo"},
		{`a|`, "zz"},
		{`日.`, "日本"},
		{`\x41\x42c`, "ABc"},
		{`foo(bar|)`, "foo"},
		{`(x+x+)+y`, "xxxxy"},
		{`^(foo|bar).*(exe|dll)$`, "barrrr.dll"},
		{`\\u0041`, `\u0041`},
		{`[[:alpha:]]+9`, "abc9"},
		{`\pL{2}`, "éß"},
		{`(?i)MiXed`, "mixeD"},
		{`(?i:m)ix`, "Mix"},
		{`strasse|stra\x{df}e`, "STRASSE"},
		{`adm\x{131}n`, "adm\u0131n"},
		{`[\x{131}x]yz`, "\u0131yz"},
		{`\x{130}ab`, "\u0130ab"},
		{`(?i)\x{131}cd`, "\u0131CD"},
		{`ος`, "ος"},
		{`(?i)ΟΣ`, "ος"},
		{`(?i)ß.`, "ẞx"},
		{`(?i)\x{345}\x{3b9}q`, "\u1fbe\u0399Q"},
		{`\x{212a}b`, "\u212ab"},
		{`(?i)\x{1e9b}`, "\u1e61"},
		{`[^\x00-\x{7f}]{2}`, "éé"},
		{`x\z`, "zx"},
		{`(a?b?c?)+d`, "d"},
		{`(?:(?:foo)+|bar)(?:x|y)?z`, "barz"},
		{`f(o{2,3}|a{0})g`, "fg"},
		{`((a|b)(c|d)(e|f)(g|h))i`, "adehi"},
		{`\x{fffd}q`, "\ufffdq"},
		{`.\x{10ffff}?end`, "xend"},
	}
	madeTexts = []string{"contains", "startswith", "endswith"}
)

// literal makes a text for a rule, rarely with wildcards.
func (m *maker) literal(wild bool) string {
	var b strings.Builder
	for range 1 + m.IntN(3) {
		b.WriteString(pick(m, madeAtoms))
		if wild && m.chance(20) {
			b.WriteString(pick(m, madeWildcards))
		}
	}
	return b.String()
}

// rule makes a rule of one to four selections.
func (m *maker) rule() *madeRule {
	r := &madeRule{source: pick(m, madeSources)}
	for i := range 1 + m.IntN(4) {
		name := pick(m, []string{"sel", "filter", "_x", "kw", "s-e.l:", "Ü_"}) + fmt.Sprint(i)
		r.selections = append(r.selections, m.selection(name))
	}
	r.condition = m.condition(r, 3)
	return r
}

func (m *maker) selection(name string) *madeSelection {
	s := &madeSelection{name: name}
	if m.chance(12) { // a list of keywords
		for range 1 + m.IntN(3) {
			s.maps = append(s.maps, []*madeItem{{bare: true, vals: []madeValue{m.keyword()}}})
		}
		return s
	}
	if m.chance(8) { // keywords with modifiers
		it := &madeItem{mods: []string{"all"}, vals: []madeValue{m.keyword(), m.keyword()}}
		if m.chance(40) {
			x := pick(m, madeRegexes)
			it = &madeItem{mods: []string{"re"}, vals: []madeValue{{x.re, true, x.bait}}}
		}
		s.maps = [][]*madeItem{{it}}
		return s
	}
	for range 1 + m.IntN(2)*m.IntN(3) {
		var items []*madeItem
		used := map[string]bool{}
		for range 1 + m.IntN(3) {
			if it := m.item(); !used[it.key()] {
				used[it.key()] = true
				items = append(items, it)
			}
		}
		s.maps = append(s.maps, items)
	}
	return s
}

func (it *madeItem) key() string { return strings.Join(append([]string{it.field}, it.mods...), "|") }

func (m *maker) keyword() madeValue {
	v := m.value(true)
	for v.text == "" {
		v = m.value(true)
	}
	return v
}

// item makes one line of a map, of any kind that the language has.
func (m *maker) item() *madeItem {
	it := &madeItem{field: pick(m, madeFields)}
	one := func(text string, quoted bool, bait string) *madeItem {
		it.vals = []madeValue{{text, quoted, bait}}
		return it
	}
	switch m.IntN(14) {
	case 12:
		it.mods = append([]string{pick(m, []string{"minute", "hour", "day", "week", "month", "year"})}, pick(m, [][]string{nil, nil, {"gt"}, {"lte"}})...)
		one(pick(m, []string{"3", "1", "12"}), false, pick(m, []string{"2003-03-12T03:03:09Z", "2012-12-01 12:01:00.5+02:00", "2001/01/03", "1331521320", "1331521320123", "1331521320123456", " 2003-01-01T01:01"}))
		if it.mods[0] == "year" {
			it.vals[0].text = pick(m, []string{"2003", "2012"})
		}
	case 13:
		it.mods = append([]string{"expand"}, pick(m, [][]string{nil, {"contains"}, {"endswith"}, {"cased"}, {"neq"}})...)
		one(pick(m, []string{"%p%", "%p%x", "a%p%", "%p%%p%", "%missing%", "%p%-%q%", "50%"}), true, pick(m, []string{"cmd", "xy", "cmdx", "acmd", "cmd-é", "xa-é", "cmdx9", "50%"}))
		return it
	case 0:
		x := pick(m, madeRegexes)
		it.mods = append([]string{"re"}, pick(m, [][]string{nil, nil, {"i"}, {"m"}, {"s"}, {"i", "m"}, {"i", "s", "m"}})...)
		one(x.re, true, x.bait)
	case 1:
		x := pick(m, madeNetworks)
		it.mods = []string{"cidr"}
		one(x.net, true, x.bait)
	case 2:
		it.mods = []string{"exists"}
		return one(pick(m, []string{"true", "false"}), false, "x")
	case 3:
		it.mods = append([]string{"fieldref"}, pick(m, [][]string{nil, {"cased"}, {"contains"}, {"startswith"}, {"endswith"}, {"cased", "endswith"}})...)
		one(pick(m, madeFields), true, "x")
	case 4:
		it.mods = []string{pick(m, []string{"gt", "gte", "lt", "lte"})}
		n := pick(m, madeNumbers)
		one(n, false, n)
	case 5:
		one("null", false, "x")
		if m.chance(40) {
			it.vals = append(it.vals, m.value(true))
		}
	case 6:
		it.mods = pick(m, [][]string{{"base64"}, {"base64offset", "contains"}, {"wide", "base64offset", "contains"}, {"utf16be", "base64"}, {"utf16", "base64"}, {"utf16le", "base64", "contains"}, {"windash", "base64offset", "contains"}, {"base64", "startswith"}, {"wide"}, {"cased", "base64"}})
		m.encodable(it)
	default:
		m.textual(it)
	}
	if m.chance(8) && it.mods == nil || m.chance(3) && !slices.Contains(it.mods, "all") {
		it.mods = append(it.mods, "neq")
	}
	return it
}

func (m *maker) textual(it *madeItem) {
	if m.chance(65) {
		it.mods = append(it.mods, pick(m, madeTexts))
	}
	if m.chance(15) {
		it.mods = append(it.mods, "windash")
	}
	if m.chance(15) {
		it.mods = append(it.mods, "cased")
	}
	for range 1 + m.IntN(2)*m.IntN(4) {
		it.vals = append(it.vals, m.value(len(it.mods) == 0))
	}
	if len(it.vals) > 1 && m.chance(30) {
		it.mods = append(it.mods, "all")
	}
}

func (m *maker) encodable(it *madeItem) {
	for range 1 + m.IntN(2) {
		text := m.literal(false)
		for len(text) < 2 || strings.ContainsAny(text, `*?\`) || it.mods[0] == "wide" && len(it.mods) == 1 && strings.ContainsFunc(text, func(r rune) bool { return r > 0x7f }) {
			text = m.literal(false)
		}
		bait := text
		for _, mod := range it.mods {
			bait = m.encode(mod, bait)
		}
		it.vals = append(it.vals, madeValue{text, true, bait})
	}
}

func (m *maker) encode(how, s string) string {
	order := binary.AppendByteOrder(binary.LittleEndian)
	switch how {
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(s))
	case "base64offset":
		return base64.StdEncoding.EncodeToString([]byte("xyz"[:m.IntN(3)] + s + "xyz"[:m.IntN(3)]))
	case "utf16be":
		order = binary.BigEndian
	case "utf16le", "wide", "utf16":
	default:
		return s
	}
	var b []byte
	if how == "utf16" {
		b = []byte{0xff, 0xfe}
	}
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// value makes a text, or where numbers may stand a number or a boolean.
func (m *maker) value(numbers bool) madeValue {
	if numbers && m.chance(15) {
		n := pick(m, append([]string{"true", "false"}, madeNumbers...))
		return madeValue{n, false, n}
	}
	text := m.literal(true)
	return madeValue{text, true, text}
}

func (m *maker) condition(r *madeRule, depth int) *madeCondition {
	name := func() *madeCondition { return &madeCondition{text: pick(m, r.selections).name} }
	if depth == 0 {
		return name()
	}
	switch m.IntN(9) {
	case 0:
		return &madeCondition{op: "not", kids: []*madeCondition{m.condition(r, depth-1)}}
	case 1, 2, 3:
		c := &madeCondition{op: pick(m, []string{"and", "or"})}
		for range 2 + m.IntN(2) {
			c.kids = append(c.kids, m.condition(r, depth-1))
		}
		return c
	case 4, 5:
		what := []string{"*"}
		for _, s := range r.selections {
			what = append(what, s.name, string([]rune(s.name)[:1])+"*")
			if s.name[0] != '_' {
				what = append(what, "them")
			}
		}
		return &madeCondition{op: pick(m, []string{"1 of", "all of"}), text: pick(m, what)}
	case 6: // what most rules of this world look like
		return &madeCondition{op: "and", kids: []*madeCondition{name(), {op: "not", kids: []*madeCondition{m.condition(r, depth-1)}}}}
	}
	return name()
}

// madeNode is JSON as a tree, with its spelling.
type madeNode struct {
	kind    byte // 's' text, 'r' as it stands, 'o' object, 'a' array
	text    string
	escaped bool // every letter as \uXXXX
	keys    []madeKey
	kids    []*madeNode
}

type madeKey struct {
	text    string
	escaped bool
}

func (n *madeNode) String() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *madeNode) write(b *strings.Builder) {
	open, end := "{", "}"
	switch n.kind {
	case 's':
		b.WriteString(quoteJSON(n.text, n.escaped))
		return
	case 'r':
		b.WriteString(n.text)
		return
	case 'a':
		open, end = "[", "]"
	}
	b.WriteString(open)
	for i, k := range n.kids {
		if i > 0 {
			b.WriteString(",")
		}
		if n.kind == 'o' {
			b.WriteString(quoteJSON(n.keys[i].text, n.keys[i].escaped) + ":")
		}
		k.write(b)
	}
	b.WriteString(end)
}

func quoteJSON(s string, escaped bool) string {
	if !escaped {
		return quoteYAML(s)
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04X`, u)
	}
	return b.String() + `"`
}

// event builds an object out of what the rules look for.
func (m *maker) event(rules []*madeRule) *madeNode {
	root := &madeNode{kind: 'o'}
	for range 1 + m.IntN(7) {
		r := pick(m, rules)
		it := pick(m, pick(m, pick(m, r.selections).maps))
		field := it.field
		if field == "" || m.chance(8) {
			field = pick(m, append(madeFields, "other", "", "A", "g.a", "interlock.x"))
		}
		root.put(m, field, m.leaf(it))
	}
	return root
}

// put writes a field by one of the spellings that mean the same.
func (n *madeNode) put(m *maker, field string, v *madeNode) {
	if head, rest, ok := strings.Cut(field, "."); ok && m.chance(60) {
		inner := &madeNode{kind: 'o'}
		inner.put(m, rest, v)
		if m.chance(20) {
			inner = &madeNode{kind: 'a', kids: []*madeNode{inner}}
		}
		field, v = head, inner
	}
	n.keys = append(n.keys, madeKey{field, m.chance(10)})
	n.kids = append(n.kids, v)
}

func (m *maker) leaf(it *madeItem) *madeNode {
	switch m.IntN(20) {
	case 0:
		return &madeNode{kind: 'r', text: pick(m, []string{"null", "true", "false", "22", "22.0", "2.2e1", "-5", "1e3", "1E+3", "0", "-0", "1.50", "9007199254740992", "1e400", "4688", "1e-400"})}
	case 1:
		return pick(m, []*madeNode{{kind: 'o'}, {kind: 'a'}, {kind: 's'}})
	case 2, 3:
		a := &madeNode{kind: 'a'}
		for range 1 + m.IntN(3) {
			a.kids = append(a.kids, m.leaf(it))
		}
		return a
	}
	v := pick(m, it.vals)
	if !v.quoted && m.chance(50) && json.Valid([]byte(v.bait)) {
		return &madeNode{kind: 'r', text: pick(m, []string{v.bait, v.bait, "22"})}
	}
	return &madeNode{kind: 's', text: m.disturbed(it, v), escaped: m.chance(10)}
}

// disturbed turns a value of a rule into text that likely matches it.
func (m *maker) disturbed(it *madeItem, v madeValue) string {
	s := v.bait
	if !slices.Contains(it.mods, "re") && !slices.Contains(it.mods, "cidr") {
		s = m.filled(s)
	}
	if m.chance(40) {
		s = m.recased(s)
	}
	if slices.Contains(it.mods, "windash") && m.chance(70) {
		s = strings.NewReplacer("-", pick(m, []string{"-", "/", "–", "—", "―"}), "/", pick(m, []string{"-", "/", "–", "—", "―"})).Replace(s)
	}
	if m.chance(8) && s != "" {
		at := m.IntN(len([]rune(s)))
		s = string([]rune(s)[:at]) + pick(m, madeAtoms) + string([]rune(s)[at:])
	}
	if m.chance(25) {
		s = m.literal(false) + s
	}
	if m.chance(25) {
		s += m.literal(false)
	}
	return s
}

// filled puts something in the place of wildcards and takes escapes away.
func (m *maker) filled(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`*?\`, s[i+1]) >= 0:
			i++
			b.WriteByte(s[i])
		case c == '*':
			b.WriteString(pick(m, madeAtoms))
		case c == '?':
			b.WriteString(pick(m, []string{"a", "é", "😀", "", "\\"}))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (m *maker) recased(s string) string {
	to := pick(m, []func(rune) rune{unicode.ToUpper, unicode.ToLower, unicode.SimpleFold, unicode.ToTitle})
	return strings.Map(func(r rune) rune {
		if m.chance(70) {
			return to(r)
		}
		return r
	}, s)
}
