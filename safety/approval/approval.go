// Package approval is the state of one request that needs the consent of several
// persons: who asked, for exactly what, who agreed, and whether it was used.
//
// What the persons consent to is a [Digest] of the exact parameters. A vote and
// the use name it again, so a consent can't move to other parameters. Votes count
// persons, each once, and never the requester; nobody who is not eligible counts.
// A request expires, and it is used once.
//
//	           vote, k < n
//	           ┌───────┐
//	           ▼       │          use
//	──► requested ─────┴─► approved ─────► used
//	       │ │ │           │   │
//	reject │ │ │ withdraw  │   │ (time)
//	       ▼ │ ▼           ▼   ▼
//	rejected │ withdrawn ◄─┘   expired
//	         ▼ (time)
//	       expired
//
// [Transitions] is the same as a table. What is not in it is refused, with an
// error kind that says why: conflict (not in that state), expired, replayed
// (used before, or voted before), denied (this person may not), invalid.
//
// Whether a vote is really that person's, by signature or passkey, is for the
// caller to have proved; where a device or the keys process enforces the
// threshold, the proof is the SSHSIG signature in package link, and this machine
// is the server's view of it.
package approval

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
)

// State is where a request stands.
type State string

// The states. The last four are final.
const (
	Requested State = "requested"
	Approved  State = "approved"
	Rejected  State = "rejected"
	Expired   State = "expired"
	Withdrawn State = "withdrawn"
	Used      State = "used"
)

// States lists them.
var States = []State{Requested, Approved, Rejected, Expired, Withdrawn, Used}

// Final reports whether nothing can follow.
func (s State) Final() bool { return s != Requested && s != Approved }

// OpKind is what somebody does with a request.
type OpKind string

// The operations.
const (
	Vote     OpKind = "vote"     // an eligible person consents
	Reject   OpKind = "reject"   // an eligible person refuses, which ends it
	Withdraw OpKind = "withdraw" // the requester takes it back
	Use      OpKind = "use"      // the effect happens, once
	Expire   OpKind = "expire"   // the time is over
)

// OpKinds lists them.
var OpKinds = []OpKind{Vote, Reject, Withdraw, Use, Expire}

// Transition is a row of the table.
type Transition struct {
	From State
	Op   OpKind
	To   []State
}

// Transitions is the whole machine. A vote leads to approved when it is the last
// one needed.
var Transitions = []Transition{
	{Requested, Vote, []State{Requested, Approved}},
	{Requested, Reject, []State{Rejected}},
	{Requested, Withdraw, []State{Withdrawn}},
	{Requested, Expire, []State{Expired}},
	{Approved, Withdraw, []State{Withdrawn}},
	{Approved, Reject, []State{Rejected}},
	{Approved, Use, []State{Used}},
	{Approved, Expire, []State{Expired}},
}

// Digest is the SHA-256 of the exact bytes of the parameters.
type Digest [32]byte

// DigestOf returns the digest of the parameters as they will be used.
func DigestOf(params []byte) Digest { return sha256.Sum256(params) }

// Equal compares in constant time.
func (d Digest) Equal(o Digest) bool { return subtle.ConstantTimeCompare(d[:], o[:]) == 1 }

// String returns the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; only 64 lower-case hex
// digits are a digest.
func (d *Digest) UnmarshalText(b []byte) error {
	var v Digest
	if n, err := hex.Decode(v[:], b); len(b) != 64 || err != nil || n != len(v) || v.String() != string(b) {
		return core.E(core.KindInvalid, "approval.Digest", fmt.Sprintf("%.80q is not a SHA-256 in lower-case hex", b))
	}
	*d = v
	return nil
}

// Limits on a request.
const (
	MaxNeed     = 16
	MaxEligible = 1024
	MaxLife     = 7 * 24 * time.Hour
)

// Request is what is asked. It does not change.
type Request struct {
	ID     core.UUID     `json:"id"`
	Action core.Action   `json:"action"`
	Object string        `json:"object"` // "device/press-7"
	Digest Digest        `json:"digest"`
	Tenant core.TenantID `json:"tenant"`
	// Requester is the principal who asks: "person/anna", "service/playbook".
	Requester string `json:"requester"`
	// Need is how many persons must consent.
	Need int `json:"need"`
	// Eligible are the persons whose consent counts.
	Eligible []core.PersonID `json:"eligible"`
	Created  time.Time       `json:"created"`
	Expires  time.Time       `json:"expires"`
}

// Consent is one person's vote.
type Consent struct {
	By core.PersonID `json:"by"`
	At time.Time     `json:"at"`
	// Evidence names what proves it: a key id, a credential id.
	Evidence string `json:"evidence"`
}

// Op is one operation, as it is written to the log.
type Op struct {
	Kind OpKind `json:"kind"`
	// By is the principal who acts: "person/anna"; it is not needed to expire.
	By string `json:"by"`
	// Digest is what By saw; a vote and a use must repeat it.
	Digest   Digest    `json:"digest"`
	At       time.Time `json:"at"`
	Reason   string    `json:"reason,omitempty"`
	Evidence string    `json:"evidence,omitempty"`
}

// Approval is a request and what became of it. It is a value: [Approval.Apply]
// returns the next one and leaves this one as it is.
type Approval struct {
	Request  Request   `json:"request"`
	State    State     `json:"state"`
	Consents []Consent `json:"consents"`
	// Last is the latest time that any operation stated. Time that goes
	// backwards is taken for this time.
	Last time.Time `json:"last"`
	// Reason and By tell how it ended.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}

// New checks a request and returns it in the state requested. A threshold that
// the eligible persons can't reach without the requester is invalid: it would
// wait for ever.
func New(r Request) (Approval, error) {
	r.Eligible = slices.Clone(r.Eligible)
	if err := check(r); err != nil {
		return Approval{}, err
	}
	return Approval{Request: r, State: Requested, Last: r.Created}, nil
}

func check(r Request) error {
	bad := func(msg string) error { return core.E(core.KindInvalid, "approval.New", msg) }
	switch {
	case r.ID.IsZero() || r.Action == "" || r.Object == "" || r.Requester == "" || r.Tenant.IsZero():
		return bad("id, tenant, action, object and requester must be stated")
	case r.Digest == Digest{}:
		return bad("the digest of the parameters is missing")
	case r.Need < 1 || r.Need > MaxNeed:
		return bad(fmt.Sprintf("%d consents needed; allowed are 1 to %d", r.Need, MaxNeed))
	case len(r.Eligible) > MaxEligible:
		return bad(fmt.Sprintf("%d eligible persons, at most %d are allowed", len(r.Eligible), MaxEligible))
	case !r.Expires.After(r.Created) || r.Expires.Sub(r.Created) > MaxLife:
		return bad(fmt.Sprintf("it must expire after it is created and within %s", MaxLife))
	}
	others := 0
	for i, p := range r.Eligible {
		if p.IsZero() || slices.Contains(r.Eligible[:i], p) {
			return bad("an eligible person is named twice or not at all")
		}
		if principal(p) != r.Requester {
			others++
		}
	}
	if others < r.Need {
		return bad(fmt.Sprintf("%d consents are needed and only %d persons beside the requester may give one", r.Need, others))
	}
	return nil
}

func principal(p core.PersonID) string { return string(core.KindPerson) + "/" + p.String() }

// Apply returns what the operation makes of the approval, or why it is refused.
// On a refusal the returned approval is the one given, except that the time is
// noted and that a request past its expiry is expired.
func (a Approval) Apply(op Op) (Approval, error) {
	a.Consents = slices.Clone(a.Consents)
	if op.At.After(a.Last) {
		a.Last = op.At
	}
	if !a.State.Final() && !a.Last.Before(a.Request.Expires) {
		a.State, a.Reason = Expired, "its time is over"
		if op.Kind == Expire {
			return a, nil
		}
		return a, refuse(core.KindExpired, "the request expired "+a.Request.Expires.UTC().Format(time.RFC3339))
	}
	if err := a.legal(op); err != nil {
		return a, err
	}
	switch op.Kind {
	case Vote:
		return a.vote(op)
	case Reject:
		return a.reject(op)
	case Withdraw:
		return a.withdraw(op)
	case Use:
		return a.use(op)
	}
	return a, refuse(core.KindConflict, "the request expires "+a.Request.Expires.UTC().Format(time.RFC3339)+", not before")
}

// legal holds the table.
func (a Approval) legal(op Op) error {
	if !slices.Contains(OpKinds, op.Kind) {
		return refuse(core.KindInvalid, fmt.Sprintf("%.20q is not an operation", op.Kind))
	}
	if slices.ContainsFunc(Transitions, func(t Transition) bool { return t.From == a.State && t.Op == op.Kind }) {
		return nil
	}
	switch a.State {
	case Used:
		return refuse(core.KindReplayed, "the approval has been used")
	case Expired:
		return refuse(core.KindExpired, "the request expired")
	}
	return refuse(core.KindConflict, fmt.Sprintf("cannot %s: the request is %s", op.Kind, a.State))
}

func refuse(kind core.Kind, msg string) error { return core.E(kind, "approval.Apply", msg) }

// voter returns the eligible person who acts.
func (a Approval) voter(op Op) (core.PersonID, error) {
	for _, p := range a.Request.Eligible {
		if principal(p) != op.By {
			continue
		}
		if op.By == a.Request.Requester {
			break
		}
		return p, nil
	}
	if op.By == a.Request.Requester {
		return core.PersonID{}, refuse(core.KindDenied, op.By+" asked for it and cannot decide it")
	}
	return core.PersonID{}, refuse(core.KindDenied, fmt.Sprintf("%.100q may not decide this request", op.By))
}

func (a Approval) vote(op Op) (Approval, error) {
	p, err := a.voter(op)
	if err != nil {
		return a, err
	}
	if !op.Digest.Equal(a.Request.Digest) {
		return a, refuse(core.KindInvalid, "the consent is to other parameters than those requested")
	}
	if slices.ContainsFunc(a.Consents, func(c Consent) bool { return c.By == p }) {
		return a, refuse(core.KindReplayed, op.By+" has consented before; persons count once")
	}
	a.Consents = append(a.Consents, Consent{By: p, At: op.At, Evidence: op.Evidence})
	if len(a.Consents) >= a.Request.Need {
		a.State = Approved
	}
	return a, nil
}

func (a Approval) reject(op Op) (Approval, error) {
	if _, err := a.voter(op); err != nil {
		return a, err
	}
	a.State, a.By, a.Reason = Rejected, op.By, op.Reason
	return a, nil
}

func (a Approval) withdraw(op Op) (Approval, error) {
	if op.By != a.Request.Requester {
		return a, refuse(core.KindDenied, "only "+a.Request.Requester+" can withdraw it")
	}
	a.State, a.By, a.Reason = Withdrawn, op.By, op.Reason
	return a, nil
}

func (a Approval) use(op Op) (Approval, error) {
	if op.By == "" {
		return a, refuse(core.KindInvalid, "who uses the approval is not stated")
	}
	if !op.Digest.Equal(a.Request.Digest) {
		return a, refuse(core.KindInvalid, "the approval is for other parameters than those used")
	}
	a.State, a.By = Used, op.By
	return a, nil
}

// StateAt returns the state as it is at a time, for showing: a request past its
// expiry is expired whether or not anybody said so.
func (a Approval) StateAt(now time.Time) State {
	if !a.State.Final() && (!now.Before(a.Request.Expires) || !a.Last.Before(a.Request.Expires)) {
		return Expired
	}
	return a.State
}

// Missing returns how many consents are still needed.
func (a Approval) Missing() int { return max(0, a.Request.Need-len(a.Consents)) }

// Replay folds operations as they stand in a log. An operation that was refused
// when it was made is refused again and changes nothing, so a log that holds
// attempts folds to the same state.
func Replay(r Request, ops []Op) (Approval, error) {
	a, err := New(r)
	if err != nil {
		return a, err
	}
	for _, op := range ops {
		a, _ = a.Apply(op) // a refusal is part of the record
	}
	return a, nil
}
