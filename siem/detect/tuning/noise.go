package tuning

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
)

// Noise is what one rule cost, and what could be done about it.
type Noise struct {
	alert.Noise
	Advice []Advice
}

// Advice is one proposal, with the filter that it would take where it is one.
type Advice struct {
	Text   string `json:"text"`
	Filter string `json:"filter,omitempty"`
}

// The marks from which on something is proposed.
const (
	loudEvents = 20 // fewer are not worth a filter
	loudShare  = 80 // percent that come from one place
	wrongShare = 50 // percent of the closed that were wrong
	wrongFew   = 4  // fewer prove nothing
	// adviceLife is how long a proposed filter lasts.
	adviceLife = 90 * day
)

// Noise tells of the rules that had alerts in the last days, the loudest first,
// and how many rules in force had none. complete is false where there were more
// alerts than are looked at. The caller asks the Guard.
func (t *Tuning) Noise(ctx context.Context, days int) (list []Noise, quiet int, complete bool, err error) {
	if days < 1 || days > 366 {
		return nil, 0, false, core.E(core.KindInvalid, "tuning.Noise", "a report is over 1 to 366 days")
	}
	now := t.parts.Clock.Now()
	var found []alert.Noise
	err = t.parts.State.View(ctx, func(tx *store.Tx) (err error) {
		found, complete, err = alert.NoiseOf(ctx, tx, t.parts.Tenant, now.Add(-time.Duration(days)*day))
		return err
	})
	if err != nil {
		return nil, 0, false, err
	}
	set := t.InForce()
	if set != nil {
		quiet = set.Voices()
	}
	for _, n := range found {
		var rule *sigma.Rule
		if set != nil {
			rule = set.Rule(n.Rule.ID)
		}
		if rule != nil && set.Speaks(rule.ID) {
			quiet--
		}
		list = append(list, Noise{n, advise(set, rule, n, now)})
	}
	return list, max(0, quiet), complete, nil
}

// advise proposes what the figures bear out and nothing else.
func advise(set *detect.Ruleset, rule *sigma.Rule, n alert.Noise, now time.Time) (out []Advice) {
	if n.Closed >= wrongFew && share(n.FalsePositives, n.Closed) >= wrongShare {
		out = append(out, Advice{Text: fmt.Sprintf("%d of %d closed alerts were false positives: exclude what sets it off, or take the rule out", n.FalsePositives, n.Closed)})
	}
	if n.Events < loudEvents {
		return out
	}
	if p := share(n.SourceEvents, n.Events); p >= loudShare && n.Source != "" {
		out = append(out, Advice{
			Text:   fmt.Sprintf("%d %% of its events come from %s: exclude it?", p, n.Source),
			Filter: filterText(set, rule, n, normalise.FieldSource, n.Source, now),
		})
	}
	if p := share(n.GroupEvents, n.Events); p >= loudShare && fieldOfEvents(n.Group) {
		out = append(out, Advice{
			Text:   fmt.Sprintf("%d %% of its events have %s %s: exclude it?", p, n.Group, n.GroupValue),
			Filter: filterText(set, rule, n, n.Group, n.GroupValue, now),
		})
	}
	return out
}

// fieldOfEvents reports whether a group's name is a field that a filter can ask
// for, and not one that alerts are grouped by beside it.
func fieldOfEvents(name string) bool {
	switch name {
	case "", "source", "type", "sensor", "point":
		return false
	}
	return true
}

func share[N int | uint64](part, whole N) int {
	if whole == 0 {
		return 0
	}
	return int(100 * part / whole)
}

// filterText is a Sigma filter that keeps one value of a field from a rule; of a
// correlation, from the rules that it counts. Owner and reason are for whoever
// takes it up.
func filterText(set *detect.Ruleset, rule *sigma.Rule, n alert.Noise, field, value string, now time.Time) string {
	if rule == nil {
		return ""
	}
	targets := set.Detections(rule)
	if len(targets) == 0 {
		return ""
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("title: %s", strconv.Quote("Not "+n.Title+" from "+value))
	line("id: %s", core.NewUUID(now))
	line("owner: \"\"")
	line("reason: \"\"")
	line("expires: %s", now.Add(adviceLife).UTC().Format(time.DateOnly))
	line("logsource:")
	src := targets[0].Logsource
	for _, part := range [][2]string{{"product", src.Product}, {"category", src.Category}, {"service", src.Service}} {
		if part[1] != "" {
			line("  %s: %s", part[0], part[1])
		}
	}
	line("filter:")
	line("  rules:")
	for _, r := range targets {
		line("    - %s", r.ID)
	}
	line("  selection:")
	line("    %s: %s", strconv.Quote(field), strconv.Quote(escape(value)))
	line("  condition: not selection")
	return b.String()
}

// escape writes a value so that no character of it is a wildcard.
func escape(value string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`).Replace(value)
}
