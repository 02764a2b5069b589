package tuning

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Kind is what a change does.
type Kind string

// The kinds.
const (
	// KindDisable takes a rule's alerts away.
	KindDisable Kind = "disable"
	// KindExclude keeps events from rules, by a Sigma filter.
	KindExclude Kind = "exclude"
)

// State is where a change stands.
type State string

// The states.
const (
	StateActive  State = "active"
	StateEnded   State = "ended"   // by a person
	StateExpired State = "expired" // by time
)

// Change is one rule that is out of force, or one exclusion.
type Change struct {
	// ID is the rule's, or that of the exclusion's filter.
	ID    string `json:"id"`
	Kind  Kind   `json:"kind"`
	State State  `json:"state"`
	Title string `json:"title"`
	// Owner answers for it, Reason is why, By who did it.
	Owner  string    `json:"owner"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	Since  time.Time `json:"since"`
	// Until is when it ends by itself; zero for a rule that is out for good.
	Until time.Time `json:"until,omitzero"`
	// Text is an exclusion's filter.
	Text string `json:"text,omitempty"`
	// Trial is the hash of the back-test that was shown; Untried is why there
	// was none.
	Trial   string `json:"trial,omitempty"`
	Untried string `json:"untried,omitempty"`
	// EndedBy and EndReason are of one that a person ended.
	EndedBy   string        `json:"ended_by,omitempty"`
	EndReason string        `json:"end_reason,omitempty"`
	Log       core.Position `json:"log,omitzero"`
}

// claim is a change as the log and its row say it. Each says it in full, so the
// newest is the state. Times are microseconds.
type claim struct {
	Kind      Kind   `json:"kind"`
	State     State  `json:"state"`
	Title     string `json:"title"`
	Owner     string `json:"owner"`
	Reason    string `json:"reason"`
	By        string `json:"by"`
	Since     int64  `json:"since"`
	Until     int64  `json:"until,omitempty"`
	Text      string `json:"text,omitempty"`
	Trial     string `json:"trial,omitempty"`
	Untried   string `json:"untried,omitempty"`
	EndedBy   string `json:"ended_by,omitempty"`
	EndReason string `json:"end_reason,omitempty"`
}

// record is a claim with its place.
type record struct {
	claim
	revision uint64
	at       core.Position
}

// active reports whether the change holds at a time.
func (c claim) active(now time.Time) bool {
	return c.State == StateActive && (c.Until == 0 || now.UnixMicro() < c.Until)
}

// objectKind is what changes are in the audit log.
const objectKind = "rule"

func objectOf(id string) string { return objectKind + "/" + id }

func idOf(object string) string { return strings.TrimPrefix(object, objectKind+"/") }

func (c claim) bytes() []byte {
	b, err := json.Marshal(c)
	if err != nil { // strings and numbers always encode
		return nil
	}
	return b
}

// params is what the Guard is asked about beside the object: exactly this claim.
func params(object string, c claim) string {
	sum := sha256.Sum256(append([]byte(object+"\x00"), c.bytes()...))
	return hex.EncodeToString(sum[:])
}

func (r record) change(object string, now time.Time) Change {
	c := Change{
		ID: idOf(object), Kind: r.Kind, State: r.State, Title: r.Title, Owner: r.Owner, Reason: r.Reason, By: r.By, Since: time.UnixMicro(r.Since).UTC(),
		Text: r.Text, Trial: r.Trial, Untried: r.Untried, EndedBy: r.EndedBy, EndReason: r.EndReason, Log: r.at,
	}
	if r.Until != 0 {
		c.Until = time.UnixMicro(r.Until).UTC()
	}
	if c.State == StateActive && !r.active(now) {
		c.State = StateExpired
	}
	return c
}
