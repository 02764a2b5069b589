package sigma

import (
	"slices"
	"strconv"
	"strings"
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
	part                     timePart
	expand                   bool
	words                    []modifierWord
	budget                   *budget
}

// modifierWord is a modifier where it stands.
type modifierWord struct {
	word string
	at   Pos
}

var (
	textModifiers    = map[string]test{"contains": testContains, "startswith": testPrefix, "endswith": testSuffix}
	compareModifiers = map[string]test{"gt": testGT, "gte": testGTE, "lt": testLT, "lte": testLTE}
	encodeModifiers  = []string{"base64", "base64offset", "wide", "utf16le", "utf16be", "utf16"}
	timeModifiers    = []string{"minute", "hour", "day", "week", "month", "year"}
	// regexFlags have a long form, too, which pySigma takes.
	regexFlags = map[string]string{"i": "i", "m": "m", "s": "s", "ignorecase": "i", "multiline": "m", "dotall": "s"}
)

// modifierNames are all that there are, in the order of the specification.
var modifierNames = []string{
	"all", "startswith", "endswith", "contains", "exists", "cased", "neq",
	"windash", "re", "i", "m", "s", "base64", "base64offset", "utf16le", "utf16be", "utf16", "wide",
	"lt", "lte", "gt", "gte", "minute", "hour", "day", "week", "month", "year", "cidr", "expand", "fieldref",
}

// foreignModifiers are what other languages call them.
var foreignModifiers = map[string]string{
	"regex": "re", "regexp": "re", "matches": "re", "not": "neq", "ne": "neq", "ge": "gte", "le": "lte", "greater": "gt", "less": "lt",
	"prefix": "startswith", "suffix": "endswith", "begins": "startswith", "beginswith": "startswith", "like": "contains", "has": "contains",
	"placeholder": "expand", "field": "fieldref", "ip": "cidr", "subnet": "cidr", "and": "all", "case": "cased", "casesensitive": "cased",
	"utf8": "base64", "unicode": "utf16le", "present": "exists", "exist": "exists",
}

// Modifiers lists the names of all modifiers.
func Modifiers() []string { return slices.Clone(modifierNames) }

// splitKey reads "Field|mod|mod".
func splitKey(rep *report, key string, at Pos) (string, modifiers, error) {
	field, rest, more := strings.Cut(key, "|")
	m := modifiers{at: at}
	col := at.Col + len(field) + 1
	for more {
		var word string
		word, rest, more = strings.Cut(rest, "|")
		if err := m.add(word, Pos{at.Line, col}); err != nil {
			return "", m, err
		}
		col += len(word) + 1
	}
	return field, m, m.check(rep)
}

func (m *modifiers) add(word string, at Pos) error {
	if m.has(word) {
		return bad(at, "modifier `%s` stands twice; write it once", word)
	}
	switch {
	case word == "all":
		m.all = true
	case word == "cased":
		m.cased = true
	case word == "neq":
		m.neq = true
	case word == "windash":
		if len(m.encode) > 0 {
			return bad(at, "`windash` would change encoded text; write it before `%s`", m.encode[0])
		}
		m.windash = true
	case word == "expand":
		m.expand = true
	case regexFlags[word] != "":
		if !m.re {
			return bad(at, "`%s` stands only after `re`; write `re|%s`", word, word)
		}
		m.flags += regexFlags[word]
	case slices.Contains(encodeModifiers, word):
		m.encode = append(m.encode, word)
	default:
		if err := m.addKind(word, at); err != nil {
			return err
		}
	}
	m.words = append(m.words, modifierWord{word, at})
	return nil
}

func (m *modifiers) has(word string) bool {
	return slices.ContainsFunc(m.words, func(w modifierWord) bool { return w.word == word })
}

// addKind takes what says how values are compared.
func (m *modifiers) addKind(word string, at Pos) error {
	if t, ok := textModifiers[word]; ok {
		if m.text != testEqual {
			return bad(at, "only one of contains, startswith and endswith can stand on a field; write two items")
		}
		m.text = t
		return nil
	}
	if t, ok := compareModifiers[word]; ok {
		if m.compare != 0 {
			return bad(at, "only one of gt, gte, lt and lte can stand on a field; write two items for a range")
		}
		m.compare = t
		return nil
	}
	if t, ok := timeParts[word]; ok {
		if m.part != partNone {
			return bad(at, "only one of minute, hour, day, week, month and year can stand on a field; write two items")
		}
		m.part = t.part
		return nil
	}
	switch word {
	case "re":
		m.re = true
	case "cidr":
		m.cidr = true
	case "exists":
		m.exists = true
	case "fieldref":
		m.ref = true
	default:
		return unknownModifier(word, at)
	}
	return nil
}

func unknownModifier(word string, at Pos) error {
	switch word {
	case "":
		return bad(at, "a modifier is missing after the bar; write the key without the bar, or a modifier behind it")
	case "eq", "equals", "exact", "is", "in":
		return bad(at, "modifier %q is not known; write the field without it: values are compared whole, and any of a list is enough", word)
	}
	if w := foreignModifiers[strings.ToLower(strings.TrimSpace(word))]; w != "" {
		return bad(at, "modifier %q is not known; write `%s`", word, w)
	}
	if hint := didYouMean(strings.TrimSpace(word), modifierNames); hint != "" {
		return bad(at, "modifier %q is not known%s", word, hint)
	}
	return bad(at, "modifier %q is not known; write one of %s", word, strings.Join(modifierNames, " "))
}

// check refuses combinations that mean nothing.
func (m *modifiers) check(rep *report) error {
	kinds := m.those("re", "cidr", "exists", "fieldref", "gt", "gte", "lt", "lte")
	texts := m.those("contains", "startswith", "endswith")
	coded := m.those("windash", "base64", "base64offset", "wide", "utf16le", "utf16be", "utf16")
	times := m.those(timeModifiers...)
	switch {
	case len(kinds) > 1:
		return clash(kinds[0], kinds[1])
	case len(times) > 0 && len(kinds) > 0 && m.compare == 0:
		return clash(times[0], kinds[0])
	case len(times) > 0 && len(texts)+len(coded) > 0:
		return clash(times[0], append(texts, coded...)[0])
	case len(kinds) > 0 && len(coded) > 0:
		return clash(kinds[0], coded[0])
	case len(kinds) > 0 && len(texts) > 0 && !m.ref && !m.re:
		return clash(kinds[0], texts[0])
	case m.exists && (m.neq || m.all || m.expand):
		return bad(m.at, "`exists` stands alone; write `exists: false` for a field that must not be there")
	}
	if m.cased && (m.re || m.cidr || m.exists || m.compare != 0 || m.part != partNone) {
		rep.warn(m.at, "`cased` changes nothing here; write the item without it")
	}
	return m.checkEncoding(rep)
}

// checkEncoding looks at the order, in which encodings are applied.
func (m *modifiers) checkEncoding(rep *report) error {
	wide := m.those("wide", "utf16le", "utf16be", "utf16")
	base := m.those("base64", "base64offset")
	switch {
	case len(wide) > 1:
		return clash(wide[0], wide[1])
	case len(base) > 1:
		return clash(base[0], base[1])
	case len(wide) == 1 && len(base) == 0:
		rep.warn(wide[0].at, "`%s` without base64 looks for the raw bytes of UTF-16, which JSON text does not have; write `%s|base64offset|contains`", wide[0].word, wide[0].word)
	case len(wide) == 1 && wide[0].at.Col > base[0].at.Col:
		return bad(wide[0].at, "modifiers are applied in their order, and UTF-16 of base64 is not found anywhere; write `%s|%s`", wide[0].word, base[0].word)
	case len(base) == 1 && base[0].word == "base64offset" && m.text == testEqual:
		rep.warn(base[0].at, "`base64offset` finds a part of a longer text; write `base64offset|contains`")
	}
	return nil
}

// those returns the given modifiers in the order in which they stand.
func (m *modifiers) those(names ...string) []modifierWord {
	var out []modifierWord
	for _, w := range m.words {
		if slices.Contains(names, w.word) {
			out = append(out, w)
		}
	}
	return out
}

func clash(a, b modifierWord) error {
	if a.at.Col > b.at.Col {
		a, b = b, a
	}
	return bad(b.at, "`%s` and `%s` can't stand on one field; write two items", a.word, b.word)
}

// needsField names a modifier that has no meaning for keywords, "" for none.
func (m *modifiers) needsField() string {
	for _, w := range m.those("exists", "cidr", "fieldref", "gt", "gte", "lt", "lte", "minute", "hour", "day", "week", "month", "year") {
		return w.word
	}
	return ""
}

// doubt warns of values that are right and most likely not meant.
func (m *modifiers) doubt(rep *report, field string, v *node) {
	if m.expand && len(placeholdersIn(v.text)) == 0 && !strings.Contains(v.text, `\%`) {
		rep.warn(v.at, "`expand` finds no %%placeholder%% in the value; write `%%name%%`, or the item without `expand`")
	}
	if m.text != testEqual && v.text == "" && v.kind == kindString {
		rep.warn(v.at, "an empty text with `%s` holds for every value; write `exists: true` if that is meant", m.those("contains", "startswith", "endswith")[0].word)
	}
}

// number reads what a comparison takes.
func number(v *node, example string) (float64, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(v.text), 64)
	if err != nil || v.kind == kindBool || f-f != 0 {
		return 0, bad(v.at, "%q is not a number; write for example `%s`", v.text, example)
	}
	return f, nil
}
