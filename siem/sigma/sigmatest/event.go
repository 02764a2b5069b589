package sigmatest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// makeEvent reads one event line of a test.
func makeEvent(text string) (core.Event, error) {
	word, rest, _ := strings.Cut(text, " ")
	kind, host, _ := strings.Cut(word, "@")
	switch kind {
	case "sshd":
		return logLine("file/auth.log", core.ProvenanceLocal, host, "sshd", rest)
	case "file":
		program, message, _ := strings.Cut(rest, " ")
		return logLine("file/test.log", core.ProvenanceLocal, host, program, message)
	case "journald":
		program, message, _ := strings.Cut(rest, " ")
		return record("journald/local", core.ProvenanceLocal, program, map[string]string{"SYSLOG_IDENTIFIER": program, "_PID": "77", "MESSAGE": message})
	case "syslog":
		peer, rest, _ := strings.Cut(rest, " ")
		program, message, _ := strings.Cut(rest, " ")
		return logLine("syslog/"+peer, core.ProvenanceUnauthenticated, host, program, message)
	case "device":
		id, body, _ := strings.Cut(rest, " ")
		return deviceEvent(id, body)
	case "fleet":
		id, body, _ := strings.Cut(rest, " ")
		return fleetEvent(id, body)
	case "json":
		source, body, _ := strings.Cut(rest, " ")
		if !json.Valid([]byte(body)) {
			return core.Event{}, fmt.Errorf("%q is not JSON", body)
		}
		return core.Event{Source: source, Provenance: core.ProvenanceLocal, Type: "json", Severity: core.SeverityInfo, Fields: json.RawMessage(body)}, nil
	}
	return core.Event{}, fmt.Errorf("%q is not a kind of event; there are sshd, file, journald, syslog, device, fleet and json", kind)
}

// logLine is a line as the file and syslog collectors record it.
func logLine(source string, p core.Provenance, host, program, message string) (core.Event, error) {
	fields := map[string]string{"program": program, "pid": "77", "message": message}
	if host != "" {
		fields["host"] = host
	}
	return record(source, p, program, fields)
}

func record(source string, p core.Provenance, kind string, fields map[string]string) (core.Event, error) {
	b, err := json.Marshal(fields)
	return core.Event{Source: source, Provenance: p, Type: kind, Severity: core.SeverityInfo, Fields: b}, err
}

func deviceEvent(id, body string) (core.Event, error) {
	dev, err := core.ParseID[core.DeviceID](id)
	if err != nil {
		return core.Event{}, err
	}
	var d struct {
		Type      string          `json:"type"`
		Severity  core.Severity   `json:"severity"`
		Simulated bool            `json:"simulated"`
		Fields    json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		return core.Event{}, fmt.Errorf("the event: %w", err)
	}
	if d.Fields == nil {
		d.Fields = json.RawMessage("{}")
	}
	if d.Severity == "" {
		d.Severity = core.SeverityInfo
	}
	return core.Event{
		Source: "device/" + id, Provenance: core.ProvenanceDevice, Device: dev, Class: core.ClassDeviceState, Type: d.Type,
		Severity: d.Severity, Simulated: d.Simulated, Fields: d.Fields,
	}, nil
}

// fleetEvent is what the server itself noticed, about a device or, with "-",
// about none.
func fleetEvent(id, body string) (core.Event, error) {
	about := core.DeviceID{}
	if id == "-" {
		id = "none"
	} else if err := about.UnmarshalText([]byte(id)); err != nil {
		return core.Event{}, err
	}
	e, err := deviceEvent(id, body)
	e.Source, e.Provenance, e.Device = "fleet", core.ProvenanceLocal, about
	return e, err
}
