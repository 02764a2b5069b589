package advisory_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

func TestOneFindingPerAliasSet(t *testing.T) {
	db := database(t,
		record("GO-2099-1", object{"aliases": []string{"CVE-2099-1", "GHSA-aaaa-bbbb-cccc"}, "summary": "Header smuggling"},
			pkg("Go", "example.com/web", span("SEMVER", "introduced", "0", "fixed", "1.8.2", "introduced", "1.9.0", "fixed", "1.9.4"))),
		record("GHSA-aaaa-bbbb-cccc", object{
			"aliases": []string{"CVE-2099-1"}, "related": []string{"CVE-2099-7"},
			"severity": []object{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}},
		},
			pkg("Go", "example.com/web", span("SEMVER", "introduced", "1.9.0", "fixed", "1.9.3"))),
		record("GO-2099-2", object{"aliases": []string{"CVE-2099-7"}}, pkg("Go", "example.com/web", span("SEMVER", "introduced", "0"))),
	)
	findings, gaps := match(db, installed("Go", "example.com/web", "v1.9.1"))
	if len(gaps) != 0 || len(findings) != 2 {
		t.Fatalf("%d findings, gaps %v", len(findings), gaps)
	}
	f := findings[0]
	if f.Rule != "GO-2099-1" || !slices.Equal(f.Aliases, []string{"CVE-2099-1", "GHSA-aaaa-bbbb-cccc"}) {
		t.Errorf("%s %v", f.Rule, f.Aliases)
	}
	if f.Severity != core.SeverityCritical || f.Risk.Score != 9.8 || f.Title != "Header smuggling" {
		t.Errorf("%v %v %q", f.Severity, f.Risk.Score, f.Title)
	}
	if f.Advice != "Update example.com/web to v1.9.4." || !slices.Equal(f.Fixed, []string{"1.8.2", "1.9.3", "1.9.4"}) {
		t.Errorf("advice %q, fixed %v", f.Advice, f.Fixed)
	}
	if f.Location.File != "lockfile" || f.Fingerprint != scanning.Fingerprint(&f) || f.Package.Version != "v1.9.1" {
		t.Errorf("%+v", f)
	}
	if second := findings[1]; second.Rule != "GO-2099-2" || second.Advice != "No fix yet." || !slices.Contains(second.Tags, "severity-unknown") {
		t.Errorf("%+v", second)
	}
}

func TestAnUnknownEcosystemIsAGapAndNotClean(t *testing.T) {
	db := database(t, record("GO-2099-1", nil, pkg("Go", "example.com/web", span("SEMVER", "introduced", "0"))))
	findings, gaps := match(db, installed("npm", "left-pad", "1.0.0"))
	if len(findings) != 0 || len(gaps) != 1 || !strings.Contains(gaps[0].Why, "no advisories for npm in this database") {
		t.Errorf("%v %v", findings, gaps)
	}
}

// TestOneCommandGetsAllThatIsMissing and it can be copied as it stands.
func TestOneCommandGetsAllThatIsMissing(t *testing.T) {
	db := database(t, record("GHSA-1", nil, pkg("npm", "left-pad", span("SEMVER", "introduced", "0"))))
	_, gaps := match(db, installed("npm", "a", "1"), installed("GitHub Actions", "actions/checkout", "4.0.0"), installed("Go", "b", "1"),
		installed("Debian:12", "c", "1"), installed("Debian:13", "c", "1"), installed("ConanCenter", "zlib", "1"), installed(`x"; reboot #`, "d", "1"))
	const command = `; get them with: interlock scan db update --ecosystem Debian --ecosystem "GitHub Actions" --ecosystem Go`
	const file = ", and OSV has no archive of them; import them with: interlock scan db import FILE"
	want := map[string]string{"Debian": command, "GitHub Actions": command, "Go": command, "ConanCenter": file, `x"; reboot #`: file}
	if len(gaps) != len(want) {
		t.Errorf("%v", gaps)
	}
	for _, g := range gaps {
		name := strings.TrimSuffix(g.What, " packages")
		if g.Why != "no advisories for "+name+" in this database"+want[name] {
			t.Errorf("%+v", g)
		}
	}
}

func TestWhatNobodyPublishesAdvisoriesOfIsSaidSo(t *testing.T) {
	db := database(t, record("GO-2099-1", nil, pkg("Go", "example.com/web", span("SEMVER", "introduced", "0"))))
	_, gaps := match(db, installed("conda", "openssl", "3.0.7"), installed("CocoaPods", "Alamofire", "5.6.4"))
	if len(gaps) != 2 || !strings.Contains(gaps[1].Why, "nobody publishes advisories of conda") || strings.Contains(gaps[0].Why, "import") {
		t.Errorf("%v", gaps)
	}
}
