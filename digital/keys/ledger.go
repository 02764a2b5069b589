package keys

import (
	"context"
	"crypto"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/wal"
)

// window is how many leaves of the audit log an intent may be old. Within it
// every used index is remembered; what lies before it is refused, so that the
// memory is bounded and nothing is ever used twice.
const window = 1 << 16

// renewable refuses a renewal by another key than the identity was enrolled
// with: the management key lasts as long as the enrolment (TRUST F09), and
// whoever brings another one has to be enrolled again.
func (l *ledger) renewable(id verify.Identity, pub crypto.PublicKey) error {
	const op = "keys.renew"
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return core.Wrap(core.KindInvalid, op, err)
	}
	held, known := l.held[id.String()]
	if !known {
		return core.E(core.KindDenied, op, fmt.Sprintf("%s was never enrolled here, so there is nothing to renew", id))
	}
	if subtle.ConstantTimeCompare([]byte(held), []byte(ParamsOf(spki))) != 1 {
		return core.E(core.KindDenied, op, fmt.Sprintf("the key is not the one that %s was enrolled with", id)).WithHint("a device with a new key is enrolled again, with a token")
	}
	return nil
}

// entry is one line of the ledger, made durable before anything is signed. Each
// spends an intent; the roots and the first intermediate have none.
type entry struct {
	V      int           `json:"v"` // 1
	Time   int64         `json:"time"`
	Origin string        `json:"origin"`
	Index  uint64        `json:"index"`
	Actor  string        `json:"actor"`
	Action core.Action   `json:"action"`
	Object string        `json:"object"`
	Order  *orderEntry   `json:"order,omitempty"`
	Issued *issuedRecord `json:"issued,omitempty"`
}

type orderEntry struct {
	ID        core.UUID      `json:"id"`
	Type      link.OrderType `json:"type"`
	Direction link.Direction `json:"direction"`
	Payload   string         `json:"payload"` // SHA-256, hex
}

type issuedRecord struct {
	Profile   string   `json:"profile"`
	Serial    string   `json:"serial"`
	Names     []string `json:"names"`
	SPKI      string   `json:"spki"`
	NotBefore int64    `json:"not_before"`
	NotAfter  int64    `json:"not_after"`
	Issuer    string   `json:"issuer"`
}

// intent is a spent or to be spent entry of the audit log; the zero value
// stands for the making of the authority, which no intent precedes.
type intent struct {
	at     core.Position
	actor  string
	action core.Action
	object string
}

// ledger is the append-only record of what keys did, and the memory of used
// intents and recent orders that is rebuilt from it.
type ledger struct {
	log   *wal.Log
	clock core.Clock
	used  map[string]*indexes // by origin
	hour  []orderEvent        // orders of the last hour, oldest first
	held  map[string]string   // management identity → SPKI of its last certificate
	err   error               // an append failed: nothing more is signed
}

type indexes struct {
	base uint64 // below it everything counts as used
	// seen holds the used indexes with what each was used for: the SHA-256 of
	// an order's payload, "" for everything else.
	seen map[uint64]string
}

type orderEvent struct {
	at        time.Time
	actor     string
	object    string
	direction link.Direction
}

func openLedger(dir string, clock core.Clock) (*ledger, error) {
	log, err := wal.Open(dir, wal.Options{SegmentSize: 4 << 20})
	if err != nil {
		return nil, err
	}
	l := &ledger{log: log, clock: clock, used: map[string]*indexes{}, held: map[string]string{}}
	err = log.Scan(wal.Pos{}, func(at wal.Pos, b []byte) error {
		var e entry
		if err := link.DecodeStrict(b, &e); err != nil {
			return fmt.Errorf("keys: ledger at %v: %w", at, core.Wrap(core.KindDamaged, "keys.openLedger", err))
		}
		l.remember(e)
		return nil
	})
	if err != nil {
		_ = log.Close()
		return nil, err
	}
	return l, nil
}

// spendable refuses an intent that was used, or that is too old to know.
func (l *ledger) spendable(p core.Position) error {
	x := l.used[p.Origin]
	if x == nil {
		return nil
	}
	if _, used := x.seen[p.Index]; used {
		return core.E(core.KindReplayed, "keys.spend", fmt.Sprintf("intent %d of %s has been used", p.Index, p.Origin)).WithHint("ask the Guard again: each intent is good for one act, and for the same order said again")
	}
	if p.Index < x.base {
		return core.E(core.KindExpired, "keys.spend", fmt.Sprintf("intent %d of %s is older than the last %d entries", p.Index, p.Origin, window)).WithHint("ask the Guard again")
	}
	return nil
}

// repeats reports whether the intent was spent on exactly this order. Whoever
// asked may have died before it stored the answer; the order key is
// deterministic, so saying it again gives the same signature and no more right
// than was given before.
func (l *ledger) repeats(p core.Position, payload string) bool {
	x := l.used[p.Origin]
	return l.err == nil && x != nil && payload != "" && x.seen[p.Index] == payload
}

// append makes e durable and then counts it. After a failure the ledger takes
// nothing more: what is on disk is not known until it is opened again.
func (l *ledger) append(in intent, e entry) error {
	if l.err != nil {
		return l.err
	}
	if err := l.spendable(in.at); err != nil {
		return err
	}
	e.V, e.Time = 1, l.clock.Now().UnixMicro()
	e.Origin, e.Index, e.Actor, e.Action, e.Object = in.at.Origin, in.at.Index, in.actor, in.action, in.object
	b, err := link.Encode(e)
	if err != nil {
		return err
	}
	if _, err := l.log.Append(b); err != nil {
		l.err = core.Wrap(core.KindUnavailable, "keys.ledger", err)
		return l.err
	}
	l.remember(e)
	return nil
}

func (l *ledger) remember(e entry) {
	if e.Origin != "" {
		l.mark(core.Position{Origin: e.Origin, Index: e.Index}, e.Order)
	}
	if e.Issued != nil && e.Issued.Profile == string(verify.ProfileManagement) && len(e.Issued.Names) == 1 {
		l.held[e.Issued.Names[0]] = e.Issued.SPKI
	}
	if e.Order != nil {
		l.hour = append(l.hour, orderEvent{time.UnixMicro(e.Time), e.Actor, e.Object, e.Order.Direction})
		l.forget()
	}
}

func (l *ledger) mark(p core.Position, o *orderEntry) {
	x := l.used[p.Origin]
	if x == nil {
		x = &indexes{seen: map[uint64]string{}}
		l.used[p.Origin] = x
	}
	x.seen[p.Index] = ""
	if o != nil {
		x.seen[p.Index] = o.Payload
	}
	if p.Index < window || p.Index-window < x.base {
		return
	}
	x.base = p.Index - window + 1
	for i := range x.seen {
		if i < x.base {
			delete(x.seen, i)
		}
	}
}

// forget drops what is older than an hour. A clock that was set back keeps
// entries longer, which only makes the caps stricter.
func (l *ledger) forget() {
	limit := l.clock.Now().Add(-time.Hour)
	n := 0
	for n < len(l.hour) && l.hour[n].at.Before(limit) {
		n++
	}
	l.hour = l.hour[n:]
}

// Issued implements pki.Recorder: the intent in ctx is spent by the same entry
// that records the certificate.
func (l *ledger) Issued(ctx context.Context, i pki.Issuance) error {
	in, _ := ctx.Value(intentKey{}).(intent)
	return l.append(in, entry{Issued: &issuedRecord{
		Profile: string(i.Profile), Serial: i.Serial, Names: i.Names, SPKI: i.SPKI,
		NotBefore: i.NotBefore.UnixMicro(), NotAfter: i.NotAfter.UnixMicro(), Issuer: i.Issuer,
	}})
}

type intentKey struct{}

// withIntent hands the intent through the authority to Issued.
func withIntent(ctx context.Context, in intent) context.Context {
	return context.WithValue(ctx, intentKey{}, in)
}

func (l *ledger) close() error { return l.log.Close() }
