package detect

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
)

// Tuning is what a site makes of its rules without touching a file: it stands
// beside the files in the record that puts rules in force, so that a replay is
// tuned as the day was.
type Tuning struct {
	// Disabled are the ids of rules that raise no alert of their own, and of
	// filters that are not applied.
	Disabled []string `json:"disabled,omitempty"`
	// Exclusions are files of Sigma filters.
	Exclusions []rules.File `json:"exclusions,omitempty"`
	// Placeholders are the site's values of %name% in rules.
	Placeholders map[string][]string `json:"placeholders,omitempty"`
}

// normal puts a tuning in its one form, in which equal tunings have equal bytes.
func (t Tuning) normal() Tuning {
	out := Tuning{Placeholders: t.Placeholders}
	for _, id := range t.Disabled {
		out.Disabled = append(out.Disabled, strings.ToLower(id))
	}
	slices.Sort(out.Disabled)
	out.Disabled = slices.Compact(out.Disabled)
	out.Exclusions = append(out.Exclusions, t.Exclusions...)
	slices.SortFunc(out.Exclusions, func(a, b rules.File) int {
		return strings.Compare(a.Name+"\x00"+a.Text, b.Name+"\x00"+b.Text)
	})
	return out
}

// apply returns the rules that are compiled and, by id, those of them that raise
// no alert. What nothing else stands on is left out. A rule that a correlation
// counts stays for it and is muted: disabling takes a rule's alerts away, not
// what others make of its matches. Nor does it let any loose: a rule that only
// fed a correlation raises no alerts because that correlation is out of force.
func (t Tuning) apply(all []*sigma.Rule) (kept []*sigma.Rule, muted map[string]bool) {
	muted = make(map[string]bool)
	for _, id := range t.Disabled {
		muted[id] = true
	}
	if len(muted) == 0 {
		return all, muted
	}
	kept = slices.DeleteFunc(slices.Clone(all), func(r *sigma.Rule) bool { return r.Filter != nil && muted[r.ID] })
	for {
		fed := fedBy(kept)
		gone := slices.IndexFunc(kept, func(r *sigma.Rule) bool { return r.Filter == nil && muted[r.ID] && len(fed[r]) == 0 })
		if gone < 0 {
			return kept, muted
		}
		r := kept[gone]
		kept = slices.Delete(kept, gone, gone+1)
		for inner, by := range fed {
			if slices.Contains(by, r) && silenced(by) && !silenced(slices.DeleteFunc(slices.Clone(by), func(o *sigma.Rule) bool { return o == r })) {
				muted[inner.ID] = true
			}
		}
	}
}

// silenced reports whether a rule that these correlations count raises no alert
// of its own.
func silenced(by []*sigma.Rule) bool {
	return slices.ContainsFunc(by, func(c *sigma.Rule) bool { return !c.Correlation.Generate })
}

// fedBy tells which correlations count a rule.
func fedBy(all []*sigma.Rule) map[*sigma.Rule][]*sigma.Rule {
	byName := make(map[string]*sigma.Rule, 2*len(all))
	for _, r := range all {
		byName[r.ID] = r
		if r.Name != "" {
			byName[r.Name] = r
		}
	}
	out := make(map[*sigma.Rule][]*sigma.Rule)
	for _, r := range all {
		if r.Correlation == nil {
			continue
		}
		for _, ref := range r.Correlation.Refs {
			if inner := byName[ref.Name]; inner != nil && !slices.Contains(out[inner], r) {
				out[inner] = append(out[inner], r)
			}
		}
	}
	return out
}

// strangers lists what a tuning names that no rule is.
func strangers(all []*sigma.Rule, t Tuning) []string {
	known := make(map[string]bool, 2*len(all))
	for _, r := range all {
		known[r.ID] = true
		known[r.Name] = true
	}
	var out []string
	note := func(name string) {
		if !known[name] && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, id := range t.Disabled {
		note(id)
	}
	for _, r := range all {
		if r.Filter == nil {
			continue
		}
		for _, ref := range r.Filter.Refs {
			note(ref.Name)
		}
	}
	slices.Sort(out)
	return out
}

// maxLibrary is how many compiled sets are kept: those in force, and the one that
// is about to be.
const maxLibrary = 4

// Library keeps compiled rule sets: several thousand rules take a second to
// compile, and every stage of a server has the same. Nil keeps none. Safe for
// concurrent use.
type Library struct {
	mu   sync.Mutex
	sets []*Ruleset
}

// Keep remembers a set.
func (l *Library) Keep(set *Ruleset) {
	if l == nil || set == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sets = slices.DeleteFunc(l.sets, func(s *Ruleset) bool { return s.Hash == set.Hash })
	l.sets = append(l.sets, set)
	l.sets = slices.Delete(l.sets, 0, max(0, len(l.sets)-maxLibrary))
}

func (l *Library) find(hash string) *Ruleset {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sets {
		if s.Hash == hash {
			return s
		}
	}
	return nil
}

// Compile is [NewTuned] with what the library has.
func (l *Library) Compile(files []rules.File, t Tuning) (*Ruleset, error) {
	body, err := encodeFiles(files, t)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if set := l.find(hex.EncodeToString(sum[:])); set != nil {
		return set, nil
	}
	set, err := compile(body, files, t)
	if err == nil {
		l.Keep(set)
	}
	return set, err
}
