// Package lock is a hasp: the place at one machine where each person who works
// on it hangs a lock of their own. The machine may be energised only while no
// lock hangs there.
//
//	place             the device acknowledges,       the owner removes, or two
//	(always granted)  its output off                 others with a reason
//	  ──► requested ─────────► in force ─────────────────► gone
//	          │                                             ▲
//	          └─────────────────────────────────────────────┘
//
// A lock counts from the moment it is requested: the server grants no permit to
// energise over it. It is shown as in force only after the device's own signed
// acknowledgement, because a device that never heard of the lock does not keep
// it (TRUST F10); until then it reads "NOT LOCKED - requested".
//
// Energising takes a [Permit]: short-lived, for one device and one boot, naming
// the hasp's revision. The device checks it against what it knows; no fresh
// permit means off. That makes "no lock seen" never the same as "no lock".
//
// Several locks may hang, also of one person; each goes alone. This is a control
// lock beside a physical lockout, never instead of it.
package lock

import (
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
)

// State is how far a lock is.
type State string

// The states of a lock. A lock that is gone is not on the hasp.
const (
	Requested State = "requested"
	InForce   State = "in-force"
)

// Shown is what people read about a lock in this state.
func (s State) Shown() string {
	if s == InForce {
		return "LOCKED"
	}
	return "NOT LOCKED - requested"
}

// OpKind is what somebody does at the hasp.
type OpKind string

// The operations.
const (
	Place       OpKind = "place"       // a person hangs a lock
	Acknowledge OpKind = "acknowledge" // the device says: output off, lock kept
	Remove      OpKind = "remove"      // the owner takes the own lock off
	Override    OpKind = "override"    // two others take a lock off, with a reason
	Energise    OpKind = "energise"    // the device says that its output is on
	Deenergise  OpKind = "de-energise" // the device says that its output is off
)

// OpKinds lists them.
var OpKinds = []OpKind{Place, Acknowledge, Remove, Override, Energise, Deenergise}

// Transition is a row of the table: what an operation needs and does.
type Transition struct {
	Op    OpKind
	Needs string
	Makes string
}

// Transitions is the whole machine.
var Transitions = []Transition{
	{Place, "nothing: placing a lock is never refused to a person", "a lock, requested"},
	{Acknowledge, "the lock hangs and the output is off", "the lock is in force"},
	{Remove, "the lock hangs and is the person's own", "the lock is gone"},
	{Override, "the lock hangs; two different persons, neither the owner; a reason", "the lock is gone"},
	{Energise, "no lock hangs; a permit that is valid now", "the output is on"},
	{Deenergise, "nothing", "the output is off"},
}

// Op is one operation, as it is written to the log.
type Op struct {
	Kind OpKind `json:"kind"`
	// Lock is the id of the lock, made by whoever places it.
	Lock core.UUID     `json:"lock,omitzero"`
	By   core.PersonID `json:"by,omitzero"`
	// By2 is the second person of an override.
	By2    core.PersonID `json:"by2,omitzero"`
	Reason string        `json:"reason,omitempty"`
	At     time.Time     `json:"at"`
	// Permit is what Energise stands on.
	Permit Permit `json:"permit,omitzero"`
}

// Lock is one lock on the hasp.
type Lock struct {
	ID     core.UUID     `json:"id"`
	Owner  core.PersonID `json:"owner"`
	Reason string        `json:"reason"`
	Placed time.Time     `json:"placed"`
	State  State         `json:"state"`
}

// MaxLocks bounds a hasp. A hasp that is full still keeps the machine off.
const MaxLocks = 256

// Hasp is the locks at one machine. It is a value: [Hasp.Apply] returns the next
// one. Revision rises with every operation that changes it.
type Hasp struct {
	Device    core.DeviceID `json:"device"`
	Locks     []Lock        `json:"locks"`
	Energised bool          `json:"energised"`
	Revision  uint64        `json:"revision"`
	// Last is the latest time that any operation stated.
	Last time.Time `json:"last"`
}

// New returns the empty hasp of a machine, output off.
func New(device core.DeviceID) Hasp { return Hasp{Device: device} }

// Count returns how many locks hang, in force or only requested.
func (h Hasp) Count() int { return len(h.Locks) }

// InForce reports whether a lock of the person hangs and the device keeps it.
func (h Hasp) InForce(p core.PersonID) bool {
	return slices.ContainsFunc(h.Locks, func(l Lock) bool { return l.Owner == p && l.State == InForce })
}

// Permit allows a machine to be energised.
type Permit struct {
	Device core.DeviceID `json:"device"`
	// Boot is the device's boot id; a restart ends every permit.
	Boot string `json:"boot"`
	// Locks is how many locks were counted: none. It is written down so that
	// the device compares a number, not an absence.
	Locks    int       `json:"locks"`
	Revision uint64    `json:"revision"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
}

// MaxPermit bounds a permit's life.
const MaxPermit = time.Minute

// Permit grants energising for a moment, if no lock hangs.
func (h Hasp) Permit(boot string, now time.Time, life time.Duration) (Permit, error) {
	switch {
	case boot == "" || life <= 0 || life > MaxPermit:
		return Permit{}, core.E(core.KindInvalid, "lock.Permit", fmt.Sprintf("a permit names a boot and lives at most %s", MaxPermit))
	case len(h.Locks) > 0:
		return Permit{}, core.E(core.KindDenied, "lock.Permit", fmt.Sprintf("%d locks hang on %s; the first is %s's", len(h.Locks), h.Device, h.Locks[0].Owner))
	case now.Before(h.Last):
		return Permit{}, core.E(core.KindUnavailable, "lock.Permit", "the clock is behind the last operation")
	}
	return Permit{Device: h.Device, Boot: boot, Revision: h.Revision, From: now, Until: now.Add(life)}, nil
}

// Holds is the device's check: the permit is for this device and boot, counted
// the locks that the device knows of, and is fresh. Anything else means off.
func (p Permit) Holds(h Hasp, boot string, now time.Time) bool {
	return p.Device == h.Device && !h.Device.IsZero() && p.Boot == boot && boot != "" &&
		p.Locks == 0 && len(h.Locks) == 0 && p.Revision == h.Revision &&
		!now.Before(p.From) && !now.Before(h.Last) && now.Before(p.Until) && p.Until.Sub(p.From) <= MaxPermit
}

// Apply returns what the operation makes of the hasp, or why it is refused; a
// refusal leaves everything but the time as it was.
func (h Hasp) Apply(op Op) (Hasp, error) {
	h.Locks = slices.Clone(h.Locks)
	at := h.Last
	if op.At.After(at) {
		at = op.At
	}
	next, err := h.apply(op)
	if err != nil {
		next = h
	} else {
		next.Revision++
	}
	next.Last = at
	return next, err
}

func (h Hasp) apply(op Op) (Hasp, error) {
	switch op.Kind {
	case Place:
		return h.place(op)
	case Acknowledge:
		return h.acknowledge(op)
	case Remove:
		return h.remove(op)
	case Override:
		return h.override(op)
	case Energise:
		return h.energise(op)
	case Deenergise:
		h.Energised = false
		return h, nil
	}
	return h, refuse(core.KindInvalid, fmt.Sprintf("%.20q is not an operation", op.Kind))
}

func refuse(kind core.Kind, msg string) error { return core.E(kind, "lock.Apply", msg) }

func (h Hasp) find(id core.UUID) (int, error) {
	i := slices.IndexFunc(h.Locks, func(l Lock) bool { return l.ID == id })
	if i < 0 {
		return i, refuse(core.KindNotFound, "no lock "+id.String()+" hangs on "+h.Device.String())
	}
	return i, nil
}

func (h Hasp) place(op Op) (Hasp, error) {
	switch {
	case op.By.IsZero() || op.Lock.IsZero():
		return h, refuse(core.KindInvalid, "a lock has an owner and an id")
	case slices.ContainsFunc(h.Locks, func(l Lock) bool { return l.ID == op.Lock }):
		return h, refuse(core.KindReplayed, "the lock "+op.Lock.String()+" hangs already")
	case len(h.Locks) >= MaxLocks:
		return h, refuse(core.KindTooLarge, fmt.Sprintf("%d locks hang on %s; it stays off", MaxLocks, h.Device))
	}
	h.Locks = append(h.Locks, Lock{ID: op.Lock, Owner: op.By, Reason: op.Reason, Placed: op.At, State: Requested})
	return h, nil
}

func (h Hasp) acknowledge(op Op) (Hasp, error) {
	i, err := h.find(op.Lock)
	if err != nil {
		return h, err
	}
	if h.Energised {
		return h, refuse(core.KindConflict, "the output of "+h.Device.String()+" is on; a lock is in force only over an output that is off")
	}
	if h.Locks[i].State == InForce {
		return h, refuse(core.KindReplayed, "the lock is in force already")
	}
	h.Locks[i].State = InForce
	return h, nil
}

func (h Hasp) remove(op Op) (Hasp, error) {
	i, err := h.find(op.Lock)
	if err != nil {
		return h, err
	}
	if owner := h.Locks[i].Owner; op.By != owner {
		return h, core.E(core.KindDenied, "lock.Apply", "the lock is "+owner.String()+"'s, and only its owner removes it").
			WithHint("two other persons can take it off with a reason")
	}
	h.Locks = slices.Delete(h.Locks, i, i+1)
	return h, nil
}

func (h Hasp) override(op Op) (Hasp, error) {
	i, err := h.find(op.Lock)
	if err != nil {
		return h, err
	}
	owner := h.Locks[i].Owner
	switch {
	case op.By.IsZero() || op.By2.IsZero() || op.By == op.By2 || op.By == owner || op.By2 == owner:
		return h, refuse(core.KindDenied, "another's lock is taken off by two different persons, neither of them the owner")
	case op.Reason == "":
		return h, refuse(core.KindInvalid, "taking another's lock off needs a reason")
	}
	h.Locks = slices.Delete(h.Locks, i, i+1)
	return h, nil
}

func (h Hasp) energise(op Op) (Hasp, error) {
	if n := len(h.Locks); n > 0 {
		return h, refuse(core.KindDenied, fmt.Sprintf("%d locks hang on %s; the first is %s's", n, h.Device, h.Locks[0].Owner))
	}
	if !op.Permit.Holds(h, op.Permit.Boot, op.At) {
		return h, refuse(core.KindDenied, "there is no permit that is valid now")
	}
	h.Energised = true
	return h, nil
}
