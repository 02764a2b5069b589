package detect

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

// Correlate is the correlate stage: matches in, alerts out. It has one owner:
// give the stage a lease. What correlations remember is in its memory; the groups
// that a frame changed are written in the transaction that moves the cursor, and
// all of them are read again where a transaction came to nothing.
func Correlate(c Config, matches journal.Reader, alerts *alert.Store) journal.Stage {
	s := &correlateStage{Config: c, alerts: alerts}
	return journal.Stage{Name: "correlate", From: matches, Handle: s.handle, Restore: s.restore}
}

type correlateStage struct {
	Config
	alerts     *alert.Store
	correlator *Correlator
	losses     losses
}

func (s *correlateStage) restore(ctx context.Context, tx *store.Tx) error {
	set, err := s.setInForce(ctx, tx, correlatePart)
	if err != nil {
		return err
	}
	return s.use(ctx, tx, set)
}

// use begins with a rule set and with what the rows remember.
func (s *correlateStage) use(ctx context.Context, tx *store.Tx, set *Ruleset) error {
	if s.correlator != nil { // what it lost and did not tell yet is not forgotten with it
		s.losses.take(s.correlator.State.Stats())
	}
	c := NewCorrelator(set, correlate.Config{Memory: s.Memory})
	s.losses.begin()
	damaged, err := restoreWindows(ctx, tx, set, c.State)
	if err != nil {
		return err
	}
	low, all, err := lowWatermark(ctx, tx, s.Partitions)
	if err != nil {
		return err
	}
	if all {
		c.State.Resume(low)
	}
	s.correlator = c
	return s.forgotten(ctx, tx, set, damaged, low)
}

// forgotten tells of groups whose rows are damaged, in the transaction in which
// the rows go.
func (s *correlateStage) forgotten(ctx context.Context, tx *store.Tx, set *Ruleset, damaged map[string]uint64, now time.Time) error {
	if len(damaged) == 0 {
		return nil
	}
	for _, c := range set.Engine.Correlations() {
		if n := damaged[c.Shape()]; n > 0 {
			s.losses.add(Loss{Rule: ruleOf(c.Rule), Groups: n})
			s.logDamaged(c.Rule.ID, n)
		}
	}
	s.losses.told = time.Time{}
	return s.losses.tell(ctx, tx, now, s.Lost)
}

func (s *correlateStage) logDamaged(rule string, n uint64) {
	if s.Log != nil {
		s.Log.Error("what a correlation remembered is damaged and was dropped; it counts anew", slog.String("rule", rule), slog.Uint64("groups", n))
	}
}

func (s *correlateStage) handle(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	if s.correlator == nil {
		if err := s.restore(ctx, tx); err != nil {
			return err
		}
	}
	for i, b := range f.Records {
		r, err := decodeRecord(b)
		if err == nil {
			err = s.take(ctx, tx, r, f)
		}
		if err != nil {
			return fmt.Errorf("matches, offset %d, record %d: %w", f.Offset, i, err)
		}
	}
	return saveWindows(ctx, tx, s.correlator.State)
}

func (s *correlateStage) take(ctx context.Context, tx *store.Tx, r record, f journal.Frame) error {
	switch r.Kind {
	case recordMatch:
		if r.Match.Tenant != f.Tenant {
			return core.E(core.KindDamaged, "detect.Correlate", fmt.Sprintf("a match of tenant %s in a frame of %s", r.Match.Tenant, f.Tenant))
		}
		raises, err := s.correlator.Match(*r.Match, r.Match.Received)
		if err != nil {
			return err
		}
		return s.raise(ctx, tx, raises)
	case recordWatermark:
		return s.advance(ctx, tx, r)
	case recordRules:
		return s.change(ctx, tx, r.Rules)
	}
	return core.E(core.KindDamaged, "detect.Correlate", fmt.Sprintf("record of unknown kind %q", r.Kind))
}

func (s *correlateStage) advance(ctx context.Context, tx *store.Tx, r record) error {
	low, all, err := moveWatermark(ctx, tx, r.Partition, s.Partitions, r.At)
	if err != nil || !all {
		return err
	}
	raises, err := s.correlator.Advance(low, low)
	if err != nil {
		return err
	}
	if err := s.raise(ctx, tx, raises); err != nil {
		return err
	}
	stats := s.correlator.State.Stats()
	s.Stats.Correlations.Store(&stats)
	s.losses.take(stats)
	return s.losses.tell(ctx, tx, low, s.Lost)
}

// change follows the detect stages. Each partition announces the set once; only
// the first changes anything.
func (s *correlateStage) change(ctx context.Context, tx *store.Tx, hash string) error {
	if s.correlator.set.Hash == hash {
		return enforce(ctx, tx, correlatePart, hash)
	}
	set := s.Initial
	if hash != set.Hash {
		var err error
		if set, err = loadRuleset(ctx, tx, s.Library, hash); core.KindOf(err) == core.KindInvalid {
			s.untaken(err)
			return nil
		}
		if err != nil {
			return err
		}
	}
	if err := saveWindows(ctx, tx, s.correlator.State); err != nil {
		return err
	}
	if err := s.use(ctx, tx, set); err != nil {
		return err
	}
	return enforce(ctx, tx, correlatePart, hash)
}

func (s *correlateStage) raise(ctx context.Context, tx *store.Tx, raises []alert.Raise) error {
	for _, r := range raises {
		if _, err := s.alerts.Raise(ctx, tx, r); err != nil {
			return fmt.Errorf("rule %s: %w", r.Rule.Name, err)
		}
	}
	return nil
}

// Loss is what one correlation had to give up because memory or a window was
// full: a count that may be too low from then on.
type Loss struct {
	Rule alert.Rule
	// Groups made room for others, with so many Events; Cut events made room
	// within their own group.
	Groups, Events, Cut uint64
}

// lossEvery is the least time between two tellings of losses: under attack there
// is one in every second.
const lossEvery = time.Minute

// losses adds up what is to be told. They count what happened in this process; a
// transaction that is done again may count twice, never not at all.
type losses struct {
	before  map[string]Loss // of the present state, as it was last looked at
	wait    map[string]Loss
	telling []Loss // in a transaction that has not committed
	told    time.Time
}

// begin is called for a new state, also after a transaction came to nothing.
func (l *losses) begin() {
	l.before = map[string]Loss{}
	for _, loss := range l.telling {
		l.add(loss)
	}
	if len(l.telling) > 0 {
		l.telling, l.told = nil, time.Time{}
	}
}

// take notes what was lost since it looked last.
func (l *losses) take(s correlate.Stats) {
	for _, c := range s.Correlations {
		now, was := Loss{Groups: c.EvictedGroups, Events: c.EvictedEvents, Cut: c.CutEvents}, l.before[c.Rule.ID]
		fresh := Loss{Rule: ruleOf(c.Rule), Groups: now.Groups - was.Groups, Events: now.Events - was.Events, Cut: now.Cut - was.Cut}
		if fresh.Groups > 0 || fresh.Events > 0 || fresh.Cut > 0 {
			l.before[c.Rule.ID] = now
			l.add(fresh)
		}
	}
}

func (l *losses) add(loss Loss) {
	if l.wait == nil {
		l.wait = map[string]Loss{}
	}
	sum := l.wait[loss.Rule.ID]
	loss.Groups, loss.Events, loss.Cut = loss.Groups+sum.Groups, loss.Events+sum.Events, loss.Cut+sum.Cut
	l.wait[loss.Rule.ID] = loss
}

// tell hands on what waits, not too often.
func (l *losses) tell(ctx context.Context, tx *store.Tx, now time.Time, hand func(context.Context, *store.Tx, Loss) error) error {
	if len(l.wait) == 0 || !l.told.IsZero() && now.Sub(l.told) < lossEvery {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(l.wait)) {
		loss := l.wait[id]
		l.telling = append(l.telling, loss)
		if hand == nil {
			continue
		}
		if err := hand(ctx, tx, loss); err != nil {
			return fmt.Errorf("detect: telling of lost windows of %s: %w", loss.Rule.Name, err)
		}
	}
	l.wait, l.told = nil, now
	tx.OnCommit(func() { l.telling = nil })
	return nil
}
