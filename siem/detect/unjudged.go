package detect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Unjudged are events of one source that no rule saw whole: padded beyond the
// limits, or no JSON object. Who pads an event hides what stands behind.
type Unjudged struct {
	Tenant core.TenantID
	// Source is where they came from, [OtherSources] where too many did so at
	// once to keep apart.
	Source string
	// Device, Reason and Event are of the first of them.
	Device core.DeviceID
	Reason string
	Event  core.UUID
	Count  uint64 // since it was told last
}

// OtherSources stands for sources beyond those that are kept apart.
const OtherSources = "others"

const (
	// unjudgedEvery is the least time between two tellings of one source.
	unjudgedEvery = time.Hour
	// maxUnjudged bounds the sources that are kept apart.
	maxUnjudged = 1024
)

type unjudgedKey struct {
	tenant core.TenantID
	source string
}

// unjudgedSource is what is known of a source.
type unjudgedSource struct {
	told time.Time
	wait Unjudged // since then; Count 0 for none
}

// unjudged counts what is to be told, in the journal's time. Its maps don't
// change: a transaction, which may have many frames, makes new ones, and restore
// goes back to the last that was committed.
type unjudged struct {
	sources, committed map[unjudgedKey]unjudgedSource
}

func (u *unjudged) restore() { u.sources = u.committed }

// tell hands on what was found, and what waits and is due.
func (u *unjudged) tell(ctx context.Context, tx *store.Tx, now time.Time, fresh []Unjudged, hand func(context.Context, *store.Tx, Unjudged) error) error {
	if len(fresh) == 0 && len(u.sources) == 0 {
		return nil
	}
	next := u.with(fresh)
	for _, k := range slices.SortedFunc(maps.Keys(next), compareUnjudged) {
		s := next[k]
		switch due := now.Sub(s.told) >= unjudgedEvery; {
		case due && s.wait.Count == 0:
			delete(next, k)
		case due:
			if err := handOver(ctx, tx, s.wait, hand); err != nil {
				return err
			}
			next[k] = unjudgedSource{told: now}
		}
	}
	u.sources = next
	tx.OnCommit(func() { u.committed = next })
	return nil
}

func handOver(ctx context.Context, tx *store.Tx, u Unjudged, hand func(context.Context, *store.Tx, Unjudged) error) error {
	if hand == nil {
		return nil
	}
	if err := hand(ctx, tx, u); err != nil {
		return fmt.Errorf("detect: telling of events of %s that were not judged: %w", u.Source, err)
	}
	return nil
}

// with is what is known with what was found.
func (u *unjudged) with(fresh []Unjudged) map[unjudgedKey]unjudgedSource {
	next := maps.Clone(u.sources)
	if next == nil {
		next = make(map[unjudgedKey]unjudgedSource, len(fresh))
	}
	for _, one := range fresh {
		k := unjudgedKey{one.Tenant, one.Source}
		s, known := next[k]
		if !known && len(next) >= maxUnjudged {
			k.source, one.Source, one.Device = OtherSources, OtherSources, core.DeviceID{}
			s = next[k]
		}
		if s.wait.Count == 0 {
			s.wait = one
		} else {
			s.wait.Count += one.Count
		}
		next[k] = s
	}
	return next
}

func compareUnjudged(a, b unjudgedKey) int {
	return cmp.Or(cmp.Compare(a.tenant.String(), b.tenant.String()), cmp.Compare(a.source, b.source))
}
