package gitleaks

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

func (s *set) addRule(f *file, i int) error {
	t, at := &f.Rules[i], fmt.Sprintf("rules[%d]", i)
	if strings.TrimSpace(t.ID) == "" {
		return f.fault(at, "a rule has no id", `write id = "some-name" below [[rules]]`)
	}
	for _, p := range []struct{ key, pattern string }{{"regex", t.Regex}, {"path", t.Path}} {
		if err := f.checkPattern(at+"."+p.key, p.pattern); err != nil {
			return err
		}
	}
	r := detect.Rule{
		ID: t.ID, Title: t.Description, Kind: kindOf(t.ID, t.Tags), Severity: severityOf(t.ID),
		Keywords: t.Keywords, Regex: t.Regex, Group: t.SecretGroup, Entropy: t.Entropy, Path: t.Path,
		Tags: t.Tags, Silent: t.SkipReport,
	}
	if r.Title == "" {
		r.Title = t.ID
	}
	if err := f.requires(t, at, &r); err != nil {
		return err
	}
	if err := f.ruleAllow(t, at, &r); err != nil {
		return err
	}
	if s.rules[t.ID] == nil {
		s.order = append(s.order, t.ID)
	}
	s.rules[t.ID] = &entry{rule: r, file: f, at: at}
	return nil
}

func (f *file) checkPattern(path, pattern string) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return f.fault(path, err.Error(), "write the pattern in RE2, which has no look-around and no back-references, between ''' and '''")
	}
	return nil
}

func (f *file) requires(t *ruleTable, at string, r *detect.Rule) error {
	for i, q := range t.Required {
		if q.ID == "" {
			return f.fault(fmt.Sprintf("%s.required[%d]", at, i), fmt.Sprintf("rule %q requires a rule without id", t.ID),
				`write id = "the-other-rule" below [[rules.required]]`)
		}
		r.Requires = append(r.Requires, detect.Require{Rule: q.ID, WithinLines: q.WithinLines, WithinColumns: q.WithinColumns})
	}
	return nil
}

func (f *file) ruleAllow(t *ruleTable, at string, r *detect.Rule) error {
	tables, path := t.Allowlists, at+".allowlists"
	if t.Allowlist != nil {
		if len(tables) > 0 {
			return f.fault(at+".allowlist", fmt.Sprintf("rule %q has both [rules.allowlist] and [[rules.allowlists]]", t.ID),
				"write [[rules.allowlists]] for all of them; the other form is the older one")
		}
		tables, path = []allowTable{*t.Allowlist}, at+".allowlist"
	}
	for i := range tables {
		a, err := f.allow(&tables[i], element(path, i))
		if err != nil {
			return err
		}
		r.Allow = append(r.Allow, a)
	}
	return nil
}

// element is the path of one of several tables; the older form has only one.
func element(path string, i int) string {
	if strings.HasSuffix(path, "allowlist") {
		return path
	}
	return fmt.Sprintf("%s[%d]", path, i)
}

func (s *set) addAllowlists(f *file) error {
	tables, path := f.Allowlists, "allowlists"
	if f.Allowlist != nil {
		if len(tables) > 0 {
			return f.fault("allowlist", "there are both [allowlist] and [[allowlists]]",
				"write [[allowlists]] for all of them; the other form is the older one")
		}
		tables, path = []allowTable{*f.Allowlist}, "allowlist"
	}
	for i := range tables {
		at := element(path, i)
		a, err := f.allow(&tables[i], at)
		if err != nil {
			return err
		}
		if rules := tables[i].TargetRules; len(rules) > 0 {
			s.targeted = append(s.targeted, targeted{rules: rules, allow: a, file: f, at: at})
		} else {
			s.allow = append(s.allow, f.paths(a)...)
		}
	}
	return nil
}

// paths parts the paths of gitleaks' own list for all rules from what it knows of
// secrets: they keep whole texts from other rules than its own.
func (f *file) paths(a detect.Allow) []detect.Allow {
	if f.source != "" || a.All || len(a.Paths)+len(a.Commits) == 0 {
		return []detect.Allow{a}
	}
	whole := detect.Allow{Source: "gitleaks' own rules", Description: a.Description, Paths: a.Paths, Commits: a.Commits}
	if a.Paths, a.Commits = nil, nil; len(a.Patterns)+len(a.StopWords) == 0 {
		return []detect.Allow{whole}
	}
	return []detect.Allow{whole, a}
}

func (f *file) allow(t *allowTable, at string) (detect.Allow, error) {
	a := detect.Allow{Source: f.source, Description: t.Description, Commits: t.Commits, StopWords: t.StopWords}
	if len(t.Commits)+len(t.Paths)+len(t.Regexes)+len(t.StopWords) == 0 {
		return a, f.fault(at, "an allowlist allows nothing", "give it commits, paths, regexes or stopwords, or remove it")
	}
	switch strings.ToUpper(t.Condition) {
	case "AND", "&&":
		a.All = true
	case "", "OR", "||":
	default:
		return a, f.fault(at+".condition", fmt.Sprintf("unknown condition %q", t.Condition), `write "OR" or "AND"`)
	}
	switch t.RegexTarget {
	case "", "secret", "match", "line":
		a.Target = detect.Target(t.RegexTarget)
	default:
		return a, f.fault(at+".regextarget", fmt.Sprintf("unknown regexTarget %q", t.RegexTarget), `write "secret", "match" or "line"`)
	}
	var err error
	if a.Patterns, err = f.patterns(at+".regexes", t.Regexes); err != nil {
		return a, err
	}
	a.Paths, err = f.patterns(at+".paths", t.Paths)
	return a, err
}

func (f *file) patterns(path string, patterns []string) ([]*regexp.Regexp, error) {
	var out []*regexp.Regexp
	for i, p := range patterns {
		at := fmt.Sprintf("%s[%d]", path, i)
		if err := f.checkPattern(at, p); err != nil {
			return nil, err
		}
		out = append(out, regexp.MustCompile(p))
	}
	return out, nil
}

// check asks what can only be asked when all rules are there.
func (s *set) check(e *entry) error {
	r := &e.rule
	if r.Regex == "" && r.Path == "" {
		return e.file.fault(e.at, fmt.Sprintf("rule %q has neither regex nor path", r.ID), "give it one; without it the rule finds nothing")
	}
	if re, err := regexp.Compile(r.Regex); err == nil && r.Regex != "" && r.Group > re.NumSubexp() {
		return e.file.fault(e.at+".secretgroup", fmt.Sprintf("rule %q has secretGroup %d, its regex has %d groups", r.ID, r.Group, re.NumSubexp()),
			"count the groups that begin with a plain ( from 1")
	}
	for i, q := range r.Requires {
		if s.rules[q.Rule] == nil {
			return e.file.fault(fmt.Sprintf("%s.required[%d].id", e.at, i), fmt.Sprintf("rule %q requires %q, which does not exist", r.ID, q.Rule), s.nearest(q.Rule))
		}
	}
	return nil
}

// kindOf guesses what gitleaks doesn't say; fingerprints are made of it.
func kindOf(id string, tags []string) detect.Kind {
	name := id + " " + strings.Join(tags, " ")
	for _, k := range []struct {
		word string
		kind detect.Kind
	}{
		{"private-key", detect.KindPrivateKey},
		{"webhook", detect.KindWebhook},
		{"password", detect.KindPassword},
		{"aws-", detect.KindCloudKey},
		{"gcp-", detect.KindCloudKey},
		{"azure-", detect.KindCloudKey},
		{"alibaba-", detect.KindCloudKey},
		{"encryption-key", detect.KindKey},
	} {
		if strings.Contains(name, k.word) {
			return k.kind
		}
	}
	return detect.KindToken
}

func severityOf(id string) core.Severity {
	if strings.Contains(id, "generic") {
		return core.SeverityMedium
	}
	return core.SeverityHigh
}
