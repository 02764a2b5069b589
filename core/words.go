package core

import (
	"fmt"
	"slices"
)

// word is a value from a closed list. Each list below is the one place where
// its words are spelled; every other spelling is refused on the way in.
type word interface{ ~string }

func parseWord[W word](kind string, all []W, b []byte) (W, error) {
	w := W(b)
	if !slices.Contains(all, w) {
		return "", E(KindInvalid, "core.Parse", fmt.Sprintf("%.40q is not a %s; known are %v", b, kind, all))
	}
	return w, nil
}

// Severity is the one scale, from lowest to highest.
type Severity string

// The severities.
const (
	SeverityInfo     Severity = "info"
	SeverityLow      Severity = "low"
	SeverityMedium   Severity = "medium"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// Severities lists the scale from lowest to highest.
var Severities = []Severity{SeverityInfo, SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical}

// Rank returns 0 for info up to 4 for critical, -1 for an unknown word.
func (s Severity) Rank() int { return slices.Index(Severities, s) }

// UnmarshalText refuses words that are not on the scale.
func (s *Severity) UnmarshalText(b []byte) (err error) {
	*s, err = parseWord("severity", Severities, b)
	return err
}

// Provenance says how the receiver knows where an event came from. It is set by
// the receiver, never read from the event (TRUST F17).
type Provenance string

// The provenances, from strongest to weakest.
const (
	ProvenanceDevice          Provenance = "device-signed"
	ProvenanceMTLS            Provenance = "mtls"
	ProvenanceToken           Provenance = "token"
	ProvenanceLocal           Provenance = "local"
	ProvenanceUnauthenticated Provenance = "unauthenticated"
)

// Provenances lists them from strongest to weakest.
var Provenances = []Provenance{ProvenanceDevice, ProvenanceMTLS, ProvenanceToken, ProvenanceLocal, ProvenanceUnauthenticated}

// Authenticated reports whether the peer proved who it is, which automatic
// containment requires.
func (p Provenance) Authenticated() bool {
	return slices.Contains(Provenances, p) && p != ProvenanceUnauthenticated
}

// UnmarshalText refuses unknown words.
func (p *Provenance) UnmarshalText(b []byte) (err error) {
	*p, err = parseWord("provenance", Provenances, b)
	return err
}

// SensorState is what is known of a sensor. Only ok is ok: missing, frozen and
// silent sensors are fault or stale, and both alarm.
type SensorState string

// The sensor states.
const (
	SensorOK       SensorState = "ok"
	SensorAlarm    SensorState = "alarm"
	SensorFault    SensorState = "fault"
	SensorStale    SensorState = "stale"
	SensorBypassed SensorState = "bypassed"
	SensorUnknown  SensorState = "unknown"
)

// SensorStates lists them.
var SensorStates = []SensorState{SensorOK, SensorAlarm, SensorFault, SensorStale, SensorBypassed, SensorUnknown}

// UnmarshalText refuses unknown words.
func (s *SensorState) UnmarshalText(b []byte) (err error) {
	*s, err = parseWord("sensor state", SensorStates, b)
	return err
}

// Arming is whether a device treats what it senses as an attack.
type Arming string

// The arming states.
const (
	Armed       Arming = "armed"
	Disarmed    Arming = "disarmed"
	Transport   Arming = "transport"
	Maintenance Arming = "maintenance"
)

// Armings lists them.
var Armings = []Arming{Armed, Disarmed, Transport, Maintenance}

// UnmarshalText refuses unknown words.
func (a *Arming) UnmarshalText(b []byte) (err error) {
	*a, err = parseWord("arming state", Armings, b)
	return err
}

// AgentMode is how the agent runs; it reports in all of them.
type AgentMode string

// The agent modes.
const (
	ModeNormal     AgentMode = "normal"
	ModeSafe       AgentMode = "safe"
	ModeAutonomous AgentMode = "autonomous"
)

// AgentModes lists them.
var AgentModes = []AgentMode{ModeNormal, ModeSafe, ModeAutonomous}

// UnmarshalText refuses unknown words.
func (m *AgentMode) UnmarshalText(b []byte) (err error) {
	*m, err = parseWord("agent mode", AgentModes, b)
	return err
}

// DeviceState is the server's view of a device.
type DeviceState string

// The device states.
const (
	DevicePending     DeviceState = "pending"
	DeviceOnline      DeviceState = "online"
	DeviceStale       DeviceState = "stale"
	DeviceOffline     DeviceState = "offline"
	DeviceQuarantined DeviceState = "quarantined"
	DeviceMaintenance DeviceState = "maintenance"
	DeviceRetired     DeviceState = "retired"
)

// DeviceStates lists them.
var DeviceStates = []DeviceState{DevicePending, DeviceOnline, DeviceStale, DeviceOffline, DeviceQuarantined, DeviceMaintenance, DeviceRetired}

// UnmarshalText refuses unknown words.
func (s *DeviceState) UnmarshalText(b []byte) (err error) {
	*s, err = parseWord("device state", DeviceStates, b)
	return err
}

// Health is the state of a part of the system.
type Health string

// The health words.
const (
	HealthStarting  Health = "starting"
	HealthHealthy   Health = "healthy"
	HealthDegraded  Health = "degraded"
	HealthUnhealthy Health = "unhealthy"
)
