package agent

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/link"
)

// pendingRoot is a trust root that recovery keys alone signed. It waits out its
// delay where everybody can see it, so that the theft of a sheet of paper can be
// noticed: whoever objects has the policy role sign another root of that version,
// which is taken at once (F22).
//
// The delay is counted by the boot-time clock. How long the machine was off,
// nobody knows: that time does not count, the time before it does.
type pendingRoot struct {
	Envelope []byte        `json:"envelope"`
	Proof    []byte        `json:"proof"`
	Hash     string        `json:"hash"`
	Version  uint64        `json:"version"`
	Delay    time.Duration `json:"delay"`
	Waited   time.Duration `json:"waited"` // until Since
	Boot     string        `json:"boot"`
	Since    int64         `json:"since"` // boot-time clock, microseconds
}

// countEvery is how much of a wait a power cut can make it count again.
const countEvery = 15 * time.Minute

// waited is how long it has waited, and how much of that is not kept yet.
func (w *pendingRoot) waited(boot string, now time.Duration) (all, unkept time.Duration) {
	if w.Boot == boot {
		unkept = max(0, now-time.Duration(w.Since)*time.Microsecond)
	}
	return w.Waited + unkept, unkept
}

// count keeps what was waited so far.
func (w *pendingRoot) count(boot string, now time.Duration) {
	w.Waited, _ = w.waited(boot, now)
	w.Boot, w.Since = boot, now.Microseconds()
}

// root takes the next trust root, lets it wait, or says why not. It is called
// with the orders locked: none is judged under a root that is being replaced.
func (a *Agent) root(envelope, proof []byte) {
	was := a.trust.Load()
	if env, err := link.ParseEnvelope(envelope); err == nil && payloadHash(env.Payload) == was.Hash() {
		return // the one in force, said again
	}
	s, err := was.Succeed(envelope, proof)
	switch {
	case err != nil:
	case s.Delay > 0:
		err = a.waitRoot(s, envelope, proof)
	default:
		err = a.followRoot(was, s.Next, "")
	}
	if err != nil {
		a.refuseRoot(err)
	}
}

func (a *Agent) refuseRoot(err error) {
	sev := core.SeverityHigh
	if core.KindOf(err) == core.KindReplayed {
		sev = core.SeverityMedium // a server that has not heard yet how far this device is says old ones too
	}
	a.refusals.tell(a, "root_refused", sev, map[string]any{"why": sensor.Text(err.Error()), "kind": core.KindOf(err).String(), "in_force": a.trust.Load().Root().Version})
}

// followRoot puts a trust root into force. Whatever waited in its place waits no more.
func (a *Agent) followRoot(was, next *link.Trust, how string) error {
	err := a.update(func(b *body) error {
		b.Root, b.RootHash, b.NextRoot = next.Envelope(), next.Hash(), nil
		return nil
	})
	if err != nil {
		return err
	}
	a.trust.Store(next)
	a.client.close()
	fields := map[string]any{"version": next.Root().Version, "hash": next.Hash(), "before": was.Root().Version}
	if how != "" {
		fields["how"] = how
	}
	a.tell("root_updated", core.SeverityMedium, fields)
	return nil
}

// waitRoot begins the wait of a root that recovery keys alone signed. The same
// one said again waits on; another one begins anew.
func (a *Agent) waitRoot(s *link.Succession, envelope, proof []byte) error {
	var known bool
	a.view(func(_ string, b *body) { known = b.NextRoot != nil && b.NextRoot.Hash == s.Next.Hash() })
	if known {
		return nil
	}
	w := pendingRoot{Envelope: envelope, Proof: proof, Hash: s.Next.Hash(), Version: s.Next.Root().Version, Delay: s.Delay}
	w.count(a.store.Continuity().Boot, a.cfg.Elapsed())
	if err := a.update(func(b *body) error { b.NextRoot = &w; return nil }); err != nil {
		return err
	}
	a.tell("root_pending", core.SeverityHigh, map[string]any{
		"version": w.Version, "hash": w.Hash, "delay_s": int64(w.Delay.Seconds()),
		"why": fmt.Sprintf("signed by recovery keys alone; whoever objects has the policy role sign another root %d", w.Version),
	})
	return nil
}

// dueRoot takes a root whose delay is over, if it still may follow.
func (a *Agent) dueRoot() {
	a.orders.Lock()
	defer a.orders.Unlock()
	var w *pendingRoot
	a.view(func(_ string, b *body) {
		if b.NextRoot != nil {
			kept := *b.NextRoot
			w = &kept
		}
	})
	if w == nil {
		return
	}
	boot, now := a.store.Continuity().Boot, a.cfg.Elapsed()
	waited, unkept := w.waited(boot, now)
	switch {
	case waited >= w.Delay:
		a.endWait(w)
	case w.Boot != boot || unkept >= countEvery:
		a.keepRoot(func(b *body) { b.NextRoot.count(boot, now) })
	}
}

// endWait judges the root again: what it follows may have changed.
func (a *Agent) endWait(w *pendingRoot) {
	was := a.trust.Load()
	s, err := was.Succeed(w.Envelope, w.Proof)
	if err == nil {
		err = a.followRoot(was, s.Next, "recovery keys, after their delay")
		if core.KindOf(err) == core.KindUnavailable {
			a.cfg.Log.Error("a trust root waits for the disk", slog.Any("version", w.Version), slog.Any("error", err))
			return
		}
	}
	if err != nil {
		a.refuseRoot(err)
		a.keepRoot(func(b *body) { b.NextRoot = nil })
	}
}

func (a *Agent) keepRoot(change func(*body)) {
	err := a.update(func(b *body) error {
		if b.NextRoot != nil {
			change(b)
		}
		return nil
	})
	if err != nil {
		a.cfg.Log.Error("the wait of a trust root was not kept", slog.Any("error", err))
	}
}
