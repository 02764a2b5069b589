package core

import (
	"encoding/json"
	"time"
)

// OCSF 1.7 class numbers that this product writes.
const (
	ClassBase             = 0
	ClassDetectionFinding = 2004
	ClassAuthentication   = 3002
	ClassInventory        = 5001
	ClassDeviceState      = 5002
	ClassAPIActivity      = 6003
)

// Event is the fixed envelope around the fields that a source sent. The fields
// stay as they came: normalisation happens in memory when rules run, aliases
// resolve when rules compile.
type Event struct {
	// ID is a UUIDv7 given by the first party that saw the event.
	ID UUID `json:"id"`
	// Time is when it happened, as the source says.
	Time time.Time `json:"time"`
	// Received is when this server took it in.
	Received time.Time `json:"received"`
	Tenant   TenantID  `json:"tenant"`
	// Source is the authenticated peer ("device/press-7", "file/auth.log"),
	// never a field of the event.
	Source string `json:"source"`
	// Provenance is how the receiver knows the source.
	Provenance Provenance `json:"provenance"`
	// Simulated is set by the driver that made the event and cannot be cleared.
	Simulated bool `json:"simulated,omitempty"`
	// Device is the device that the peer is, if it is one.
	Device DeviceID `json:"device,omitzero"`
	// Class is an OCSF class number.
	Class int `json:"class"`
	// Type is the source's own word for what happened ("case_intrusion",
	// "sshd"); rules select on it by logsource.
	Type     string   `json:"type"`
	Severity Severity `json:"severity"`
	// Sequence is the source's gap-free number, 0 where it has none.
	Sequence uint64 `json:"sequence,omitempty"`
	// Fields is one JSON object: the original fields.
	Fields json.RawMessage `json:"fields"`
}
