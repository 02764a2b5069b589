package audit

import (
	"time"

	"github.com/interlock-security/interlock/core"
)

// Type is what an entry is.
type Type string

// The entry types of version 1.
const (
	// TypeIntent says who may do what and why, before it is done.
	TypeIntent Type = "intent"
	// TypeFact says what happened.
	TypeFact Type = "fact"
	// TypeAuthority changes who may do what; it carries object and rising
	// revision and is what [Fold] reads.
	TypeAuthority Type = "authority"
	// TypeBatch stands for a commit group of device batches: its object is
	// "batch-group/" and the group's RFC 6962 root in hex.
	TypeBatch Type = "batch"
	// TypeSuccession is the first entry of a log that follows a damaged one.
	TypeSuccession Type = "succession"
	// TypeTombstone says that a subject's key was destroyed.
	TypeTombstone Type = "tombstone"
	// TypeRefusals sums up refusals of strangers.
	TypeRefusals Type = "refusal-summary"
)

// Types lists them.
var Types = []Type{TypeIntent, TypeFact, TypeAuthority, TypeBatch, TypeSuccession, TypeTombstone, TypeRefusals}

// Class is how long an entry's content must be kept.
type Class string

// The retention classes.
const (
	ClassOperational Class = "operational"
	ClassSystem      Class = "system"
	ClassSecurity    Class = "security"
	ClassAudit       Class = "audit"
	ClassCompliance  Class = "compliance"
)

// Classes lists them.
var Classes = []Class{ClassOperational, ClassSystem, ClassSecurity, ClassAudit, ClassCompliance}

// Vital marks an entry that is taken when others are refused: while the log is
// stop-only, and from the reserve when the disk is full. The list is closed.
type Vital string

// The vital purposes. The zero value is an ordinary entry.
const (
	VitalStop    Vital = "stop"
	VitalContain Vital = "contain"
	VitalIngest  Vital = "ingest"
	// VitalRepair is what ends the emergency: an administrator signing in,
	// pruning, re-attesting, unsealing.
	VitalRepair Vital = "repair"
)

var vitals = []Vital{"", VitalStop, VitalContain, VitalIngest, VitalRepair}

// Entry is what a caller wants recorded.
type Entry struct {
	// Tenant chooses the outbox; it is zero where there is one log. It is not
	// written: a log belongs to one tenant.
	Tenant core.TenantID
	Type   Type
	// Time is when it happened; zero means now.
	Time time.Time
	// Actor is the principal, "person/anna". Persons stand in the log under a
	// pseudonym that only the subject keys resolve.
	Actor  string
	Action core.Action
	// Object is what it was done to, "device/press-7". Kinds that are not
	// technical (see [IsClear]) are written as an HMAC.
	Object string
	// Revision rises with each authority entry of an object.
	Revision uint64
	// Outcome is a word, never a sentence: it stands in clear.
	Outcome string
	Class   Class
	// Subject is the principal whose personal data the body holds; empty
	// means the actor or object if one is a person.
	Subject string
	// Intent names the entry that permitted this.
	Intent *core.Position
	// Body is what else is to be said, as JSON; it is encrypted.
	Body any
	// Vital says why the entry is taken in an emergency; it is not written.
	Vital Vital

	outbox uint64
	salt   []byte // nil: a fresh one
}

// Result is the durable place of an entry.
type Result struct {
	Position core.Position
	// Leaf is the exact bytes that the tree covers.
	Leaf []byte
	// Checkpoint is the signed note whose tree, of Size leaves, is the first
	// to cover the entry.
	Checkpoint []byte
	Size       uint64
}

// Record is an entry read back.
type Record struct {
	Position core.Position
	Header   Header
	Leaf     []byte
	// Actor and Object are the names behind the header's pseudonyms, where
	// the keys still resolve them; otherwise as in the header.
	Actor  string
	Object string
	// Body is the decrypted JSON; nil if the subject's key was destroyed.
	Body []byte
}
