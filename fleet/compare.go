package fleet

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
)

// claim is what the device's row says, whatever the log does.
func (d Device) claim() claim { return d.row }

func rowClaim(d Device) claim {
	return claim{
		Revision: d.Revision, State: string(d.Identity), Site: d.Site, Key: d.Key, ShortCode: d.ShortCode, Token: d.Token,
		FirstUse: d.FirstUse, Protection: d.Protection,
	}
}

// claim is what a token's row says. Its revision is its state's.
func (t row) claim() claim {
	return claim{
		Revision: uint64(tokenOrder[t.state]), State: t.state, Site: t.site, Hash: hex.EncodeToString(t.hash), Device: t.device, Fact: t.fact,
		Expires: store.Micros(t.expires), UsedBy: t.usedBy, UsedKey: t.usedKey,
	}
}

// believed is a device as far as row and log agree: it is active only where both
// say so, and what is for good is the log's. A device that a damaged log does
// not know any more is in doubt, like one whose row says other than the log, and
// no stranger: a stop still has to reach it, and its reports us (F14).
func (r *Registry) believed(d Device) Device {
	a := r.authority
	if a == nil || d.Tenant != a.tenant {
		return d
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ready {
		return d
	}
	c, found := a.known(d.Object())
	if !found {
		c = rowClaim(d)
		if !a.said.gap {
			c.State = string(IdentitySuspended)
		}
	}
	if d.Identity == IdentityActive {
		d.Identity = Identity(c.State)
	}
	d.Site, d.Key, d.ShortCode, d.Token, d.FirstUse, d.Protection = c.Site, c.Key, c.ShortCode, c.Token, c.FirstUse, c.Protection
	d.Revision = max(d.Revision, c.Revision)
	return d
}

// vouch says whether the registry may be relied on for something that takes
// trust in a device: nil, or why not.
func (r *Registry) vouch(ctx context.Context, d Device) error {
	if a := r.authority; a != nil && d.Tenant != a.tenant {
		return core.E(core.KindDenied, "fleet.Authority", fmt.Sprintf("tenant %q has no audit log here", d.Tenant))
	}
	return r.authority.vouch(ctx, d.Object(), d.claim())
}

// InDoubt says why a device is in stop-only, "" where it is not.
func (r *Registry) InDoubt(d Device) string {
	a := r.authority
	if a == nil {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.doubt[d.Object()]
}

// Compare holds every row of the tenant against the log and raises an alarm for
// each object that it finds in doubt.
func (a *Authority) Compare(ctx context.Context) error {
	if err := a.catchUp(ctx); err != nil {
		return err
	}
	seen := map[string]bool{}
	if err := a.compareDevices(ctx, seen); err != nil {
		return err
	}
	if err := a.compareTokens(ctx, seen); err != nil {
		return err
	}
	if err := a.compareMissing(ctx, seen); err != nil {
		return err
	}
	if err := a.verifyRoots(ctx); err != nil {
		return err
	}
	return a.tell(ctx)
}

func (a *Authority) compareDevices(ctx context.Context, seen map[string]bool) error {
	var after core.DeviceID
	for {
		page, err := a.reg.List(ctx, a.tenant, after, MaxList)
		if err != nil {
			return err
		}
		for _, d := range page {
			after = d.ID
			seen[d.Object()] = true
			if err := a.look(ctx, d.Object(), d.claim()); err != nil {
				return err
			}
		}
		if len(page) < MaxList {
			return nil
		}
	}
}

func (a *Authority) compareTokens(ctx context.Context, seen map[string]bool) error {
	after := ""
	for {
		page, err := a.reg.tokens(ctx, a.tenant, after)
		if err != nil {
			return err
		}
		for _, t := range page {
			after = t.id
			seen[t.object()] = true
			if err := a.look(ctx, t.object(), t.claim()); err != nil {
				return err
			}
		}
		if len(page) < MaxList {
			return nil
		}
	}
}

// compareMissing finds what the log knows and the tables do not.
func (a *Authority) compareMissing(ctx context.Context, seen map[string]bool) error {
	a.mu.Lock()
	var missing []string
	for object := range a.said.objects {
		if !seen[object] {
			missing = append(missing, object)
		}
	}
	a.mu.Unlock()
	for _, object := range missing {
		_, found, err := a.row(ctx, object)
		if err != nil {
			return err
		}
		if !found {
			a.mu.Lock()
			a.doubts(object, "its row is gone")
			a.mu.Unlock()
		}
	}
	return nil
}

// look holds one row against the log. Rows change while they are read, and an
// entry takes a moment to the log, so what does not fit is looked at again.
func (a *Authority) look(ctx context.Context, object string, c claim) error {
	if v, _ := a.verdictOn(object, c); v == same {
		return nil
	}
	if err := a.catchUp(ctx); err != nil {
		return err
	}
	c, found, err := a.row(ctx, object)
	if err != nil || !found {
		return err // gone: compareMissing finds it
	}
	v, why := a.verdictOn(object, c)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.reg.clock.Now()
	switch since, waits := a.ahead[object]; {
	case v == same:
		delete(a.ahead, object)
	case v == newer && !waits:
		a.ahead[object] = now
	case v != newer || now.Sub(since) >= outboxGrace:
		a.doubts(object, why)
	}
	return nil
}

func (a *Authority) verdictOn(object string, c claim) (verdict, string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.compare(object, c)
}

// row reads the row of an object again.
func (a *Authority) row(ctx context.Context, object string) (c claim, found bool, err error) {
	kind, name, _ := strings.Cut(object, "/")
	err = a.reg.db.View(ctx, func(tx *store.Tx) error {
		switch kind {
		case "device":
			id, err := core.ParseID[core.DeviceID](name)
			if err != nil {
				return err
			}
			d, err := getDevice(ctx, tx, a.tenant, id)
			c = d.claim()
			return err
		default:
			t, err := getToken(ctx, tx, a.tenant, name)
			c = t.claim()
			return err
		}
	})
	if core.KindOf(err) == core.KindNotFound {
		return claim{}, false, nil
	}
	return c, err == nil, err
}

// tell raises an alarm for each new doubt.
func (a *Authority) tell(ctx context.Context) error {
	a.mu.Lock()
	fresh := map[string]string{}
	for object, why := range a.doubt {
		if !a.told[object] {
			fresh[object] = why
		}
	}
	a.mu.Unlock()
	for object, why := range fresh {
		a.warn.Error("the registry says other than the audit log; stop-only", slog.Any("object", object), slog.Any("why", why))
		err := a.reg.db.Tx(ctx, func(tx *store.Tx) error {
			return a.reg.raise(ctx, tx, alarm{
				tenant: a.tenant, device: deviceOf(object), kind: AlarmAuthority, severity: core.SeverityCritical, at: a.reg.clock.Now(),
				fields: map[string]any{"object": object, "why": why},
			})
		})
		if err != nil {
			return err
		}
		a.mu.Lock()
		a.told[object] = true
		a.mu.Unlock()
	}
	return nil
}

func deviceOf(object string) (id core.DeviceID) {
	if name, ok := strings.CutPrefix(object, "device/"); ok {
		_ = id.UnmarshalText([]byte(name)) // none where it is no name
	}
	return id
}

// rootInForce is a trust root that was verified, and from when on it counts.
type rootInForce struct {
	hash   string
	effect time.Time
}

// effectSlack is how long storing a trust root may take after it was offered to
// the log.
const effectSlack = 10 * time.Minute

// verifyRoots verifies the chain of trust roots from the first, whose hash the
// log has, to the last, each as a device would.
func (a *Authority) verifyRoots(ctx context.Context) error {
	rows, err := a.store.Since(ctx, a.tenant, 0)
	if err != nil {
		return err
	}
	if err := a.catchUp(ctx); err != nil { // what was offered stands there before the row
		return err
	}
	held, unheld := a.heldByKeys(ctx, rows)
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.said.first
	if first == "" {
		first = a.own
	}
	if len(rows) == 0 && first == "" {
		return nil // before the ceremony
	}
	if !a.toldOfRoots(rows, first) && unheld != nil {
		return core.Wrap(core.KindUnavailable, "fleet.Authority", fmt.Errorf("the log does not tell of every trust root, and the keys process cannot be asked: %w", unheld))
	}
	if first == "" && held > 0 {
		first = rows[0].Hash
	}
	a.roots = a.roots[:0]
	var last *link.Trust
	for i, v := range rows {
		next, why := a.verifyRoot(v, last, first, i < held)
		if why != "" {
			a.doubts(rootsObject, fmt.Sprintf("trust root %d: %s", i+1, why))
			return nil
		}
		last, a.roots = next, append(a.roots, rootInForce{next.Hash(), v.Effect})
	}
	if taken := max(a.said.taken, a.took, 1); uint64(len(rows)) < taken {
		a.doubts(rootsObject, fmt.Sprintf("the server took trust root %d, there are %d", taken, len(rows)))
	}
	return nil
}

// heldByKeys returns how many versions the keys process vouches for: all up to
// the one that it has adopted, which it verified and waited for itself. The
// hashes here are the rows' own; verifyRoot holds them against the documents.
func (a *Authority) heldByKeys(ctx context.Context, rows []RootVersion) (n int, err error) {
	if a.Anchor == nil {
		return 0, nil
	}
	hash, err := a.Anchor(ctx)
	for i, v := range rows {
		if err == nil && v.Hash == hash {
			return i + 1, nil
		}
	}
	return 0, err
}

// toldOfRoots reports whether the log tells of every version.
func (a *Authority) toldOfRoots(rows []RootVersion, first string) bool {
	for _, v := range rows[min(1, len(rows)):] {
		if a.said.offered[v.Hash].IsZero() {
			return false
		}
	}
	return first != ""
}

func (a *Authority) verifyRoot(v RootVersion, before *link.Trust, first string, held bool) (next *link.Trust, why string) {
	if before == nil {
		t, err := link.NewTrust(v.Envelope, first)
		if err != nil {
			return nil, err.Error()
		}
		if v.Version != 1 || v.Hash != first {
			return nil, "its row says another version or hash"
		}
		return t, ""
	}
	s, err := before.Succeed(v.Envelope, v.Proof)
	switch {
	case err != nil:
		return nil, err.Error()
	case v.Version != s.Next.Root().Version || v.Hash != s.Next.Hash():
		return nil, "its row says another version or hash"
	}
	offered := a.said.offered[v.Hash]
	if offered.IsZero() && held {
		return s.Next, "" // its entry was lost; the keys process has taken it
	}
	due := offered.Add(s.Delay)
	if v.Effect.Before(due) || v.Effect.After(due.Add(effectSlack)) {
		return nil, fmt.Sprintf("its row says that it counts from %s on, by the log it is %s", v.Effect.Format(time.RFC3339), due.UTC().Format(time.RFC3339))
	}
	return s.Next, ""
}

// vouchRoot says whether a trust root is the one that the log's chain has in
// force now.
func (a *Authority) vouchRoot(ctx context.Context, t *link.Trust) error {
	if a == nil {
		return core.E(core.KindUnavailable, "fleet.Authority", "nobody holds the trust roots against the audit log here")
	}
	if ok, err := a.inForce(t.Hash()); ok || err != nil {
		return err
	}
	if err := a.verifyRoots(ctx); err != nil {
		return core.Wrap(core.KindUnavailable, "fleet.Authority", err)
	}
	ok, err := a.inForce(t.Hash())
	if err == nil && !ok {
		return inDoubt(rootsObject, fmt.Sprintf("trust root %d is not the one in force", t.Root().Version))
	}
	return err
}

func (a *Authority) inForce(hash string) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ready {
		return false, core.E(core.KindUnavailable, "fleet.Authority", "the audit log has not been read yet").WithHint("try again in a moment")
	}
	if why := a.doubt[rootsObject]; why != "" {
		return false, inDoubt(rootsObject, why)
	}
	current, now := "", a.reg.clock.Now()
	for _, r := range a.roots {
		if !now.Before(r.effect) {
			current = r.hash
		}
	}
	return current == hash, nil
}
