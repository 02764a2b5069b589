package detect

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect/internal/search"
)

// Config is what a [Detector] looks for and how far it goes.
type Config struct {
	Rules    []Rule
	Grammars []Grammar
	// Allow holds for every rule and grammar. A text whose path or commit it
	// names is not read at all.
	Allow []Allow
	// Inline lists the words that excuse a leak when they stand in its line, as
	// "gitleaks:allow" does.
	Inline []string
	// Tell hands over what words in the line and allowlists with a Source excuse,
	// too, with Leak.Allowed set. A text that such a list leaves out as a whole is
	// one Leak without a rule.
	Tell bool
	// Decode is how many layers of encoding are taken off; 0 reads texts as they
	// are. UTF-16 is a text's own alphabet and is always read.
	Decode int
	// Every reports each rule for itself where several see the same secret, but
	// for generic ones beside a specific one. Without it the most specific one
	// reports.
	Every bool
	// Sample, if set, tells leaks that were made up to show or to test something.
	// They are handed over all the same, marked and of the lowest severity; it is
	// the caller who passes over them, and says how many they were.
	Sample func(*Suspect) bool
	Limits Limits
}

// Suspect is a leak that may be a sample, and where it stands.
type Suspect struct {
	*Rule
	Path string
	// Body is the text, and At where in it the leak begins; a secret that was encoded
	// stands there as it was.
	Body    []byte
	At      int
	Secret  []byte
	Verdict Verdict
}

// Limits bound what one text may cost. Zero fields take the defaults.
type Limits struct {
	// Text is how many bytes of a text are read; the rest is a [Gap].
	Text int
	// Secret is how long a secret may be.
	Secret int
	// Leaks is how many leaks a text may have; more is a [Gap].
	Leaks int
}

// The defaults.
const (
	DefaultDecode = 5
	defaultText   = 256 << 20
	defaultSecret = 64 << 10
	defaultLeaks  = 10_000
)

// AllowedInLine is Leak.Allowed of what a word in its own line excuses.
const AllowedInLine = "in the line"

// InlineWords are the words that excuse a leak in its line.
func InlineWords() []string { return []string{"interlock:allow", "gitleaks:allow"} }

// Gap is a part of a text that was not scanned, and why. It is never clean.
type Gap struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, to int) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&l.Text, defaultText)
	set(&l.Secret, defaultSecret)
	set(&l.Leaks, defaultLeaks)
	return l
}

// rule is a Rule made ready.
type rule struct {
	*Rule
	re      *regexp.Regexp  // nil: finds files by their path, or is a grammar's
	pattern *search.Pattern // of re
	// hinted is whether a keyword must be looked for besides the pattern, which
	// does not have one in every match.
	hinted bool
	hints  []int // of which words one must be there
	index  int32 // in Detector.rules
	path   *regexp.Regexp
	allow  []*allow
	// rank orders rules that see the same secret: higher is more specific.
	rank     int
	requires []*rule // parallel to Rule.Requires
	required bool
}

// The ranks. A valid checksum goes above them all.
const (
	rankGeneric = iota
	rankGrammar
	rankToken
	rankValid
)

func (d *Detector) compileRule(r *Rule, grammar bool) (*rule, error) {
	c := &rule{Rule: r, rank: rankOf(r, grammar)}
	if err := compileOptional(&c.path, r.Path); err != nil {
		return nil, ruleError(r, "path", err)
	}
	if !grammar {
		if err := compileOptional(&c.re, r.Regex); err != nil {
			return nil, ruleError(r, "regex", err)
		}
		if r.Regex == "" && r.Path == "" {
			return nil, ruleError(r, "regex", fmt.Errorf("it has neither a regex nor a path"))
		}
		if err := c.plan(); err != nil {
			return nil, err
		}
	}
	for i := range r.Allow {
		a, err := d.newAllow(&r.Allow[i])
		if err != nil {
			return nil, ruleError(r, "allow", err)
		}
		c.allow = append(c.allow, a)
	}
	return c, nil
}

// plan makes the pattern ready.
func (c *rule) plan() (err error) {
	if c.re == nil {
		return nil
	}
	if c.Group > c.re.NumSubexp() {
		return ruleError(c.Rule, "group", fmt.Errorf("the regex has no group %d", c.Group))
	}
	if c.pattern, err = search.New(c.re, c.Keywords); err != nil {
		return ruleError(c.Rule, "regex", err)
	}
	c.hinted = len(c.Keywords) > 0 && !c.pattern.Covers(c.Keywords)
	return nil
}

func compileOptional(to **regexp.Regexp, pattern string) error {
	if pattern == "" {
		return nil
	}
	re, err := regexp.Compile(pattern)
	*to = re
	return err
}

func ruleError(r *Rule, part string, err error) error {
	return core.E(core.KindInvalid, "detect.New", fmt.Sprintf("rule %q: %s: %v", r.ID, part, err)).
		WithHint("correct the rule's " + part + "; patterns are RE2")
}

func rankOf(r *Rule, grammar bool) int {
	switch {
	case strings.Contains(r.ID, "generic") || slices.Contains(r.Tags, "generic"):
		return rankGeneric
	case grammar:
		return rankGrammar
	}
	return rankToken
}
