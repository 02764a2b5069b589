package normalise_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
)

// read normalises one line of a program, as the file and syslog collectors
// record it, and returns what was set.
func read(t *testing.T, program, message string) (map[string]string, []sigma.Logsource, normalise.Outcome) {
	t.Helper()
	fields, err := json.Marshal(map[string]string{"program": program, "pid": "77", "message": message, "line": "..."})
	if err != nil {
		t.Fatal(err)
	}
	return event(&core.Event{Source: "file/auth.log", Provenance: core.ProvenanceLocal, Type: program, Fields: fields})
}

func event(e *core.Event) (map[string]string, []sigma.Logsource, normalise.Outcome) {
	got := make(map[string]string)
	sources, outcome := normalise.New().Event(e, func(k, v string) { got[k] = v })
	return got, sources, outcome
}

// TestSSHDLines is the corpus: lines as OpenSSH 8 to 10 write them, and what
// they mean. Columns: outcome, echo or guess, method, user, address, port.
func TestSSHDLines(t *testing.T) {
	corpus, err := os.ReadFile("testdata/sshd.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, row := range strings.Split(strings.TrimSpace(string(corpus)), "\n") {
		if strings.HasPrefix(row, "#") {
			continue
		}
		rows++
		cols := strings.Split(row, "\t")
		if len(cols) != 2 {
			t.Fatalf("row %q", row)
		}
		for _, program := range []string{"sshd", "sshd-session", "sshd-auth"} {
			got, sources, outcome := read(t, program, cols[1])
			if have := describe(got, outcome); have != cols[0] {
				t.Errorf("%s\n got  %s\n want %s", cols[1], have, cols[0])
			}
			if len(sources) == 0 || sources[0] != (sigma.Logsource{Product: "linux", Service: "sshd"}) {
				t.Errorf("%s: logsources %v", cols[1], sources)
			}
		}
	}
	if rows < 40 {
		t.Errorf("only %d lines", rows)
	}
}

func describe(got map[string]string, o normalise.Outcome) string {
	switch o {
	case normalise.Plain:
		return "plain"
	case normalise.Unparsed:
		return "unparsed"
	}
	kind := got[normalise.FieldStatus]
	if got[normalise.FieldEcho] == "true" {
		kind += "/echo"
	}
	return strings.Join([]string{kind, got[normalise.FieldMethod], got[normalise.FieldUser], got[normalise.FieldIP], got[normalise.FieldPort]}, "|")
}

func TestJournaldObjectsAreReadAsTheyAre(t *testing.T) {
	for _, fields := range []string{
		`{"SYSLOG_IDENTIFIER":"sshd-session","_PID":"9","MESSAGE":"Failed password for root from 203.0.113.9 port 1 ssh2","__REALTIME_TIMESTAMP":"1"}`,
		`{"_COMM":"sshd","_PID":"9","MESSAGE":[70,97,105,108,101,100,32,112,97,115,115,119,111,114,100,32,102,111,114,32,114,111,111,116,32,102,114,111,109,32,50,48,51,46,48,46,49,49,51,46,57,32,112,111,114,116,32,49,32,115,115,104,50]}`,
	} {
		got, _, outcome := event(&core.Event{Source: "journald/local", Provenance: core.ProvenanceLocal, Fields: json.RawMessage(fields)})
		if d := describe(got, outcome); d != "Failure|password|root|203.0.113.9|1" {
			t.Errorf("%s: %s", fields, d)
		}
		if got[normalise.FieldAttempt] != "journald/local|9|203.0.113.9|1" {
			t.Errorf("attempt %q", got[normalise.FieldAttempt])
		}
	}
}

// TestOnlySSHDSpeaksForSSHD: any local user can log under any identifier;
// journald says who it was.
func TestOnlySSHDSpeaksForSSHD(t *testing.T) {
	const rest = `"SYSLOG_IDENTIFIER":"sshd","MESSAGE":"Failed password for root from 203.0.113.9 port 1 ssh2"}`
	for fields, want := range map[string]string{
		`{` + rest: "sshd", `{"_COMM":"sshd","_UID":"0",` + rest: "sshd", `{"_COMM":"sshd-session","_UID":"0",` + rest: "sshd",
		`{"_COMM":"logger","_UID":"0",` + rest: "logger", `{"_COMM":"sshd","_UID":"1000",` + rest: "not-sshd", `{"_UID":"1000",` + rest: "not-sshd",
	} {
		_, sources, _ := event(&core.Event{Source: "journald/local", Provenance: core.ProvenanceLocal, Fields: json.RawMessage(fields)})
		if len(sources) == 0 || sources[0].Service != want {
			t.Errorf("%s: %v", fields, sources)
		}
	}
}

func TestDeviceEventsGoToTamperRules(t *testing.T) {
	dev := core.MustID[core.DeviceID]("press-7")
	for _, row := range []struct{ kind, fields, want string }{
		{"case_intrusion", `{"sensor":"lid","state":"alarm"}`, "tamper"},
		{"case_intrusion", `{}`, "tamper"},
		{"carrier_down", `{"state":"alarm"}`, "tamper"},
		{"inventory", `{"sensor":"lid"}`, ""},
		{"sshd", `{"program":"sshd","message":"Failed password for root from 203.0.113.9 port 1 ssh2"}`, ""},
	} {
		got, sources, _ := event(&core.Event{Source: "device/press-7", Device: dev, Provenance: core.ProvenanceDevice, Type: row.kind, Fields: json.RawMessage(row.fields)})
		if len(sources) != 1 || sources[0].Product != "interlock" || sources[0].Category != row.want {
			t.Errorf("%+v: %v", row, sources)
		}
		if got[normalise.FieldDevice] != "press-7" || got[normalise.FieldIP] != "" {
			t.Errorf("%+v: %v", row, got)
		}
	}
}

func TestOtherProgramsHaveTheirOwnService(t *testing.T) {
	_, sources, outcome := read(t, "sudo", "root : TTY=pts/0")
	if outcome != normalise.Plain || len(sources) != 3 || sources[0].Service != "sudo" || sources[1].Service != "auth" {
		t.Errorf("%v %v", sources, outcome)
	}
	_, sources, _ = event(&core.Event{Source: "http/x", Fields: json.RawMessage(`{"a":1}`)})
	if len(sources) != 0 {
		t.Errorf("an event of no program: %v", sources)
	}
}

func TestOutcomesAreCounted(t *testing.T) {
	n := normalise.New()
	for _, msg := range []string{"Server listening on :: port 22.", "Failed password for x from nowhere", "Invalid user x from 192.0.2.1 port 1"} {
		b, err := json.Marshal(map[string]string{"program": "sshd", "message": msg})
		if err != nil {
			t.Fatal(err)
		}
		n.Event(&core.Event{Fields: b}, func(string, string) {})
	}
	if n.Stats.Plain.Load() != 1 || n.Stats.Parsed.Load() != 1 || n.Stats.Unparsed.Load() != 1 {
		t.Errorf("plain %d parsed %d unparsed %d", n.Stats.Plain.Load(), n.Stats.Parsed.Load(), n.Stats.Unparsed.Load())
	}
}

func TestLineHeaders(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	received := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, row := range []struct {
		line string
		loc  *time.Location
		want string
	}{
		{"Jan  2 04:04:05 host sshd[12]: hello: x", berlin, "2026-01-02T03:04:05Z host sshd 12 hello: x"},
		{"Dec 31 23:59:59 host sshd[12]: x", time.UTC, "2025-12-31T23:59:59Z host sshd 12 x"},
		{"Jan  3 03:00:00 host cron: x", time.UTC, "2026-01-03T03:00:00Z host cron  x"},
		{"Jan  4 03:00:00 host cron: x", time.UTC, "2025-01-04T03:00:00Z host cron  x"},
		{"Feb 29 03:00:00 host cron: x", time.UTC, "2024-02-29T03:00:00Z host cron  x"},
		{"2026-01-02T04:04:05.123456+01:00 host sshd-session[1]: x", time.UTC, "2026-01-02T03:04:05.123456Z host sshd-session 1 x"},
		{"2026-01-02T03:04:05Z host sshd[1]:", time.UTC, "2026-01-02T03:04:05Z host sshd 1 "},
	} {
		h, ok := normalise.ParseLine(row.line, received, row.loc)
		got := strings.Join([]string{h.Time.Format(time.RFC3339Nano), h.Host, h.Program, h.PID, h.Message}, " ")
		if !ok || got != row.want {
			t.Errorf("%q\n got  %s %t\n want %s", row.line, got, ok, row.want)
		}
	}
	for _, line := range []string{"", "hello", "Jan  2 04:04:05", "Jan  2 04:04:05 host", "Jan  2 04:04:05 host no tag here", "2026-13-02T03:04:05Z host a: b", "Jan 32 04:04:05 h a: b"} {
		if h, ok := normalise.ParseLine(line, received, time.UTC); ok {
			t.Errorf("%q read as %+v", line, h)
		}
	}
}

func FuzzSSHD(f *testing.F) {
	f.Add("Failed password for invalid user x from 203.0.113.9 port 1 ssh2")
	f.Add("Connection closed by authenticating user root 203.0.113.9 port 1 [preauth]")
	f.Fuzz(func(t *testing.T, msg string) {
		b, err := json.Marshal(map[string]string{"program": "sshd", "message": msg})
		if err != nil {
			t.Fatal(err)
		}
		event(&core.Event{Fields: b})
		event(&core.Event{Fields: json.RawMessage(msg)})
		normalise.ParseLine(msg, time.Unix(0, 0), time.UTC)
	})
}

// FuzzUserNamesCantForgeTheAddress puts any name into sshd's own formats.
func FuzzUserNamesCantForgeTheAddress(f *testing.F) {
	f.Add("root from 198.51.100.1 port 22 ssh2")
	f.Add("x 198.51.100.1 port 22 [preauth]")
	f.Add("a from 198.51.100.1 port 1 ssh2: RSA SHA256:abc")
	f.Add("a-CERT  port 1 ssh2: RSA SHA256:abc ID x (serial 1) CA RSA SHA256:x")
	f.Fuzz(func(t *testing.T, name string) {
		for _, format := range []string{
			"Failed password for invalid user NAME from 203.0.113.9 port 4242 ssh2",
			"Failed publickey for invalid user NAME from 203.0.113.9 port 4242 ssh2: RSA SHA256:x",
			"Invalid user NAME from 203.0.113.9 port 4242",
			"Connection closed by invalid user NAME 203.0.113.9 port 4242 [preauth]",
			"Disconnecting invalid user NAME 203.0.113.9 port 4242: Too many authentication failures [preauth]",
		} {
			got, _, _ := read(t, "sshd", strings.Replace(format, "NAME", name, 1))
			if ip := got[normalise.FieldIP]; ip != "" && ip != "203.0.113.9" {
				t.Errorf("%s with %q: address %s", format, name, ip)
			}
		}
	})
}

// What the fleet says of itself has rules of its own: the word that it signs
// with is the one that rules are looked up by.
func TestTheFleetSpeaksForItself(t *testing.T) {
	sources, _ := normalise.New().Event(&core.Event{Source: fleet.Source, Type: fleet.AlarmCloned, Fields: []byte("{}")}, func(string, string) {})
	if len(sources) != 1 || sources[0].Service != "fleet" {
		t.Errorf("logsources %v", sources)
	}
}
