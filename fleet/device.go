package fleet

import (
	"time"

	"github.com/interlock-security/interlock/core"
)

// Identity is the state of a device's management identity.
type Identity string

// The states of an identity.
const (
	// IdentityPending waits in the queue for a person; it has no certificate.
	IdentityPending Identity = "pending"
	IdentityActive  Identity = "active"
	// IdentitySuspended may do nothing until a person takes it back: its
	// enrolment token was used a second time.
	IdentitySuspended Identity = "suspended"
	// IdentityRetired has ended for good.
	IdentityRetired Identity = "retired"
)

// Device is a row of the registry.
type Device struct {
	Tenant   core.TenantID `json:"tenant"`
	ID       core.DeviceID `json:"id"`
	Site     core.SiteID   `json:"site"`
	Identity Identity      `json:"identity"`
	// Key is the SHA-256, hex, of the management key's public half (SPKI).
	Key        string `json:"key"`
	ShortCode  string `json:"short_code"`
	Protection string `json:"protection"` // "software" until attestation says more
	Serial     string `json:"serial"`
	Token      string `json:"token"`
	// FirstUse is set for ever when nothing but the bearer of the token vouched
	// for the device (F21).
	FirstUse bool      `json:"first_use"`
	Enrolled time.Time `json:"enrolled"`
	// Revision rises with every change of identity; it numbers the audit
	// entries of the object "device/<id>".
	Revision uint64 `json:"revision"`
	// Link is online, stale or offline, by the time since the last batch.
	Link core.DeviceState `json:"link"`
	// Contained is set when a quarantine is ordered, reported or drawn from what
	// the device sends, and taken back by a release that persons signed. The
	// device's own word that it is over is not enough: whoever has the device
	// has its voice.
	Contained bool `json:"contained"`
	Known     Known

	row claim // what the row itself says of authority
}

// Known is what the device last said of itself, each value from a batch that it
// signed.
type Known struct {
	LastSeen      time.Time `json:"last_seen,omitzero"` // server time
	Epoch         string    `json:"epoch"`
	Sequence      uint64    `json:"sequence"`
	Hash          string    `json:"hash"` // of the last batch's payload
	StateCounter  uint64    `json:"state_counter"`
	Boot          string    `json:"boot"`
	PolicyVersion uint64    `json:"policy_version"`
	RootVersion   uint64    `json:"root_version"`
	LogSize       uint64    `json:"log_size"`
	LogRoot       string    `json:"log_root"`
}

// Object is the device's name in the audit log.
func (d Device) Object() string { return "device/" + d.ID.String() }

// State folds identity, containment and link into the one word that boards
// show.
func (d Device) State() core.DeviceState {
	switch {
	case d.Identity == IdentityRetired:
		return core.DeviceRetired
	case d.Identity == IdentityPending:
		return core.DevicePending
	case d.Contained || d.Identity == IdentitySuspended:
		return core.DeviceQuarantined
	}
	return d.Link
}

// Sensor is the last state that a device reported for one of its sensors.
type Sensor struct {
	ID        string           `json:"id"`
	State     core.SensorState `json:"state"`
	Since     time.Time        `json:"since"`
	Simulated bool             `json:"simulated,omitempty"`
}

// Latch is something that a device noticed and that stays until it is released.
type Latch struct {
	ID        string    `json:"id"`
	Sensor    string    `json:"sensor"`
	Type      string    `json:"type"`
	Since     time.Time `json:"since"`
	Open      bool      `json:"open"` // not yet released
	Simulated bool      `json:"simulated,omitempty"`
}
