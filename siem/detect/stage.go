package detect

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/normalise"
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
	// Library keeps compiled sets; nil for none.
	Library *Library
	// Memory bounds what the windows of correlations cost, in bytes; 0 is the
	// default of [correlate.Memory].
	Memory int64
	// Lost is told, in the transaction of the correlate stage, what correlations
	// had to give up; nil tells nobody but the statistics.
	Lost func(ctx context.Context, tx *store.Tx, l Loss) error
	// Unjudged is told, in the transaction of the detect stage, of events that
	// rules saw no more than a part of; nil tells nobody but the statistics.
	Unjudged func(ctx context.Context, tx *store.Tx, u Unjudged) error
	// Log hears where the rules in force could not be used; nil for nobody.
	Log *slog.Logger
}

// detectName is the detect stage's, in its cursors too.
const detectName = "detect"

// Stage is the detect stage of one partition: raw in, matches out.
func Stage(c Config, raw journal.Reader, partition int32, matches Publisher) journal.Stage {
	s := &detectStage{Config: c, part: partition, out: matches}
	return journal.Stage{Name: detectName, From: raw, Partition: partition, Handle: s.handle, Restore: s.restore}
}

type detectStage struct {
	Config
	part     int32
	out      Publisher
	detector *Detector
	unjudged unjudged
}

// restore makes the stage what its last commit left.
func (s *detectStage) restore(ctx context.Context, tx *store.Tx) error {
	set, err := s.setInForce(ctx, tx, s.part)
	if err == nil {
		s.detector = NewDetector(set, s.Normaliser, s.Stats)
		s.unjudged.restore()
	}
	return err
}

func (c *Config) setInForce(ctx context.Context, tx *store.Tx, part int32) (*Ruleset, error) {
	hash, err := inForce(ctx, tx, part)
	if err != nil || hash == "" || hash == c.Initial.Hash {
		return c.Initial, err
	}
	set, err := loadRuleset(ctx, tx, c.Library, hash)
	if core.KindOf(err) != core.KindInvalid {
		return set, err
	}
	c.untaken(err)
	return c.Initial, nil
}

// untaken says that rules are passed over. Rules that an older version took and
// this one does not would hold up detection for ever: those that hold, or that
// came with this version, do so until the journal says otherwise, which is a
// moment away.
func (c *Config) untaken(err error) {
	if c.Log != nil {
		c.Log.Error("rules that an older version announced are not taken by this one; those it has hold until others are announced", slog.Any("err", err))
	}
}

func (s *detectStage) handle(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	if s.detector == nil {
		if err := s.restore(ctx, tx); err != nil {
			return err
		}
	}
	switch f.Kind {
	case journal.KindTick:
		if err := s.unjudged.tell(ctx, tx, f.Received, nil, s.Unjudged); err != nil {
			return err
		}
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
	var odd []Unjudged
	for _, b := range f.Records {
		e, ok := decodeEvent(f.Tenant, b)
		if !ok {
			s.Stats.Damaged.Add(1)
			continue
		}
		err := s.detector.Judge(e, func(m Match) { out = append(out, record{Kind: recordMatch, Match: &m}) })
		if err != nil {
			odd = append(odd, Unjudged{Tenant: e.Tenant, Source: e.Source, Device: e.Device, Reason: err.Error(), Event: e.ID, Count: 1})
		}
	}
	if err := s.unjudged.tell(ctx, tx, f.Received, odd, s.Unjudged); err != nil {
		return err
	}
	return s.publish(ctx, tx, f.Tenant, out)
}

// change puts another rule set in force, from this record on.
func (s *detectStage) change(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	for _, b := range f.Records {
		set, err := s.Library.unpack(b)
		if core.KindOf(err) == core.KindInvalid {
			s.untaken(err)
			continue
		}
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
