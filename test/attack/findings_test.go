package attack

import (
	"encoding/json"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// scanned is what a scanner says of a repository: one vulnerable package.
func scanned(at time.Time) api.Submission {
	f := scanning.Finding{
		Rule: "GO-2026-0001", Aliases: []string{"CVE-2026-0001"}, Class: scanning.ClassVulnerability, Title: "overflow", Severity: core.SeverityHigh, Location: scanning.Location{File: "go.mod"},
		Package: &scanning.Package{Ecosystem: "Go", Name: "example.com/log", Version: "v1.0.0"},
	}
	f.Fingerprint = scanning.Fingerprint(&f)
	return api.Submission{Subject: "repo/shop", Reports: []scanning.Report{{
		Tool: scanning.Tool{Name: "interlock-deps", Version: "1"}, Scope: scanning.Scope{Kind: scanning.ScopeGit, Name: "shop"},
		Started: at, Finished: at, Findings: []scanning.Finding{f},
	}}}
}

// handIn makes a finding.
func (d *doors) handIn() {
	d.t.Helper()
	var handed api.Submitted
	if err := d.api.Post(d.t.Context(), "/v1/findings/reports", scanned(time.Now().Add(-time.Hour)), &handed); err != nil || len(handed.Reports) != 1 || len(handed.Reports[0].New) != 1 {
		d.t.Fatalf("a finding: %+v, %v", handed, err)
	}
	d.finding = handed.Reports[0].New[0]
}

// findingCalls are the routes of findings and campaigns that have an effect.
func findingCalls(id string) map[string][]call {
	const nobody = "01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55"
	report, err := json.Marshal(scanned(time.Now()))
	if err != nil {
		panic(err) // of our own words
	}
	both := func(body string) []call { return []call{{id, body}, {nobody, body}} }
	return map[string][]call{
		"POST /v1/findings/reports": {{"", string(report)}},
		"POST /v1/findings/sboms":   {{"", `{"subject":"device/press-7","packages":[{"ecosystem":"npm","name":"left","version":"1.0.0"}]}`}},
		"POST /v1/findings/vex": {{"", `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://acme.example/1","author":"Acme","timestamp":"2026-01-01T00:00:00Z","version":1,
			"statements":[{"vulnerability":{"name":"CVE-2026-0001"},"products":[{"@id":"pkg:golang/example.com/log@v1.0.0"}],"status":"not_affected","justification":"component_not_present"}]}`}},
		"POST /v1/findings/owners":       {{"", `{"text":""}`}},
		"POST /v1/findings/{id}/move":    both(`{"to":"triaged","reason":""}`),
		"POST /v1/findings/{id}/dismiss": both(`{"to":"false-positive","reason":"test"}`),
		"POST /v1/findings/{id}/accept":  both(`{"until":"` + time.Now().AddDate(0, 0, 20).UTC().Format(time.RFC3339) + `","reason":"test"}`),
		"POST /v1/findings/{id}/approve": both(`{"reason":""}`),
		"POST /v1/findings/{id}/assign":  both(`{"owner":"test"}`),
		"POST /v1/findings/{id}/notes":   both(`{"text":"test"}`),
		"POST /v1/campaigns":             {{"", `{"ecosystem":"npm","package":"left"}`}},
		"POST /v1/advisories/{id}/facts": {{"CVE-2026-0001", `{"kind":"poc","at":"2026-01-01T00:00:00Z","source":"test"}`}},
	}
}
