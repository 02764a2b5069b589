package advisory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

func fixedIn(v string) object { return span("ECOSYSTEM", "introduced", "0", "fixed", v) }

// redHat shows what is found of a package: rule and tags that matter here.
func redHat(t *testing.T, db *advisory.DB, p scanning.Package) string {
	t.Helper()
	findings, gaps := match(db, p)
	if len(gaps) != 0 {
		t.Errorf("%s: gaps %v", p.Name, gaps)
	}
	var got []string
	for _, f := range findings {
		s := f.Rule
		if slices.Contains(f.Tags, advisory.TagProductUnknown) {
			s += "?"
		}
		got = append(got, s)
	}
	slices.Sort(got)
	return strings.Join(got, " ")
}

// A module's stream is a product of its own: the fix of nodejs 20 says nothing of
// nodejs 18, and that of the module nothing of the plain package.
func TestModulesAreMatchedByTheirStream(t *testing.T) {
	const el8 = "Red Hat:enterprise_linux:8::appstream"
	db := database(t,
		record("RHSA-1", object{"summary": "Important: nodejs:18 security update"}, pkg(el8, "nodejs", fixedIn("1:18.20.2-1.module+el8.9.0+21746+ffffffff"))),
		record("RHSA-2", object{"summary": "Red Hat Security Advisory: nodejs:20 security update"}, pkg(el8, "nodejs", fixedIn("1:20.12.2-2.module+el8.9.0+21743+ffffffff"))),
		record("RHSA-3", object{"summary": "perl security update"}, pkg(el8, "perl", fixedIn("4:5.26.3-420.el8"))),
		record("RHSA-4", object{"summary": "perl:5.30 security update"}, pkg(el8, "perl", fixedIn("4:5.30.1-452.module+el8.3.0+1+ffffffff"))),
		record("RHSA-5", object{"summary": "a module that the summary does not name"}, pkg(el8, "nodejs", fixedIn("1:19.0.0-1.module+el8.9.0+1+ffffffff"))),
		record("ALSA-1", object{"summary": "Moderate: php:7.4 security update"}, pkg("AlmaLinux:8", "php", fixedIn("7.4.33-1.module_el8.9.0+1+ffffffff"))),
	)
	for _, row := range []struct{ name, version, label, ecosystem, want string }{
		{"nodejs", "1:18.19.0-1.module+el8.9.0+1+ffffffff", "nodejs:18:8090020240101:ffffffff", el8, "RHSA-1 RHSA-5"},
		{"nodejs", "1:20.11.0-1.module+el8.9.0+1+ffffffff", "nodejs:20:8090020240101:ffffffff", el8, "RHSA-2"},
		{"nodejs", "1:18.20.2-1.module+el8.9.0+21746+ffffffff", "nodejs:18:8090020240101:ffffffff", el8, "RHSA-5"},
		{"nodejs", "1:18.19.0-1.module+el8.9.0+1+ffffffff", "", el8, "RHSA-1 RHSA-2 RHSA-5"},
		{"nodejs", "1:14.0.0-1.el8", "", el8, ""},
		{"perl", "4:5.26.3-416.el8", "", el8, "RHSA-3"},
		{"perl", "4:5.30.1-449.module+el8.3.0+1+ffffffff", "perl:5.30:8030020210101:ffffffff", el8, "RHSA-4"},
		{"perl", "4:5.24.0-1.module+el8.3.0+1+ffffffff", "perl:5.24:8030020210101:ffffffff", el8, ""},
		{"php", "7.4.1-1.module_el8.5.0+1+ffffffff", "php:7.4:8050020210101:ffffffff", "AlmaLinux:8", "ALSA-1"},
		{"php", "7.2.1-1.module_el8.5.0+1+ffffffff", "php:7.2:8050020210101:ffffffff", "AlmaLinux:8", ""},
	} {
		p := installed(row.ecosystem, row.name, row.version)
		if row.label != "" {
			row.label = strings.ReplaceAll(row.label, ":", "%3A")
		}
		for _, key := range []string{"rpmmod=", "modularitylabel="} {
			if row.label != "" {
				p.PURL = "pkg:rpm/redhat/" + row.name + "@x?arch=x86_64&" + key + row.label + "&upstream=y"
			}
			if got := redHat(t, db, p); got != row.want {
				t.Errorf("%s %s of module %q: %q, want %q", row.name, row.version, row.label, got, row.want)
			}
		}
	}
}

// What is installed from OpenShift, OpenStack or a software collection is told by
// the mark in its release, or by a name that Enterprise Linux doesn't have.
func TestProductsOnTopOfEnterpriseLinux(t *testing.T) {
	db := database(t,
		record("RHSA-1", nil, pkg("Red Hat:openshift:4.13::el9", "cri-o", fixedIn("0:1.26.4-3.rhaos4.13.git1.el9"))),
		record("RHSA-2", nil, pkg("Red Hat:openshift:4.12::el9", "cri-o", fixedIn("0:1.25.9-3.rhaos4.12.git1.el9"))),
		record("RHSA-3", nil, pkg("Red Hat:openstack:17::el9", "python-django", fixedIn("0:3.2.12-3.el9ost"))),
		record("RHSA-4", nil, pkg("Red Hat:rhel_software_collections:3::el7", "rh-nodejs14", fixedIn("0:14.18.2-1.el7"))),
		record("RHSA-5", nil, pkg("Red Hat:ansible_developer:1.0::el9", "curl", fixedIn("0:9.0-1.el9")), pkg("Red Hat:enterprise_linux:9::baseos", "curl", fixedIn("0:7.76.1-26.el9"))),
		record("RHSA-7", nil, pkg("Red Hat:enterprise_linux:8::baseos", "other", fixedIn("1"))),
		record("RHSA-6", nil, pkg("Red Hat:rhel_els:7", "bash", fixedIn("0:4.2.46-36.el7_9"))),
	)
	for _, row := range []struct{ major, name, version, want string }{
		{"9", "cri-o", "1.26.3-9.rhaos4.13.gitabc.el9", "RHSA-1"},
		{"9", "cri-o", "1.25.3-9.rhaos4.12.gitabc.el9", "RHSA-2"},
		{"9", "cri-o", "1.20.0-1.el9", ""},
		{"8", "cri-o", "1.26.3-9.rhaos4.13.gitabc.el8", ""},
		{"9", "python-django", "3.2.12-1.el9ost", "RHSA-3"},
		{"9", "python-django", "2.0-1.el9", ""},
		{"7", "rh-nodejs14", "14.1.0-1.el7", "RHSA-4?"},
		{"7", "rh-nodejs14", "14.18.2-1.el7", ""},
		{"9", "curl", "7.76.1-26.el9", ""},
		{"9", "curl", "7.76.1-20.el9", "RHSA-5"},
		{"7", "bash", "4.2.46-35.el7_9", "RHSA-6"},
	} {
		p := installed("Red Hat:enterprise_linux:"+row.major, row.name, row.version)
		if got := redHat(t, db, p); got != row.want {
			t.Errorf("%s %s on %s: %q, want %q", row.name, row.version, row.major, got, row.want)
		}
		all, err := advisory.Diff(nil, db)
		if err != nil {
			t.Fatal(err)
		}
		asked := ""
		for i := range all {
			if ok, err := all[i].Matches(&p); err != nil {
				t.Error(err)
			} else if ok && !strings.Contains(asked, all[i].ID) {
				asked += all[i].ID
			}
		}
		if want := strings.TrimSuffix(row.want, "?"); row.name != "curl" && asked != want {
			t.Errorf("%s %s on %s: a campaign says %q, want %q", row.name, row.version, row.major, asked, want)
		}
	}
}

// What CentOS had to alter it built again under a release of its own, whose letters
// rpm orders below the digits of Red Hat's.
func TestCentOSBuildsStandWhereRedHatsDo(t *testing.T) {
	db := database(t,
		record("RHSA-1", nil, pkg("Red Hat:enterprise_linux:7::server", "httpd", fixedIn("0:2.4.6-97.el7_9.5"))),
		record("RHSA-2", nil, pkg("Red Hat:enterprise_linux:7::server", "httpd", fixedIn("0:2.4.6-95.el7"))),
		record("RHSA-3", nil, pkg("Red Hat:enterprise_linux:8::appstream", "nodejs", fixedIn("1:10.23.1-1.module+el8.3.0+9502+012d8a97"))),
	)
	for _, row := range []struct{ major, name, version, want string }{
		{"7", "httpd", "2.4.6-97.el7.centos.5", ""},
		{"7", "httpd", "2.4.6-97.el7.centos.4", "RHSA-1"},
		{"7", "httpd", "2.4.6-97.el7.centos", "RHSA-1"},
		{"7", "httpd", "2.4.6-98.el7.centos", ""},
		{"7", "httpd", "2.4.6-95.el7.centos", "RHSA-1"},
		{"7", "httpd", "2.4.6-93.el7.centos", "RHSA-1 RHSA-2"},
		{"7", "httpd", "2.4.6-97.el7_9.5", ""},
		{"7", "httpd", "2.4.6-97.el7.5", "RHSA-1"}, // not CentOS's: as rpm orders it
		{"8", "nodejs", "1:10.23.1-1.module_el8.3.0+645+59d06e1d", ""},
		{"8", "nodejs", "1:10.22.1-1.module_el8.3.0+645+59d06e1d", "RHSA-3"},
	} {
		if got := redHat(t, db, installed("Red Hat:enterprise_linux:"+row.major, row.name, row.version)); got != row.want {
			t.Errorf("%s %s: %q, want %q", row.name, row.version, got, row.want)
		}
	}
	for _, row := range []struct {
		a, b string
		want int
	}{{"97.el7.centos.5", "97.el7_9.5", 0}, {"97.el7_9.5", "97.el7.centos.4", 1}, {"97.el7_8.1", "97.el7_9", -1}} {
		if got, err := advisory.CompareVersions("Red Hat:enterprise_linux:7", "1-"+row.a, "1-"+row.b); got != row.want || err != nil {
			t.Errorf("%s and %s: %d %v, want %d", row.a, row.b, got, err, row.want)
		}
	}
}

func TestWhatDebianSaysOfUrgency(t *testing.T) {
	entry := func(name, urgency string) object {
		return pkg("Debian:12", name, object{"ranges": span("ECOSYSTEM", "introduced", "0")["ranges"], "ecosystem_specific": object{"urgency": urgency}})
	}
	critical := object{"severity": []object{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}}
	db := database(t,
		record("DEBIAN-CVE-1", critical, entry("one", "unimportant")),
		record("DEBIAN-CVE-2", critical, entry("two", "not yet assigned")),
		record("DEBIAN-CVE-3", critical, entry("three", "end-of-life")),
		record("DEBIAN-CVE-4", nil, entry("four", "low")),
	)
	for name, want := range map[string]string{
		"one":   "info 9.8 [no-fix unimportant] No fix yet: Debian does not hold it for a security problem of its package.",
		"two":   "critical 9.8 [no-fix] No fix yet.",
		"three": "critical 9.8 [no-fix end-of-life] No fix will come: this release no longer has security support for three.",
		"four":  "low 0 [no-fix] No fix yet.",
	} {
		findings, gaps := match(db, installed("Debian:12", name, "1.0-1"))
		if len(findings) != 1 || len(gaps) != 0 {
			t.Fatalf("%s: %v %v", name, findings, gaps)
		}
		f := findings[0]
		if got := fmt.Sprint(f.Severity, " ", f.Risk.Score, " ", f.Tags, " ", f.Advice); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
