package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
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

// installed hands in what a subject had at a time.
func (p *plant) installed(subject string, at time.Time, packages ...scanning.Package) {
	p.t.Helper()
	_, err := p.api.SubmitInventory(p.as("anna"), api.InventorySubmission{Subject: subject, Packages: packages, Created: at})
	p.must(err)
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
	if body := p.page("vera", path); !strings.Contains(body, `href="https://www.cve.org/CVERecord?id=CVE-2026-0001"`) || strings.Contains(body, `href="javascript`) {
		t.Error("names of advisories are linked where their register is known, and nothing else: " + visibleText(body))
	}
	if text := visibleText(p.page("vera", "/findings")); !strings.Contains(text, "1 open now, 0 on") || !strings.Contains(text, "critical 1") || !strings.Contains(text, "There are none.") {
		t.Error("the burn-down in words, and what the server has no advisories for: " + text)
	}
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
	if !strings.Contains(body, "permitted by ") || strings.Contains(body, `value="fixed-pending-verification"`) {
		t.Error("the timeline leads to no proof, or what is done is offered again")
	}
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
	if body := p.page("anna", path); !strings.Contains(visibleText(body), "waits for approval") {
		t.Error("nobody sees how the request stands: " + visibleText(body))
	}
	form = url.Values{"csrf": {"token-of-anna"}, "reason": {"mine"}, "request": {"3"}}
	if res, _ := p.ask("anna", http.MethodPost, path+"/approve", form); res.StatusCode < 400 {
		t.Error("one person carried a risk alone")
	}
}

// TestEveryStepThatAPersonMayTakeIsOffered and none else, in every state.
func TestEveryStepThatAPersonMayTakeIsOffered(t *testing.T) {
	judged := []lifecycle.State{lifecycle.StateNotAffected, lifecycle.StateFalsePositive, lifecycle.StateDuplicate, lifecycle.StateAccepted}
	for _, at := range lifecycle.States {
		first, others := nextMoves(at)
		offered := map[lifecycle.State]bool{}
		for _, m := range others {
			offered[m.To] = m.Reason
		}
		if first != nil {
			offered[first.To] = first.Reason
		}
		for _, e := range lifecycle.Edges {
			if e.From != at || e.Who != lifecycle.WhoPerson || slices.Contains(judged, e.To) {
				continue
			}
			if reason, is := offered[e.To]; !is || reason != slices.Contains(e.Needs, lifecycle.NeedReason) {
				t.Errorf("%s to %s: offered %v, with a reason %v", at, e.To, is, reason)
			}
			delete(offered, e.To)
		}
		if len(offered) > 0 {
			t.Errorf("%s: %v is offered and would be refused", at, offered)
		}
	}
}

// TestADuplicateIsAnotherFinding, named by the address of its page.
func TestADuplicateIsAnotherFinding(t *testing.T) {
	p := newPlant(t)
	long := vulnerable("GO-2026-0002", core.SeverityLow)
	long.Title = strings.Repeat(nasty, 100)
	sum := p.scanned(time.Now().Add(-time.Hour), nil, vulnerable("GO-2026-0001", core.SeverityCritical), long)
	one, other := "/findings/"+sum.New[0].String(), "/findings/"+sum.New[1].String()
	for _, path := range []string{"/findings", one, other} {
		harmless(t, path, p.page("anna", path))
	}
	p.submit("anna", one+"/dismiss", "to", "duplicate", "of", "http://localhost:7400"+other, "reason", "one and the same")
	body := p.page("anna", one)
	if !strings.Contains(body, `href="`+other+`"`) || !strings.Contains(visibleText(body), "It is something after all") {
		t.Error(visibleText(body))
	}
	form := url.Values{"csrf": {"token-of-anna"}, "to": {"triaged"}}
	if res, text := p.ask("anna", http.MethodPost, one+"/move", form); res.StatusCode < 400 || !strings.Contains(visibleText(text), "needs a reason") {
		t.Errorf("the server's reason is not shown: %d %s", res.StatusCode, visibleText(text))
	}
}

// TestACampaignAsksStoredInventories and shows who has it since when.
func TestACampaignAsksStoredInventories(t *testing.T) {
	p := newPlant(t)
	if text := visibleText(p.page("vera", "/campaigns")); !strings.Contains(text, "No campaign yet") {
		t.Error(text)
	}
	p.installed("device/press-7", time.Now().Add(-time.Hour), scanning.Package{Ecosystem: "npm", Name: "leftover", Version: "1.0.0"})
	to := p.submit("anna", "/campaigns", "name", hostileRule, "ecosystem", "npm", "package", "leftover", "below", "1.2.0")
	body := p.page("vera", to)
	harmless(t, to, body)
	if text := visibleText(body); !strings.Contains(text, "device/press-7") || !strings.Contains(text, "has it") {
		t.Error(text)
	}
	p.device(plantPress, false)
	p.device(core.MustID[core.DeviceID]("saw-1"), false)
	p.installed("device/mill-2", time.Now().AddDate(0, 0, -20), scanning.Package{Ecosystem: "npm", Name: "other", Version: "1.0.0"})
	if body := p.page("vera", to+"?which=not-looked-at"); strings.Contains(body, `href="/devices/mill-2"`) || !strings.Contains(body, `href="/devices/saw-1"`) {
		t.Error("a link leads to a device that is not enrolled, or none to one that is")
	}
	if text := visibleText(p.page("vera", to+"?which=not-looked-at")); !strings.Contains(text, "device/saw-1 never looked at") || !strings.Contains(text, "device/mill-2 not looked at lately") || strings.Contains(text, "device/press-7 ") {
		t.Error("who was not looked at is not said: " + text)
	}
	p.installed("device/press-7", time.Now(), scanning.Package{Ecosystem: "npm", Name: "leftover", Version: "1.3.0"})
	if text := visibleText(p.page("vera", to+"?which=rid-of-it")); !strings.Contains(text, "1 of 1 who have or had it are rid of it (100 %)") || !strings.Contains(text, "2 more were not looked at") {
		t.Error(text)
	}
	for format, want := range map[string]string{"csv": "device/saw-1,not-looked-at,,,,\n", "json": `{"subject":"device/saw-1","state":"not-looked-at"}`} {
		if body := p.page("vera", to+"/export/"+format); !strings.Contains(body, want) || !strings.Contains(body, "rid-of-it") {
			t.Errorf("%s: %s", format, body)
		}
	}
	for subject, want := range map[string]string{"device/mill-2": "is of 20 days ago", "image/none": "No inventory of image/none"} {
		if text := visibleText(p.page("vera", "/findings?subject="+subject)); !strings.Contains(text, want) {
			t.Error(text)
		}
	}
	for device, want := range map[string]string{"press-7": "packages of", "saw-1": "never taken"} {
		if text := visibleText(p.page("vera", "/devices/"+device)); !strings.Contains(text, want) {
			t.Error(text)
		}
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

// TestALargeCampaignIsReadByPage, and what is handed out opens as no formula.
func TestALargeCampaignIsReadByPage(t *testing.T) {
	rows := make([]campaignRow, 2*campaignShown+1)
	for page, want := range map[string]int{"": campaignShown, "2": campaignShown, "3": 1, "4": campaignShown, "-1": campaignShown, "x": campaignShown, "99999999999999999999": campaignShown} {
		shown, pager := slicePage("/campaigns/1", url.Values{"which": {rowHas}}, rows, page)
		if len(shown) != want || pager.Total != len(rows) || (pager.Next == "") != (page == "3") {
			t.Errorf("page %q: %d rows, %+v", page, len(shown), pager)
		}
	}
	for text, want := range map[string]string{"device/a": "device/a", "=1+1": "'=1+1", "@x": "'@x", "": "", "a\u202eb": `a\u202eb`} {
		if got := cell(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}
