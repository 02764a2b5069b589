package api_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// TestACampaignByTheAPI: from inventories that were handed in, without a scan; and
// that nobody looked at them is said where there are no advisories.
func TestACampaignByTheAPI(t *testing.T) {
	r := newRig(t)
	log4j := scanning.Package{Ecosystem: "Maven", Name: "org.apache.logging.log4j:log4j-core", Version: "2.14.1"}
	for subject, version := range map[string]string{"device/press-7": "2.14.1", "device/press-8": "2.17.1"} {
		log4j.Version = version
		body, err := json.Marshal(api.InventorySubmission{Subject: subject, Packages: []scanning.Package{log4j}})
		r.must(err)
		if taken := send[api.InventoryTaken](r, "POST", "/v1/findings/sboms", string(body)); taken.Report != nil || taken.Inventory.Components != 1 {
			t.Errorf("%+v", taken)
		}
	}
	scoped, err := json.Marshal(api.InventorySubmission{Subject: "device/press-7", Scope: "image/shop", Packages: []scanning.Package{{Ecosystem: "npm", Name: "left", Version: "1.0.0"}}, Created: time.Now().Add(time.Minute)})
	r.must(err)
	if taken := send[api.InventoryTaken](r, "POST", "/v1/findings/sboms", string(scoped)); taken.Inventory.Scope != "image/shop" || taken.Inventory.Seen.After(time.Now()) {
		t.Errorf("another scope of it: %+v", taken)
	}
	start := `{"name":"log4j day","ecosystem":"Maven","package":"org.apache.logging.log4j:log4j-core","below":"2.17.1"}`
	r.refused("vera", "POST", "/v1/campaigns", start, core.KindDenied)
	st := send[api.CampaignState](r, "POST", "/v1/campaigns", start)
	if st.Affected != 1 || st.Subjects != 2 || st.Campaign.First != 1 || len(st.Hits) != 1 || st.Hits[0].Subject != "device/press-7" {
		t.Errorf("%+v", st)
	}
	if got := get[api.CampaignState](r, "/v1/campaigns/"+st.Campaign.ID.String()); got.Affected != 1 {
		t.Errorf("%+v", got)
	}
	if list := get[api.CampaignsList](r, "/v1/campaigns"); len(list.Items) != 1 || list.Items[0].Name != "log4j day" {
		t.Errorf("%+v", list)
	}
	for body, kind := range map[string]core.Kind{
		`{}`:                            core.KindInvalid,
		`{"advisory":"CVE-2021-44228"}`: core.KindUnavailable,
		`{"advisory":"CVE-2021-44228","package":"x"}`: core.KindInvalid,
		`{"package":"x"}`: core.KindInvalid,
		`{"ecosystem":"npm","package":"x","below":"1","versions":["2"]}`:         core.KindInvalid,
		`{"ecosystem":"npm","package":"x","below":"1","evil":["no such thing"]}`: core.KindInvalid,
	} {
		r.refused("anna", "POST", "/v1/campaigns", body, kind)
	}
	for _, body := range []string{`{"subject":"device/press-7","packages":[]}`, `{"subject":"x","packages":[{"ecosystem":"npm","name":"a","version":"1"}]}`} {
		r.refused("anna", "POST", "/v1/findings/sboms", body, core.KindInvalid)
	}
	if f := get[api.Freshness](r, "/v1/findings/freshness"); f.Inventories != 2 || f.Oldest.IsZero() || len(f.Scans) != 0 {
		t.Errorf("%+v", f)
	}
}

// TestFactsAndFigures: what becomes known shortens the clock, and boards count.
func TestFactsAndFigures(t *testing.T) {
	r := newRig(t)
	id := r.submit("", scanned(time.Now().UTC().Add(-time.Hour), vulnerable("CVE-2026-1", core.SeverityHigh))).New[0]
	path := "/v1/advisories/CVE-2026-1/facts"
	r.refused("anna", "GET", path, "", core.KindNotFound)
	fact := `{"kind":"exploited","at":"` + time.Now().UTC().Format(time.RFC3339) + `","source":"our proxy"}`
	r.refused("vera", "POST", path, fact, core.KindDenied)
	r.refused("anna", "POST", path, `{"kind":"rumour","at":"2026-01-01T00:00:00Z","source":"s"}`, core.KindInvalid, "kev")
	r.refused("anna", "POST", path, `{"kind":"kev","at":"2999-01-01T00:00:00Z","source":"s"}`, core.KindInvalid, "future")
	if n := send[api.FactNoted](r, "POST", path, fact); n.Findings != 1 {
		t.Errorf("%+v", n)
	}
	d := get[api.FindingDetail](r, "/v1/findings/"+id.String())
	if d.Finding.Clock.Why != "exploited" || len(d.Facts) != 1 || time.Until(d.Finding.Clock.Due) > 73*time.Hour {
		t.Errorf("%+v", d.Finding.Clock)
	}
	if known := get[api.AdvisoryFacts](r, path); len(known.Facts) != 1 {
		t.Errorf("%+v", known)
	}
	r.refused("vera", "POST", "/v1/findings/owners", `{"text":"* security"}`, core.KindDenied)
	r.refused("anna", "POST", "/v1/findings/owners", `{"text":"nobody"}`, core.KindInvalid, "line 1")
	send[lifecycle.Owners](r, "POST", "/v1/findings/owners", `{"text":"* security"}`)
	if o := get[lifecycle.Owners](r, "/v1/findings/owners"); o.Revision != 1 || o.By != "person/anna" {
		t.Errorf("%+v", o)
	}
	st := get[lifecycle.Stats](r, "/v1/findings/stats?days=7")
	if st.Open[core.SeverityHigh] != 1 || st.Exploited != 1 || st.Owners["security"] != 1 || len(st.Days) != 7 || st.Days[6].Opened != 1 {
		t.Errorf("%+v", st)
	}
	b := get[api.FindingBoard](r, "/v1/findings/board")
	if b.Total != 1 || b.By[lifecycle.StateDiscovered][core.SeverityHigh] != 1 || b.Overdue != 0 || b.Exploited != 1 || len(b.First) != 1 || b.First[0].Why == "" || b.First[0].Overdue {
		t.Errorf("%+v", b)
	}
	r.refused("anna", "GET", "/v1/findings/stats?days=400", "", core.KindInvalid, "366")
}
