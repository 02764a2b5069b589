package sarif

import (
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/schematest"
)

func read(t *testing.T, log string) []scanning.Report {
	t.Helper()
	r, err := Read(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// one reads a log of one run whose members are given.
func one(t *testing.T, members string) scanning.Report {
	t.Helper()
	return read(t, `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"other"}},`+members+`}]}`)[0]
}

func TestARunThatDidNotScanIsNeverClean(t *testing.T) {
	for name, c := range map[string]struct {
		members string
		want    scanning.Outcome
	}{
		"says nothing of itself":       {`"results":[]`, scanning.OutcomeClean},
		"says that it went well":       {`"results":[],"invocations":[{"executionSuccessful":true}]`, scanning.OutcomeClean},
		"failed":                       {`"results":[],"invocations":[{"executionSuccessful":false,"exitCodeDescription":"out of memory"}]`, scanning.OutcomeIncomplete},
		"one of two invocations":       {`"results":[],"invocations":[{"executionSuccessful":true},{"executionSuccessful":false}]`, scanning.OutcomeIncomplete},
		"error though successful":      {`"results":[],"invocations":[{"executionSuccessful":true,"toolExecutionNotifications":[{"level":"error","message":{"text":"cannot parse a.go"}}]}]`, scanning.OutcomeIncomplete},
		"error of configuration":       {`"results":[],"invocations":[{"executionSuccessful":true,"toolConfigurationNotifications":[{"level":"error","message":{"text":"no rule x"}}]}]`, scanning.OutcomeIncomplete},
		"warning":                      {`"results":[],"invocations":[{"executionSuccessful":true,"toolExecutionNotifications":[{"level":"warning","message":{"text":"slow"}}]}]`, scanning.OutcomeClean},
		"no results":                   {`"properties":{}`, scanning.OutcomeIncomplete},
		"null results":                 {`"results":null`, scanning.OutcomeIncomplete},
		"results elsewhere":            {`"results":[],"externalPropertyFileReferences":{"results":[{"location":{"uri":"x"}}]}`, scanning.OutcomeIncomplete},
		"malformed result":             {`"results":[{"message":7}]`, scanning.OutcomeIncomplete},
		"malformed next to a good one": {`"results":[{"message":7},{"ruleId":"a","message":{"text":"b"}}]`, scanning.OutcomeIncomplete},
	} {
		r := one(t, c.members)
		if got := r.Outcome(); got != c.want {
			t.Errorf("%s: %s, %+v", name, got, r.Gaps)
		}
		for _, g := range r.Gaps {
			if g.What == "" || g.Why == "" || g.Reason == "" {
				t.Errorf("%s: a gap that doesn't say what: %+v", name, g)
			}
		}
	}
}

func TestWhatIsNoLogIsRefused(t *testing.T) {
	for name, log := range map[string]string{
		"empty": "", "other": "[]", "version": `{"version":"1.0.0","runs":[{}]}`, "no runs": `{"version":"2.1.0","runs":[]}`,
		"two": `{"version":"2.1.0","runs":[{}]}{}`, "cut off": `{"version":"2.1.0","runs":[{`,
		"deep": `{"version":"2.1.0","runs":` + strings.Repeat("[", 200),
	} {
		if _, err := Read(strings.NewReader(log)); err == nil || core.KindOf(err) == core.KindInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSeverity(t *testing.T) {
	for result, want := range map[string]core.Severity{
		`"level":"error"`:   core.SeverityHigh,
		`"level":"warning"`: core.SeverityMedium,
		`"level":"note"`:    core.SeverityLow,
		`"level":"none"`:    core.SeverityInfo,
		`"message":{}`:      core.SeverityMedium,
		`"level":"note","properties":{"security-severity":"9.8"}`: core.SeverityCritical,
		`"properties":{"security-severity":7}`:                    core.SeverityHigh,
		`"properties":{"security-severity":"NaN"}`:                core.SeverityMedium,
		`"properties":{"security-severity":"1e9"}`:                core.SeverityMedium,
		`"ruleId":"scored"`:                                       core.SeverityCritical,
		`"ruleIndex":1`:                                           core.SeverityLow,
		`"rule":{"index":0,"toolComponent":{"index":0}}`:          core.SeverityHigh,
		`"rule":{"id":"x/sub","toolComponent":{"name":"ext"}}`:    core.SeverityHigh,
		`"rule":{"guid":"11111111-0000-4000-8000-000000000000"}`:  core.SeverityHigh,
		`"kind":"open"`:                                  core.SeverityMedium,
		`"kind":"review","level":"none"`:                 core.SeverityMedium,
		`"kind":"informational"`:                         core.SeverityInfo,
		`"ruleIndex":99`:                                 core.SeverityMedium,
		`"ruleIndex":-1`:                                 core.SeverityMedium,
		`"rule":{"index":0,"toolComponent":{"index":7}}`: core.SeverityCritical,
	} {
		r := read(t, `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"o","rules":[
			{"id":"scored","properties":{"security-severity":"9.1"}},{"id":"quiet","defaultConfiguration":{"level":"note"}}]},
			"extensions":[{"name":"ext","rules":[{"id":"x","guid":"11111111-0000-4000-8000-000000000000","defaultConfiguration":{"level":"error"}}]}]},
			"results":[{`+result+`}]}]}`)[0]
		if got := r.Findings[0].Severity; got != want {
			t.Errorf("%s: %s, want %s", result, got, want)
		}
	}
}

// Another tool has no such list, and a broken one of ours is never passed over.
func TestWhatStandsAside(t *testing.T) {
	for name, c := range map[string]struct {
		driver, list               string
		findings, suppressed, gaps int
	}{
		"ours":      {`,"informationUri":"` + InformationURI + `"`, `[{"result":{"ruleId":"a"}},{"withheld":true,"result":{"ruleId":"b"}}]`, 1, 1, 0},
		"another's": {``, `[{"result":{"ruleId":"a"}},{"withheld":true,"result":{"ruleId":"b"}}]`, 0, 0, 0},
		"no list":   {`,"informationUri":"` + InformationURI + `"`, `{"a":1}`, 0, 0, 1},
		"no result": {`,"informationUri":"` + InformationURI + `"`, `[{"withheld":true},{"result":{"message":7}}]`, 0, 0, 2},
	} {
		r := read(t, `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"o"`+c.driver+`}},"results":[],"properties":{"interlock":{"aside":`+c.list+`}}}]}`)[0]
		if len(r.Findings) != c.findings || len(r.Suppressed) != c.suppressed || len(r.Gaps) != c.gaps {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestWhatIsNoFinding(t *testing.T) {
	r := one(t, `"results":[{"kind":"pass"},{"kind":"notApplicable"},{"baselineState":"absent"},{"baselineState":"new"},{"suppressions":[{"kind":"inSource","justification":"ours"}]}]`)
	if len(r.Findings) != 2 || r.Findings[1].Tags[0] != "suppressed:inSource" || !strings.Contains(r.Findings[1].Detail, "ours") {
		t.Errorf("%+v", r.Findings)
	}
}

const bases = `"originalUriBaseIds":{"ROOT":{"uri":"file:///home/ci/work/"},"SRC":{"uri":"src/","uriBaseId":"ROOT"},
	"A":{"uri":"a/","uriBaseId":"B"},"B":{"uri":"b/","uriBaseId":"A"}},"artifacts":[{"location":{"uri":"x.go","uriBaseId":"SRC"}}],`

func TestPlaces(t *testing.T) {
	for artifact, want := range map[string]string{
		`"uri":"x.go"`:                                 "x.go",
		`"uri":"x.go","uriBaseId":"ROOT"`:              "x.go",
		`"uri":"x.go","uriBaseId":"SRC"`:               "src/x.go",
		`"uri":"x.go","uriBaseId":"UNKNOWN"`:           "x.go",
		`"index":0`:                                    "src/x.go",
		`"index":9`:                                    "",
		`"uri":"file:///home/ci/work/src/a%20b.go"`:    "src/a b.go",
		`"uri":"/home/ci/work/src/a.go"`:               "src/a.go",
		`"uri":"file:///etc/passwd"`:                   "/etc/passwd",
		`"uri":"file:///C:/x/a.go"`:                    "C:/x/a.go",
		`"uri":"src\\a.go"`:                            "src/a.go",
		`"uri":"./a/../b.go"`:                          "b.go",
		`"uri":"../../etc/passwd"`:                     "",
		`"uri":"file:///home/ci/work/../../../etc/x"`:  "",
		`"uri":"file:///home/ci/work/%2e%2e/%2e%2e/e"`: "",
		`"uri":"https://user:pw@a.example/x"`:          "https://a.example/x",
		`"uri":"%zz"`:                                  "%zz",
	} {
		r := one(t, bases+`"results":[{"locations":[{"physicalLocation":{"artifactLocation":{`+artifact+`}}}]}]`)
		l := r.Findings[0].Location
		if l.File+l.URL != want {
			t.Errorf("%s: %q", artifact, l.File+l.URL)
		}
		if want == "" && !strings.Contains(artifact, "index") && r.Outcome() != scanning.OutcomeIncomplete {
			t.Errorf("%s: left out without a word", artifact)
		}
	}
	r := one(t, bases+`"results":[{"locations":[{"physicalLocation":{"artifactLocation":{"uri":"x","uriBaseId":"A"}}}]}]`)
	if len(r.Findings) != 1 {
		t.Error("a circle of bases")
	}
}

func TestFingerprintsKnowNoLines(t *testing.T) {
	result := func(line int, more string) string {
		return fmt.Sprintf(`{"ruleId":"G1","message":{"text":"at line %d"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.go"},"region":{"startLine":%d%s}}}]}`, line, line, more)
	}
	for name, more := range map[string]string{"message alone": "", "code": `,"snippet":{"text":"x := 1"}`} {
		before := one(t, `"results":[`+result(3, more)+`]`).Findings[0]
		after := one(t, `"results":[`+result(99, more)+`]`).Findings[0]
		if before.Fingerprint != after.Fingerprint || before.Fingerprint == "" {
			t.Errorf("%s: moving it makes it another finding", name)
		}
	}
	twins := one(t, `"results":[`+result(3, "")+","+result(9, "")+`]`).Findings
	if twins[0].Fingerprint == twins[1].Fingerprint {
		t.Error("two results of the same words are one")
	}
	// Semgrep writes a word where its fingerprint would be, unless somebody is
	// logged in: it is the same for all and takes no part.
	semgrep := func(code string) string {
		return `{"ruleId":"s","fingerprints":{"matchBasedId/v1":"requires login"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.py"},"region":{"startLine":3,"snippet":{"text":"` + code + `"}}}}]}`
	}
	both, alone := one(t, `"results":[`+semgrep("x")+","+semgrep("y")+`]`).Findings, one(t, `"results":[`+semgrep("y")+`]`).Findings
	if both[1].Fingerprint != alone[0].Fingerprint || both[0].Fingerprint == both[1].Fingerprint {
		t.Error("what no fingerprint is names a finding by its place in the list")
	}
	prints := func(v string) string {
		return one(t, `"results":[{"ruleId":"r","partialFingerprints":{"primaryLocationLineHash":"`+v+`"}}]`).Findings[0].Fingerprint
	}
	if prints("a:1") == prints("b:1") {
		t.Error("the tool's own fingerprint takes no part")
	}
	forged := one(t, `"results":[{"partialFingerprints":{"`+FingerprintKey+`":"00000000000000000000000000000000"}}]`).Findings[0]
	if forged.Fingerprint == "00000000000000000000000000000000" {
		t.Error("another tool can claim one of our fingerprints")
	}
}

func TestVulnerabilitiesOfOtherTools(t *testing.T) {
	trivy := read(t, `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"Trivy","rules":[{"id":"CVE-2021-44228","name":"LanguageSpecificPackageVulnerability","properties":{"security-severity":"10.0","tags":["vulnerability","security","CRITICAL"]}}]}},
		"results":[{"ruleId":"CVE-2021-44228","ruleIndex":0,"level":"error","message":{"text":"Package: org.apache.logging.log4j:log4j-core\nInstalled Version: 2.14.1\nVulnerability CVE-2021-44228\nSeverity: CRITICAL\nFixed Version: 2.15.0, 2.12.2\nLink: [CVE-2021-44228](https://avd.aquasec.com/nvd/cve-2021-44228)"},
		"locations":[{"physicalLocation":{"artifactLocation":{"uri":"app.jar","uriBaseId":"ROOTPATH"}}}]}]}]}`)[0].Findings[0]
	if trivy.Class != scanning.ClassVulnerability || trivy.Severity != core.SeverityCritical || trivy.Package.Name != "org.apache.logging.log4j:log4j-core" ||
		trivy.Package.Version != "2.14.1" || trivy.Fixed[0] != "2.15.0" {
		t.Errorf("%+v %+v", trivy, trivy.Package)
	}
	grype := read(t, `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"Grype","rules":[{"id":"CVE-2022-1234-libssl1.1","properties":{"security-severity":"7.5","purls":["pkg:deb/debian/libssl1.1@1.1.1n?distro=debian-11"]}}]}},
		"results":[{"ruleId":"CVE-2022-1234-libssl1.1","message":{"text":"x"}}]}]}`)[0].Findings
	if grype[0].Rule != "CVE-2022-1234" || grype[0].Class != scanning.ClassVulnerability || grype[0].Package.Ecosystem != "Debian:11" {
		t.Errorf("%+v", grype[0])
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"o"}},` + bases + `"results":[{"ruleId":"a/b","rule":{"index":0},"message":{"text":"[a](b) {0}","arguments":["{0}"]},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"x","uriBaseId":"A"}}}]}]}]}`)
	f.Add(`{"version":"2.1.0","runs":[{"invocations":[{"executionSuccessful":false}],"results":null}]}`)
	valid := compiled(f)
	f.Fuzz(func(t *testing.T, log string) {
		reports, err := Read(strings.NewReader(log))
		if err != nil {
			return
		}
		for i := range reports {
			for j := range reports[i].Findings {
				if fp := reports[i].Findings[j].Fingerprint; len(fp) != 32 || outside(reports[i].Findings[j].Location.File) {
					t.Fatalf("%+v", reports[i].Findings[j])
				}
			}
		}
		var b strings.Builder
		if err := Write(&b, reports); err != nil {
			t.Fatal(err)
		}
		schematest.Check(t, valid, []byte(b.String()))
	})
}
