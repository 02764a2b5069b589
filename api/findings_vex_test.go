package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/vex"
)

const (
	vexPath = "/v1/findings/vex?source=mail"
	vexDoc  = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://acme.example/1","author":"Acme PSIRT","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[
		{"vulnerability":{"name":"CVE-2026-1"},"products":[{"@id":"pkg:golang/example.com/log@v1.0.0"}],"status":"not_affected","justification":"vulnerable_code_not_present"}]}`
)

// TestAStatementNeedsEverySite: it closes what it speaks of wherever that is, so
// whoever may not dismiss a finding may not close it by a document either.
func TestAStatementNeedsEverySite(t *testing.T) {
	r := newRig(t)
	r.api.Parts.Findings.Trusting([]vex.Author{{Name: "Acme PSIRT"}})
	r.device(press, false)
	found := scanned(time.Now().UTC().Add(-time.Hour), vulnerable("CVE-2026-1", core.SeverityHigh))
	id := r.submit("device/"+press.String(), found).New[0]
	r.refused("bea", "POST", "/v1/findings/"+id.String()+"/dismiss", `{"to":"false-positive","reason":"r"}`, core.KindDenied, "site")
	r.refused("bea", "POST", vexPath, vexDoc, core.KindDenied, "site")
	if f := get[api.FindingDetail](r, "/v1/findings/"+id.String()).Finding; f.State != lifecycle.StateDiscovered {
		t.Fatalf("it is %s", f.State)
	}
	if code, b := r.ask("anna", "POST", vexPath, vexDoc); code != http.StatusOK || !strings.Contains(string(b), id.String()) {
		t.Errorf("%d %s", code, b)
	}
}

// TestADocumentHasItsBound: each name of each statement is a row.
func TestADocumentHasItsBound(t *testing.T) {
	r := newRig(t)
	var names strings.Builder
	for i := range 1000 { // no statement has more
		fmt.Fprintf(&names, `"A-%d",`, i)
	}
	statement := `{"vulnerability":{"name":"CVE-2026-1","aliases":[` + strings.TrimSuffix(names.String(), ",") + `]},"products":[{"@id":"pkg:golang/example.com/log@v1.0.0"}],"status":"fixed"}`
	head, _, _ := strings.Cut(vexDoc, "[")
	doc := head + "[" + strings.TrimSuffix(strings.Repeat(statement+",", 50), ",") + "]}"
	r.refused("anna", "POST", vexPath, doc, core.KindTooLarge, "50000")
}
