package detect

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
)

// Publisher puts records on a topic within a transaction; journal.Topic does.
type Publisher interface {
	Publish(ctx context.Context, tx *store.Tx, tenant core.TenantID, records ...[]byte) error
}

// Config is what both stages are made of.
type Config struct {
	// Initial is in force until the journal says otherwise.
	Initial *Ruleset
	// Partitions is how many the raw journal has.
	Partitions int32
	Normaliser *normalise.Normaliser
	Stats      *Stats
}

// Stage is the detect stage of one partition: raw in, matches out.
func Stage(c Config, raw journal.Reader, partition int32, matches Publisher) journal.Stage {
	s := &detectStage{Config: c, part: partition, out: matches}
	return journal.Stage{Name: "detect", From: raw, Partition: partition, Handle: s.handle, Restore: s.restore}
}

type detectStage struct {
	Config
	part     int32
	out      Publisher
	detector *Detector
}

// restore makes the stage what its last commit left.
func (s *detectStage) restore(ctx context.Context, tx *store.Tx) error {
	set, err := setInForce(ctx, tx, s.part, s.Initial)
	if err == nil {
		s.detector = NewDetector(set, s.Normaliser, s.Stats)
	}
	return err
}

func setInForce(ctx context.Context, tx *store.Tx, part int32, initial *Ruleset) (*Ruleset, error) {
	hash, err := inForce(ctx, tx, part)
	if err != nil || hash == "" || hash == initial.Hash {
		return initial, err
	}
	return loadRuleset(ctx, tx, hash)
}

func (s *detectStage) handle(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	if s.detector == nil {
		if err := s.restore(ctx, tx); err != nil {
			return err
		}
	}
	switch f.Kind {
	case journal.KindTick:
		return s.publish(ctx, tx, core.TenantID{}, []record{{Kind: recordWatermark, Partition: s.part, At: f.Received}})
	case journal.KindRules:
		return s.change(ctx, tx, f)
	case journal.KindEvents:
		return s.judge(ctx, tx, f)
	}
	return core.E(core.KindDamaged, "detect.Stage", fmt.Sprintf("partition %d, offset %d: frame of unknown kind %d", f.Partition, f.Offset, f.Kind))
}

func (s *detectStage) judge(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	var out []record
	for _, b := range f.Records {
		e, ok := decodeEvent(f.Tenant, b)
		if !ok {
			s.Stats.Damaged.Add(1)
			continue
		}
		s.detector.Judge(e, func(m Match) { out = append(out, record{Kind: recordMatch, Match: &m}) })
	}
	return s.publish(ctx, tx, f.Tenant, out)
}

// change puts another rule set in force, from this record on.
func (s *detectStage) change(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	for _, b := range f.Records {
		set, err := decodeFiles(b)
		if err != nil {
			return fmt.Errorf("rules at offset %d: %w", f.Offset, err)
		}
		if err := keepRuleset(ctx, tx, s.part, set, f.Received); err != nil {
			return err
		}
		s.detector.use(set)
		if err := s.publish(ctx, tx, core.TenantID{}, []record{{Kind: recordRules, Rules: set.Hash, At: f.Received}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *detectStage) publish(ctx context.Context, tx *store.Tx, tenant core.TenantID, out []record) error {
	encoded := make([][]byte, len(out))
	for i, r := range out {
		b, err := r.encode()
		if err != nil {
			return err
		}
		encoded[i] = b
	}
	if err := s.out.Publish(ctx, tx, tenant, encoded...); err != nil {
		return fmt.Errorf("detect: publishing matches: %w", err)
	}
	return nil
}

// Correlate is the correlate stage: matches in, alerts out. It has one owner:
// give the stage a lease.
func Correlate(c Config, matches journal.Reader, alerts *alert.Store) journal.Stage {
	s := &correlateStage{Config: c, alerts: alerts}
	return journal.Stage{Name: "correlate", From: matches, Handle: s.handle, Restore: s.restore}
}

type correlateStage struct {
	Config
	alerts     *alert.Store
	correlator *Correlator
}

func (s *correlateStage) restore(ctx context.Context, tx *store.Tx) error {
	set, err := setInForce(ctx, tx, correlatePart, s.Initial)
	if err == nil {
		s.correlator = NewCorrelator(set)
	}
	return err
}

func (s *correlateStage) handle(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	if s.correlator == nil {
		if err := s.restore(ctx, tx); err != nil {
			return err
		}
	}
	ws := newRowWindows(tx)
	for i, b := range f.Records {
		r, err := decodeRecord(b)
		if err == nil {
			err = s.take(ctx, tx, ws, r, f)
		}
		if err != nil {
			return fmt.Errorf("matches, offset %d, record %d: %w", f.Offset, i, err)
		}
	}
	return ws.flush(ctx)
}

func (s *correlateStage) take(ctx context.Context, tx *store.Tx, ws *rowWindows, r record, f journal.Frame) error {
	switch r.Kind {
	case recordMatch:
		if r.Match.Tenant != f.Tenant {
			return core.E(core.KindDamaged, "detect.Correlate", fmt.Sprintf("a match of tenant %s in a frame of %s", r.Match.Tenant, f.Tenant))
		}
		raises, err := s.correlator.Match(ctx, ws, *r.Match, r.Match.Received)
		if err != nil {
			return err
		}
		return s.raise(ctx, tx, raises)
	case recordWatermark:
		return s.advance(ctx, tx, ws, r)
	case recordRules:
		return s.change(ctx, tx, r.Rules)
	}
	return core.E(core.KindDamaged, "detect.Correlate", fmt.Sprintf("record of unknown kind %q", r.Kind))
}

func (s *correlateStage) advance(ctx context.Context, tx *store.Tx, ws *rowWindows, r record) error {
	low, all, err := moveWatermark(ctx, tx, r.Partition, s.Partitions, r.At)
	if err != nil || !all {
		return err
	}
	raises, err := s.correlator.Advance(ctx, ws, low, low)
	if err != nil {
		return err
	}
	return s.raise(ctx, tx, raises)
}

// change follows the detect stages. Each partition announces the set once; only
// the first changes anything.
func (s *correlateStage) change(ctx context.Context, tx *store.Tx, hash string) error {
	if s.correlator.set.Hash == hash {
		return enforce(ctx, tx, correlatePart, hash)
	}
	set, err := loadRuleset(ctx, tx, hash)
	if err != nil {
		return err
	}
	s.correlator = NewCorrelator(set)
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

// Appender is the raw journal as far as [Announce] writes it.
type Appender interface {
	Append(ctx context.Context, frames ...journal.Frame) ([]journal.Appended, error)
}

// Announce compiles rule files and, where a partition has another set in force,
// puts them into the journal: from that record on they are the rules. Files
// that do not compile are refused and change nothing.
func Announce(ctx context.Context, raw Appender, state *store.DB, partitions int32, files []rules.File, now time.Time) (*Ruleset, error) {
	set, err := NewRuleset(files)
	if err != nil {
		return nil, err
	}
	body, err := set.packed()
	if err != nil {
		return nil, err
	}
	var frames []journal.Frame
	err = state.View(ctx, func(tx *store.Tx) error {
		for p := range partitions {
			hash, err := inForce(ctx, tx, p)
			if err != nil {
				return err
			}
			if hash != set.Hash {
				frames = append(frames, journal.Frame{Partition: p, Kind: journal.KindRules, Source: "rules/" + set.Hash[:12], Received: now, Records: [][]byte{body}})
			}
		}
		return nil
	})
	if err != nil || len(frames) == 0 {
		return set, err
	}
	if _, err := raw.Append(ctx, frames...); err != nil {
		return nil, fmt.Errorf("detect.Announce: %w", err)
	}
	return set, nil
}
