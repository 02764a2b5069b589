package correlate

import (
	"encoding/json"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

// The defaults of [Config].
const (
	Memory   = 64 << 20
	Lateness = 5 * time.Minute
	// Skew is how far an event's own time may lie after its arrival: a clock
	// that runs ahead must not hold windows open.
	Skew = time.Minute
)

// MaxNamed is how many events a firing names: the oldest half and the newest.
const MaxNamed = 1000

// Config of a [State]. Zero values stand for the defaults.
type Config struct {
	// Memory bounds what the state may cost, in bytes.
	Memory int64
	// Lateness is how long after its fellows an event may arrive.
	Lateness time.Duration
	// Evicted hears of every group that had to make room. It may be nil.
	Evicted func(Eviction)
}

// Eviction is a group that was given up because memory ran out.
type Eviction struct {
	Correlation *sigma.Correlation
	Key         Key
	// Events is how many it held, Untold how many of them no firing has named.
	Events, Untold int
	First, Last    time.Time
}

// Fact is one match of a rule.
type Fact struct {
	// Scope keeps apart what must never be counted together: a tenant, and
	// simulated from real.
	Scope        string
	Rule         *sigma.Rule
	Event        core.UUID
	At, Received time.Time
	Source       string
	Provenance   core.Provenance
	// Fields are those of [sigma.Match.AppendFields]. They are not kept.
	Fields []sigma.Field
}

// Event is one event of a firing.
type Event struct {
	ID         core.UUID
	At         time.Time
	Source     string
	Provenance core.Provenance
	// Ref is which of the correlation's rules it matched.
	Ref int
}

// Firing says that a correlation holds.
type Firing struct {
	Correlation *sigma.Correlation
	Key         Key
	// Events are those that no earlier firing of the group has named, in the
	// order of their time.
	Events []Event
	// Omitted are further ones, from the middle of more than [MaxNamed].
	Omitted int
	// Lost counts events of the group that had to make room in its window:
	// they are in the journal, but no firing names them.
	Lost uint64
	// First and Last are the times of the window's events, told before or not.
	First, Last time.Time
	// Provenance is what the firing is worth: where the correlation holds on
	// authenticated events alone, the weakest of theirs, otherwise
	// unauthenticated. So forged events neither raise nor lower it.
	Provenance core.Provenance
	// Value is what the condition was asked of: a count, a sum, a percentile.
	Value float64
	// Counts is how often each of the correlation's rules matched in the window.
	Counts []int
	// Alerts is false where the correlation only feeds others.
	Alerts bool
}

// Key names one group: what one correlation remembers of the events that have
// its group-by fields in common.
type Key struct {
	Scope string
	// Rule is the correlation's [sigma.Correlation.Shape].
	Rule string
	// Group is a JSON list of the group-by fields' values, null where the
	// events have none.
	Group string
}

// Fields are the group's fields by name; those that its events lack are not
// there.
func (k Key) Fields(c *sigma.Correlation) []sigma.Field {
	var parts []*string
	if json.Unmarshal([]byte(k.Group), &parts) != nil {
		return nil
	}
	var out []sigma.Field
	for i, part := range parts {
		if part != nil && i < len(c.GroupBy) {
			out = append(out, sigma.Field{Name: c.GroupBy[i], Value: *part})
		}
	}
	return out
}

// Stats is what a state holds and what it could not keep.
type Stats struct {
	// Groups, Events and Bytes are live.
	Groups, Events int
	Bytes          int64
	// Facts are those taken, Late those that arrived longer after their own
	// time than the lateness allows.
	Facts, Late, Firings uint64
	// Correlations has one entry for each, in the order of the engine.
	Correlations []CorrelationStats
}

// CorrelationStats is the same for one correlation.
type CorrelationStats struct {
	Rule    *sigma.Rule
	Groups  int
	Firings uint64
	// EvictedGroups made room for others, EvictedEvents with them. CutEvents
	// made room within their own group.
	EvictedGroups, EvictedEvents, CutEvents uint64
	// Unreadable are events whose field holds no number.
	Unreadable uint64
}
