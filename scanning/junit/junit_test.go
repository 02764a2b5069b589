package junit

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

func write(t testing.TB, reports []scanning.Report) (suites, string) {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, reports); err != nil {
		t.Fatal(err)
	}
	var got suites
	if err := xml.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	return got, b.String()
}

func TestWrite(t *testing.T) {
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	got, text := write(t, []scanning.Report{
		{
			Tool: scanning.Tool{Name: "secrets"}, Scope: scanning.Scope{Name: "repo"}, Started: start, Finished: start.Add(1500 * time.Millisecond),
			Findings: []scanning.Finding{
				{Rule: "pat", Class: scanning.ClassSecret, Title: "Token ]]> & <b>", Severity: core.SeverityHigh, Redacted: "ghp_\u2026", Fingerprint: "0123456789abcdef", Location: scanning.Location{File: "a\x00\x1b[31m\xff\".env", Line: 3}},
				{Rule: "CVE-2", Class: scanning.ClassVulnerability, Title: "x", Reach: scanning.ReachNotImported},
				{Rule: "CVE-3", Class: scanning.ClassVulnerability, Title: "x", VEX: &scanning.Exploitability{Status: "not_affected", Source: "vex.json by Anna", Statement: "never called"}},
				{Rule: "CVE-1", Class: scanning.ClassVulnerability, Title: "x", Package: &scanning.Package{Name: "lib", Version: "1"}, Fingerprint: "f"},
			},
			Gaps: []scanning.Gap{{What: "big.bin", Why: "too large", Reason: scanning.ReasonTooLarge}},
		},
		{Tool: scanning.Tool{Name: "deps"}},
	})
	if got.Tests != 6 || got.Failures != 2 || got.Errors != 1 || got.Suites[0].Time != "1.500" || got.Suites[1].Cases[0].Failure != nil {
		t.Errorf("%+v", got)
	}
	if asked := got.Suites[0].Cases[1]; got.Suites[0].Skipped != 2 || asked.Failure != nil || asked.Skipped.Message != "not imported here" {
		t.Errorf("%+v", got.Suites[0])
	}
	c := got.Suites[0].Cases[0]
	if c.File != "a\uFFFD\uFFFD[31m\uFFFD\".env" || c.Failure.Message != "Token ]]> & <b>" || strings.Contains(c.Name, ":3") {
		t.Errorf("%+v", c)
	}
	if strings.ContainsAny(text, "\x00\x1b") || !strings.Contains(text, `<error message="too large" type="too-large">`) {
		t.Error(text)
	}
}

func FuzzWrite(f *testing.F) {
	f.Add("a\x00]]>", "\xed\xa0\x80\ufffe")
	f.Fuzz(func(t *testing.T, a, b string) {
		got, _ := write(t, []scanning.Report{{Tool: scanning.Tool{Name: a}, Findings: []scanning.Finding{{Rule: a, Title: b, Location: scanning.Location{File: b}}}, Gaps: []scanning.Gap{{What: b, Why: a}}}})
		if got.Failures != 1 || got.Errors != 1 {
			t.Fatalf("%+v", got)
		}
	})
}
