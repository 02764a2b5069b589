package lifecycle_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/priority"
)

// machine is the table as people read it: who takes which edge. What is not here
// is refused.
const machine = `
introduced                 scan   discovered
discovered                 person triaged not-affected false-positive duplicate
discovered                 scan   fixed-pending-verification duplicate
discovered                 statement not-affected
triaged                    person affected not-affected false-positive duplicate risk-accepted
triaged                    scan   fixed-pending-verification duplicate
triaged                    statement not-affected
affected                   person remediating fixed-pending-verification not-affected false-positive duplicate risk-accepted
affected                   scan   fixed-pending-verification duplicate
affected                   statement not-affected
remediating                person affected fixed-pending-verification not-affected false-positive duplicate risk-accepted
remediating                scan   fixed-pending-verification duplicate
remediating                statement not-affected
fixed-pending-verification person affected
fixed-pending-verification scan   verified affected
verified                   scan   affected
risk-accepted              person affected
risk-accepted              time   affected
not-affected               person triaged
not-affected               statement triaged
false-positive             person triaged
duplicate                  person triaged
`

func edges() map[string]bool {
	want := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSpace(machine), "\n") {
		words := strings.Fields(line)
		for _, to := range words[2:] {
			want[words[0]+" "+words[1]+" "+to] = true
		}
	}
	return want
}

// whole is a wish that brings everything that any edge needs.
func whole(who lifecycle.Who, to lifecycle.State) lifecycle.Change {
	return lifecycle.Change{
		To: to, Who: who, By: person("otto"), At: start.Add(40 * day), Reason: "because", Justification: lifecycle.Justifications[0],
		Of: core.NewUUID(start), OfState: lifecycle.StateAffected, OfSubject: "repo/shop", Proven: true, Seen: true, Request: 5,
		Statement: &lifecycle.StatementRef{Author: "Acme PSIRT", At: start},
	}
}

func at(s lifecycle.State) lifecycle.Finding {
	f := lifecycle.Finding{
		ID: core.NewUUID(start), Tenant: tenant, Subject: "repo/shop", State: s, What: vuln("GO-2026-1", "example.com/a", nil), Clock: lifecycle.Clock{Since: start},
		Acceptance: &lifecycle.Acceptance{Requester: "person/anna", Reason: "r", Asked: start, Until: start.Add(60 * day), Revision: 5}, Revision: 7,
	}
	f.Acceptance.Risk = lifecycle.AskedRisk{Severity: f.What.Severity, Decision: string(priority.Track), Version: "v1.0.0"}
	if s == lifecycle.StateAccepted {
		f.Acceptance.Approver, f.Acceptance.Until = "person/otto", start.Add(30*day)
	}
	if s == lifecycle.StateNotAffected {
		f.Statement = &lifecycle.StatementRef{Author: "Acme PSIRT", At: start}
	}
	return f
}

// TestTheMachineIsTheTable walks every state, target and actor.
func TestTheMachineIsTheTable(t *testing.T) {
	rules, want, got := lifecycle.DefaultRules(), edges(), map[string]bool{}
	for _, from := range lifecycle.States {
		for _, to := range lifecycle.States {
			for _, who := range []lifecycle.Who{lifecycle.WhoPerson, lifecycle.WhoScan, lifecycle.WhoTime, lifecycle.WhoStatement, "", "verification"} {
				before := at(from)
				f, e, err := rules.Apply(before, whole(who, to))
				name := fmt.Sprintf("%s %s %s", from, who, to)
				if err != nil {
					if f.State != from || f.Revision != 7 || e.Kind != "" {
						t.Errorf("%s is refused and changes something: %+v", name, f)
					}
					if k := core.KindOf(err); k != core.KindConflict && k != core.KindDenied {
						t.Errorf("%s: %v", name, err)
					}
					continue
				}
				got[name] = true
				if f.State != to || e.From != from || e.To != to || e.Revision != 8 || f.Revision != 8 {
					t.Errorf("%s: %+v", name, e)
				}
			}
		}
	}
	for name := range got {
		if !want[name] {
			t.Errorf("%s is possible", name)
		}
	}
	for name := range want {
		if !got[name] {
			t.Errorf("%s is not possible", name)
		}
	}
}

// TestEachNeedIsNeeded: without any one of what an edge needs it is refused.
func TestEachNeedIsNeeded(t *testing.T) {
	rules := lifecycle.DefaultRules()
	without := map[lifecycle.Need][]func(*lifecycle.Finding, *lifecycle.Change){
		lifecycle.NeedReason: {func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Reason = " \t" }},
		lifecycle.NeedJustification: {
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Justification = "" },
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Justification = "trust me" },
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Justification = lifecycle.JustificationRevoked },
		},
		lifecycle.NeedTarget: {
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Of = core.UUID{} },
			func(f *lifecycle.Finding, c *lifecycle.Change) { c.Of = f.ID },
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.OfState = lifecycle.StateDuplicate },
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.OfState = lifecycle.StateVerified },
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.OfSubject = "repo/other" },
		},
		lifecycle.NeedProof: {func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Proven = false }},
		lifecycle.NeedSight: {func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Seen = false }},
		lifecycle.NeedTwo: {
			func(f *lifecycle.Finding, _ *lifecycle.Change) { f.Acceptance = nil },
			func(f *lifecycle.Finding, _ *lifecycle.Change) { f.What.Severity = core.SeverityCritical },
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Request = 4 },
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Request = 0 },
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.By = person("anna") },
			func(f *lifecycle.Finding, _ *lifecycle.Change) { f.Acceptance.Until = start.Add(40 * day) },
			func(f *lifecycle.Finding, _ *lifecycle.Change) { f.Acceptance.Until = start.Add(131 * day) },
		},
		lifecycle.NeedStatement: {
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Statement = nil },
			func(_ *lifecycle.Finding, c *lifecycle.Change) { c.Statement = &lifecycle.StatementRef{} },
			func(f *lifecycle.Finding, _ *lifecycle.Change) { f.What.Class = scanning.ClassSecret },
		},
		lifecycle.NeedNoStatement: {func(f *lifecycle.Finding, _ *lifecycle.Change) { f.Statement = nil }},
		lifecycle.NeedEnd:         {func(f *lifecycle.Finding, _ *lifecycle.Change) { f.Acceptance.Until = start.Add(41 * day) }},
	}
	for _, e := range lifecycle.Edges {
		for _, n := range e.Needs {
			for i, take := range without[n] {
				f, c := at(e.From), whole(e.Who, e.To)
				take(&f, &c)
				if got, _, err := rules.Apply(f, c); err == nil || got.State != e.From {
					t.Errorf("%s → %s without %q (%d) is permitted", e.From, e.To, n, i)
				}
			}
			if without[n] == nil {
				t.Errorf("no test takes away %q", n)
			}
		}
		if e.Who != lifecycle.WhoPerson {
			continue
		}
		for _, by := range []core.Principal{{Kind: core.KindService, ID: "otto", Tenant: tenant}, {Kind: core.KindPerson, ID: "otto", Tenant: core.MustID[core.TenantID]("other")}, {}} {
			c := whole(e.Who, e.To)
			c.By = by
			if _, _, err := rules.Apply(at(e.From), c); core.KindOf(err) != core.KindDenied {
				t.Errorf("%s → %s by %s: %v", e.From, e.To, by, err)
			}
		}
	}
}

// TestOnlyProofAndJudgementClose: in the whole table, what leads to a closed state
// is proof, two persons, or a reason that somebody gave.
func TestOnlyProofAndJudgementClose(t *testing.T) {
	for _, e := range lifecycle.Edges {
		if e.To.Open() {
			continue
		}
		ok := false
		switch e.To {
		case lifecycle.StateVerified:
			ok = e.Who == lifecycle.WhoScan && slices.Contains(e.Needs, lifecycle.NeedProof) && e.From == lifecycle.StateFixed
		case lifecycle.StateAccepted:
			ok = slices.Contains(e.Needs, lifecycle.NeedTwo)
		case lifecycle.StateNotAffected:
			ok = slices.Contains(e.Needs, lifecycle.NeedReason) && slices.Contains(e.Needs, lifecycle.NeedJustification)
		case lifecycle.StateFalsePositive:
			ok = slices.Contains(e.Needs, lifecycle.NeedReason)
		case lifecycle.StateDuplicate:
			ok = slices.Contains(e.Needs, lifecycle.NeedTarget)
		}
		if !ok {
			t.Errorf("%s → %s by %s needs only %v", e.From, e.To, e.Who, e.Needs)
		}
	}
}

// TestASecretIsRevoked, which is no justification for anything else.
func TestASecretIsRevoked(t *testing.T) {
	f := at(lifecycle.StateTriaged)
	f.What = leak(".env")
	c := whole(lifecycle.WhoPerson, lifecycle.StateNotAffected)
	c.Justification = lifecycle.JustificationRevoked
	if got, _, err := lifecycle.DefaultRules().Apply(f, c); err != nil || got.State != lifecycle.StateNotAffected {
		t.Errorf("%s, %v", got.State, err)
	}
}

// TestClocksAreOnlyShortened: by what makes it urgent, and never back.
func TestClocksAreOnlyShortened(t *testing.T) {
	w := onSQLite(t)
	id := w.take(w.report(nil, vuln("CVE-2026-1", "example.com/a", nil))).New[0]
	found := w.get(id).Clock.Since
	due := func(what string, want time.Time, why string) {
		t.Helper()
		if c := w.get(id).Clock; !c.Due.Equal(want) || c.Why != why || !c.Since.Equal(found) {
			t.Errorf("%s: due %s (%s), want %s (%s)", what, c.Due, c.Why, want, why)
		}
	}
	due("high", found.Add(30*day), "high")
	less := vuln("CVE-2026-1", "example.com/a", func(f *scanning.Finding) { f.Severity = core.SeverityLow })
	w.take(w.report(nil, less))
	due("rated down", found.Add(30*day), "high")
	w.take(w.report(nil, vuln("CVE-2026-1", "example.com/a", func(f *scanning.Finding) { f.Severity = core.SeverityCritical })))
	due("rated up", found.Add(7*day), "critical")
	w.now = start.Add(day)
	w.know(lifecycle.Fact{Advisory: "CVE-2026-1", Kind: lifecycle.FactKEV, At: w.now, Source: "CISA KEV", Due: start.Add(20 * day)})
	due("exploited", w.now.Add(3*day), "exploited")
	w.know(lifecycle.Fact{Advisory: "CVE-2026-1", Kind: lifecycle.FactKEV, At: w.now, Source: "CISA KEV", Due: start.Add(2 * day)})
	due("CISA's day", start.Add(2*day), "exploited, CISA's day")
	if f := w.get(id); f.Facts.KEV.IsZero() || !strings.Contains(f.Why, "exploited") {
		t.Errorf("not ranked anew: %q", f.Why)
	}
	w.know(lifecycle.Fact{Advisory: "CVE-2026-1", Kind: lifecycle.FactKEV, At: w.now, Source: "CISA KEV", Due: start.Add(2 * day)})
	n := 0
	for _, e := range w.timeline(id) {
		if e.Kind == lifecycle.EventFact {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d facts in the timeline, want 2: the one that adds nothing is none", n)
	}
	other := w.take(w.report(nil, less, vuln("CVE-2026-1", "example.com/b", nil))).New[0]
	if f := w.get(other); f.Clock.Why != "exploited, CISA's day" && f.Clock.Why != "exploited" {
		t.Errorf("a new finding of a known advisory: %+v", f.Clock)
	}
}

// TestAValidSecretHasADay.
func TestAValidSecretHasADay(t *testing.T) {
	w := onSQLite(t)
	secret := leak(".env")
	secret.Tags = []string{lifecycle.TagValid}
	id := w.take(w.report(nil, secret)).New[0]
	if c := w.get(id).Clock; !c.Due.Equal(c.Since.Add(day)) {
		t.Errorf("%+v", c)
	}
}

// TestWhatToFixFirst: a secret that is valid, what is exploited before what might
// be, what is reachable before what is not, what is severe before what is not, and
// each with its reason. The decisions are those of CISA's tree for an asset of
// which nothing is known.
func TestWhatToFixFirst(t *testing.T) {
	w := onSQLite(t)
	valid := leak("valid/.env")
	valid.Tags = []string{lifecycle.TagValid}
	grave := func(f *scanning.Finding) {
		f.Severity, f.Risk.CVSS = core.SeverityCritical, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	}
	mild := func(f *scanning.Finding) {
		f.Severity, f.Risk.CVSS = core.SeverityMedium, "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
	}
	w.take(w.report(nil, vuln("CVE-1", "example.com/mild", mild), vuln("CVE-2", "example.com/grave", grave), vuln("CVE-3", "example.com/unused", func(f *scanning.Finding) {
		grave(f)
		f.Reach = scanning.ReachNotImported
	}), vuln("CVE-4", "example.com/exploited", mild), valid))
	if n := w.know(lifecycle.Fact{Advisory: "CVE-4", Kind: lifecycle.FactKEV, At: w.now, Source: "CISA KEV"}); n != 1 {
		t.Errorf("the fact concerns %d findings", n)
	}
	var got []string
	for _, f := range w.list(lifecycle.Filter{OpenOnly: true}) {
		got = append(got, f.Decision+" "+f.What.Rule)
		if !strings.HasPrefix(f.Why, f.Decision+": ") {
			t.Errorf("why %q", f.Why)
		}
	}
	want := []string{"Act github-pat", "Track CVE-4", "Track CVE-2", "Track CVE-1", "Track CVE-3"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
