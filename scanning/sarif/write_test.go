package sarif

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/schematest"
)

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	return schematest.Compile(t, schemaURI, map[string]string{schemaURI: "testdata/sarif-schema-2.1.0.json.gz"})
}

func at(day int) time.Time { return time.Date(2026, 3, day, 10, 0, 0, 0, time.UTC) }

// reports are a git scan with everything in it and a hostile folder with gaps.
func reports() []scanning.Report {
	secret := scanning.Finding{
		Rule: "github-pat", Class: scanning.ClassSecret, Title: "GitHub token", Severity: core.SeverityHigh, Redacted: "ghp_\u20269zZ",
		Location: scanning.Location{File: "deploy/a b%\u00e9#?.env", Line: 3, Column: 8, EndLine: 4, Inner: []string{"x.tar", "y.env"}, Commit: "0123", Author: "Anna", Date: at(1), Context: "token ="},
		Advice:   "Revoke it", Links: []string{"javascript:alert(1)", "https://docs.example/x"}, Tags: []string{"key"},
	}
	vuln := scanning.Finding{
		Rule: "GO-2024-2611", Class: scanning.ClassVulnerability, Title: "Infinite loop", Detail: "See [here](https://evil.example) {0}", Severity: core.SeverityCritical,
		Location: scanning.Location{File: "go.mod"}, Aliases: []string{"CVE-2024-24786"}, Fixed: []string{"1.33.0"}, Reach: scanning.ReachImported,
		Package: &scanning.Package{Ecosystem: "Go", Name: "google.golang.org/protobuf", Version: "1.32.0", PURL: "pkg:golang/google.golang.org/protobuf@1.32.0"},
		Risk:    scanning.Risk{Score: 5.3, EPSS: .2, KEV: at(2)},
		VEX:     &scanning.Exploitability{Status: "not_affected", Justification: "vulnerable_code_not_present", Source: "vex.json by Anna", At: at(2)},
	}
	hostile := scanning.Finding{
		Rule: "r\xff", Class: scanning.ClassCode, Title: "a\x00\x1b[31m\xff", Severity: core.SeverityInfo,
		Location: scanning.Location{File: "../../a:b\\c\n\xff/%2e", Line: 1},
	}
	web := scanning.Finding{Rule: "hsts", Class: scanning.ClassWeb, Title: "No HSTS", Severity: core.SeverityLow, Location: scanning.Location{URL: "https://a.example/x?y=1"}}
	none := scanning.Finding{Rule: "plain", Class: scanning.ClassHost, Title: "Root login", Severity: core.SeverityMedium}
	all := []scanning.Report{
		{
			Tool: scanning.Tool{Name: "interlock secrets", Version: "v1.2.3", Rules: "abc", Database: at(1), Detectors: []string{"github-pat"}}, Started: at(1), Finished: at(2),
			Scope:    scanning.Scope{Kind: scanning.ScopeGit, Name: "https://user:hunter2@git.example/a/b.git", Revision: "0123"},
			Findings: []scanning.Finding{secret, vuln}, Scanned: map[string]int64{"files": 3},
		},
		{
			Tool: scanning.Tool{Name: "interlock code", Version: "dev"}, Scope: scanning.Scope{Kind: scanning.ScopeFolder, Name: "x\xff y"}, Started: at(1), Finished: at(1),
			Findings: []scanning.Finding{hostile, web, none},
			Gaps:     []scanning.Gap{{What: "big\xff.bin", Why: "over 10 MB", Reason: scanning.ReasonTooLarge}, {What: "db", Why: "older than 7 days", Reason: scanning.ReasonStale}},
		},
		{Tool: scanning.Tool{Name: "empty"}, Scope: scanning.Scope{Kind: scanning.ScopeImage, Name: "img"}},
	}
	for i := range all {
		for j := range all[i].Findings {
			all[i].Findings[j].Fingerprint = scanning.Fingerprint(&all[i].Findings[j])
		}
	}
	return all
}

func TestWhatIsWrittenIsValidAndTheSameEachTime(t *testing.T) {
	schema := compiled(t)
	var first, second bytes.Buffer
	suppressed := Options{Suppressed: func(f *scanning.Finding) []Suppression {
		if f.Rule == "github-pat" {
			return []Suppression{{InSource: true, UnderReview: true}}
		}
		return nil
	}}
	for _, b := range []*bytes.Buffer{&first, &second} {
		all := reports()
		all[0].Findings[1].VEX.Status = "affected"
		if err := WriteWith(b, all, suppressed); err != nil {
			t.Fatal(err)
		}
	}
	schematest.Check(t, schema, first.Bytes())
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two writes of the same reports differ")
	}
	if strings.Contains(first.String(), "hunter2") {
		t.Error("the remote's password is in the log")
	}
	var l sarifLog
	if err := json.Unmarshal(first.Bytes(), &l); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "repository", l.Runs[0].VersionControlProvenance[0].RepositoryURI, "https://git.example/a/b.git")
	mustBe(t, "complete", l.Runs[0].Invocations[0].ExecutionSuccessful, true)
	mustBe(t, "incomplete", l.Runs[1].Invocations[0].ExecutionSuccessful, false)
	mustBe(t, "gaps", len(l.Runs[1].Invocations[0].ToolExecutionNotifications), 2)
	var res result
	if err := json.Unmarshal(l.Runs[0].Results[0], &res); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "uri", res.Locations[0].PhysicalLocation.ArtifactLocation.URI, "deploy/a%20b%25%C3%A9%23%3F.env")
	mustBe(t, "suppressions", len(res.Suppressions), 1)
	rules := l.Runs[0].Tool.Driver.Rules
	mustBe(t, "first rule", rules[0].ID, "GO-2024-2611")
	mustBe(t, "raised severity", string(rules[0].Properties["security-severity"]), `"9.5"`)
	mustBe(t, "help address", rules[1].HelpURI, "https://docs.example/x")
}

// GitHub makes an open alert of each result and passes its suppressions over, so
// that what asks for nothing is none; it comes back to the list that it was in.
func TestWhatIsSuppressedIsNoResult(t *testing.T) {
	finding := func(rule string, class scanning.Class) scanning.Finding {
		return scanning.Finding{Rule: rule, Class: class, Title: "t " + rule, Severity: core.SeverityHigh, Location: scanning.Location{File: "a/" + rule, Line: 2}}
	}
	open, far := finding("open", scanning.ClassSecret), finding("far", scanning.ClassVulnerability)
	far.Reach = scanning.ReachNotImported
	answered := finding("answered", scanning.ClassVulnerability)
	answered.VEX = &scanning.Exploitability{Status: "not_affected", Justification: "component_not_present", Source: "vex.json"}
	inLine, listed, accepted := finding("line", scanning.ClassSecret), finding("list", scanning.ClassSecret), finding("accepted", scanning.ClassCode)
	guess := finding("guess", scanning.ClassSecret)
	want := scanning.Report{
		Tool: scanning.Tool{Name: "t", Version: "1"}, Scope: scanning.Scope{Kind: scanning.ScopeFolder, Name: "n"}, Findings: []scanning.Finding{far, open, answered, accepted},
		Suppressed: []scanning.Suppressed{{Finding: inLine, By: "in the line <&>", InSource: true}, {Finding: listed}, {Finding: guess, By: "looks like one", Guessed: true}},
	}
	var b bytes.Buffer
	err := WriteWith(&b, []scanning.Report{want}, Options{Suppressed: func(f *scanning.Finding) []Suppression {
		return map[string][]Suppression{"accepted": {{Justification: "until May"}}, "open": {{UnderReview: true}}}[f.Rule]
	}})
	if err != nil {
		t.Fatal(err)
	}
	schematest.Check(t, compiled(t), b.Bytes())
	var l sarifLog
	if err := json.Unmarshal(b.Bytes(), &l); err != nil {
		t.Fatal(err)
	}
	if r := l.Runs[0]; len(r.Results) != 1 || len(r.Tool.Driver.Rules) != 1 || r.Tool.Driver.Rules[0].ID != "open" {
		t.Errorf("%s", b.String())
	}
	// Nobody has accepted what the scanner itself took for harmless.
	if text := b.String(); strings.Count(text, "underReview") != 2 || !strings.Contains(text, "guessed by the scanner, accepted by nobody: looks like one") {
		t.Errorf("%s", text)
	}
	got, err := Read(&b)
	if err != nil || len(got[0].Findings) != 4 || len(got[0].Suppressed) != 3 || len(got[0].Gaps) != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, w := range []scanning.Finding{open, far, answered, accepted} { // what is open comes first
		w.Fingerprint = scanning.Fingerprint(&w)
		compare(t, w, got[0].Findings[i])
	}
	for i, w := range want.Suppressed {
		w.Finding.Fingerprint = scanning.Fingerprint(&w.Finding)
		if g := got[0].Suppressed[i]; !reflect.DeepEqual(g, w) {
			t.Errorf("\n got %+v\nwant %+v", g, w)
		}
	}
}

func mustBe[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestPathsNeverPointOutOfTheirRoot(t *testing.T) {
	for file, want := range map[string]string{
		"../../etc/passwd": "etc/passwd", "a/../../b": "b", "a:b": "a%3Ab", `a\b`: "a%5Cb", "a\nb": "a%0Ab",
		"//evil.example/x": "file:///evil.example/x", "/etc/passwd": "file:///etc/passwd", "https://evil.example/x": "https%3A/evil.example/x",
	} {
		if got, _ := locationURI(&scanning.Location{File: file}); got != want {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
}

// What is written comes back, but for what JSON and SARIF cannot hold.
func TestRoundTrip(t *testing.T) {
	want := reports()
	var b bytes.Buffer
	if err := Write(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		w, g := &want[i], &got[i]
		if !reflect.DeepEqual(w.Tool, g.Tool) || g.Outcome() != w.Outcome() || len(g.Findings) != len(w.Findings) || !g.Started.Equal(w.Started) {
			t.Errorf("run %d:\n got %+v\nwant %+v", i, g, w)
			continue
		}
		for j := range w.Findings {
			compare(t, w.Findings[j], g.Findings[j])
		}
		for j := range w.Gaps {
			mustBe(t, "why", g.Gaps[j].Why, w.Gaps[j].Why)
			mustBe(t, "reason", g.Gaps[j].Reason, w.Gaps[j].Reason)
		}
	}
}

func compare(t *testing.T, w, g scanning.Finding) {
	t.Helper()
	mustBe(t, "fingerprint of "+w.Title, g.Fingerprint, w.Fingerprint)
	if w.Rule == "r\xff" {
		return // not UTF-8, which JSON has no way to say
	}
	w.Location.Context = ""
	if w.VEX != nil { // what a statement means is decided where authors are trusted
		w.VEX, w.Tags = nil, append(w.Tags, "vex:"+w.VEX.Status)
	}
	if !reflect.DeepEqual(w, g) {
		t.Errorf("\n got %+v\nwant %+v", g, w)
	}
}
