package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// vulnerable is a vulnerable package with hostile words around it.
func vulnerable(rule string, severity core.Severity) scanning.Finding {
	f := scanning.Finding{
		Rule: rule, Class: scanning.ClassVulnerability, Title: "overflow in " + nasty, Detail: nasty, Severity: severity, Advice: "Update to 1.2.3 " + nasty,
		Location: scanning.Location{File: "go.mod" + nasty}, Aliases: []string{"CVE" + rule[2:]}, Fixed: []string{"1.2.3"}, Links: []string{nasty},
		Package: &scanning.Package{Ecosystem: "Go", Name: "example.com/log", Version: "v1.0.0"},
		Risk:    scanning.Risk{CVSS: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8, EPSS: 0.4, SSVC: "Attend"},
	}
	f.Fingerprint = scanning.Fingerprint(&f)
	return f
}

// scanned hands in a report of the repository shop.
func (p *plant) scanned(at time.Time, gaps []scanning.Gap, findings ...scanning.Finding) lifecycle.Summary {
	p.t.Helper()
	report := scanning.Report{
		Tool: scanning.Tool{Name: "interlock-deps", Version: "1"}, Scope: scanning.Scope{Kind: scanning.ScopeGit, Name: "shop"},
		Started: at, Finished: at.Add(time.Second), Findings: findings, Gaps: gaps,
	}
	var sum lifecycle.Summary
	p.must(p.state.Tx(p.t.Context(), func(tx *store.Tx) (err error) {
		sum, err = p.findings.ImportFor(p.t.Context(), tx, plantTenant, "repo/shop", &report, "test", time.Now())
		return err
	}))
	return sum
}

// TestFindingsAreDrivenToAFix by the forms of their pages, and only a scan
// verifies them.
func TestFindingsAreDrivenToAFix(t *testing.T) {
	p := newPlant(t)
	if text := visibleText(p.page("vera", "/findings")); !strings.Contains(text, "Nothing was scanned yet") || !strings.Contains(text, "interlock findings submit") {
		t.Error(text)
	}
	sum := p.scanned(time.Now().Add(-time.Hour), nil, vulnerable("GO-2026-0001", core.SeverityCritical))
	path := "/findings/" + sum.New[0].String()
	for _, page := range []string{"/findings", "/findings?which=all", "/findings?severity=high&class=vulnerability&subject=repo/shop&text=overflow", path} {
		body := p.page("vera", page)
		harmless(t, page, body)
		if text := visibleText(body); !strings.Contains(text, "overflow in") || strings.Contains(body, `action="`+path) {
			t.Errorf("%s: %s", page, text)
		}
	}
	if body := p.page("otto", path); !strings.Contains(body, path+"/move") || strings.Contains(body, path+"/accept") {
		t.Error("a risk is carried only for what somebody has looked at: " + visibleText(body))
	}
	for _, to := range []string{"triaged", "affected", "remediating", "fixed-pending-verification"} {
		p.submit("otto", path+"/move", "to", to, "reason", nasty)
	}
	p.submit("otto", path+"/assign", "owner", "team-x")
	p.submit("otto", path+"/note", "text", nasty)
	body := p.page("otto", path)
	harmless(t, path, body)
	if text := visibleText(body); !strings.Contains(text, "has to say that it is gone") || !strings.Contains(body, `value="team-x"`) {
		t.Error(text)
	}
	form := url.Values{"csrf": {"token-of-otto"}, "to": {"verified"}}
	if res, text := p.ask("otto", http.MethodPost, path+"/move", form); res.StatusCode < 400 {
		t.Errorf("somebody verified it: %d %s", res.StatusCode, visibleText(text))
	}
	if text := visibleText(p.page("vera", "/findings?which=verify")); !strings.Contains(text, "overflow in") {
		t.Error(text)
	}
	p.scanned(time.Now(), nil)
	if text := visibleText(p.page("vera", path)); !strings.Contains(text, "gone") || !strings.Contains(text, "verified") {
		t.Error(text)
	}
	if text := visibleText(p.page("vera", "/findings")); !strings.Contains(text, "never scanned is not clean") {
		t.Error(text)
	}
}

// TestJudgementsNeedWhoAnswersForThem: a false positive has its reason, a risk two
// persons.
func TestJudgementsNeedWhoAnswersForThem(t *testing.T) {
	p := newPlant(t)
	sum := p.scanned(time.Now().Add(-time.Hour), []scanning.Gap{{What: nasty, Why: nasty, Reason: scanning.ReasonStale}},
		vulnerable("GO-2026-0001", core.SeverityCritical), vulnerable("GO-2026-0002", core.SeverityLow))
	if body := p.page("vera", "/findings"); !strings.Contains(visibleText(body), "their silence proves nothing") {
		t.Error(visibleText(body))
	} else {
		harmless(t, "/findings", body)
	}
	path := "/findings/" + sum.New[0].String()
	form := url.Values{"csrf": {"token-of-anna"}, "to": {"false-positive"}, "reason": {" "}}
	if res, _ := p.ask("anna", http.MethodPost, path+"/dismiss", form); res.StatusCode < 400 {
		t.Error("dismissed without a reason")
	}
	p.submit("anna", path+"/dismiss", "to", "false-positive", "reason", nasty)
	harmless(t, path, p.page("vera", path))
	path = "/findings/" + sum.New[1].String()
	p.submit("otto", path+"/move", "to", "triaged")
	p.submit("anna", path+"/accept", "until", time.Now().AddDate(0, 0, 20).Format(time.DateOnly), "reason", nasty)
	body := p.page("anna", path)
	harmless(t, path, body)
	if strings.Contains(body, "/approve") || !strings.Contains(visibleText(body), "Somebody else has to approve it") {
		t.Error("who asked may approve: " + visibleText(body))
	}
	form = url.Values{"csrf": {"token-of-anna"}, "reason": {"mine"}}
	if res, _ := p.ask("anna", http.MethodPost, path+"/approve", form); res.StatusCode < 400 {
		t.Error("one person carried a risk alone")
	}
}

// TestACampaignAsksStoredInventories and shows who has it since when.
func TestACampaignAsksStoredInventories(t *testing.T) {
	p := newPlant(t)
	if text := visibleText(p.page("vera", "/campaigns")); !strings.Contains(text, "No campaign yet") {
		t.Error(text)
	}
	p.must(p.state.Tx(t.Context(), func(tx *store.Tx) error {
		_, err := p.findings.TakeInventory(t.Context(), tx, plantTenant, lifecycle.Look{
			Subject: "device/press-7", Packages: []scanning.Package{{Ecosystem: "npm", Name: "leftover", Version: "1.0.0"}}, At: time.Now().Add(-time.Hour),
		})
		return err
	}))
	to := p.submit("anna", "/campaigns", "name", hostileRule, "ecosystem", "npm", "package", "leftover", "below", "1.2.0")
	body := p.page("vera", to)
	harmless(t, to, body)
	if text := visibleText(body); !strings.Contains(text, "device/press-7") || !strings.Contains(text, "has it") {
		t.Error(text)
	}
	harmless(t, "/campaigns", p.page("vera", "/campaigns"))
	if body := p.page("vera", "/campaigns"); strings.Contains(body, `name="package"`) {
		t.Error("a viewer starts campaigns")
	}
	form := url.Values{"csrf": {"token-of-anna"}}
	if res, _ := p.ask("anna", http.MethodPost, "/campaigns", form); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a campaign about nothing: %d", res.StatusCode)
	}
}
