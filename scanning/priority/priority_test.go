package priority_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/priority"
)

// table is CERT/CC's cisa_coordinator 2.0.3, every row of it.
const table = `none,no,partial,low,Track
none,no,partial,medium,Track
none,no,partial,high,Track
none,no,total,low,Track
none,no,total,medium,Track
none,no,total,high,Track*
none,yes,partial,low,Track
none,yes,partial,medium,Track
none,yes,partial,high,Attend
none,yes,total,low,Track
none,yes,total,medium,Track
none,yes,total,high,Attend
public poc,no,partial,low,Track
public poc,no,partial,medium,Track
public poc,no,partial,high,Track*
public poc,no,total,low,Track
public poc,no,total,medium,Track*
public poc,no,total,high,Attend
public poc,yes,partial,low,Track
public poc,yes,partial,medium,Track
public poc,yes,partial,high,Attend
public poc,yes,total,low,Track
public poc,yes,total,medium,Track*
public poc,yes,total,high,Attend
active,no,partial,low,Track
active,no,partial,medium,Track
active,no,partial,high,Attend
active,no,total,low,Track
active,no,total,medium,Attend
active,no,total,high,Act
active,yes,partial,low,Attend
active,yes,partial,medium,Attend
active,yes,partial,high,Act
active,yes,total,low,Attend
active,yes,total,medium,Act
active,yes,total,high,Act`

func TestTheTreeIsCISAs(t *testing.T) {
	rows := strings.Split(table, "\n")
	if len(rows) != 36 {
		t.Fatalf("%d rows, the tree has 36", len(rows))
	}
	for _, row := range rows {
		c := strings.Split(row, ",")
		got := priority.Decide(priority.Exploitation(c[0]), priority.Automatable(c[1]), priority.Impact(c[2]), priority.Mission(c[3]))
		if string(got) != c[4] {
			t.Errorf("%s: got %s", row, got)
		}
	}
}

func TestUnknownWordsCountAsTheWorst(t *testing.T) {
	if got := priority.Decide("?", "?", "?", "?"); got != priority.Act {
		t.Errorf("got %s", got)
	}
}

func TestMissionAndWellBeing(t *testing.T) {
	for _, row := range []struct {
		p    priority.Prevalence
		w    priority.WellBeing
		want priority.Mission
	}{
		{"minimal", "minimal", "low"},
		{"minimal", "material", "medium"},
		{"minimal", "irreversible", "high"},
		{"support", "minimal", "medium"},
		{"support", "material", "medium"},
		{"support", "irreversible", "high"},
		{"essential", "minimal", "high"},
		{"essential", "material", "high"},
		{"essential", "irreversible", "high"},
		{"?", "minimal", "high"},
	} {
		if got := priority.MissionAndWellBeing(row.p, row.w); got != row.want {
			t.Errorf("%s and %s: got %s, want %s", row.p, row.w, got, row.want)
		}
	}
	if got := (priority.Asset{}).Mission(); got != priority.MissionMedium {
		t.Errorf("an asset of unknown importance is %s", got)
	}
}

func TestCVSS(t *testing.T) {
	for _, row := range []struct {
		vector   string
		score    float64
		severity core.Severity
	}{
		{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10, core.SeverityCritical},
		{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, core.SeverityCritical},
		{"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 7.5, core.SeverityHigh},
		{"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:N/I:L/A:N", 4.3, core.SeverityMedium},
		{"CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", 1.8, core.SeverityLow},
		{"CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0, core.SeverityInfo},
		{"AV:N/AC:L/Au:N/C:C/I:C/A:C", 10, core.SeverityCritical},
		{"(AV:L/AC:M/Au:N/C:N/I:P/A:C)", 5.4, core.SeverityMedium},
		{"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 10, core.SeverityCritical},
		{"CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N/SA:N", 5.1, core.SeverityMedium},
	} {
		c, err := priority.ParseCVSS(row.vector)
		if err != nil || c.Score != row.score || c.Severity() != row.severity {
			t.Errorf("%s: %v %v %v, want %v %v", row.vector, c.Score, c.Severity(), err, row.score, row.severity)
		}
	}
}

func TestAMalformedVectorIsNamed(t *testing.T) {
	for _, v := range []string{"", "CVSS:3.1/AV:N", "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", "CVSS:9.9/AV:N", "7.5", "CVSS:4.0/", strings.Repeat("AV:N/", 500)} {
		_, err := priority.ParseCVSS(v)
		if err == nil || (v != "" && !strings.Contains(err.Error(), v[:min(len(v), 5)])) {
			t.Errorf("%.20q: %v", v, err)
		}
	}
}

// impacts is CERT/CC's cvssv4_to_technical_impact 1.0.0: privileges,
// confidentiality, integrity.
const impacts = `HNNp LNNp HLNp HNLp NNNp LLNp HHNp LNLp HLLp HNHp NLNp LHNp NNLp LLLp HHLp LNHp HLHp NHNp NLLp LHLp NNHp LLHp HHHt NHLt NLHt LHHt NHHt`

func TestTechnicalImpactFollowsTheOfficialTable(t *testing.T) {
	for _, row := range strings.Fields(impacts) {
		vector := "CVSS:4.0/AV:L/AC:L/AT:N/PR:" + row[:1] + "/UI:N/VC:" + row[1:2] + "/VI:" + row[2:3] + "/VA:N/SC:N/SI:N/SA:N"
		f := scanning.Finding{Risk: scanning.Risk{CVSS: vector}}
		// Exploited, not automatable, mission high: Attend if partial, Act if total.
		got := priority.Assess(&f, priority.Facts{KEV: day(1), Asset: priority.Asset{Prevalence: priority.PrevalenceEssential}})
		want := map[byte]string{'p': "Attend", 't': "Act"}[row[3]]
		if got.SSVC != want {
			t.Errorf("%s: %s, want %s", vector, got.SSVC, want)
		}
	}
}

func day(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }

const (
	remote = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	local  = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
)

func TestExploitationRaises(t *testing.T) {
	f := scanning.Finding{Risk: scanning.Risk{CVSS: remote}}
	for _, row := range []struct {
		name  string
		facts priority.Facts
		want  priority.Decision
	}{
		{"nothing known", priority.Facts{}, priority.Track},
		{"likely", priority.Facts{EPSS: 0.2}, priority.TrackStar},
		{"likely, but below the threshold asked for", priority.Facts{EPSS: 0.2, EPSSThreshold: 0.5}, priority.Track},
		{"proof of concept", priority.Facts{PublicExploit: true}, priority.TrackStar},
		{"on CISA's list", priority.Facts{KEV: day(1)}, priority.Act},
		{"seen in our own events", priority.Facts{Seen: day(2)}, priority.Act},
		{"on a device nobody needs", priority.Facts{KEV: day(1), Asset: priority.Asset{Prevalence: "minimal", WellBeing: "minimal"}}, priority.Attend},
		{"on a device people's lives hang on", priority.Facts{Asset: priority.Asset{WellBeing: "irreversible"}}, priority.Attend},
	} {
		if got := priority.Assess(&f, row.facts); got.SSVC != string(row.want) {
			t.Errorf("%s: %s, want %s", row.name, got.SSVC, row.want)
		}
	}
	got := priority.Assess(&f, priority.Facts{KEV: day(5), Seen: day(3), EPSS: 0.5, Ransomware: true})
	if !got.KEV.Equal(day(3)) || got.EPSS != 0.5 || !got.Ransomware || got.Score != 9.8 {
		t.Errorf("facts are lost: %+v", got)
	}
	again := scanning.Finding{Risk: got}
	if b := priority.Assess(&again, priority.Facts{}); b != got {
		t.Errorf("assessing twice forgets: %+v, %+v", got, b)
	}
}

func TestAMalformedVectorIsTakenAsTheWorst(t *testing.T) {
	f := scanning.Finding{Risk: scanning.Risk{CVSS: "CVSS:3.1/rubbish"}}
	if got := priority.Assess(&f, priority.Facts{KEV: day(1)}); got.SSVC != "Act" {
		t.Errorf("got %s", got.SSVC)
	}
}

func sample() []scanning.Finding {
	pkg := func(name string) *scanning.Package {
		return &scanning.Package{Ecosystem: "npm", Name: name, Version: "1.0.0"}
	}
	v := scanning.ClassVulnerability
	return []scanning.Finding{
		{Rule: "exploited", Class: v, Severity: core.SeverityHigh, Package: pkg("a"), Fixed: []string{"1.2.3"}, Reach: scanning.ReachImported, Risk: scanning.Risk{SSVC: "Act", KEV: day(1), EPSS: 0.93, Score: 8.1, Ransomware: true}},
		{Rule: "act", Class: v, Severity: core.SeverityCritical, Package: pkg("b"), Risk: scanning.Risk{SSVC: "Act", Score: 9.8}},
		{Rule: "act-not-reached", Class: v, Severity: core.SeverityCritical, Package: pkg("b"), Reach: scanning.ReachNotImported, Risk: scanning.Risk{SSVC: "Act", Score: 9.9}},
		{Rule: "attend", Class: v, Severity: core.SeverityCritical, Package: pkg("c"), Risk: scanning.Risk{SSVC: "Attend", Score: 9.8}},
		{Rule: "likely", Class: v, Severity: core.SeverityLow, Package: pkg("d"), Risk: scanning.Risk{SSVC: "Track", Score: 2, EPSS: 0.05}},
		{Rule: "fixable", Class: v, Severity: core.SeverityLow, Package: pkg("e"), Fixed: []string{"2"}, Risk: scanning.Risk{SSVC: "Track", Score: 2}},
		{Rule: "GO-1", Class: v, Severity: core.SeverityLow, Package: pkg("f"), Risk: scanning.Risk{SSVC: "Track", Score: 2}},
		{Rule: "GO-2", Class: v, Severity: core.SeverityLow, Package: pkg("f"), Risk: scanning.Risk{SSVC: "Track", Score: 2}},
		{Rule: "leak", Class: scanning.ClassSecret},
	}
}

func TestOrderIsTheSameFromEveryBeginning(t *testing.T) {
	want := sample()
	wantJSON, _ := json.Marshal(want)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		got := slices.Clone(want)
		rng.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		priority.Order(got)
		if b, _ := json.Marshal(got); string(b) != string(wantJSON) {
			t.Fatalf("got %s", b)
		}
	}
}

func TestWhyIsOneSentence(t *testing.T) {
	all := sample()
	for rule, want := range map[string]string{
		"exploited":       "Act: known to be exploited since 2026-03-01, used by ransomware, high (CVSS 8.1), 93 % likely to be exploited within 30 days, reachable, fix is 1.2.3",
		"act-not-reached": "Act: critical (CVSS 9.9), the vulnerable package is not imported, no fix yet",
		"leak":            "medium until somebody rates it, no fix named",
	} {
		i := slices.IndexFunc(all, func(f scanning.Finding) bool { return f.Rule == rule })
		if got := priority.Why(&all[i]); got != want {
			t.Errorf("%s:\n got %s\nwant %s", rule, got, want)
		}
	}
	advised := scanning.Finding{Severity: core.SeverityLow, Advice: "Update to 1.2.3."}
	if got := priority.Why(&advised); got != "low, update to 1.2.3" {
		t.Errorf("got %s", got)
	}
}

func FuzzParseCVSS(f *testing.F) {
	for _, s := range []string{remote, local, "AV:N/AC:L/Au:N/C:C/I:C/A:C", "CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N/SA:N", "CVSS:4.0/AV", "()", "CVSS:3.1/////"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := priority.ParseCVSS(s)
		if err == nil && (c.Score < 0 || c.Score > 10 || c.Severity().Rank() < 0) {
			t.Errorf("%q scores %v", s, c.Score)
		}
		finding := scanning.Finding{Risk: scanning.Risk{CVSS: s}}
		if got := priority.Assess(&finding, priority.Facts{}); got.SSVC == "" {
			t.Errorf("%q has no decision", s)
		}
	})
}
