package baseline

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

//go:embed sqlite/*.sql postgres/*.sql
var migrations embed.FS

// Migrations returns the schema of the table siem_baselines.
func Migrations() store.Migrations { return store.Migrations{Owner: "siem_baseline", FS: migrations} }

// MaxSources bounds how many sources of a partition are learned. Who can forge
// sources gets no further: a source that is known gives way to none.
const MaxSources = 4096

// Notice is a verdict about a source, to be told within tx.
type Notice struct {
	Tenant core.TenantID
	Source string
	At     time.Time
	Verdict
}

// Tell carries a notice on, within the transaction that found it.
type Tell func(ctx context.Context, tx *store.Tx, n Notice) error

// name is one source of one tenant.
type name struct {
	tenant core.TenantID
	source string
}

func (n name) compare(o name) int {
	return cmp.Or(cmp.Compare(n.tenant.String(), o.tenant.String()), cmp.Compare(n.source, o.source))
}

// Stage is the baseline stage of one partition.
func Stage(raw journal.Reader, partition int32, tell Tell) journal.Stage {
	s := &stage{part: partition, tell: tell}
	return journal.Stage{Name: "baseline", From: raw, Partition: partition, Handle: s.handle, Restore: s.restore}
}

type stage struct {
	part    int32
	tell    Tell
	signals map[name]*Signal
	counts  map[name]uint64
	// bucket is the start of the one that is being counted; partial is one whose
	// beginning was not counted, so it is not judged.
	bucket  time.Time
	partial bool
	last    time.Time
}

// restore begins anew with what the table holds: the bucket at hand is partial.
func (s *stage) restore(ctx context.Context, tx *store.Tx) error {
	s.signals, s.counts = make(map[name]*Signal), make(map[name]uint64)
	s.bucket, s.last, s.partial = time.Time{}, time.Time{}, true
	rows, err := tx.Query(ctx, `SELECT tenant, source, body FROM siem_baselines WHERE part = $1`, s.part)
	if err != nil {
		return fmt.Errorf("baseline: reading: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n name
		var body []byte
		if err := rows.Scan(&n.tenant, &n.source, &body); err != nil {
			return fmt.Errorf("baseline: reading: %w", err)
		}
		sig := new(Signal)
		if err := json.Unmarshal(body, sig); err != nil {
			return core.Wrap(core.KindDamaged, "baseline: "+n.source, err)
		}
		s.signals[n] = sig
	}
	return rows.Err()
}

func (s *stage) handle(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	if s.signals == nil {
		if err := s.restore(ctx, tx); err != nil {
			return err
		}
	}
	if err := s.move(ctx, tx, f.Received); err != nil {
		return err
	}
	if f.Kind == journal.KindEvents && counted(f.Source) {
		s.counts[name{f.Tenant, f.Source}] += uint64(len(f.Records))
	}
	return nil
}

// counted leaves out what has another way to be missed: devices have heartbeats,
// and the server's own events come when something happened.
func counted(source string) bool {
	return strings.Contains(source, "/") && !strings.HasPrefix(source, "device/") && !strings.HasPrefix(source, "rules/")
}

// move closes the bucket at hand when time has passed its end. Where nothing at
// all was recorded for a whole bucket the server was off, and what was in
// between is not known.
func (s *stage) move(ctx context.Context, tx *store.Tx, now time.Time) error {
	off := now.Sub(s.last) >= Bucket
	s.last = now
	start := now.Truncate(Bucket)
	if s.bucket.IsZero() {
		s.bucket = start
		return nil
	}
	if !start.After(s.bucket) {
		return nil
	}
	if !s.partial && !off {
		if err := s.close(ctx, tx); err != nil {
			return err
		}
	}
	clear(s.counts)
	s.bucket, s.partial = start, off
	return nil
}

func (s *stage) close(ctx context.Context, tx *store.Tx) error {
	for n := range s.counts {
		if _, known := s.signals[n]; !known && s.room() {
			s.signals[n] = new(Signal)
		}
	}
	for _, n := range slices.SortedFunc(maps.Keys(s.signals), name.compare) {
		sig := s.signals[n]
		v := sig.Step(s.bucket, s.counts[n])
		if v != nil {
			if err := s.tell(ctx, tx, Notice{n.tenant, n.source, s.bucket.Add(Bucket), *v}); err != nil {
				return err
			}
		}
		// Of a silence the table hears once an hour: a restart may tell it late.
		if v == nil && s.counts[n] == 0 && sig.Empty%int(time.Hour/Bucket) != 0 {
			continue
		}
		if err := s.keep(ctx, tx, n, sig); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) room() bool { return len(s.signals) < MaxSources }

// forgotten is a source that is gone: one that was never known well after a day,
// which is what forged ones are, and any other after a month.
func forgotten(sig *Signal) bool {
	const day = int(24 * time.Hour / Bucket)
	return sig.Empty > 30*day || sig.Seen < warmUp && sig.Empty > day
}

func (s *stage) keep(ctx context.Context, tx *store.Tx, n name, sig *Signal) error {
	if forgotten(sig) {
		delete(s.signals, n)
		if _, err := tx.Exec(ctx, `DELETE FROM siem_baselines WHERE part = $1 AND tenant = $2 AND source = $3`, s.part, n.tenant, n.source); err != nil {
			return fmt.Errorf("baseline: forgetting %s: %w", n.source, err)
		}
		return nil
	}
	body, err := json.Marshal(sig)
	if err != nil {
		return core.Wrap(core.KindInternal, "baseline.keep", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO siem_baselines (part, tenant, source, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (part, tenant, source) DO UPDATE SET body = excluded.body`, s.part, n.tenant, n.source, body)
	if err != nil {
		return fmt.Errorf("baseline: keeping %s: %w", n.source, err)
	}
	return nil
}
