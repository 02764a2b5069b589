package stop

import (
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
)

type lineKind struct{}

// LineID names a line of machines within a site.
type LineID = core.ID[lineKind]

// ScopeKind says how much a trip stops.
type ScopeKind string

// The kinds of scope. A fleet is every site of the person who trips; it becomes
// one stop per site.
const (
	ScopeDevice ScopeKind = "device"
	ScopeLine   ScopeKind = "line"
	ScopeSite   ScopeKind = "site"
	ScopeFleet  ScopeKind = "fleet"
)

// Scope is what a trip stops. Which fields are set depends on the kind: a
// device (its site may be left out where the server knows the device), a site
// and a line, a site, nothing.
type Scope struct {
	Kind   ScopeKind     `json:"kind"`
	Site   core.SiteID   `json:"site,omitzero"`
	Line   LineID        `json:"line,omitzero"`
	Device core.DeviceID `json:"device,omitzero"`
}

// String returns the scope for people: "line hall-a/press", "device press-7".
func (s Scope) String() string {
	switch s.Kind {
	case ScopeDevice:
		return "device " + s.Device.String()
	case ScopeLine:
		return "line " + s.Site.String() + "/" + s.Line.String()
	case ScopeSite:
		return "site " + s.Site.String()
	}
	return string(s.Kind)
}

func (s Scope) check() error {
	type shape struct{ site, line, device bool }
	got := shape{!s.Site.IsZero(), !s.Line.IsZero(), !s.Device.IsZero()}
	allowed := map[ScopeKind][]shape{
		ScopeDevice: {{device: true}, {device: true, site: true}},
		ScopeLine:   {{site: true, line: true}},
		ScopeSite:   {{site: true}},
		ScopeFleet:  {{}},
	}
	if !slices.Contains(allowed[s.Kind], got) {
		return core.E(core.KindInvalid, "stop.Scope", fmt.Sprintf("a scope of kind %.20q does not fit its fields", s.Kind)).
			WithHint("name a device, or a site and a line, or a site; or kind fleet alone for all your sites")
	}
	return nil
}

// Target is a device that can be stopped.
type Target struct {
	Tenant core.TenantID `json:"tenant"`
	Site   core.SiteID   `json:"site"`
	Line   LineID        `json:"line,omitzero"`
	Device core.DeviceID `json:"device"`
}

// Stop is an active stop. Its ID is also the id of the order that every device
// in scope gets, so a device that gets it twice knows it.
type Stop struct {
	ID     core.UUID     `json:"id"`
	Trip   core.UUID     `json:"trip"`
	Tenant core.TenantID `json:"tenant"`
	Scope  Scope         `json:"scope"`
	By     string        `json:"by"` // principal, "person/anna"
	Reason string        `json:"reason"`
	At     time.Time     `json:"at"`
}

// Covers reports whether the target is in the stop's scope. A device whose line
// nobody has said is stopped with every line of its site: rather one machine too
// many than the one that somebody means.
func (s Stop) Covers(t Target) bool {
	if s.Tenant != t.Tenant {
		return false
	}
	switch s.Scope.Kind {
	case ScopeDevice:
		return s.Scope.Device == t.Device && (s.Scope.Site.IsZero() || s.Scope.Site == t.Site)
	case ScopeLine:
		return s.Scope.Site == t.Site && (t.Line.IsZero() || s.Scope.Line == t.Line)
	case ScopeSite:
		return s.Scope.Site == t.Site
	}
	return false
}

// sameScope reports whether a later stop takes the place of this one.
func (s Stop) sameScope(o Stop) bool { return s.Tenant == o.Tenant && s.Scope == o.Scope }

// Person is somebody who may stop the machines of the sites named.
type Person struct {
	ID     core.PersonID `json:"id"`
	Tenant core.TenantID `json:"tenant"`
	Sites  []core.SiteID `json:"sites"`
	// UIDs are the users of this machine that the person is; they name the
	// person at the unix socket.
	UIDs []uint32 `json:"uids"`
}

// RecordKind says what a [Record] tells.
type RecordKind string

// The kinds of record.
const (
	// RecordTrip makes a stop active.
	RecordTrip RecordKind = "trip"
	// RecordReset ends a stop, or takes devices out of it.
	RecordReset RecordKind = "reset"
	// RecordReason is the reason of a trip, given afterwards.
	RecordReason RecordKind = "reason"
	// RecordWithdraw takes a person's remote trip right until a time.
	RecordWithdraw RecordKind = "withdraw"
	// RecordDamage tells of ring slots that could not be read at start.
	RecordDamage RecordKind = "damage"
)

// Record is what the ring keeps of one act.
type Record struct {
	// Seq is the record's number in the ring, rising without gaps as long as
	// nothing was lost. Together with the ring's file it is the key by which
	// the audit log can tell that it has the record.
	Seq    uint64        `json:"-"`
	Kind   RecordKind    `json:"kind"`
	Stop   core.UUID     `json:"stop,omitzero"`
	Trip   core.UUID     `json:"trip,omitzero"`
	Tenant core.TenantID `json:"tenant,omitzero"`
	Scope  Scope         `json:"scope,omitzero"`
	By     string        `json:"by,omitempty"`
	Reason string        `json:"reason,omitempty"`
	At     time.Time     `json:"at"`
	// Replaces is the stop whose place this trip takes: same scope, earlier.
	Replaces core.UUID `json:"replaces,omitzero"`
	// Device is the one device that a reset takes out; none means all.
	Device core.DeviceID `json:"device,omitzero"`
	// Person and Until say whose right is withdrawn, and By2 who else agreed.
	Person core.PersonID `json:"person,omitzero"`
	Until  time.Time     `json:"until,omitzero"`
	By2    string        `json:"by2,omitempty"`
}

func (r Record) stop() Stop {
	return Stop{ID: r.Stop, Trip: r.Trip, Tenant: r.Tenant, Scope: r.Scope, By: r.By, Reason: r.Reason, At: r.At}
}
