package sigma_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/internal/reference"
)

// madePlaceholders are the values of %p% and %q%; there is none of %missing%.
var madePlaceholders = map[string][]string{"p": {"cmd", "x*"}, "q": {"é"}}

// madeAliases lets some fields of made-up rules stand under other names too.
func madeAliases(src sigma.Logsource, field string) []string {
	switch {
	case field == "a":
		return []string{"g.a", "A"}
	case field == "b" && src.Product == "windows":
		return []string{"a.b"}
	}
	return nil
}

// madeCase is a set of rules and one event, with what the receiver vouches for.
type madeCase struct {
	rules   []*madeRule
	event   *madeNode
	sources []sigma.Logsource
	aliases bool
	vouched [][2]string
}

func (c *madeCase) String() string {
	return fmt.Sprintf("sources %v, aliases %t, vouched %q\n%s\n%s", c.sources, c.aliases, c.vouched, writeRules(c.rules), c.event)
}

// verdict asks engine and reference and says where they differ, "" if nowhere.
// How many rules hold tells whether the made-up things are of any use.
func (c *madeCase) verdict() (differs string, hits int, err error) {
	text := []byte(writeRules(c.rules))
	parsed, err := sigma.Parse("made.yml", text)
	if err != nil {
		return "", 0, err
	}
	o := sigma.Options{Placeholders: madePlaceholders}
	if c.aliases {
		o.Aliases = madeAliases
	}
	engine, err := sigma.Compile(parsed, o)
	if err != nil {
		return "", 0, err
	}
	refs, err := reference.Parse(text, madePlaceholders)
	if err != nil {
		return "", 0, err
	}
	return c.compare(engine, engine.NewView(), refs)
}

// compare asks a compiled engine about the case's event.
func (c *madeCase) compare(engine *sigma.Engine, view *sigma.View, refs []*reference.Rule) (differs string, hits int, err error) {
	object := []byte(c.event.String())
	event, err := reference.Read(object)
	if err != nil {
		return "", 0, err
	}
	view.Reset()
	for _, v := range c.vouched {
		view.Set(v[0], v[1])
		event.Vouch(v[0], v[1])
	}
	if err := view.Load(object); err != nil {
		return "Load: " + err.Error(), 0, nil
	}
	got := make(map[string]int)
	engine.Match(view, c.sources, func(m sigma.Match) { got[m.Rule.ID]++ })
	for i, r := range engine.Rules() {
		ref := refs[i]
		ref.Paths = c.paths(r.Logsource)
		want := 0
		if slices.ContainsFunc(c.sources, func(s sigma.Logsource) bool { return ref.Applies(s.Category, s.Product, s.Service) }) && ref.Holds(event) {
			want = 1
			hits++
		}
		if got[r.ID] != want && differs == "" {
			differs = fmt.Sprintf("rule %d matched %d times, the reference says %d", i, got[r.ID], want)
		}
	}
	return differs, hits, nil
}

func (c *madeCase) paths(src sigma.Logsource) func(string) []string {
	return func(field string) []string {
		if !c.aliases {
			return []string{field}
		}
		return madeAliases(src, field)
	}
}

// TestMadeRulesOnMadeEvents is the property: whatever the rules and the event,
// engine and reference agree. What differs is made as small as it gets.
func TestMadeRulesOnMadeEvents(t *testing.T) {
	seed, rounds := uint64(20261122), 1000
	switch {
	case long():
		rounds = 25_000
	case raced:
		rounds = 100
	}
	if s := os.Getenv("INTERLOCK_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	asked, hits, refused := 0, 0, 0
	for n := range uint64(rounds) {
		m := newMaker(seed, n)
		c := &madeCase{aliases: m.chance(30)}
		for range 1 + m.IntN(8) {
			c.rules = append(c.rules, m.rule())
		}
		if m.chance(15) {
			f := m.rule()
			f.filter = true
			c.rules = append(c.rules, f)
		}
		if err := runMade(t, m, c, seed, n, &asked, &hits); err != nil {
			refused++
			t.Logf("seed %d round %d refused: %v\n%s", seed, n, err, writeRules(c.rules))
		}
	}
	t.Logf("seed %d: %d rules asked, %d held, %d sets refused", seed, asked, hits, refused)
	if refused > rounds/10 || hits*20 < asked {
		t.Errorf("of %d rules %d held, %d sets of %d were refused: that says too little", asked, hits, refused, rounds)
	}
}

// runMade asks one set of rules about many events, with one view for all.
func runMade(t *testing.T, m *maker, c *madeCase, seed, n uint64, asked, hits *int) error {
	t.Helper()
	text := []byte(writeRules(c.rules))
	parsed, err := sigma.Parse("made.yml", text)
	if err != nil {
		return err
	}
	o := sigma.Options{Placeholders: madePlaceholders}
	if c.aliases {
		o.Aliases = madeAliases
	}
	engine, err := sigma.Compile(parsed, o)
	if err != nil {
		return err
	}
	refs, err := reference.Parse(text, madePlaceholders)
	if err != nil {
		return err
	}
	view := engine.NewView()
	for range 25 {
		c.event, c.vouched, c.sources = m.event(c.rules), nil, madeSources
		if m.chance(20) {
			c.sources = m.someSources()
		}
		if m.chance(15) {
			c.vouched = append(c.vouched, [2]string{pick(m, madeFields), m.literal(false)})
		}
		differs, held, err := c.compare(engine, view, refs)
		if err != nil {
			return err
		}
		*asked += len(c.rules)
		*hits += held
		if differs != "" {
			small, why := shrink(c, differs)
			t.Fatalf("seed %d round %d: %s\nmade small: %s\n%s", seed, n, differs, why, small)
		}
	}
	return nil
}

func (m *maker) someSources() []sigma.Logsource {
	var out []sigma.Logsource
	for range m.IntN(3) {
		out = append(out, pick(m, madeSources))
	}
	return out
}

// shrink tries smaller cases as long as one of them still differs.
func shrink(c *madeCase, why string) (*madeCase, string) {
	if d, _, err := c.verdict(); err != nil || d == "" {
		return c, "only after other events in the same view: " + why
	}
	for again := true; again; {
		again = false
		for _, undo := range c.smaller() {
			if d, _, err := c.verdict(); err == nil && d != "" {
				again, why = true, d
				break
			}
			undo()
		}
	}
	return c, why
}

// TestLongRunsAgree: an engine learns from the events that it sees which texts
// are worth looking for. However long that goes on, and for however many views
// at a time, it stays with the reference.
func TestLongRunsAgree(t *testing.T) {
	worlds, events := uint64(3), 3000
	switch {
	case long():
		worlds, events = 60, 10_000
	case raced:
		worlds, events = 1, 700
	}
	for n := range worlds {
		m := newMaker(99, n)
		c := &madeCase{aliases: n%2 == 1, sources: madeSources}
		for range 40 {
			c.rules = append(c.rules, m.rule())
		}
		text := []byte(writeRules(c.rules))
		o := sigma.Options{Placeholders: madePlaceholders}
		if c.aliases {
			o.Aliases = madeAliases
		}
		engine, err := sigma.Compile(parse(t, string(text)), o)
		if err != nil {
			t.Fatal(err)
		}
		refs, err := reference.Parse(text, madePlaceholders)
		if err != nil {
			t.Fatal(err)
		}
		views := []*sigma.View{engine.NewView(), engine.NewView()}
		common := m.event(c.rules) // most of what comes is alike
		for i := range events {
			if c.event = common; m.chance(40) {
				c.event = m.event(c.rules)
			}
			if m.chance(2) {
				common = c.event
			}
			if differs, _, err := c.compare(engine, views[i/7%2], refs); err != nil || differs != "" {
				t.Fatalf("world %d event %d: %s %v\n%s\n%s", n, i, differs, err, text, c.event)
			}
		}
	}
}
