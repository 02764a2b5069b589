package keys

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/link"
)

// adoptRoot takes the first trust root on its own word, in the ceremony, and
// every later one as a device takes it. The root in force is taken silently.
func (k *keeper) adoptRoot(_ context.Context, in wireRoot) (any, error) {
	next, err := k.nextRoot(in)
	if err != nil || next == k.trust {
		return empty{}, err
	}
	if err := k.ours(next.Root()); err != nil {
		return nil, err
	}
	if err := k.writeSealed(fileRoot, in.Envelope, contextRoot); err != nil {
		return nil, err
	}
	k.trust = next
	k.o.Log.Info("trust root adopted", slog.Any("version", next.Root().Version), slog.Any("hash", next.Hash()))
	return empty{}, nil
}

func (k *keeper) nextRoot(in wireRoot) (*link.Trust, error) {
	first, err := firstTrust(in.Envelope)
	if err != nil || k.trust == nil {
		return first, err
	}
	if first.Hash() == k.trust.Hash() {
		return k.trust, nil
	}
	s, err := k.trust.Succeed(in.Envelope, in.Proof)
	if err != nil {
		return nil, err
	}
	return s.Next, k.waited(s)
}

// waiting is a trust root that recovery keys alone signed, and since when it has
// been known here.
type waiting struct {
	V     int    `json:"v"` // 1
	Hash  string `json:"hash"`
	Since int64  `json:"since"`
}

// waited refuses a root until its delay is over, counted by this process's own
// clock from when it first saw the root (F22).
func (k *keeper) waited(s *link.Succession) error {
	if s.Delay == 0 {
		return nil
	}
	now := k.o.Clock.Now()
	w, err := k.loadWaiting()
	if err != nil {
		return err
	}
	if w.Hash != s.Next.Hash() {
		w = waiting{V: 1, Hash: s.Next.Hash(), Since: now.UnixMicro()}
		if err := k.storeWaiting(w); err != nil {
			return err
		}
	}
	if due := time.UnixMicro(w.Since).Add(s.Delay).UTC(); now.Before(due) {
		return core.E(core.KindConflict, "keys.adoptRoot", fmt.Sprintf("trust root %d is signed by recovery keys alone and waits until %s", s.Next.Root().Version, due.Format(time.RFC3339))).
			WithHint("have the policy role sign it too, or let the delay pass")
	}
	return nil
}

func (k *keeper) loadWaiting() (w waiting, err error) {
	b, err := k.readSealed(fileWaiting, contextWaiting)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return w, err
	}
	return w, core.Wrap(core.KindDamaged, "keys.adoptRoot", link.DecodeStrict(b, &w))
}

func (k *keeper) storeWaiting(w waiting) error {
	b, err := link.Encode(w)
	if err != nil {
		return err
	}
	return k.writeSealed(fileWaiting, b, contextWaiting)
}

// ours refuses the root of another installation: its people do not know this
// process's keys.
func (k *keeper) ours(r *link.Root) error {
	pins, _, err := pki.Public(k.caDir())
	if err != nil {
		return err
	}
	if r.CommandKey != link.AuthorizedKey(k.order.PublicKey()) || !slices.Contains(r.CAPins, pins[0].String()) {
		return core.E(core.KindConflict, "keys.adoptRoot", fmt.Sprintf("trust root %d of installation %q names another command key or another CA", r.Version, r.Installation)).WithHint("hold the ceremony with the keys that `keys` reports")
	}
	return nil
}
