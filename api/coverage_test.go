package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/coverage"
)

// TestRuleCoverage: the rules in force against what the journal holds of one's
// own tenant.
func TestRuleCoverage(t *testing.T) {
	r := newRig(t)
	r.put(tenant, `{"state":"alarm","sensor":"lid","point":"a"}`)
	r.put(foreign, `{"Channel":"Security","EventID":4688}`)
	var got coverage.Coverage
	code, body := r.ask("anna", http.MethodGet, "/v1/rules/coverage?days=1", "")
	if code != http.StatusOK {
		t.Fatalf("status %d: %s", code, body)
	}
	r.must(json.Unmarshal(body, &got))
	if got.Counts.Events != 1 || len(got.Seen) != 1 || !strings.HasPrefix(got.Seen[0].Logsource, "interlock/") {
		t.Errorf("%+v %+v", got.Counts, got.Seen)
	}
	if got.Totals.Of[coverage.CanFire] == 0 || got.Totals.Of[coverage.NoSource] == 0 || got.Totals.All != len(got.Rules) {
		t.Errorf("%+v", got.Totals)
	}
	for _, rule := range got.Rules {
		if rule.Author == "" {
			t.Errorf("%s has no author", rule.ID)
		}
	}
	for _, bad := range []string{"91", "-1", "x"} {
		if code, _ := r.ask("anna", http.MethodGet, "/v1/rules/coverage?days="+bad, ""); code != http.StatusBadRequest && code != http.StatusUnprocessableEntity {
			t.Errorf("days=%s: status %d", bad, code)
		}
	}
	if code, _ := r.ask("nobby", http.MethodGet, "/v1/rules/coverage", ""); code != http.StatusForbidden {
		t.Errorf("somebody without rights: status %d", code)
	}
}
