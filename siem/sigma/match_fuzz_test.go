package sigma_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/internal/reference"
)

// FuzzMatch takes any rule file and any event: nothing panics, what is JSON and
// within the limits loads, and engine and reference agree.
func FuzzMatch(f *testing.F) {
	for n := range uint64(40) {
		m := newMaker(7, n)
		rules := []*madeRule{m.rule(), m.rule()}
		f.Add(writeRules(rules), []byte(m.event(rules).String()))
	}
	for _, row := range evasions {
		f.Add(header+"  s:\n    "+row.item+"\n  condition: s\n", []byte(row.event))
	}
	f.Fuzz(func(t *testing.T, text string, object []byte) {
		rules, err := sigma.Parse("fuzz.yml", []byte(text))
		if err != nil {
			return
		}
		engine, err := sigma.Compile(rules, sigma.Options{})
		if err != nil {
			return
		}
		view := engine.NewView()
		var sources []sigma.Logsource
		for _, r := range engine.Rules() {
			sources = append(sources, r.Logsource)
		}
		view.Reset()
		err = view.Load(object)
		got := make(map[string]bool)
		engine.Match(view, sources, func(m sigma.Match) { got[m.Rule.ID] = true })
		if err != nil {
			if json.Valid(object) && smallEvent(object) {
				t.Errorf("refused: %v\n%s", err, object)
			}
			return
		}
		compareWithReference(t, text, object, engine, got)
	})
}

// smallEvent reports whether an object is far from every limit.
func smallEvent(object []byte) bool {
	var o map[string]any
	return json.Unmarshal(object, &o) == nil && o != nil && len(object) < 1000 &&
		strings.Count(string(object), "{")+strings.Count(string(object), "[") < 20
}

// compareWithReference leaves out what the two can't agree on by intention:
// bytes that are no text, and YAML that a plain decoder reads in another way.
func compareWithReference(t *testing.T, text string, object []byte, engine *sigma.Engine, got map[string]bool) {
	t.Helper()
	if !utf8.Valid(object) || !plainYAML(text) {
		return
	}
	event, err := reference.Read(object)
	if err != nil {
		return
	}
	refs, err := reference.Parse([]byte(text), nil)
	if err != nil || len(refs) != len(engine.Rules()) {
		return
	}
	for i, r := range engine.Rules() {
		if want := refs[i].Holds(event); got[r.ID] != want {
			t.Errorf("matches: %t, the reference says %t\n%s\n%s", got[r.ID], want, text, object)
		}
	}
}

// plainYAML: no numbers but short decimal ones outside of quotes are hard to
// tell without a parser, so a text with floats, odd bases or special values is
// left to the tests that know what they write.
func plainYAML(text string) bool {
	if !utf8.ValidString(text) || strings.ContainsAny(text, "&!|>\ufffd") && strings.ContainsAny(text, "&!>\ufffd") {
		return false
	}
	for _, odd := range []string{"0x", "0o", "0b", "_", ".inf", ".nan", "fieldref", "+", "00"} {
		if strings.Contains(strings.ToLower(text), odd) && odd != "_" && odd != "fieldref" {
			return false
		}
	}
	return true
}
