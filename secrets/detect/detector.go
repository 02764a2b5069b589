package detect

import (
	"fmt"
	"regexp"
	"runtime"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect/internal/literal"
	"github.com/interlock-security/interlock/secrets/detect/internal/search"
)

// Detector finds leaks in texts. It is made once of a [Config] and is safe for
// concurrent use.
type Detector struct {
	rules []*rule
	// unplanned ones have a pattern without literals and read texts whole.
	unplanned []*rule
	byID      map[string]*rule
	grammars  []*grammar
	allow     []*allow
	allows    int // all of them, also of rules
	inline    [][]byte
	decode    int
	every     bool
	sample    func(*Suspect) bool
	tell      bool
	limits    Limits
	words     *literal.Set
	asks      [][]ask     // by word
	names     *search.Any // of the rules that find a file by its name
	free      chan *scan
}

// grammar is a Grammar made ready.
type grammar struct {
	Grammar
	rules map[string]*rule
}

// New makes a detector; what is wrong with the configuration is named by rule.
func New(c Config) (*Detector, error) {
	d := &Detector{
		byID:   map[string]*rule{},
		decode: c.Decode,
		every:  c.Every,
		sample: c.Sample,
		tell:   c.Tell,
		limits: c.Limits.withDefaults(),
	}
	for i := range c.Allow {
		a, err := d.newAllow(&c.Allow[i])
		if err != nil {
			return nil, core.E(core.KindInvalid, "detect.New", "an allowlist: "+err.Error()).WithHint("correct its paths; patterns are RE2")
		}
		d.allow = append(d.allow, a)
	}
	for _, w := range c.Inline {
		d.inline = append(d.inline, []byte(w))
	}
	rules := slices.Clone(c.Rules)
	for i := range rules {
		if err := d.addRule(&rules[i]); err != nil {
			return nil, err
		}
	}
	for _, g := range c.Grammars {
		if err := d.addGrammar(g); err != nil {
			return nil, err
		}
	}
	if err := d.resolve(); err != nil {
		return nil, err
	}
	if err := d.indexNames(); err != nil {
		return nil, err
	}
	d.index()
	d.free = make(chan *scan, runtime.GOMAXPROCS(0))
	return d, nil
}

func (d *Detector) addRule(r *Rule) error {
	c, err := d.compileRule(r, false)
	if err != nil {
		return err
	}
	if err := d.name(c); err != nil {
		return err
	}
	d.rules = append(d.rules, c)
	return nil
}

func (d *Detector) name(r *rule) error {
	if r.ID == "" {
		return ruleError(r.Rule, "id", fmt.Errorf("it is empty"))
	}
	if d.byID[r.ID] != nil {
		return core.E(core.KindInvalid, "detect.New", fmt.Sprintf("two rules are named %q", r.ID)).
			WithHint("give each rule its own id")
	}
	d.byID[r.ID] = r
	return nil
}

// addGrammar lets grammars share a rule: several may find the same thing.
func (d *Detector) addGrammar(g Grammar) error {
	c := &grammar{Grammar: g, rules: map[string]*rule{}}
	described := slices.Clone(g.Rules())
	for i := range described {
		r, err := d.compileRule(&described[i], true)
		if err != nil {
			return err
		}
		if d.byID[r.ID] == nil {
			d.byID[r.ID] = r
		}
		c.rules[r.ID] = r
	}
	d.grammars = append(d.grammars, c)
	return nil
}

// indexNames joins the paths of rules without a pattern into one question.
func (d *Detector) indexNames() error {
	var paths []*regexp.Regexp
	for _, r := range d.rules {
		if r.re == nil {
			paths = append(paths, r.path)
		}
	}
	if len(paths) == 0 {
		return nil
	}
	var err error
	d.names, err = search.NewAny(paths)
	return err
}

// resolve links rules to those that they require.
func (d *Detector) resolve() error {
	for _, r := range d.rules {
		for _, q := range r.Requires {
			other := d.byID[q.Rule]
			if other == nil {
				return ruleError(r.Rule, "requires", fmt.Errorf("there is no rule %q", q.Rule))
			}
			other.required = true
			r.requires = append(r.requires, other)
		}
	}
	return nil
}

// Scan finds the leaks of one text and hands them over in the order in which
// they stand. What it could not read is returned, never passed over in silence.
func (d *Detector) Scan(t Text, emit func(*Leak)) []Gap {
	s := d.borrow()
	defer d.giveBack(s)
	return s.run(t, emit)
}

// borrow takes a worker that has learned something, if one is free. They are
// kept by hand: a sync.Pool would forget what they learned at each collection.
func (d *Detector) borrow() *scan {
	select {
	case s := <-d.free:
		return s
	default:
		return newScan(d)
	}
}

func (d *Detector) giveBack(s *scan) {
	s.reset()
	select {
	case d.free <- s:
	default:
	}
}
