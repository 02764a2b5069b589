package alert

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Noise is what one rule has cost the people who look at alerts.
type Noise struct {
	Rule
	Alerts int    `json:"alerts"`
	Events uint64 `json:"events"`
	Open   int    `json:"open"`
	Closed int    `json:"closed"`
	// FalsePositives and Benign are those of the closed ones that somebody
	// judged so.
	FalsePositives int `json:"false_positive_alerts"`
	Benign         int `json:"benign_alerts"`
	// ToClose is the median time from opening to closing; zero where none was
	// closed.
	ToClose time.Duration `json:"to_close"`
	// Reasons are the latest reasons of false positives, at most [maxReasons].
	Reasons []string `json:"reasons,omitempty"`
	// Source is the source that most of the events come from, and SourceEvents
	// how many do; as far as alerts name theirs, which a group of several does
	// not do one by one.
	Source       string `json:"source,omitempty"`
	SourceEvents uint64 `json:"source_events,omitempty"`
	// Group is the value of a group that most of the events come from, by
	// field, with their number.
	Group      string `json:"group,omitempty"`
	GroupValue string `json:"group_value,omitempty"`
	// GroupEvents counts the events of GroupValue.
	GroupEvents uint64 `json:"group_events,omitempty"`
}

const (
	maxReasons = 5
	// maxNoise bounds how many alerts a report looks at, the latest first.
	maxNoise = 200_000
	// maxNames bounds what is remembered of one rule's sources and groups.
	maxNames = 10_000
)

// NoiseOf tells of every rule that had an alert since a time, the loudest by
// alerts first. Simulated alerts do not count. complete is false where there
// were more alerts than are looked at.
func NoiseOf(ctx context.Context, tx *store.Tx, tenant core.TenantID, since time.Time) (list []Noise, complete bool, err error) {
	rows, err := tx.Query(ctx, `SELECT body FROM siem_alerts WHERE tenant = $1 AND updated >= $2 ORDER BY updated DESC, id DESC LIMIT $3`,
		tenant, store.Micros(since), maxNoise+1)
	if err != nil {
		return nil, false, fmt.Errorf("alert.NoiseOf: %w", err)
	}
	defer rows.Close()
	all, seen := map[string]*gathered{}, 0
	for rows.Next() {
		if seen++; seen > maxNoise {
			return tell(all), false, nil
		}
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, false, fmt.Errorf("alert.NoiseOf: %w", err)
		}
		a, err := decode(body)
		if err != nil {
			return nil, false, err
		}
		if a.Simulated {
			continue
		}
		g := all[a.Rule.ID]
		if g == nil {
			g = &gathered{Noise: Noise{Rule: a.Rule}, sources: map[string]uint64{}, groups: map[[2]string]uint64{}}
			all[a.Rule.ID] = g
		}
		g.take(a)
	}
	return tell(all), true, rows.Err()
}

type gathered struct {
	Noise
	closings []time.Duration
	sources  map[string]uint64
	groups   map[[2]string]uint64
}

func (g *gathered) take(a Alert) {
	g.Alerts++
	g.Events += a.Count
	if len(a.Sources) <= 1 {
		bump(g.sources, a.Source, a.Count)
	}
	for field, value := range a.Group {
		bump(g.groups, [2]string{field, value}, a.Count)
	}
	if a.State != StateClosed {
		g.Open++
		return
	}
	g.Closed++
	if !a.Closing.At.IsZero() {
		g.closings = append(g.closings, a.Closing.At.Sub(a.Opened))
	}
	switch a.Closing.Verdict {
	case VerdictBenign:
		g.Benign++
	case VerdictFalsePositive:
		g.FalsePositives++
		if r := a.Closing.Reason; r != "" && len(g.Reasons) < maxReasons && !slices.Contains(g.Reasons, r) {
			g.Reasons = append(g.Reasons, r)
		}
	}
}

func bump[K comparable](m map[K]uint64, k K, n uint64) {
	if _, known := m[k]; known || len(m) < maxNames {
		m[k] += n
	}
}

func tell(all map[string]*gathered) []Noise {
	out := make([]Noise, 0, len(all))
	for _, g := range all {
		if slices.Sort(g.closings); len(g.closings) > 0 {
			g.ToClose = g.closings[len(g.closings)/2]
		}
		g.Source, g.SourceEvents = most(g.sources, strings.Compare)
		pair, n := most(g.groups, func(a, b [2]string) int { return strings.Compare(a[0]+"\x00"+a[1], b[0]+"\x00"+b[1]) })
		g.Group, g.GroupValue, g.GroupEvents = pair[0], pair[1], n
		out = append(out, g.Noise)
	}
	slices.SortFunc(out, func(a, b Noise) int {
		if a.Alerts != b.Alerts {
			return b.Alerts - a.Alerts
		}
		return strings.Compare(a.Rule.ID, b.Rule.ID)
	})
	return out
}

// most returns the key with the highest number, of equals the first.
func most[K comparable](m map[K]uint64, compare func(a, b K) int) (best K, n uint64) {
	for _, k := range slices.SortedFunc(maps.Keys(m), compare) {
		if m[k] > n {
			best, n = k, m[k]
		}
	}
	return best, n
}

// Counts returns how many alerts each rule had since a time, by the rule's id.
func Counts(ctx context.Context, tx *store.Tx, tenant core.TenantID, since time.Time) (map[string]int, error) {
	list, _, err := NoiseOf(ctx, tx, tenant, since)
	out := make(map[string]int, len(list))
	for _, n := range list {
		out[n.Rule.ID] = n.Alerts
	}
	return out, err
}
