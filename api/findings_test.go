package api_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/vex"
)

// scanned is a report of one vulnerable package on a repository.
func scanned(at time.Time, findings ...scanning.Finding) scanning.Report {
	return scanning.Report{
		Tool:    scanning.Tool{Name: "interlock deps", Version: "1"},
		Scope:   scanning.Scope{Kind: scanning.ScopeGit, Name: "shop"},
		Started: at, Finished: at.Add(time.Second), Findings: findings,
	}
}

func vulnerable(rule string, severity core.Severity) scanning.Finding {
	f := scanning.Finding{
		Rule: rule, Class: scanning.ClassVulnerability, Title: rule + " in log", Severity: severity, Location: scanning.Location{File: "go.mod"},
		Package: &scanning.Package{Ecosystem: "Go", Name: "example.com/log", Version: "v1.0.0"},
	}
	f.Fingerprint = scanning.Fingerprint(&f)
	return f
}

func (r *rig) submit(subject string, reports ...scanning.Report) lifecycle.Summary {
	r.t.Helper()
	body, err := json.Marshal(api.Submission{Subject: subject, Reports: reports})
	r.must(err)
	done := send[api.Submitted](r, "POST", "/v1/findings/reports", string(body))
	if len(done.Reports) != len(reports) {
		r.t.Fatalf("%+v", done)
	}
	return done.Reports[0]
}

// TestAFindingByTheAPI: handed in, listed, driven to a fix by the right people.
func TestAFindingByTheAPI(t *testing.T) {
	r := newRig(t)
	now := time.Now().UTC().Add(-time.Hour)
	report := scanned(now, vulnerable("GO-2026-1", core.SeverityHigh), vulnerable("GO-2026-2", core.SeverityCritical))
	sum := r.submit("", report)
	if len(sum.New) != 2 || sum.Subject != "repo/shop" {
		t.Fatalf("%+v", sum)
	}
	if again := r.submit("", report); !again.Known {
		t.Errorf("the same report: %+v", again)
	}
	list := pageOf[lifecycle.Finding](r, "/v1/findings?severity=high&subject=repo/shop&text=LOG")
	if len(list) != 2 || list[0].What.Rule != "GO-2026-2" {
		t.Fatalf("what to fix first: %+v", list)
	}
	first := get[api.Page[lifecycle.Finding]](r, "/v1/findings?limit=1&sort=due")
	second := get[api.Page[lifecycle.Finding]](r, "/v1/findings?limit=1&sort=due&after="+first.Next)
	if first.Total != 2 || len(second.Items) != 1 || first.Items[0].ID == second.Items[0].ID || second.Next != "" {
		t.Errorf("pages: %+v %+v", first, second)
	}
	r.refused("anna", "GET", "/v1/findings?after="+first.Next, "", core.KindInvalid, "cursor")
	r.refused("anna", "GET", "/v1/findings?state=gone", "", core.KindInvalid, "verified")
	path := "/v1/findings/" + list[0].ID.String()
	for _, to := range []string{"triaged", "affected", "remediating", "fixed-pending-verification"} {
		send[lifecycle.Finding](r, "POST", path+"/move", `{"to":"`+to+`","reason":""}`)
	}
	r.refused("anna", "POST", path+"/move", `{"to":"verified","reason":"trust me"}`, core.KindDenied, "scan the same scope")
	r.refused("vera", "POST", path+"/move", `{"to":"affected","reason":"r"}`, core.KindDenied)
	sum = r.submit("", scanned(time.Now().UTC()))
	if len(sum.Verified) != 2 {
		t.Errorf("verified: %+v", sum)
	}
	d := get[api.FindingDetail](r, path)
	if d.Finding.State != lifecycle.StateVerified || len(d.Timeline) != 6 || len(d.Sightings) != 1 || len(d.Next) != 0 {
		t.Errorf("%+v", d)
	}
	if found := pageOf[api.AuditEntry](r, "/v1/audit/entries?action=finding.work&outcome=permitted"); len(found) < 4 {
		t.Errorf("%d acts are in the log", len(found))
	}
	r.refused("anna", "GET", "/v1/findings/"+core.NewUUID(now).String(), "", core.KindNotFound)
}

// TestARiskIsAcceptedByTwo, and what closes a finding wants its words.
func TestARiskIsAcceptedByTwo(t *testing.T) {
	r := newRig(t)
	id := r.submit("device/press-9", scanned(time.Now().UTC().Add(-time.Hour), vulnerable("GO-2026-1", core.SeverityHigh))).New[0]
	path := "/v1/findings/" + id.String()
	send[lifecycle.Finding](r, "POST", path+"/move", `{"to":"triaged","reason":""}`)
	until := time.Now().UTC().AddDate(0, 0, 30).Format(time.RFC3339)
	r.refused("anna", "POST", path+"/approve", `{"reason":""}`, core.KindConflict, "nobody has asked")
	r.refused("anna", "POST", path+"/accept", `{"until":"`+until+`","reason":""}`, core.KindInvalid)
	r.refused("anna", "POST", path+"/accept", `{"until":"2999-01-01T00:00:00Z","reason":"r"}`, core.KindInvalid, "at most 90 days")
	send[lifecycle.Finding](r, "POST", path+"/accept", `{"until":"`+until+`","reason":"replaced soon"}`)
	r.refused("anna", "POST", path+"/approve", `{"reason":""}`, core.KindDenied, "does not approve")
	r.refused("vera", "POST", path+"/approve", `{"reason":""}`, core.KindDenied)
	r.refused("otto", "POST", path+"/approve", `{"reason":""}`, core.KindInvalid, "which request")
	asked := get[api.FindingDetail](r, path).Finding.Acceptance.Revision
	if code, b := r.ask("otto", "POST", path+"/approve", fmt.Sprintf(`{"reason":"","request":%d}`, asked)); code != http.StatusOK || !strings.Contains(string(b), `"risk-accepted"`) {
		t.Errorf("%d %s", code, b)
	}
	r.refused("anna", "POST", path+"/move", `{"to":"false-positive","reason":"r"}`, core.KindInvalid, "dismiss")
	send[lifecycle.Finding](r, "POST", path+"/move", `{"to":"affected","reason":"not any more"}`)
	r.refused("anna", "POST", path+"/dismiss", `{"to":"not-affected","reason":"r"}`, core.KindInvalid, "VEX")
	r.refused("anna", "POST", path+"/dismiss", `{"to":"duplicate","reason":"r","of":"`+id.String()+`"}`, core.KindInvalid, "another finding")
	f := send[lifecycle.Finding](r, "POST", path+"/assign", `{"owner":"shop"}`)
	if f.Owner != "shop" {
		t.Errorf("owner %q", f.Owner)
	}
	send[lifecycle.Finding](r, "POST", path+"/notes", `{"text":"seen"}`)
	send[lifecycle.Finding](r, "POST", path+"/dismiss", `{"to":"false-positive","reason":"an example"}`)
	if list := pageOf[lifecycle.Finding](r, "/v1/findings"); len(list) != 0 {
		t.Errorf("%d are open", len(list))
	}
}

// TestStatementsByTheAPI: nobody's word counts where nobody says so, and what we say
// ourselves is read by others.
func TestStatementsByTheAPI(t *testing.T) {
	r := newRig(t)
	id := r.submit("", scanned(time.Now().UTC().Add(-time.Hour), vulnerable("CVE-2026-1", core.SeverityHigh))).New[0]
	doc := `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://acme.example/1","author":"Acme PSIRT","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[
		{"vulnerability":{"name":"CVE-2026-1"},"products":[{"@id":"pkg:golang/example.com/log@v1.0.0"}],"status":"not_affected","justification":"vulnerable_code_not_present"}]}`
	path := "/v1/findings/vex?source=mail"
	r.refused("vera", "POST", path, doc, core.KindDenied)
	r.refused("anna", "POST", path, "{}", core.KindInvalid)
	taken := send[lifecycle.VEXTaken](r, "POST", path, doc)
	if taken.Trusted || len(taken.NotAffected) != 0 || len(taken.Ignored) != 1 || !strings.Contains(taken.Ignored[0].Why, "not trusted") {
		t.Errorf("%+v", taken)
	}
	r.api.Parts.Findings.Trusting([]vex.Author{{Name: "Acme PSIRT", Source: "mail"}})
	if taken = send[lifecycle.VEXTaken](r, "POST", path, doc); !taken.Trusted || len(taken.NotAffected) != 1 {
		t.Errorf("%+v", taken)
	}
	if d := get[api.FindingDetail](r, "/v1/findings/"+id.String()); d.Finding.State != lifecycle.StateNotAffected || d.Timeline[1].By != "vex/Acme PSIRT" {
		t.Errorf("%+v", d.Timeline)
	}
	for _, format := range []string{"", "openvex", "csaf", "cyclonedx"} {
		code, body := r.ask("vera", "GET", "/v1/findings/vex?subject=repo/shop&author=Us&namespace=https://us.example&format="+format, "")
		d, err := vex.DecodeBytes(body)
		if code != http.StatusOK || err != nil || len(d.Statements) != 1 || d.Statements[0].Status != vex.NotAffected || d.Statements[0].Vulnerability != "CVE-2026-1" {
			t.Errorf("%q: %d, %v: %s", format, code, err, body)
		}
	}
	r.refused("anna", "GET", "/v1/findings/vex?format=csaf", "", core.KindInvalid, "web site")
	r.refused("anna", "GET", "/v1/findings/vex?format=pdf", "", core.KindInvalid, "openvex")
	r.refused("anna", "GET", "/v1/findings/vex?subject=repo/none", "", core.KindNotFound)
}

// TestSubmissionsAreBounded: what is no report is refused, and leaves nothing.
func TestSubmissionsAreBounded(t *testing.T) {
	r := newRig(t)
	path := "/v1/findings/reports"
	for _, body := range []string{
		"", "{}", "[]", "null", `{"reports":[]}`, `{"reports":[{}]}`, `{"reports":[],"evil":1}`, "\x1f\x8b no gzip", `{"reports":[{"tool":{"name":"x"}}]}`,
	} {
		r.refused("anna", "POST", path, body, core.KindInvalid)
	}
	ahead := scanned(time.Now().Add(24*time.Hour), vulnerable("GO-2026-1", core.SeverityHigh))
	body, err := json.Marshal(api.Submission{Reports: []scanning.Report{ahead}})
	r.must(err)
	r.refused("anna", "POST", path, string(body), core.KindInvalid, "future")
	body, err = json.Marshal(api.Submission{Subject: "../etc/x", Reports: []scanning.Report{scanned(time.Now())}})
	r.must(err)
	r.refused("anna", "POST", path, string(body), core.KindInvalid, "subject")
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, err = z.Write(append([]byte(`{"subject":"`), bytes.Repeat([]byte("a"), 129<<20)...))
	r.must(err)
	r.must(z.Close())
	r.refused("anna", "POST", path, bomb.String(), core.KindTooLarge)
	if list := pageOf[lifecycle.Finding](r, "/v1/findings?all=true"); len(list) != 0 {
		t.Errorf("%d findings", len(list))
	}
}

// TestAListOfNothingIsNotRead: a few bytes an element would be hundreds each, so
// lists are counted before they are decoded, wherever they stand and whatever
// text stands in them.
func TestAListOfNothingIsNotRead(t *testing.T) {
	r := newRig(t)
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	_, _ = z.Write([]byte(`{"reports":[{"findings":[` + strings.Repeat("0,", 1_100_000) + `0]}]}`))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	r.refused("anna", "POST", "/v1/findings/reports", body.String(), core.KindTooLarge, "elements")
	text := vulnerable("GO-2026-1", core.SeverityHigh)
	text.Detail = strings.Repeat(`[",\"`, 3_000)
	r.submit("", scanned(time.Now().UTC().Add(-time.Hour), text))
}
