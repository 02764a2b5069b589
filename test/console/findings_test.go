package console

import (
	"path/filepath"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/api/client"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// inspected hands in what scanners said of a repository and what a device has
// installed, and starts a campaign. It returns the pages about them.
func (s *story) inspected() []kind {
	s.t.Helper()
	if s.scanned != nil {
		return s.scanned
	}
	c := client.New(filepath.Join(s.Data, "api.sock"))
	at := time.Now().UTC().Add(-time.Hour)
	var sub api.Submitted
	err := c.Post(s.t.Context(), "/v1/findings/reports", api.Submission{Subject: "repo/shop", Reports: []scanning.Report{{
		Tool: scanning.Tool{Name: "interlock-deps", Version: "1"}, Scope: scanning.Scope{Kind: scanning.ScopeGit, Name: "shop"},
		Started: at, Finished: at.Add(time.Second), Gaps: []scanning.Gap{{What: "web/yarn.lock", Why: "line 3 is not understood", Reason: scanning.ReasonMalformed}},
		Findings: []scanning.Finding{
			outdated("GO-2026-0001", "Remote code execution in the log", core.SeverityCritical, "Attend"), outdated("GO-2026-0002", "A request can use all memory", core.SeverityHigh, "Track*"),
			outdated("GO-2026-0003", "Timing tells the length of a name", core.SeverityLow, "Track"),
		},
	}}}, &sub)
	if err != nil || len(sub.Reports) != 1 {
		s.t.Fatalf("findings: %+v, %v", sub, err)
	}
	var taken api.InventoryTaken
	if err := c.Post(s.t.Context(), "/v1/findings/sboms", api.InventorySubmission{
		Subject: "device/" + pressID, Created: at, Packages: []scanning.Package{{Ecosystem: "Maven", Name: "org.apache.logging.log4j:log4j-core", Version: "2.14.1"}},
	}, &taken); err != nil {
		s.t.Fatal(err)
	}
	var campaign api.CampaignState
	if err := c.Post(s.t.Context(), "/v1/campaigns", api.StartCampaign{
		Name: "log4j day", Ecosystem: "Maven", Package: "org.apache.logging.log4j:log4j-core", Below: "2.17.1",
	}, &campaign); err != nil || campaign.Affected != 1 {
		s.t.Fatalf("campaign: %+v, %v", campaign, err)
	}
	list, err := get[api.Page[lifecycle.Finding]](s.site, "/v1/findings")
	if err != nil || len(list.Items) == 0 {
		s.t.Fatalf("findings: %+v, %v", list, err)
	}
	s.scanned = []kind{
		{"findings", "/findings"},
		{"finding", "/findings/" + list.Items[0].ID.String()},
		{"campaigns", "/campaigns"},
		{"campaign", "/campaigns/" + campaign.Campaign.ID.String()},
	}
	return s.scanned
}

func outdated(rule, title string, severity core.Severity, decision string) scanning.Finding {
	f := scanning.Finding{
		Rule: rule, Class: scanning.ClassVulnerability, Title: title, Severity: severity, Advice: "Update example.com/log to v1.2.3.", Fixed: []string{"v1.2.3"},
		Aliases: []string{"CVE" + rule[2:]}, Location: scanning.Location{File: "go.mod"}, Risk: scanning.Risk{CVSS: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8, SSVC: decision},
		Package: &scanning.Package{Ecosystem: "Go", Name: "example.com/log", Version: "v1.0.0"},
	}
	f.Fingerprint = scanning.Fingerprint(&f)
	return f
}
