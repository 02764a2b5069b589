package core

import (
	"context"
	"slices"
	"sync/atomic"
)

// PrincipalKind is what kind of actor a principal is. Only persons count
// towards thresholds; devices, services and tokens never stop more than
// themselves (TRUST F04).
type PrincipalKind string

// The principal kinds.
const (
	KindPerson  PrincipalKind = "person"
	KindDevice  PrincipalKind = "device"
	KindService PrincipalKind = "service"
	KindToken   PrincipalKind = "token"
	// KindStranger is a peer that proved nothing.
	KindStranger PrincipalKind = "stranger"
)

// The roles a principal can hold on the server. Roles that a device checks are
// not these: they stand in the trust root.
const (
	RoleViewer          = "viewer"
	RoleOperator        = "operator"
	RoleSecurityOfficer = "security-officer"
	RoleAdministrator   = "administrator"
)

// Principal is an authenticated actor.
type Principal struct {
	Kind   PrincipalKind `json:"kind"`
	ID     string        `json:"id"`
	Tenant TenantID      `json:"tenant"`
	Roles  []string      `json:"roles,omitempty"`
	Sites  []SiteID      `json:"sites,omitempty"`
}

// String returns kind/id, the form used in logs, the audit log and policies.
func (p Principal) String() string { return string(p.Kind) + "/" + p.ID }

// HasRole reports whether p holds the role.
func (p Principal) HasRole(role string) bool { return slices.Contains(p.Roles, role) }

// Action is what somebody wants to do, as noun.verb: "device.quarantine".
type Action string

// Resource is what it is done to.
type Resource struct {
	// Type is the noun: "device", "incident", "order".
	Type string `json:"type"`
	// ID is the object's name within its tenant.
	ID     string   `json:"id"`
	Tenant TenantID `json:"tenant"`
	Site   SiteID   `json:"site,omitzero"`
	// Attrs are facts about the object that policies may ask for. Values are
	// string, bool or int64.
	Attrs map[string]any `json:"attrs,omitempty"`
	// Params is the SHA-256, hex, of the exact parameters of the request.
	Params string `json:"params,omitempty"`
}

// String returns type/id.
func (r Resource) String() string { return r.Type + "/" + r.ID }

// Decision is the Guard's answer.
type Decision struct {
	Allowed bool
	// Reason is one sentence for people.
	Reason string
	// Policies are the ids that decided, evidence for the audit log.
	Policies []string
	// Intent names the audit entry that was made durable before this
	// answer; it is zero where the decision is only counted.
	Intent Position
}

// Position is an audit entry's name: which log, which leaf.
type Position struct {
	Origin string `json:"origin"`
	Index  uint64 `json:"index"`
}

// Guard stands in front of every effect: deny by default, forbids win, an error
// in any policy denies. A refusal is a Decision with Allowed false and a nil
// error; an error means that no decision could be made or recorded, and the
// caller must not go on.
type Guard interface {
	Permit(ctx context.Context, who Principal, action Action, on Resource) (Decision, error)
}

type watchKey struct{}

// Watched returns a context that remembers whether a [Guard] recorded a decision
// with it. A door uses it to see that a call left an entry.
func Watched(ctx context.Context) (_ context.Context, recorded func() bool) {
	seen := new(atomic.Bool)
	return context.WithValue(ctx, watchKey{}, seen), seen.Load
}

// NoteRecorded is called by a [Guard] when a decision is recorded.
func NoteRecorded(ctx context.Context) {
	if seen, ok := ctx.Value(watchKey{}).(*atomic.Bool); ok {
		seen.Store(true)
	}
}

// Check is a question whose answer proves something: it runs detectors,
// attestation or a scan again and says what it saw.
type Check interface {
	ID() string
	Run(ctx context.Context) (Verdict, error)
}

// Verdict is tri-state on purpose: only VerdictPass is a pass.
type Verdict string

// The verdicts. Incomplete covers not assessed, stale and simulated.
const (
	VerdictPass       Verdict = "pass"
	VerdictFail       Verdict = "fail"
	VerdictIncomplete Verdict = "incomplete"
)

// Sealer encrypts small values at rest. Context is bound as associated data and
// must be given again to open.
type Sealer interface {
	Seal(plaintext []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}
