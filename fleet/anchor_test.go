package fleet_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

// lossy is a log whose entries about trust roots are lost: they were in the
// part that is damaged, or have not come there yet.
type lossy struct{ *history }

func (f lossy) Replay(ctx context.Context, fn func(audit.Record) error) error {
	return f.history.Replay(ctx, func(rec audit.Record) error {
		if strings.HasPrefix(rec.Object, "trust-root/") {
			rec.Object, rec.Header.Type = "lost/it", audit.TypeFact
		}
		return fn(rec)
	})
}

// anchored puts an authority over a lossy log whose keys process says what
// it has adopted.
func (r *rig) anchored(hash string, err error) {
	r.authority = fleet.NewAuthority(r.reg, r.roots, lossy{r.history}, tenant, r.warn)
	r.authority.Anchor = func(context.Context) (string, error) { return hash, err }
}

// TestTheKeysProcessVouchesForRootsThatTheLogLost: a damaged log does not put
// the trust roots in doubt for ever. Who writes the database gains nothing by
// it: keys has read neither.
func TestTheKeysProcessVouchesForRootsThatTheLogLost(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.serve()
		first := r.rootHash()
		next := *r.trust().Root()
		next.Version = 2
		second, err := r.roots.Publish(t.Context(), admin, r.signRoot(&next, "anna-paper", "ben-paper", "anna", "ben"))
		r.must(err)
		vouched := func() error {
			r.must(r.authority.Compare(t.Context()))
			_, err := r.roots.Vouched(t.Context(), tenant)
			return err
		}
		r.anchored(second.Hash, nil)
		r.must(vouched())
		if doubts := r.authority.Doubts(); len(doubts) != 0 {
			t.Errorf("in doubt: %v", doubts)
		}

		r.anchored("", core.E(core.KindUnavailable, "test", "keys is away"))
		if err := r.authority.Compare(t.Context()); core.KindOf(err) != core.KindUnavailable || len(r.authority.Doubts()) != 0 {
			t.Errorf("while keys is away: %v, %v", err, r.authority.Doubts())
		}
		if _, err := r.roots.Vouched(t.Context(), tenant); core.KindOf(err) != core.KindUnavailable {
			t.Errorf("vouched for while keys is away: %v", err)
		}

		for name, hash := range map[string]string{"the version before": first, "none": "", "another installation's": strings.Repeat("ab", 32)} {
			r.anchored(hash, nil)
			if err := vouched(); core.KindOf(err) != core.KindConflict {
				t.Errorf("keys has %s: %v", name, err)
			}
		}

		// Rows that somebody wrote do not fit what keys has, whatever they say.
		thief := &rig{t: r.t, log: r.log, keys: r.keys, ca: r.ca}
		thief.makeRoot()
		r.sql(`DELETE FROM fleet_roots WHERE tenant = $1 AND version = 2`, tenant)
		r.sql(`UPDATE fleet_roots SET envelope = $1, hash = $2 WHERE tenant = $3 AND version = 1`, thief.root, thief.rootHash(), tenant)
		r.anchored(first, nil)
		if err := vouched(); core.KindOf(err) != core.KindConflict {
			t.Errorf("another root 1: %v", err)
		}
		r.sql(`UPDATE fleet_roots SET hash = $1 WHERE tenant = $2 AND version = 1`, first, tenant)
		r.anchored(first, nil)
		if err := vouched(); err == nil {
			t.Error("another root 1 under the old hash is vouched for")
		}
	})
}

// TestTheLogHasTheFirstWord: where the log tells of a root, what keys says
// changes nothing.
func TestTheLogHasTheFirstWord(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.serve()
		r.authority = fleet.NewAuthority(r.reg, r.roots, r.history, tenant, r.warn)
		r.authority.Anchor = func(context.Context) (string, error) { return strings.Repeat("ab", 32), nil }
		r.must(r.authority.Compare(t.Context()))
		_, err := r.roots.Vouched(t.Context(), tenant)
		r.must(err)
		r.authority.Anchor = func(context.Context) (string, error) {
			return "", core.E(core.KindUnavailable, "test", "keys is away")
		}
		r.clock.Advance(time.Minute)
		r.must(r.authority.Compare(t.Context()))
	})
}

// mended is a log that was damaged: its entries before one are lost, and a log
// of the line after it says so.
type mended struct {
	*history
	from uint64
	gap  bool
}

func (m mended) Replay(ctx context.Context, fn func(audit.Record) error) error {
	if m.gap {
		first := audit.Record{Position: core.Position{Origin: origin + "/g2"}, Header: audit.Header{Type: audit.TypeFact, Action: "audit.damaged"}}
		if err := fn(first); err != nil {
			return err
		}
	}
	return m.history.Replay(ctx, func(rec audit.Record) error {
		if rec.Position.Index < m.from {
			rec.Object, rec.Header.Type = "lost/it", audit.TypeFact
		}
		return fn(rec)
	})
}

// TestADeviceThatTheDamagedLogDoesNotKnow: it is in doubt and no stranger. It
// reports and can be contained; what leads away from safety waits for a person
// who looks. In a log that was never damaged it is a stranger.
func TestADeviceThatTheDamagedLogDoesNotKnow(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		over := func(gap bool) {
			r.authority = fleet.NewAuthority(r.reg, r.roots, mended{r.history, r.history.Checkpoint().Size, gap}, tenant, r.warn)
			r.authority.Anchor = func(context.Context) (string, error) { return r.rootHash(), nil }
			r.must(r.authority.Compare(t.Context()))
		}
		over(false)
		r.want(a.reports(), core.KindDenied, "suspended")

		over(true)
		r.must(a.reports())
		_, err := r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
		r.must(err)
		if got := r.detected(); !slices.Contains(got, "device/press-7") {
			t.Errorf("alarms for %v", got)
		}
		r.must(a.reports())
		_, err = r.order(auto, policy.DeviceRelease, release("press-7"))
		r.want(err, core.KindConflict, "stop-only")
		r.want(a.renewal(), core.KindConflict, "stop-only")

		r.must(r.enrol.Approve(t.Context(), admin, tenant, a.id, link.ShortCode(a.spki())))
		r.must(r.authority.Compare(t.Context()))
		r.must(a.renewal())
		_, err = r.order(auto, policy.DeviceRelease, release("press-7"))
		r.must(err)
	})
}
