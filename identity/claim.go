package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// The kinds of object that claims are about.
const (
	kindPerson   = "person"
	kindPasskey  = "passkey"
	kindLink     = "link"
	kindSession  = "session"
	kindApproval = "approval"
)

// The states of objects other than approvals. What stands later in [stateOrder]
// is less.
const (
	stateActive  = "active"
	stateRevoked = "revoked"
	stateCloned  = "cloned"
	stateFresh   = "fresh"
	stateUsed    = "used"
	stateMisused = "misused"
	stateLive    = "live"
	stateEnded   = "ended"
)

// stateOrder is the way of each kind of object away from rights. An entry that
// goes this way and changes nothing else needs no permit.
var stateOrder = map[string][]string{
	kindPerson:  {stateActive, stateRevoked},
	kindPasskey: {stateActive, stateCloned, stateRevoked},
	kindLink:    {stateFresh, stateUsed, stateRevoked, stateMisused},
	kindSession: {stateLive, stateEnded},
}

// claim is all that an authority entry, or a row, says of an object. Each entry
// says it in full, so the newest is the state.
type claim struct {
	State string `json:"state"`
	// Person is whom the object belongs to; of a person, itself.
	Person core.PersonID `json:"person,omitzero"`

	// Of a person. Configured ones have roles and sites from the
	// configuration; a session has those of its sign-in.
	Name       string        `json:"name,omitempty"`
	Roles      []string      `json:"roles,omitempty"`
	Sites      []core.SiteID `json:"sites,omitempty"`
	Handle     []byte        `json:"handle,omitempty"` // by which passkeys name the person
	Configured bool          `json:"configured,omitempty"`

	// Of a passkey.
	Credential []byte `json:"credential,omitempty"`
	Key        []byte `json:"key,omitempty"` // COSE
	Model      []byte `json:"model,omitempty"`
	Synced     bool   `json:"synced,omitempty"`

	// Of a link and a session: the SHA-256 of the secret, hex.
	Hash    string `json:"hash,omitempty"`
	Created int64  `json:"created,omitempty"` // microseconds
	Expires int64  `json:"expires,omitempty"` // microseconds

	// Of a session.
	Bound   string `json:"bound,omitempty"`  // SHA-256 of the client, hex
	Client  string `json:"client,omitempty"` // for people
	Passkey string `json:"passkey,omitempty"`
	Counter uint32 `json:"counter,omitempty"` // of the passkey at the sign-in

	// Of an approval.
	Deal *deal `json:"deal,omitempty"`
}

// bytes is the one encoding of a claim.
func (c claim) bytes() []byte {
	b, err := json.Marshal(c)
	if err != nil { // strings, numbers and bytes always encode
		return nil
	}
	return b
}

// params is what a permit to write the claim is for.
func params(object string, c claim) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "identity v1 %d:%s", len(object), object) // a hash never fails
	_, _ = h.Write(c.bytes())
	return hex.EncodeToString(h.Sum(nil))
}

func kindOf(object string) string {
	kind, _, _ := strings.Cut(object, "/")
	return kind
}

func nameOf(object string) string {
	_, name, _ := strings.Cut(object, "/")
	return name
}

// lessens reports whether the second claim only takes away from the first.
func lessens(object string, before, after claim) bool {
	order := stateOrder[kindOf(object)]
	from, to := slices.Index(order, before.State), slices.Index(order, after.State)
	before.State = after.State
	return from >= 0 && to > from && string(before.bytes()) == string(after.bytes())
}

// over reports whether a claim gives nothing any more.
func over(object string, c claim) bool {
	order := stateOrder[kindOf(object)]
	return len(order) > 0 && c.State != order[0] && slices.Contains(order, c.State)
}

// record is an object as it is believed.
type record struct {
	claim
	revision uint64
	at       core.Position // of its entry; zero while it is on the way
}
