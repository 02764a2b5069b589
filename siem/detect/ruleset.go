package detect

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// Ruleset is a compiled set of rule files, tuned. It does not change.
type Ruleset struct {
	// Hash names the set: the same files and the same tuning give the same hash.
	Hash   string
	Files  []rules.File
	Tuning Tuning
	Engine *sigma.Engine
	// Rules are all of them, those out of force too, in the order of the files.
	Rules []*sigma.Rule
	// Strangers are the ids and names that the tuning speaks of and no rule has:
	// what an upgrade took away.
	Strangers []string

	byID  map[string]*sigma.Rule
	muted map[string]bool // by id: raises no alert of its own
	inner map[string]bool // by id: only counted by correlations, or a filter
}

// captured is what every match carries, for grouping alerts.
var captured = []string{"sensor", "point"}

// NewRuleset reads and compiles rule files. The error names file, line and
// column of the first thing that is wrong.
func NewRuleset(files []rules.File) (*Ruleset, error) { return NewTuned(files, Tuning{}) }

// NewTuned is [NewRuleset] with a site's tuning.
func NewTuned(files []rules.File, t Tuning) (*Ruleset, error) {
	body, err := encodeFiles(files, t)
	if err != nil {
		return nil, err
	}
	return compile(body, files, t)
}

// compile makes the set of files and tuning whose encoding body is.
func compile(body []byte, files []rules.File, t Tuning) (*Ruleset, error) {
	t = t.normal()
	var all []*sigma.Rule
	for _, f := range slices.Concat(files, t.Exclusions) {
		rs, err := sigma.Parse(f.Name, []byte(f.Text))
		if err != nil {
			return nil, fmt.Errorf("detect.NewRuleset: %w", err)
		}
		all = append(all, sigma.WithLink(rs, f.Link)...)
	}
	kept, muted := t.apply(all)
	engine, err := sigma.Compile(kept, sigma.Options{
		Aliases: normalise.Aliases, Capture: captured, Routes: taxonomy.Routes(), LooseFilters: true, Placeholders: t.Placeholders,
	})
	if err != nil {
		return nil, fmt.Errorf("detect.NewRuleset: %w", err)
	}
	sum := sha256.Sum256(body)
	r := &Ruleset{
		Hash: hex.EncodeToString(sum[:]), Files: files, Tuning: t, Engine: engine, Rules: all, Strangers: strangers(all, t),
		byID: make(map[string]*sigma.Rule, len(kept)), muted: muted, inner: innerOf(kept),
	}
	for _, rule := range kept {
		r.byID[rule.ID] = rule
	}
	return r, nil
}

// innerOf names the rules that raise no alert because correlations count them.
func innerOf(kept []*sigma.Rule) map[string]bool {
	out := make(map[string]bool)
	for r, by := range fedBy(kept) {
		out[r.ID] = silenced(by)
	}
	for _, r := range kept {
		if r.Filter != nil {
			out[r.ID] = true
		}
	}
	return out
}

// Rule returns a rule that is in force, nil where there is none of that id.
func (r *Ruleset) Rule(id string) *sigma.Rule { return r.byID[id] }

// ruleFiles is the record that carries a rule set. On its way it is compressed:
// a few thousand rules would otherwise not fit into one frame.
type ruleFiles struct {
	V     int          `json:"v"` // 1
	Files []rules.File `json:"files"`
	Tuning
}

// maxRuleFiles bounds a rule set, in bytes of JSON.
const maxRuleFiles = 64 << 20

func encodeFiles(files []rules.File, t Tuning) ([]byte, error) {
	b, err := json.Marshal(ruleFiles{1, files, t.normal()})
	if err == nil && len(b) > maxRuleFiles {
		return nil, core.E(core.KindTooLarge, "detect.encodeFiles", fmt.Sprintf("the rules have %d bytes, at most %d are allowed", len(b), maxRuleFiles))
	}
	return b, core.Wrap(core.KindInternal, "detect.encodeFiles", err)
}

// packed is the set as a record and as a row.
func (r *Ruleset) packed() ([]byte, error) {
	b, err := encodeFiles(r.Files, r.Tuning)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err = w.Write(b)
	err = errors.Join(err, w.Close())
	return out.Bytes(), core.Wrap(core.KindInternal, "detect.packed", err)
}

// unpack reads a packed rule set. One that the library has compiled already is
// not compiled again.
func (l *Library) unpack(packed []byte) (*Ruleset, error) {
	const op = "detect.unpack"
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, core.Wrap(core.KindDamaged, op, err)
	}
	b, err := io.ReadAll(io.LimitReader(z, maxRuleFiles+1))
	if err != nil || len(b) > maxRuleFiles {
		return nil, core.E(core.KindDamaged, op, "the record does not unpack to a rule set")
	}
	var r ruleFiles
	if err := json.Unmarshal(b, &r); err != nil || r.V != 1 {
		return nil, core.E(core.KindDamaged, op, "the record holds no rule set of version 1")
	}
	sum := sha256.Sum256(b)
	if set := l.find(hex.EncodeToString(sum[:])); set != nil {
		return set, nil
	}
	set, err := compile(b, r.Files, r.Tuning)
	if err == nil {
		l.Keep(set)
	}
	return set, err
}

// severities maps Sigma's levels to the one scale.
var severities = map[sigma.Level]core.Severity{
	sigma.LevelInformational: core.SeverityInfo, sigma.LevelLow: core.SeverityLow, sigma.LevelMedium: core.SeverityMedium,
	sigma.LevelHigh: core.SeverityHigh, sigma.LevelCritical: core.SeverityCritical,
}

// ruleOf is what an alert says of its rule.
func ruleOf(r *sigma.Rule) alert.Rule {
	name := r.Name
	if name == "" {
		name = r.ID
	}
	return alert.Rule{
		Name: name, ID: r.ID, Title: r.Title, Author: r.Author, License: r.License,
		Link: r.Link, Level: string(r.Level), Tags: r.Tags, References: r.References, FalsePos: r.FalsePos,
	}
}

// Speaks reports whether a rule raises alerts of its own: it is in force, not
// silenced, and not only counted by a correlation.
func (r *Ruleset) Speaks(id string) bool { return r.byID[id] != nil && !r.muted[id] && !r.inner[id] }

// Silenced reports whether the tuning took a rule, or a filter, out of force.
func (r *Ruleset) Silenced(id string) bool { return r.muted[id] }

// Voices is how many rules raise alerts of their own.
func (r *Ruleset) Voices() (n int) {
	for id := range r.byID {
		if r.Speaks(id) {
			n++
		}
	}
	return n
}

// Detections are the detections that a rule stands on: itself, or those that a
// correlation counts, at whatever depth.
func (r *Ruleset) Detections(rule *sigma.Rule) (out []*sigma.Rule) {
	seen := map[*sigma.Rule]bool{}
	var walk func(*sigma.Rule)
	walk = func(one *sigma.Rule) {
		if one == nil || seen[one] {
			return
		}
		seen[one] = true
		if one.Correlation == nil {
			out = append(out, one)
			return
		}
		for _, ref := range one.Correlation.Refs {
			walk(r.named(ref.Name))
		}
	}
	walk(rule)
	return out
}

func (r *Ruleset) named(name string) *sigma.Rule {
	for _, rule := range r.Rules {
		if rule.Filter == nil && rule.Names(name) {
			return rule
		}
	}
	return nil
}
