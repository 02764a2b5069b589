package imports

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/sarif"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func read1(t *testing.T, doc string, want Format, o Options) scanning.Report {
	t.Helper()
	reports, format, err := ReadWith(strings.NewReader(doc), o)
	if err != nil {
		t.Fatal(err)
	}
	if format != want || len(reports) != 1 {
		t.Fatalf("%s with %d reports", format, len(reports))
	}
	return reports[0]
}

// short is a finding on one line: what must be right of it.
func brief(f scanning.Finding) string {
	s := fmt.Sprintf("%s %s %s %s", f.Class, f.Rule, f.Severity, f.Location.File)
	if p := f.Package; p != nil {
		s += fmt.Sprintf(" | %s %s %s %s", p.Ecosystem, p.Name, p.Version, p.PURL)
	}
	return s + fmt.Sprintf(" | %v %v %s", f.Fixed, f.Aliases, f.Reach)
}

func mustRead(t *testing.T, r scanning.Report, want ...string) {
	t.Helper()
	var got []string
	for _, f := range r.Findings {
		got = append(got, brief(f))
		if len(f.Fingerprint) != 32 || f.Title == "" {
			t.Errorf("without a name: %+v", f)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func mustGap(t *testing.T, r scanning.Report, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(r.Gaps, func(g scanning.Gap) bool { return strings.Contains(g.What+" "+g.Why, w) && g.Reason != "" }) {
			t.Errorf("no gap says %q: %+v", w, r.Gaps)
		}
	}
	if len(r.Gaps) != len(want) {
		t.Errorf("%d gaps: %+v", len(r.Gaps), r.Gaps)
	}
}

func TestTrivy(t *testing.T) {
	r := read1(t, sample(t, "trivy.json"), FormatTrivy, Options{})
	mustRead(
		t, r,
		"vulnerability CVE-2023-0286 high  | Debian:10 libssl1.1 1.1.1n-0 pkg:deb/debian/libssl1.1@1.1.1n-0?arch=amd64&distro=debian-10.13 | [1.1.1n-0+deb10u4] [DSA-5343-1] ",
		"vulnerability CVE-2019-1563 medium  | Debian:10 libssl1.1 1.1.1n-0 pkg:deb/debian/libssl1.1@1.1.1n-0?distro=debian-10 | [] [] ",
		"vulnerability CVE-2021-33503 critical usr/lib/python3/dist-packages/urllib3-1.26.4.egg-info | PyPI urllib3 1.26.4 pkg:pypi/urllib3@1.26.4 | [1.26.5 2.0.0] [] ",
		"code DS002 high Dockerfile | [] [AVD-DS-0002] ",
		"secret github-pat critical deploy/key.env | [] [] ",
	)
	mustGap(t, r, "end of life", "Python vulnerability 1 malformed")
	first := r.Findings[0]
	if first.Risk.Score != 7.5 || first.Location.Layer != "sha256:aaaa" || first.Advice != "Update libssl1.1 to 1.1.1n-0+deb10u4." || first.Risk.Published.Year() != 2023 {
		t.Errorf("%+v", first)
	}
	if r.Scope.Kind != scanning.ScopeImage || r.Scope.Revision != "sha256:2222" || r.Packages[0].Source != "openssl" || r.Packages[0].SourceVersion != "1.1.1n-0" {
		t.Errorf("%+v %+v", r.Scope, r.Packages)
	}
}

func TestGrype(t *testing.T) {
	r := read1(t, sample(t, "grype.json"), FormatGrype, Options{})
	mustRead(
		t, r,
		"vulnerability GHSA-jfh8-c2jp-5v3q critical app/log4j-core-2.14.1.jar | Maven org.apache.logging.log4j:log4j-core 2.14.1 pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1 | [2.15.0] [CVE-2021-44228] ",
		"vulnerability CVE-2011-3374 info var/lib/dpkg/status | Debian:12 libapt-pkg6.0 2.6.1 pkg:deb/debian/libapt-pkg6.0@2.6.1?arch=amd64&distro=debian-12&upstream=apt | [] [] ",
	)
	mustGap(t, r, "db is 200 days old")
	if risk := r.Findings[0].Risk; risk.Score != 10 || risk.EPSS != .975 || risk.KEV.Year() != 2021 || !risk.Ransomware {
		t.Errorf("%+v", risk)
	}
	if r.Tool.Database.IsZero() || r.Scope.Name != "app:1" || r.Findings[1].Package.Source != "apt" {
		t.Errorf("%+v %+v", r.Tool, r.Scope)
	}
}

func TestOSVScanner(t *testing.T) {
	r := read1(t, sample(t, "osv-scanner.json"), FormatOSVScanner, Options{Root: "/src"})
	mustRead(t, r, "vulnerability GHSA-4374-p667-p6c8 high go.mod | Go golang.org/x/net 0.7.0 pkg:golang/golang.org/x/net@0.7.0 | [0.17.0] [CVE-2023-39325 GO-2023-2102] not-imported")
	mustGap(t, r)
}

func TestNPMAudit(t *testing.T) {
	r := read1(t, sample(t, "npm-audit.json"), FormatNPMAudit, Options{})
	mustRead(t, r, "vulnerability GHSA-xvch-5gv4-984h critical package-lock.json | npm minimist  pkg:npm/minimist | [] [] ")
	if r.Findings[0].Advice != "Update mkdirp to 1.0.4, a new major version." {
		t.Error(r.Findings[0].Advice)
	}
	failed := read1(t, `{"error":{"code":"ENOLOCK","summary":"This command requires an existing lockfile."}}`, FormatNPMAudit, Options{})
	mustGap(t, failed, "ENOLOCK")
	old := read1(t, `{"actions":[],"advisories":{"7":{"id":7,"module_name":"a","title":"T","severity":"moderate","url":"https://npmjs.com/advisories/7","cves":["CVE-2018-1"],"patched_versions":">=1.2.3","findings":[{"version":"1.0.0"}]}},"metadata":{}}`, FormatNPMAudit, Options{})
	mustRead(t, old, "vulnerability npm-7 medium package-lock.json | npm a 1.0.0 pkg:npm/a@1.0.0 | [] [CVE-2018-1] ")
}

func TestGovulncheck(t *testing.T) {
	doc := sample(t, "govulncheck.json")
	r := read1(t, doc, FormatGovulncheck, Options{})
	mustRead(
		t, r,
		"vulnerability GO-2021-0113 medium go.mod | Go golang.org/x/text v0.3.5 pkg:golang/golang.org/x/text@v0.3.5 | [v0.3.7] [CVE-2021-38561 GHSA-ppp9-7jff-5vj2] imported",
		"vulnerability GO-2022-1059 medium go.mod | Go golang.org/x/text v0.3.5 pkg:golang/golang.org/x/text@v0.3.5 | [v0.3.8] [CVE-2022-32149] not-imported",
	)
	if !strings.Contains(r.Findings[0].Detail, "app.main \u2192 golang.org/x/text/language.Parse") || r.Tool.Database.IsZero() {
		t.Errorf("%+v", r.Findings[0])
	}
	mustGap(t, r)
	mustGap(t, read1(t, doc[:len(doc)-40], FormatGovulncheck, Options{}), "breaks off")
}

func TestGosec(t *testing.T) {
	r := read1(t, sample(t, "gosec.json"), FormatGosec, Options{Root: "/src/"})
	mustRead(t, r, "code G401 medium hash/hash.go | [] [] ")
	mustGap(t, r, "broken.go")
	moved := strings.NewReplacer("10:", "90:", "9:", "89:", "11:", "91:", `"10"`, `"90"`).Replace(sample(t, "gosec.json"))
	if again := read1(t, moved, FormatGosec, Options{Root: "/src"}); again.Findings[0].Fingerprint != r.Findings[0].Fingerprint || again.Findings[0].Location.Line != 90 {
		t.Errorf("moved code is another finding: %+v", again.Findings[0])
	}
}

func TestGitleaksIsRedacted(t *testing.T) {
	secret := "ghp_" + strings.Repeat("aB3", 12)
	doc := fmt.Sprintf(`[{"RuleID":"github-pat","Description":"A GitHub token","StartLine":3,"EndLine":3,"StartColumn":8,"Match":"token = %[1]s","Secret":"%[1]s","File":"x.tar!inner/.env","Commit":"0123","Author":"Anna","Email":"a@b.example","Date":"2026-01-02T03:04:05Z","Message":"add %[1]s","Tags":["t"],"Fingerprint":"0123:.env:github-pat:3"}]`, secret)
	r := read1(t, doc, FormatGitleaks, Options{Scope: scanning.Scope{Name: "repo"}})
	mustRead(t, r, "secret github-pat high x.tar | [] [] ")
	f := r.Findings[0]
	if text := fmt.Sprintf("%+v", r); strings.Contains(text, secret) {
		t.Errorf("the secret is in the report: %s", text)
	}
	if !strings.HasPrefix(f.Redacted, "ghp_") || f.Location.Commit != "0123" || f.Location.Inner[0] != "inner/.env" || r.Scope.Name != "repo" || r.Scope.Kind != scanning.ScopeGit {
		t.Errorf("%+v", f)
	}
	redacted := read1(t, strings.ReplaceAll(doc, secret, "REDACTED"), FormatGitleaks, Options{})
	if redacted.Findings[0].Fingerprint != f.Fingerprint {
		t.Error("whether gitleaks redacts decides what the finding is")
	}
	mustRead(t, read1(t, "[]", FormatGitleaks, Options{Format: FormatGitleaks}))
}

func TestCycloneDX(t *testing.T) {
	r := read1(t, sample(t, "cyclonedx.json"), FormatCycloneDX, Options{})
	mustRead(
		t, r,
		"vulnerability CVE-2024-1 critical  | Maven org.y:z 1.0 pkg:maven/org.y/z@1.0 | [] [GHSA-aaaa-bbbb-cccc] ",
		"vulnerability CVE-2024-1 critical  | npm a 1.0.0 pkg:npm/a@1.0.0 | [] [GHSA-aaaa-bbbb-cccc] ",
	)
	mustGap(t, r, "CVE-2024-2")
	if f := r.Findings[0]; f.VEX != nil || f.Tags[0] != "analysis:not_affected" || r.Tool.Name != "dependency-track" {
		t.Errorf("an analysis that nobody trusts counts: %+v", f)
	}
}

func TestPipAudit(t *testing.T) {
	r := read1(t, `{"dependencies":[{"name":"flask","version":"0.5","vulns":[{"id":"PYSEC-2019-179","fix_versions":["1.0"],"aliases":["CVE-2019-1010083"],"description":"Memory.\nMore."}]},
		{"name":"jinja2","version":"3.1.4","vulns":[]},{"name":"own","skip_reason":"Dependency not found on PyPI"},{"name":7}],"fixes":[]}`, FormatPipAudit, Options{})
	mustRead(t, r, "vulnerability PYSEC-2019-179 medium  | PyPI flask 0.5 pkg:pypi/flask@0.5 | [1.0] [CVE-2019-1010083] ")
	mustGap(t, r, "own pip-audit left it out: Dependency not found", "dependency 3 malformed")
	if len(r.Packages) != 2 {
		t.Errorf("%+v", r.Packages)
	}
}

func TestCargoAudit(t *testing.T) {
	r := read1(t, `{"database":{"advisory-count":800,"last-updated":"2026-08-21T10:00:00Z"},"lockfile":{"dependency-count":3},"settings":{"ignore":["RUSTSEC-2020-0001"]},
		"vulnerabilities":{"found":true,"count":1,"list":[{"advisory":{"id":"RUSTSEC-2021-0079","title":"Integer overflow","description":"d","date":"2021-07-07","aliases":["CVE-2021-32714"],
		"cvss":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:H","url":"https://rustsec.org/x"},"versions":{"patched":[">=0.14.10","^0.13.6"]},"package":{"name":"hyper","version":"0.13.10"}}]},
		"warnings":{"yanked":[{"kind":"yanked","package":{"name":"block","version":"1.0"},"advisory":null,"versions":null}],
		"unmaintained":[{"advisory":{"id":"RUSTSEC-2020-0036","title":"failure is deprecated"},"package":{"name":"failure","version":"0.1.8"}}]}}`, FormatCargoAudit, Options{})
	mustRead(
		t, r,
		"vulnerability RUSTSEC-2021-0079 critical Cargo.lock | crates.io hyper 0.13.10 pkg:cargo/hyper@0.13.10 | [0.14.10] [CVE-2021-32714] ",
		"vulnerability RUSTSEC-2020-0036 low Cargo.lock | crates.io failure 0.1.8 pkg:cargo/failure@0.1.8 | [] [] ",
		"vulnerability yanked low Cargo.lock | crates.io block 1.0 pkg:cargo/block@1.0 | [] [] ",
	)
	mustGap(t, r, "RUSTSEC-2020-0001 cargo audit was told to ignore it")
}

// What a tool was told to keep quiet about is there with who said so: a scan
// that leaves it out must not verify it.
func TestWhatAToolWasToldToIgnore(t *testing.T) {
	trivy := read1(t, `{"SchemaVersion":2,"ArtifactName":"a","Results":[{"Target":"go.mod","Class":"lang-pkgs","Type":"gomod",
		"ExperimentalModifiedFindings":[{"Type":"vulnerability","Status":"not_affected","Statement":"not called","Source":".vex.json","Finding":{"VulnerabilityID":"CVE-2024-1","PkgName":"a","InstalledVersion":"1","Severity":"HIGH"}},{"Type":"odd"}],
		"Licenses":[{"Severity":"HIGH","Category":"restricted","PkgName":"b","Name":"GPL-3.0"},{"Severity":"LOW","Category":"notice","PkgName":"c","Name":"MIT"}]}]}`, FormatTrivy, Options{})
	mustRead(
		t, trivy, "code license-GPL-3.0 high go.mod | [] [] ",
		"vulnerability CVE-2024-1 high go.mod | Go a 1 pkg:golang/a@1 | [] [] ",
	)
	mustGap(t, trivy, "unknown type odd")
	grype := read1(t, `{"matches":[],"descriptor":{"version":"0.1"},"source":{"target":"."},"ignoredMatches":[{"vulnerability":{"id":"CVE-2024-1","severity":"High"},
		"artifact":{"name":"a","version":"1","purl":"pkg:npm/a@1"},"appliedIgnoreRules":[{"reason":"ours"}]}]}`, FormatGrype, Options{})
	mustRead(t, grype, "vulnerability CVE-2024-1 high  | npm a 1 pkg:npm/a@1 | [] [] ")
	for _, f := range []scanning.Finding{trivy.Findings[1], grype.Findings[0]} {
		if !slices.ContainsFunc(f.Tags, func(s string) bool { return strings.HasPrefix(s, "suppressed:") }) || !strings.Contains(f.Detail, "Suppressed") {
			t.Errorf("%+v", f)
		}
	}
}

func TestSARIF(t *testing.T) {
	var b strings.Builder
	want := []scanning.Report{{Tool: scanning.Tool{Name: "a"}, Scope: scanning.Scope{Kind: scanning.ScopeFolder, Name: "s"}}, {Tool: scanning.Tool{Name: "b"}}}
	if err := sarif.Write(&b, want); err != nil {
		t.Fatal(err)
	}
	got, format, err := Read(strings.NewReader(b.String()))
	if err != nil || format != FormatSARIF || len(got) != 2 || got[1].Tool.Name != "b" {
		t.Errorf("%v %s %v", got, format, err)
	}
}

func TestUnknownFormats(t *testing.T) {
	for name, doc := range map[string]string{
		"nothing": "", "text": "hello", "number": "7", "null": "null", "list": "[]", "other list": `[{"a":1}]`, "object": `{"a":1}`,
		"Semgrep": `{"version":"1","results":[],"errors":[{"message":"x"}],"paths":{}}`, "tfsec": `{"results":[{"rule_id":"x"}]}`, "no results": `{"results":null,"a":1}`,
		"some config": `{"config":{"a":1}}`, "some error": `{"error":"x"}`,
		"bill": `{"bomFormat":"CycloneDX"}`, "vex": `{"@context":"https://openvex.dev/ns/v0.2.0"}`, "csaf": `{"document":{}}`,
	} {
		_, _, err := Read(strings.NewReader(doc))
		if core.KindOf(err) != core.KindInvalid || core.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := ReadWith(strings.NewReader("[]"), Options{Format: "nessus"}); core.KindOf(err) != core.KindInvalid {
		t.Error(err)
	}
}

func TestPathsStayInside(t *testing.T) {
	for file, want := range map[string]string{
		"/src/a/b.go": "a/b.go", "/src": "/src", "/srcs/x": "/srcs/x", "../x": "", "a/../../x": "", `C:\src\x.go`: "C:/src/x.go", "./a": "a", "/src/../etc": "/etc",
	} {
		if got := inside(file, "/src"); got != want {
			t.Errorf("%s: %q", file, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) < 7 {
		f.Fatal(names, err)
	}
	for _, n := range names {
		f.Add(sample(f, filepath.Base(n)))
	}
	f.Add(`[{"RuleID":"a","Secret":"b","Match":"abc","File":"x!y"}]`)
	f.Add(`{"dependencies":[{"name":"a","version":"1","vulns":[{"id":"P-1","fix_versions":["2"]}]},{"name":"b","skip_reason":"x"}],"fixes":[]}`)
	f.Add(`{"database":{},"lockfile":{},"settings":{"ignore":["R"]},"vulnerabilities":{"list":[{"advisory":{"id":"R-1"},"package":{"name":"a"}}]},"warnings":{"yanked":[{"kind":"yanked"}]}}`)
	f.Fuzz(func(t *testing.T, doc string) {
		reports, _, err := Read(strings.NewReader(doc))
		if err != nil {
			return
		}
		for i := range reports {
			for _, fi := range reports[i].Findings {
				if len(fi.Fingerprint) != 32 || fi.Severity.Rank() < 0 || strings.HasPrefix(fi.Location.File, "../") {
					t.Fatalf("%+v", fi)
				}
			}
		}
	})
}
