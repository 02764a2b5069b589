package normalise

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// What the receiver knows of every event. No source can fill these fields.
const (
	FieldSource     = sigma.Reserved + "source"
	FieldProvenance = sigma.Reserved + "provenance"
	FieldDevice     = sigma.Reserved + "device"
	FieldType       = sigma.Reserved + "type"
	FieldSeverity   = sigma.Reserved + "severity"
	FieldSimulated  = sigma.Reserved + "simulated"
	// FieldAttempt names the connection that a login line belongs to.
	FieldAttempt = sigma.FieldAttempt
	// FieldEcho is "true" on lines that only repeat what another line of the
	// same attempt says.
	FieldEcho = sigma.FieldEcho
)

// OCSF names that the normaliser fills.
const (
	FieldUser     = "user.name"
	FieldIP       = "src_endpoint.ip"
	FieldPort     = "src_endpoint.port"
	FieldActivity = "activity_name" // Logon, Logoff, Other
	FieldStatus   = "status"        // Success, Failure
	FieldMethod   = "auth_protocol" // password, publickey, ...
	FieldService  = "service.name"
)

// Tamper are the words for physical events (FEATURES, "Words and defaults").
// A sensor that reports a state is a matter for tamper rules whatever its word.
var Tamper = []string{
	"case_intrusion", "voltage_tamper", "motion_detected", "component_removed", "component_added", "interface_attached",
	"seal_broken", "orientation_changed", "vibration", "geofence_exit", "sensor_lost", "clock_stepped", "rapid_transitions",
	"voltage_sag", "voltage_ripple", "current_spike", "power_cycle", "source_failover",
}

// Outcome says what became of an event.
type Outcome uint8

// The outcomes.
const (
	// Plain is an event that needs no parser: its fields are what they are.
	Plain Outcome = iota
	// Parsed is a line that was understood.
	Parsed
	// Unparsed is a line that a parser is there for and that it did not
	// understand. It is counted; rules still see its text.
	Unparsed
)

// Stats count what the normaliser could not read. Loss is never silent.
type Stats struct {
	Plain, Parsed, Unparsed atomic.Uint64
}

// Normaliser is stateless but for its counters and serves any number of
// goroutines.
type Normaliser struct{ Stats Stats }

// New makes a normaliser.
func New() *Normaliser { return &Normaliser{} }

var (
	tamperSources = []sigma.Logsource{{Product: "interlock", Category: "tamper", Service: "device"}}
	deviceSources = []sigma.Logsource{{Product: "interlock", Service: "device"}}
	fleetSources  = []sigma.Logsource{{Product: "interlock", Service: "fleet"}}
	sshdSources   = []sigma.Logsource{
		{Product: "linux", Service: "sshd"}, {Product: "linux", Service: "auth"}, {Product: "linux", Service: "syslog"},
	}
)

// Event says which logsources e belongs to and hands every field that it knows
// to set. It never fails: what it can't read is Unparsed and counted.
func (n *Normaliser) Event(e *core.Event, set func(field, text string)) ([]sigma.Logsource, Outcome) {
	envelope(e, set)
	sources, outcome := n.read(e, set)
	switch outcome {
	case Plain:
		n.Stats.Plain.Add(1)
	case Parsed:
		n.Stats.Parsed.Add(1)
	case Unparsed:
		n.Stats.Unparsed.Add(1)
	}
	return sources, outcome
}

func envelope(e *core.Event, set func(field, text string)) {
	set(FieldSource, e.Source)
	set(FieldProvenance, string(e.Provenance))
	set(FieldType, e.Type)
	set(FieldSeverity, string(e.Severity))
	if !e.Device.IsZero() {
		set(FieldDevice, e.Device.String())
	}
	if e.Simulated {
		set(FieldSimulated, "true")
	}
}

// fleet is the source of what the server itself noticed about its devices. No
// collector and no device can have it: theirs begin with a kind and a slash.
const fleet = "fleet"

func (n *Normaliser) read(e *core.Event, set func(field, text string)) ([]sigma.Logsource, Outcome) {
	if e.Source == fleet {
		return fleetSources, Plain
	}
	if !e.Device.IsZero() {
		return deviceEvent(e), Plain
	}
	line := readLog(e.Fields)
	if sources, ok := readAudit(line, set); ok {
		return sources, Parsed
	}
	switch {
	case line.program == "":
		return nil, Plain
	case isSSHD(line.program):
		return sshdSources, readSSHD(e.Source, line, set)
	case line.program == "sudo":
		return programSources(line.program), readSudo(line.message, set)
	}
	return programSources(line.program), Plain
}

// deviceEvent says whether a device's event is about its body.
func deviceEvent(e *core.Event) []sigma.Logsource {
	state := ""
	topLevel(e.Fields, func(key string, val []byte) {
		if key == "state" {
			state = text(val)
		}
	})
	if state != "" || slices.Contains(Tamper, e.Type) {
		return tamperSources
	}
	return deviceSources
}

// programSources are one by the program's name, and those that rules know it by.
func programSources(program string) []sigma.Logsource {
	out := []sigma.Logsource{{Product: "linux", Service: strings.ToLower(program)}}
	for _, src := range taxonomy.Program(program) {
		if !slices.Contains(out, src) {
			out = append(out, src)
		}
	}
	return out
}

// Aliases is the table that rules compile with: [taxonomy.Aliases].
func Aliases(src sigma.Logsource, field string) []string { return taxonomy.Aliases(src, field) }
