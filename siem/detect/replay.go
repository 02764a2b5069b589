package detect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

// Replayer runs frames of the raw journal through both stages in memory: the same
// detector, correlator and folding of alerts, without a database. The frames of a
// live server, in their order, give the server's alerts (FEATURES Y11).
type Replayer struct {
	// Follow takes over the changes of rules that the frames bring; otherwise
	// the set given holds throughout, as a back-test wants it.
	Follow bool
	Stats  Stats

	set       *Ruleset
	library   *Library
	norm      *normalise.Normaliser
	detectors []*Detector // by partition
	corr      *Correlator
	alerts    *alert.Memory
	marks     map[int32]time.Time
	// rows are what the correlate stage would have in its table.
	rows map[correlate.Key][]byte
}

// maxReplayed bounds the alerts of a replay.
const maxReplayed = 100_000

// NewReplayer begins with a rule set, as a server without history does. partitions
// is how many the frames come from. It keeps at most 100 000 alerts;
// [Replayer.Left] tells of what found no room.
func NewReplayer(set *Ruleset, partitions int32) *Replayer {
	r := &Replayer{
		library: new(Library), norm: normalise.New(), alerts: alert.NewMemory(maxReplayed),
		marks: make(map[int32]time.Time), rows: make(map[correlate.Key][]byte),
	}
	r.library.Keep(set)
	for range partitions {
		r.detectors = append(r.detectors, NewDetector(set, r.norm, &r.Stats))
	}
	r.set, r.corr = set, NewCorrelator(set, correlate.Config{})
	return r
}

// Take runs one frame.
func (r *Replayer) Take(f journal.Frame) error {
	switch f.Kind {
	case journal.KindTick:
		return r.tick(f)
	case journal.KindRules:
		return r.change(f)
	case journal.KindEvents:
		for _, b := range f.Records {
			e, ok := decodeEvent(f.Tenant, b)
			if !ok {
				r.Stats.Damaged.Add(1)
				continue
			}
			var failed error
			_ = r.detectors[f.Partition].Judge(e, func(m Match) { // counted; who was told stands in the journal
				if err := r.raise(r.corr.Match(m, m.Received)); err != nil && failed == nil {
					failed = err
				}
			})
			if failed != nil {
				return failed
			}
		}
	}
	return nil
}

func (r *Replayer) raise(raises []alert.Raise, err error) error {
	for _, one := range raises {
		if err == nil {
			err = r.alerts.Raise(one)
		}
	}
	return err
}

// tick moves time on when every partition has spoken.
func (r *Replayer) tick(f journal.Frame) error {
	if f.Received.After(r.marks[f.Partition]) {
		r.marks[f.Partition] = f.Received
	}
	low, all := r.low()
	if !all {
		return nil
	}
	return r.raise(r.corr.Advance(low, low))
}

// low is how far every partition has come; false while one has not spoken.
func (r *Replayer) low() (low time.Time, all bool) {
	for _, at := range r.marks {
		if low.IsZero() || at.Before(low) {
			low = at
		}
	}
	return low, len(r.marks) >= len(r.detectors)
}

func (r *Replayer) change(f journal.Frame) error {
	if !r.Follow {
		return nil
	}
	for _, b := range f.Records {
		set, err := r.library.unpack(b)
		if core.KindOf(err) == core.KindInvalid {
			continue // the stage passes them over, too
		}
		if err != nil {
			return fmt.Errorf("rules at offset %d: %w", f.Offset, err)
		}
		r.detectors[f.Partition].use(set)
		if set.Hash == r.set.Hash {
			continue
		}
		if err := r.carry(set); err != nil {
			return err
		}
	}
	return nil
}

// carry goes on with another set and what the windows hold.
func (r *Replayer) carry(set *Ruleset) error {
	err := r.corr.State.Changes(func(k correlate.Key, body []byte, _ int64) error {
		r.rows[k] = slices.Clone(body)
		return nil
	}, func(k correlate.Key) error {
		delete(r.rows, k)
		return nil
	})
	if err != nil {
		return err
	}
	shapes := shapesOf(set)
	r.set, r.corr = set, NewCorrelator(set, correlate.Config{})
	for _, k := range slices.SortedFunc(maps.Keys(r.rows), compareKeys) {
		if !shapes[k.Rule] {
			delete(r.rows, k)
			continue
		}
		if err := r.corr.State.Restore(k, r.rows[k]); err != nil {
			return fmt.Errorf("detect: window of %s: %w", k.Rule, err)
		}
	}
	if low, all := r.low(); all {
		r.corr.State.Resume(low)
	}
	return nil
}

// compareKeys is the order in which the stage reads its rows.
func compareKeys(a, b correlate.Key) int {
	tenantA, simulatedA := strings.CutSuffix(a.Scope, simulatedScope)
	tenantB, simulatedB := strings.CutSuffix(b.Scope, simulatedScope)
	if c := cmp.Or(cmp.Compare(tenantA, tenantB), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Group, b.Group)); c != 0 || simulatedA == simulatedB {
		return c
	}
	if simulatedB {
		return -1
	}
	return 1
}

func shapesOf(set *Ruleset) map[string]bool {
	shapes := make(map[string]bool)
	for _, c := range set.Engine.Correlations() {
		shapes[c.Shape()] = true
	}
	return shapes
}

// Alerts are those raised so far, in the order in which they opened.
func (r *Replayer) Alerts() []alert.Alert { return r.alerts.Alerts() }

// Left counts the raises that found no room any more.
func (r *Replayer) Left() uint64 { return r.alerts.Left() }

// Replay runs a span of the journal through a rule set and returns the alerts. It
// ends early with ctx.
func Replay(ctx context.Context, j Journal, span Span, set *Ruleset) ([]alert.Alert, error) {
	r := NewReplayer(set, j.Partitions())
	if err := Frames(ctx, j, span, r.Take); err != nil {
		return nil, err
	}
	return r.Alerts(), nil
}
