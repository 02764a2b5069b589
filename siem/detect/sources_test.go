package detect_test

import (
	"encoding/json"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
)

// TestOneNameMoreHidesNothing: a recorded process creation with a key in it that
// a line of syslog has is still one.
func TestOneNameMoreHidesNothing(t *testing.T) {
	set, err := detect.NewRuleset([]rules.File{{Name: "x.yml", Text: "title: X\nid: 11111111-1111-4111-8111-111111111111\nauthor: A\n" +
		"logsource: {product: windows, category: process_creation}\ndetection:\n  s:\n    Image|endswith: '\\evil.exe'\n  condition: s\n"}})
	if err != nil {
		t.Fatal(err)
	}
	d := detect.NewDetector(set, normalise.New(), &detect.Stats{})
	for _, more := range []string{``, `"program":"x",`, `"program":"sshd","message":"x",`, `"SYSLOG_IDENTIFIER":"sudo","MESSAGE":"x",`, `"message":"type=EXECVE msg=audit(1.000:1): a0=1",`} {
		fields := `{` + more + `"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Image":"C:\\evil.exe"}`
		hits := 0
		d.Judge(&core.Event{Tenant: tenant, ID: eventID(1), Time: begin, Received: begin, Source: "file/x", Type: "log", Fields: json.RawMessage(fields)}, func(detect.Match) { hits++ })
		if hits != 1 {
			t.Errorf("%d matches of %s", hits, fields)
		}
	}
}
