package advisory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

// clauses are the statements of OSV's evaluation text, each with versions that
// are affected (before the bar) and that are not.
var clauses = []struct {
	clause    string
	ecosystem string
	entries   []object
	want      string
}{
	{"introduced 0 sorts before every version", "npm", []object{span("SEMVER", "introduced", "0")}, "0.0.0 0.0.0-alpha 1.0.0 99.0.0 |"},
	{"a fix is not affected, its pre-release is", "npm", []object{span("SEMVER", "introduced", "0", "fixed", "1.0.2")}, "0.0.0 1.0.1 1.0.2-rc.1 | 1.0.2 1.0.2+build 1.0.3"},
	{"several pairs in one range", "npm", []object{span("SEMVER", "introduced", "1.0.0", "fixed", "1.0.2", "introduced", "3.0.0", "fixed", "3.2.5")}, "1.0.0 1.0.1 3.0.0 3.2.4 | 0.9.9 1.0.2 2.9.9 3.0.0-rc 3.2.5 4.0.0"},
	{"events in any order", "npm", []object{span("SEMVER", "fixed", "3.2.5", "introduced", "3.0.0", "fixed", "1.0.2", "introduced", "1.0.0")}, "1.0.0 1.0.1 3.0.0 3.2.4 | 0.9.9 1.0.2 2.9.9 3.2.5"},
	{"events in any order, with the beginning last", "npm", []object{span("SEMVER", "introduced", "2.1.0", "fixed", "1.0.0", "last_affected", "3.1.9", "introduced", "0")}, "0.0.0 1.0.0-rc 2.1.1 3.1.9 | 1.0.0 2.0.1 3.2.0"},
	{"the last affected version is affected, and none above it", "npm", []object{span("ECOSYSTEM", "introduced", "0", "last_affected", "2.1.214")}, "0.0.1 2.1.213 2.1.214 | 2.1.215 3.0.0"},
	{"ranges are alternatives", "npm", []object{{"ranges": []object{span("SEMVER", "introduced", "1.0.0", "fixed", "1.1.0")["ranges"].([]object)[0], span("SEMVER", "introduced", "2.0.0", "fixed", "2.1.0")["ranges"].([]object)[0]}}}, "1.0.5 2.0.5 | 1.5.0 2.1.0"},
	{"entries of one package are alternatives", "npm", []object{span("SEMVER", "introduced", "1.0.0", "fixed", "1.1.0"), span("SEMVER", "introduced", "2.0.0", "fixed", "2.1.0")}, "1.0.5 2.0.5 | 1.5.0 2.1.0"},
	{"enumerated versions, alone", "npm", []object{{"versions": []string{"1.0.0", "1.2.0"}}}, "1.0.0 1.2.0 v1.2.0 | 1.1.0 1.2.1"},
	{"enumerated versions beside ranges", "npm", []object{{"versions": []string{"0.5.0"}, "ranges": span("SEMVER", "introduced", "1.0.0", "fixed", "1.1.0")["ranges"]}}, "0.5.0 1.0.0 | 0.6.0 1.1.0"},
	{"an entry that names no version affects none", "npm", []object{{}}, "| 1.0.0"},
	{"a limit ends what is described", "npm", []object{span("SEMVER", "introduced", "1.0.0", "limit", "2.0.0")}, "1.0.0 1.9.9 | 0.9.0 2.0.0 3.0.0"},
	{"several limits: below any of them is enough", "npm", []object{span("SEMVER", "introduced", "1.0.0", "limit", "2.0.0", "limit", "3.0.0")}, "1.0.0 2.5.0 | 3.0.0"},
	{"the limit * is infinity", "npm", []object{span("SEMVER", "introduced", "1.0.0", "limit", "*")}, "1.0.0 99.0.0 | 0.9.0"},
	{"a limit does not make what is fixed affected", "npm", []object{span("SEMVER", "introduced", "0", "fixed", "1.5.0", "limit", "2.0.0")}, "1.4.0 | 1.5.0 2.0.0"},
	{"introduced again after a fix", "npm", []object{span("SEMVER", "introduced", "0", "fixed", "1.0.0", "introduced", "1.0.0", "fixed", "1.5.0")}, "0.9.0 1.0.0 1.4.0 | 1.5.0"},
	{"fixed where it was introduced is nothing", "npm", []object{span("SEMVER", "introduced", "1.0.0", "fixed", "1.0.0")}, "| 0.9.0 1.0.0 2.0.0"},
	{"a fix at 0 ends nothing that begins before all", "npm", []object{span("SEMVER", "introduced", "0.0.0-20180925071336-cf3bd585ca2a", "fixed", "0")}, "0.0.0-20180925071336-cf3bd585ca2a | 0.0.0 0.14.0"},
	{"Go's pseudo-versions", "Go", []object{span("SEMVER", "introduced", "0", "fixed", "0.0.0-20220412211240-33da011f77ad")}, "v0.0.0-20211216021012-1d35b9e2eb4e | v0.0.0-20220412211240-33da011f77ad v0.0.0-20230101000000-aaaaaaaaaaaa v0.1.0"},
	{"Go's incompatible majors", "Go", []object{span("SEMVER", "introduced", "0", "fixed", "2.3.0+incompatible")}, "v2.2.9+incompatible | v2.3.0+incompatible v2.4.0+incompatible"},
	{"SemVer's order in an ecosystem of its own", "PyPI", []object{span("SEMVER", "introduced", "0", "fixed", "1.0.0")}, "0.9.0 1.0.0-rc1 | 1.0.0"},
	{"PyPI's order", "PyPI", []object{span("ECOSYSTEM", "introduced", "0", "fixed", "2.0")}, "1.9 2.0rc1 2.0.dev1 | 2.0 2.0.post1 1!0.1"},
	{"PyPI's spellings of one version", "PyPI", []object{{"versions": []string{"1.0", "2.0rc1"}}}, "1.0 1.0.0 v1.0 2.0-RC1 2.0.rc1 | 1.0.1 2.0"},
	{"Maven's order", "Maven", []object{span("ECOSYSTEM", "introduced", "2.0-beta9", "fixed", "2.15.0")}, "2.0-beta9 2.0-rc1 2.0 2.14.1 2.15.0-SNAPSHOT | 2.0-beta8 2.15.0 2.15.0.Final"},
	{"RubyGems' order", "RubyGems", []object{span("ECOSYSTEM", "introduced", "0", "fixed", "6.1.0")}, "6.0.9 6.1.0.rc1 | 6.1.0 6.1.0.1"},
	{"Debian's order: tilde, epoch, revision", "Debian:12", []object{span("ECOSYSTEM", "introduced", "0", "fixed", "1:2.4-3+deb12u1")}, "5.0-1 1:2.4-3 1:2.4-3~bpo12 1:2.4~rc1-9 | 1:2.4-3+deb12u1 1:2.5-1 2:0.1-1"},
	{"Alpine's order", "Alpine:v3.20", []object{span("ECOSYSTEM", "introduced", "0", "fixed", "1.35.0-r17")}, "1.35.0-r5 1.35.0_rc1-r20 1.34.9-r30 1.9.0-r0 | 1.35.0-r17 1.35.0_p1-r0 1.35.0a-r0 1.36.0-r0"},
	{"RPM's order", "Red Hat:enterprise_linux:9::appstream", []object{span("ECOSYSTEM", "introduced", "0", "fixed", "1:3.0.7-16.el9_2")}, "3.1.0-1.el9 1:3.0.7-15.el9 1:3.0.7~rc1-20.el9 | 1:3.0.7-16.el9_2 1:3.0.7-16.el9_3 2:1-1"},
	{"an ecosystem whose order nobody knows: enumerated versions still count", "opam", []object{{"versions": []string{"v0.16.0"}}}, "v0.16.0 | v0.17.0"},
}

func TestEveryClauseOfTheSpecification(t *testing.T) {
	for _, c := range clauses {
		t.Run(c.clause, func(t *testing.T) {
			var affected []object
			for _, e := range c.entries {
				affected = append(affected, pkg(c.ecosystem, "thing", e))
			}
			db := database(t, record("TEST-1", nil, affected...))
			all, err := db.Affected("TEST-1")
			if err != nil || len(all) != 1 {
				t.Fatalf("%v %v", all, err)
			}
			hit, miss, _ := strings.Cut(c.want, "|")
			for i, list := range []string{hit, miss} {
				for _, v := range strings.Fields(list) {
					findings, gaps := match(db, installed(c.ecosystem, "thing", v))
					if len(findings) != 1-i || len(gaps) != 0 {
						t.Errorf("%s: %d findings, want %d; gaps %v", v, len(findings), 1-i, gaps)
					}
					if ok, err := all[0].Affects(v); ok != (i == 0) || err != nil {
						t.Errorf("%s: the predicate says %v, %v", v, ok, err)
					}
				}
			}
		})
	}
}

func TestWhatCannotBeOrderedIsAGap(t *testing.T) {
	for _, row := range []struct {
		name, ecosystem, version string
		entry                    object
		findings, gaps           int
	}{
		{"an unknown version", "npm", "", span("SEMVER", "introduced", "0", "fixed", "1.0.0"), 0, 1},
		{"an unknown version of what is affected in every version", "npm", "", span("SEMVER", "introduced", "0"), 1, 0},
		{"a tag", "npm", "latest", span("SEMVER", "introduced", "0", "fixed", "1.0.0"), 0, 1},
		{"a path", "npm", "file:../x", span("SEMVER", "introduced", "0", "fixed", "1.0.0"), 0, 1},
		{"a range", "npm", "^1.2.3", span("SEMVER", "introduced", "0", "fixed", "1.0.0"), 0, 1},
		{"the main module", "Go", "(devel)", span("SEMVER", "introduced", "0", "fixed", "1.0.0"), 0, 1},
		{"a placeholder", "Maven", "${project.version}", span("ECOSYSTEM", "introduced", "0", "fixed", "1.0.0"), 0, 1},
		{"a branch", "Packagist", "dev-master", span("ECOSYSTEM", "introduced", "0", "fixed", "1.0.0"), 0, 1},
		{"no Debian version", "Debian:12", "x", span("ECOSYSTEM", "introduced", "0", "fixed", "1.0.0"), 0, 1},
		{"no apk version", "Alpine:v3.20", "1..2", span("ECOSYSTEM", "introduced", "0", "fixed", "1.0.0"), 0, 1},
		{"an advisory that can't be ordered", "Debian:12", "1.0-1", span("ECOSYSTEM", "introduced", "0", "fixed", "bogus!"), 0, 1},
		{"an advisory that can't be ordered and lists the version", "Debian:12", "1.0-1", object{"versions": []string{"1.0-1"}, "ranges": span("ECOSYSTEM", "introduced", "0", "fixed", "bogus!")["ranges"]}, 1, 0},
		{"commits only", "npm", "1.0.0", span("GIT", "introduced", "0", "fixed", "abc"), 0, 1},
		{"an ecosystem without an order", "opam", "1.0", span("ECOSYSTEM", "introduced", "0", "fixed", "2.0"), 0, 1},
	} {
		db := database(t, record("TEST-1", nil, pkg(row.ecosystem, "thing", row.entry)))
		findings, gaps := match(db, installed(row.ecosystem, "thing", row.version))
		if len(findings) != row.findings || len(gaps) != row.gaps {
			t.Errorf("%s: %d findings, gaps %v", row.name, len(findings), gaps)
		}
		for _, g := range gaps {
			if !strings.Contains(g.What, "thing") || !strings.Contains(g.Why, "TEST-1") {
				t.Errorf("%s: the gap does not say what: %+v", row.name, g)
			}
		}
		if f, g := match(db, installed(row.ecosystem, "another", row.version)); len(f)+len(g) != 0 {
			t.Errorf("%s: a package that no advisory names has no gap: %v", row.name, g)
		}
	}
}

func TestNamesMeetAsTheirEcosystemFoldsThem(t *testing.T) {
	for _, row := range []struct {
		ecosystem, advisory, installed string
		same                           bool
	}{
		{"PyPI", "zope-interface", "Zope.Interface", true},
		{"PyPI", "Foo__Bar", "foo-bar", true},
		{"npm", "@Scope/name", "@scope/name", false},
		{"npm", "JSONStream", "jsonstream", false},
		{"NuGet", "Newtonsoft.Json", "newtonsoft.json", true},
		{"Maven", "org.a:b", "org.a/b", true},
		{"Maven", "org.a:b", "org.a:c", false},
		{"crates.io", "tokio-rustls", "tokio_rustls", true},
		{"Go", "github.com/A/b", "github.com/a/b", false},
		{"Go", "stdlib", "go", true},
		{"Packagist", "Symfony/http", "symfony/http", true},
		{"RubyGems", "Rails", "rails", false},
	} {
		db := database(t, record("TEST-1", nil, pkg(row.ecosystem, row.advisory, span("ECOSYSTEM", "introduced", "0"))))
		if findings, _ := match(db, installed(row.ecosystem, row.installed, "1.0.0")); (len(findings) == 1) != row.same {
			t.Errorf("%s: %s and %s: %d findings", row.ecosystem, row.advisory, row.installed, len(findings))
		}
	}
}

func TestReleasesMeet(t *testing.T) {
	for _, row := range []struct {
		advisory, installed string
		same                bool
	}{
		{"Debian:12", "Debian:12", true},
		{"Debian:12", "Debian:12.5", true},
		{"Debian:12", "Debian:bookworm", true},
		{"Debian:11", "Debian:12", false},
		{"Debian", "Debian:12", true},
		{"Debian:12", "Debian", true},
		{"Debian:sid", "Debian:unstable", true},
		{"Debian:12", "Ubuntu:12", false},
		{"Alpine:v3.20", "Alpine:v3.20", true},
		{"Alpine:v3.20", "Alpine:3.20.3", true},
		{"Alpine:v3.2", "Alpine:v3.20", false},
		{"Alpine:edge", "Alpine:v3.20", false},
		{"Ubuntu:22.04:LTS", "Ubuntu:22.04", true},
		{"Ubuntu:22.04:LTS", "Ubuntu:22.04:LTS", true},
		{"Ubuntu:Pro:18.04:LTS", "Ubuntu:18.04:LTS", true},
		{"Ubuntu:18.04:LTS", "Ubuntu:Pro:18.04:LTS", true},
		{"Ubuntu:Pro:FIPS:18.04:LTS", "Ubuntu:18.04:LTS", false},
		{"Ubuntu:24.04:LTS", "Ubuntu:22.04:LTS", false},
		{"Red Hat:enterprise_linux:9::appstream", "Red Hat:enterprise_linux:9::baseos", true},
		{"Red Hat:enterprise_linux:9::appstream", "Red Hat:9.4", true},
		{"Red Hat:enterprise_linux:8::appstream", "Red Hat:enterprise_linux:9::appstream", false},
		{"Red Hat:rhel_eus:9.2::appstream", "Red Hat:enterprise_linux:9::appstream", false},
		{"Red Hat:rhel_aus:8.4::appstream", "Red Hat:rhel_aus:8.4::appstream", true},
		{"Red Hat:rhel_aus:8.4::appstream", "Red Hat:rhel_aus:8.6::appstream", false},
		{"Red Hat:enterprise_linux:9::appstream", "Red Hat", true},
		{"Rocky Linux:9", "Rocky Linux:9.4", true},
		{"AlmaLinux:8", "AlmaLinux:9", false},
		{"Maven", "Maven:https://maven.google.com", true},
		{"Maven:https://maven.google.com", "Maven:https://example.com/", false},
		{"SUSE:Linux Enterprise Server 15 SP5", "SUSE:Linux Enterprise Server 15 SP5", true},
		{"SUSE:Linux Enterprise Server 15 SP5", "SUSE:Linux Enterprise Server 15 SP6", false},
		{"SUSE:Linux Enterprise Module for Basesystem 15 SP5", "SUSE:Linux Enterprise Server 15 SP5", true},
		{"SUSE:Linux Enterprise Module for Basesystem 15 SP4", "SUSE:Linux Enterprise Server 15 SP5", false},
		{"SUSE:Linux Enterprise Server for SAP Applications 15 SP5", "SUSE:Linux Enterprise Server 15 SP5", true},
		{"SUSE:Linux Enterprise High Performance Computing 15 SP4-ESPOS", "SUSE:Linux Enterprise Server 15 SP4", true},
		{"SUSE:Linux Enterprise Server 12 SP5-LTSS", "SUSE:Linux Enterprise Server 12 SP5", true},
		{"SUSE:Linux Enterprise Module for Containers 12", "SUSE:Linux Enterprise Server 12 SP5", true},
		{"SUSE:Linux Enterprise Server 12", "SUSE:Linux Enterprise Server 12 SP5", false},
		{"SUSE:Linux Enterprise Server 15", "SUSE:Linux Enterprise Server 15", true},
		{"SUSE:Package Hub 15 SP5", "SUSE:Linux Enterprise Server 15 SP5", true},
		{"SUSE:Linux Enterprise Micro 5.3", "SUSE:Linux Enterprise Micro 5.3", true},
		{"SUSE:Linux Enterprise Micro 5.3", "SUSE:Linux Enterprise Micro 5.4", false},
		{"SUSE:Linux Enterprise Micro 5.3", "SUSE:Linux Enterprise Server 15 SP4", false},
		{"SUSE:Linux Enterprise Server 15 SP4", "SUSE:Linux Enterprise Micro 5.3", false},
		{"SUSE:Linux Micro 6.0", "SUSE:Linux Micro 6.0", true},
		{"SUSE:Manager Server 4.3", "SUSE:Linux Enterprise Server 15 SP4", false},
		{"Red Hat:rhel_els:7", "Red Hat:enterprise_linux:7", true},
		{"Red Hat:rhel_extras:7", "Red Hat:enterprise_linux:7", true},
		{"Red Hat:rhel_els:6", "Red Hat:enterprise_linux:7", false},
		{"Red Hat:rhel_e4s:9.2::baseos", "Red Hat:enterprise_linux:9", false},
		{"Red Hat:openshift:4.13::el9", "Red Hat:enterprise_linux:9", true},
		{"Red Hat:openshift:4.13::el8", "Red Hat:enterprise_linux:9", false},
		{"Red Hat:rhel_software_collections:3::el7", "Red Hat:enterprise_linux:7", true},
		{"Alpaquita:23", "Alpaquita:stream", false},
		{"openEuler:22.03-LTS-SP3", "openEuler:22.03-LTS-SP3", true},
	} {
		if got := advisory.SameRelease(row.advisory, row.installed); got != row.same {
			t.Errorf("%s and %s: %v", row.advisory, row.installed, got)
		}
	}
}

func TestDistributionsAreMatchedBySourcePackage(t *testing.T) {
	db := database(t,
		record("DSA-1", nil, pkg("Debian:12", "openssl", span("ECOSYSTEM", "introduced", "0", "fixed", "3.0.11-1"))),
		record("DSA-2", nil, pkg("Debian:12", "libssl3", span("ECOSYSTEM", "introduced", "0"))),
		record("ALPINE-1", nil, pkg("Alpine:v3.20", "busybox", span("ECOSYSTEM", "introduced", "0", "fixed", "1.36.1-r2"))),
		record("RHSA-1", nil, pkg("Red Hat:enterprise_linux:9::baseos", "openssl-libs", span("ECOSYSTEM", "introduced", "0", "fixed", "1:3.0.7-16.el9_2"))),
		record("UBUNTU-1", nil, pkg("Ubuntu:Pro:18.04:LTS", "bash", span("ECOSYSTEM", "introduced", "0", "fixed", "4.4.18-2ubuntu1.3+esm1"))),
	)
	for _, row := range []struct {
		p    scanning.Package
		want string
	}{
		{scanning.Package{Ecosystem: "Debian:12", Name: "libssl3", Source: "openssl", Version: "3.0.9-1"}, "DSA-1 Update openssl to 3.0.11-1. []"},
		{scanning.Package{Ecosystem: "Debian:12", Name: "libssl3", Source: "openssl", Version: "3.0.9-1+b1", SourceVersion: "3.0.11-1"}, ""},
		{scanning.Package{Ecosystem: "Alpine:v3.20", Name: "ssl_client", Source: "busybox", Version: "1.36.1-r1"}, "ALPINE-1 Update ssl_client to 1.36.1-r2. []"},
		{scanning.Package{Ecosystem: "Red Hat:enterprise_linux:9::baseos", Name: "openssl-libs", Source: "openssl", Version: "1:3.0.7-6.el9"}, "RHSA-1 Update openssl-libs to 1:3.0.7-16.el9_2. []"},
		{scanning.Package{Ecosystem: "Ubuntu:18.04:LTS", Name: "bash", Version: "4.4.18-2ubuntu1.3"}, "UBUNTU-1 Update bash to 4.4.18-2ubuntu1.3+esm1. [fix-needs-ubuntu-pro]"},
		{scanning.Package{Ecosystem: "Debian", Name: "openssl", Version: "3.0.9-1"}, "DSA-1 Update openssl to 3.0.11-1. [release-unknown]"},
	} {
		findings, gaps := match(db, row.p)
		got := ""
		for _, f := range findings {
			tags := slices.DeleteFunc(f.Tags, func(s string) bool { return s == "severity-unknown" })
			got += fmt.Sprint(f.Rule, " ", f.Advice, " ", tags)
		}
		if got != row.want || len(gaps) != 0 {
			t.Errorf("%s %s: got %q, want %q; %v", row.p.Ecosystem, row.p.Name, got, row.want, gaps)
		}
	}
}

// The kernel that is signed is built from another source package than the one of
// which advisories speak.
func TestSignedKernelsAreKernels(t *testing.T) {
	db := database(t,
		record("DSA-1", nil, pkg("Debian:12", "linux", span("ECOSYSTEM", "introduced", "0", "fixed", "6.1.85-1"))),
		record("DSA-2", nil, pkg("Debian:12", "linux-6.1", span("ECOSYSTEM", "introduced", "0", "fixed", "6.1.85-1"))),
		record("USN-1", nil, pkg("Ubuntu:24.04:LTS", "linux", span("ECOSYSTEM", "introduced", "0", "fixed", "6.8.0-38.38"))),
		record("USN-2", nil, pkg("Ubuntu:24.04:LTS", "linux-hwe-6.5", span("ECOSYSTEM", "introduced", "0"))),
	)
	for _, row := range []struct {
		p    scanning.Package
		want string
	}{
		{scanning.Package{Ecosystem: "Debian:12", Name: "linux-image-6.1.0-18-amd64", Source: "linux-signed-amd64", SourceVersion: "6.1.76+1", Version: "6.1.76-1"}, "DSA-1"},
		{scanning.Package{Ecosystem: "Debian:12", Name: "linux-image-6.1.0-20-amd64", Source: "linux-signed-amd64", SourceVersion: "6.1.85+1", Version: "6.1.85-1"}, ""},
		{scanning.Package{Ecosystem: "Debian:12", Name: "linux-image-6.1-arm64", Source: "linux-signed-6.1-arm64", SourceVersion: "6.1.76+1", Version: "6.1.76-1"}, "DSA-2"},
		{scanning.Package{Ecosystem: "Ubuntu:24.04:LTS", Name: "linux-image-6.8.0-31-generic", Source: "linux-signed", Version: "6.8.0-31.31"}, "USN-1"},
		{scanning.Package{Ecosystem: "Ubuntu:24.04:LTS", Name: "linux-image-x", Source: "linux-signed-hwe-6.5", Version: "6.5.0-1.1"}, "USN-2"},
	} {
		findings, gaps := match(db, row.p)
		got := ""
		for _, f := range findings {
			got += f.Rule
		}
		if got != row.want || len(gaps) != 0 {
			t.Errorf("%s %s: %q, want %q; %v", row.p.Name, row.p.Version, got, row.want, gaps)
		}
	}
}

func TestGoToolchainVersions(t *testing.T) {
	db := database(t, record("GO-1", nil, pkg("Go", "stdlib", span("SEMVER", "introduced", "0", "fixed", "1.20.12", "introduced", "1.21.0-0", "fixed", "1.21.5"))))
	for version, want := range map[string]int{
		"go1.21.4": 1, "1.21.4": 1, "go1.21.5": 0, "go1.21rc2": 1, "1.21rc2": 1, "go1.20.12": 0, "go1.20.11 X:boringcrypto": 1, "go1.21.5-vendor": 0, "go1.22": 0, "v1.21.3": 1, "go1.19": 1,
	} {
		if findings, gaps := match(db, installed("Go", "stdlib", version)); len(findings) != want || len(gaps) != 0 {
			t.Errorf("%s: %d, %v", version, len(findings), gaps)
		}
	}
}

func TestRepositoriesAreMatchedByTagAndByTheCommitsThatAreNamed(t *testing.T) {
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 40)
	git := object{"ranges": []object{{"type": "GIT", "repo": "https://github.com/Some/Repo.git", "events": []object{{"introduced": a}, {"fixed": b}}}}, "versions": []string{"v1.0.0"}}
	db := database(t, record("OSV-1", nil, git))
	for _, row := range []struct {
		version        string
		findings, gaps int
	}{{"1.0.0", 1, 0}, {"v1.0.0", 1, 0}, {"2.0.0", 0, 0}, {a, 1, 0}, {b, 0, 0}, {strings.Repeat("c", 40), 0, 1}} {
		findings, gaps := match(db, installed("GIT", "github.com/some/repo", row.version))
		if len(findings) != row.findings || len(gaps) != row.gaps {
			t.Errorf("%s: %d findings, gaps %v", row.version, len(findings), gaps)
		}
	}
}

func TestMaliciousPackagesAreToBeRemoved(t *testing.T) {
	db := database(t, record("MAL-2099-1", nil, pkg("npm", "evil", object{"versions": []string{"1.0.0"}})))
	findings, _ := match(db, installed("npm", "evil", "1.0.0"))
	if len(findings) != 1 || findings[0].Severity != "critical" || !strings.HasPrefix(findings[0].Advice, "Remove evil") || !slices.Contains(findings[0].Tags, advisory.TagMalicious) {
		t.Errorf("%+v", findings)
	}
}

func TestRustSecsLineIsTurnedAround(t *testing.T) {
	for _, row := range []struct{ patched, unaffected, want string }{
		{`">= 1.2.3"`, ``, "0.1.0 1.2.2 1.2.3-rc1 | 1.2.3 2.0.0"},
		{`">= 1.2.3"`, `"< 1.0.0"`, "1.0.0 1.2.2 | 0.9.9 1.2.3"},
		{`"^1.2.3", ">= 2.1.0"`, ``, "1.2.2 2.0.5 | 1.2.3 1.9.0 2.1.0"},
		{`"~0.7.4", ">= 0.8.2"`, `"<= 0.6"`, "0.7.3 0.8.0 0.8.1 | 0.5.0 0.6.5 0.7.4 0.7.9 0.8.2"},
		{``, ``, "0.0.1 99.0.0 |"},
		{`"= 1.0.1", "> 1.5"`, ``, "1.0.0 1.0.2 1.5.9 | 1.0.1 1.6.0"},
		{`">= 0.5.0, < 0.6.0", ">= 0.6.3"`, ``, "0.4.9 0.6.0 0.6.2 | 0.5.0 0.5.9 0.6.3"},
	} {
		text := "```toml\n[advisory]\nid = \"RUSTSEC-2099-0001\"\npackage = \"thing\"\ndate = \"2026-11-01\"\naliases = [\"CVE-2099-0001\"]\ncvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\n\n[versions]\npatched = [" + row.patched + "]\nunaffected = [" + row.unaffected + "]\n```\n\n# Broken thing\n\nText.\n"
		dir, src := t.TempDir(), t.TempDir()
		write(t, src+"/RUSTSEC-2099-0001.md", []byte(text))
		if s := load(t, dir, src); s.Added != 1 || s.Incomplete() {
			t.Fatalf("%s: %+v", row.patched, s)
		}
		db := open(t, dir)
		hit, miss, _ := strings.Cut(row.want, "|")
		for i, list := range []string{hit, miss} {
			for _, v := range strings.Fields(list) {
				findings, gaps := match(db, installed("crates.io", "thing", v))
				if len(findings) != 1-i || i == 0 && (findings[0].Title != "Broken thing" || findings[0].Risk.Score != 9.8) {
					t.Errorf("patched %s, unaffected %s: %s: %d, %v", row.patched, row.unaffected, v, len(findings), gaps)
				}
			}
		}
	}
}

// What the schema allows beside the usual is no reason to lose a record.
func TestFormsThatTheSchemaAllows(t *testing.T) {
	db := database(t, record("TEST-1", object{
		"related": []object{{"type": "CAUSED_BY", "id": "CVE-2099-9"}}, "aliases": nil, "severity": nil, "references": nil,
		"severity_source": "x", "credits": []object{{"name": "a", "type": "FINDER"}},
	}, pkg("npm", "thing", object{
		"severity": []object{{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}, {"type": "Red Hat", "score": "low"}},
		"ranges":   span("SEMVER", "introduced", "0")["ranges"],
	})))
	findings, gaps := match(db, installed("npm", "thing", "1.0.0"))
	if len(findings) != 1 || len(gaps) != 0 || findings[0].Risk.Score != 9.3 {
		t.Fatalf("%+v %v", findings, gaps)
	}
	if a, err := db.Get("TEST-1"); err != nil || !slices.Equal(a.Related, []string{"CVE-2099-9"}) {
		t.Errorf("%+v, %v", a, err)
	}
}
