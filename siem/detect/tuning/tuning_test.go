package tuning_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/detect/tuning"
	"github.com/interlock-security/interlock/siem/rules"
)

var (
	tenant  = core.MustID[core.TenantID]("main")
	officer = core.Principal{Kind: core.KindPerson, ID: "anna", Tenant: tenant, Roles: []string{core.RoleViewer, core.RoleSecurityOfficer}}
	viewer  = core.Principal{Kind: core.KindPerson, ID: "vera", Tenant: tenant, Roles: []string{core.RoleViewer}}
	begin   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

const (
	ruleID   = "5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a6001"
	filterID = "5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a6101"
)

// ruleFiles are one rule that holds for lines of a program with the word bad.
func ruleFiles() []rules.File {
	return []rules.File{{Name: "r.yml", Text: "title: R\nid: " + ruleID + "\nname: r\nauthor: A\nlevel: high\nlogsource:\n  product: linux\n  service: plant\n" +
		"detection:\n  selection:\n    word: bad\n  condition: selection\n"}}
}

// exclusion is a filter's text; more stands at its top.
func exclusion(more string) string {
	return "title: Not ours\nid: " + filterID + "\n" + more + "logsource:\n  product: linux\n  service: plant\nfilter:\n  rules:\n    - r\n" +
		"  selection:\n    user: ours\n  condition: not selection\n"
}

func until(at time.Time) string {
	return "owner: anna\nreason: it is ours\nexpires: " + at.Format(time.DateOnly) + "\n"
}

// clock stands still until it is set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = at
}

func (c *clock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// rig is a tuning over a real log, journal, Guard and database.
type rig struct {
	t       *testing.T
	state   *store.DB
	journal *journal.Raw
	log     *audit.Log
	outbox  *audit.Outbox
	guard   *policy.Guard
	clock   *clock
	notices []tuning.Notice
	tuning  *tuning.Tuning
}

func each(t *testing.T, body func(r *rig)) {
	storetest.Each(t, []store.Migrations{journal.Migrations(), audit.Migrations(), alert.Migrations(), detect.Migrations(), tuning.Migrations()}, func(t *testing.T, db *store.DB) {
		r := &rig{t: t, state: db, clock: &clock{now: begin}}
		raw := storetest.Open(t, storetest.Config(t, db.Dialect().String()), journal.RawMigrations())
		dir := t.TempDir()
		ring, err := crypt.OpenHost(filepath.Join(dir, "host"))
		r.must(err)
		_, private, err := ed25519.GenerateKey(nil)
		r.must(err)
		r.log, err = audit.Open(t.Context(), audit.Config{
			Dir: filepath.Join(dir, "audit"), Origin: "interlock.local/test/serve/main", Seed: core.NewSecret(private.Seed()), Sealer: ring, Clock: r.clock,
		})
		r.must(err)
		t.Cleanup(func() { _ = r.log.Close() })
		r.outbox = audit.NewOutbox(db, r.log)
		r.guard = policy.NewGuard(policy.Default(), r, r.clock)
		r.journal, err = journal.OpenRaw(t.Context(), raw, journal.RawOptions{Clock: r.clock})
		r.must(err)
		r.open()
		body(r)
	})
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// Intent implements policy.Recorder.
func (r *rig) Intent(ctx context.Context, who core.Principal, do core.Action, on core.Resource, d core.Decision) (core.Position, error) {
	outcome := "refused"
	if d.Allowed {
		outcome = "permitted"
	}
	res, err := r.log.Append(ctx, audit.Entry{Type: audit.TypeIntent, Actor: who.String(), Action: do, Object: on.String(), Outcome: outcome, Class: audit.ClassAudit, Body: map[string]any{"resource": on}})
	return res.Position, err
}

// open begins anew, as a restart does.
func (r *rig) open() {
	r.t.Helper()
	if r.tuning != nil {
		r.tuning.Close()
	}
	r.tuning = tuning.New(tuning.Parts{
		State: r.state, Journal: r.journal, Log: r.log, Facts: audit.Put, Guard: r.guard, Clock: r.clock, Warn: slog.New(slog.DiscardHandler), Tenant: tenant,
		Shipped: ruleFiles(), Files: ruleFiles(), Library: new(detect.Library),
		Notice: func(_ context.Context, _ *store.Tx, n tuning.Notice) error {
			r.notices = append(r.notices, n)
			return nil
		},
	})
	r.t.Cleanup(r.tuning.Close)
	r.drain()
	r.must(r.tuning.Load(r.t.Context()))
}

// drain brings into the log what waits.
func (r *rig) drain() {
	r.t.Helper()
	for {
		n, err := r.outbox.Drain(r.t.Context())
		r.must(err)
		if n == 0 {
			return
		}
	}
}

// records are the journal's changes of rules, each as its frame's source.
func (r *rig) records() (n int) {
	r.t.Helper()
	r.must(detect.Frames(r.t.Context(), r.journal, detect.Span{}, func(f journal.Frame) error {
		if f.Kind == journal.KindRules {
			n++
		}
		return nil
	}))
	return n
}

// bad appends events of a user.
func (r *rig) bad(user string, n int) {
	r.t.Helper()
	for range n {
		now := r.clock.Now()
		e := core.Event{
			ID: core.NewUUID(now), Time: now, Received: now, Tenant: tenant, Source: "syslog/" + user, Provenance: core.ProvenanceLocal, Type: "plant", Severity: core.SeverityInfo,
			Fields: json.RawMessage(fmt.Sprintf(`{"program":"plant","word":"bad","user":%q}`, user)),
		}
		b, err := json.Marshal(e)
		r.must(err)
		_, err = r.journal.Append(r.t.Context(), journal.Frame{Kind: journal.KindEvents, Tenant: tenant, Source: e.Source, Received: now, Records: [][]byte{b}})
		r.must(err)
	}
}

// try runs a back-test to its end.
func (r *rig) try(a tuning.Attempt) tuning.Trial {
	r.t.Helper()
	one, err := r.tuning.StartTrial(r.t.Context(), officer, a)
	r.must(err)
	deadline := time.After(3 * time.Minute)
	for one.State == tuning.TrialRunning {
		select {
		case <-deadline:
			r.t.Fatal("the back-test never ends")
		case <-time.After(5 * time.Millisecond):
		}
		one, err = r.tuning.Trial(one.ID)
		r.must(err)
	}
	if one.State != tuning.TrialDone {
		r.t.Fatal(one.Problem)
	}
	return one
}

func (r *rig) refused(err error, kind core.Kind, says string) {
	r.t.Helper()
	if core.KindOf(err) != kind || err == nil || !strings.Contains(err.Error(), says) {
		r.t.Errorf("%v; want one that says %q", err, says)
	}
}

// told are the kinds of the notices since the last call.
func (r *rig) told() (out []string) {
	for _, n := range r.notices {
		out = append(out, n.Kind)
	}
	r.notices = nil
	return out
}

func (r *rig) speaks() bool { return r.tuning.InForce().Speaks(ruleID) }

func TestBothEnginesHaveTheSameSchema(t *testing.T) { storetest.SameSchema(t, tuning.Migrations()) }

// TestWhatWasShownIsWhatComesIntoForce (Z12).
func TestWhatWasShownIsWhatComesIntoForce(t *testing.T) {
	each(t, func(r *rig) {
		text := exclusion(until(begin.AddDate(0, 2, 0)))
		r.clock.set(begin.Add(-time.Hour))
		r.bad("ours", 3)
		r.bad("theirs", 2)
		r.clock.set(begin)
		ctx := r.t.Context()
		exclude := func(x tuning.ExcludeRequest) error {
			_, err := r.tuning.Exclude(ctx, officer, x)
			return err
		}
		r.refused(exclude(tuning.ExcludeRequest{Text: text}), core.KindInvalid, "looked at before")
		r.refused(exclude(tuning.ExcludeRequest{Text: text, Trial: strings.Repeat("0", 64)}), core.KindNotFound, "no back-test showed")
		shown := r.try(tuning.Attempt{Exclusion: text})
		if c := shown.Result; c.AlertsBefore != 2 || c.AlertsAfter != 1 || len(c.Removed) != 1 || c.Removed[0].Count != 3 || len(c.Added) != 0 {
			r.t.Fatalf("%+v", c)
		}
		other := strings.Replace(text, "user: ours", "user: '*'", 1)
		r.refused(exclude(tuning.ExcludeRequest{Text: other, Trial: shown.Hash}), core.KindConflict, "it tried something else")
		r.clock.set(begin.Add(25 * time.Hour))
		r.refused(exclude(tuning.ExcludeRequest{Text: text, Trial: shown.Hash}), core.KindConflict, "older than a day")
		r.clock.set(begin.Add(time.Hour))
		_, err := r.tuning.Exclude(ctx, viewer, tuning.ExcludeRequest{Text: text, Trial: shown.Hash})
		r.refused(err, core.KindDenied, "may not")
		before := r.records()
		r.must(exclude(tuning.ExcludeRequest{Text: text, Trial: shown.Hash}))
		if n := r.records(); n != before+1 {
			r.t.Errorf("%d records in the journal, %d before", n, before)
		}
		r.refused(exclude(tuning.ExcludeRequest{Text: text, Trial: shown.Hash}), core.KindConflict, "in force")
		if again := r.try(tuning.Attempt{Disable: ruleID}); again.Result.AlertsBefore != 1 || again.Result.AlertsAfter != 0 {
			r.t.Errorf("%+v", again.Result)
		}
		// The rules have changed since that was shown.
		r.refused(exclude(tuning.ExcludeRequest{Text: strings.Replace(text, "6101", "6102", 1), Trial: shown.Hash}), core.KindConflict, "rules have changed")
		r.must(exclude(tuning.ExcludeRequest{Text: strings.Replace(text, "6101", "6103", 1), Untried: "no time"}))
		list := r.tuning.Changes()
		if len(list) != 2 || list[0].By != "person/anna" || list[0].Owner != "anna" || (list[0].Trial == "") == (list[1].Trial == "") {
			r.t.Errorf("%+v", list)
		}
	})
}

// TestAnExclusionSaysWhoWhyAndUntilWhen: none is mandatory for Sigma, all are here.
func TestAnExclusionSaysWhoWhyAndUntilWhen(t *testing.T) {
	each(t, func(r *rig) {
		for says, text := range map[string]string{
			"`owner` has":        exclusion("reason: x\nexpires: 2026-05-01\n"),
			"`reason` has":       exclusion("owner: x\nexpires: 2026-05-01\n"),
			"needs `expires`":    exclusion("owner: x\nreason: x\n"),
			"expired already":    exclusion(until(begin.AddDate(0, 0, -1))),
			"longer than a year": exclusion(until(begin.AddDate(1, 0, 3))),
			"is one Sigma":       ruleFiles()[0].Text,
			"no rule in force":   strings.Replace(exclusion(until(begin.AddDate(0, 1, 0))), "- r\n", "- nobody\n", 1),
			"exclusion.yml:":     "title: [",
			"at most":            strings.Repeat("#", 70_000),
		} {
			_, err := r.tuning.Exclude(r.t.Context(), officer, tuning.ExcludeRequest{Text: text, Untried: "now"})
			if err == nil || !strings.Contains(err.Error(), says) {
				r.t.Errorf("%v; want one that says %q", err, says)
			}
		}
		if n := len(r.tuning.Changes()); n != 0 {
			r.t.Errorf("%d changes", n)
		}
	})
}

// TestARuleIsTakenOutSinglyAndSurvives a restart and an upgrade, and comes back.
func TestARuleIsTakenOutSinglyAndSurvives(t *testing.T) {
	each(t, func(r *rig) {
		ctx := r.t.Context()
		_, err := r.tuning.Disable(ctx, officer, tuning.DisableRequest{Rule: "r", Reason: "x"})
		r.refused(err, core.KindInvalid, "owner")
		_, err = r.tuning.Disable(ctx, officer, tuning.DisableRequest{Rule: "nobody", Owner: "anna", Reason: "x"})
		r.refused(err, core.KindNotFound, "no rule in force")
		done, err := r.tuning.Disable(ctx, officer, tuning.DisableRequest{Rule: "r", Owner: "anna", Reason: "it is loud", Until: begin.AddDate(0, 1, 0)})
		r.must(err)
		if r.speaks() || done.ID != ruleID || done.State != tuning.StateActive {
			r.t.Errorf("%+v", done)
		}
		if got := fmt.Sprint(r.told()); got != "[rules_tuned]" {
			r.t.Error(got)
		}
		r.open()
		if r.speaks() {
			r.t.Error("a restart brought it back")
		}
		_, err = r.tuning.Restore(ctx, officer, ruleID, "")
		r.refused(err, core.KindInvalid, "reason")
		_, err = r.tuning.Restore(ctx, officer, ruleID, "fixed")
		r.must(err)
		if !r.speaks() {
			r.t.Error("it does not speak again")
		}
		r.open()
		if list := r.tuning.Changes(); !r.speaks() || len(list) != 1 || list[0].State != tuning.StateEnded || list[0].EndReason != "fixed" {
			r.t.Errorf("%+v", list)
		}
	})
}

// TestAnEndIsToldBeforeItComesAsARecord.
func TestAnEndIsToldBeforeItComesAsARecord(t *testing.T) {
	each(t, func(r *rig) {
		end := begin.AddDate(0, 1, 0).Truncate(24 * time.Hour)
		_, err := r.tuning.Exclude(r.t.Context(), officer, tuning.ExcludeRequest{Text: exclusion(until(end)), Untried: "a test"})
		r.must(err)
		r.told()
		records := r.records()
		r.must(r.tuning.Load(r.t.Context()))
		if got := r.told(); len(got) != 0 {
			r.t.Errorf("told a month before: %v", got)
		}
		r.clock.set(end.AddDate(0, 0, -6))
		r.must(r.tuning.Load(r.t.Context()))
		r.must(r.tuning.Load(r.t.Context()))
		r.open() // a restart does not tell it again
		if got := fmt.Sprint(r.told()); got != "[exclusion_expiring]" {
			r.t.Error(got)
		}
		if n := r.records(); n > records+1 { // a start may announce what is on its way already
			r.t.Errorf("%d records, %d before", n, records)
		}
		records = r.records()
		r.clock.set(end.Add(time.Second))
		r.must(r.tuning.Load(r.t.Context()))
		r.must(r.tuning.Load(r.t.Context()))
		if got := fmt.Sprint(r.told()); got != "[exclusion_expired]" {
			r.t.Error(got)
		}
		if n := r.records(); n != records+1 {
			r.t.Errorf("its end is %d records", n-records)
		}
		if list := r.tuning.Changes(); list[0].State != tuning.StateExpired {
			r.t.Errorf("%+v", list)
		}
	})
}

// TestARowSilencesNothing (TRUST F12): whoever writes the database writes rows, and
// through the outbox entries, but no permits.
func TestARowSilencesNothing(t *testing.T) {
	each(t, func(r *rig) {
		ctx := r.t.Context()
		forged := fmt.Sprintf(`{"kind":"disable","state":"active","title":"R","owner":"x","reason":"x","by":"person/anna","since":%d}`, begin.UnixMicro())
		r.must(r.state.Tx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO siem_tuning (tenant, object, revision, claim, warned) VALUES ($1, $2, 1, $3, 0)`, tenant, "rule/"+ruleID, []byte(forged))
			return err
		}))
		r.open()
		if !r.speaks() {
			r.t.Error("a row silenced a rule")
		}
		r.must(r.tuning.Compare(ctx)) // its entry may be on the way
		r.clock.set(begin.Add(time.Minute))
		r.must(r.tuning.Compare(ctx))
		if got := fmt.Sprint(r.told()); got != "[authority_mismatch]" {
			r.t.Error(got)
		}
		r.must(r.state.Tx(ctx, func(tx *store.Tx) error {
			return audit.Put(ctx, tx, audit.Entry{
				Type: audit.TypeAuthority, Time: begin, Actor: "person/anna", Action: policy.RuleDisable, Object: "rule/" + ruleID, Revision: 1,
				Outcome: "active", Class: audit.ClassSecurity, Subject: "installation", Body: json.RawMessage(forged),
			})
		}))
		r.open()
		if !r.speaks() || r.tuning.Doubts()["rule/"+ruleID] == "" {
			r.t.Errorf("an entry without a permit: speaks %v, doubts %v", r.speaks(), r.tuning.Doubts())
		}
		// A person can mend it, by a change that was permitted.
		_, err := r.tuning.Disable(ctx, officer, tuning.DisableRequest{Rule: "r", Owner: "anna", Reason: "indeed"})
		r.must(err)
		r.open()
		if r.speaks() || len(r.tuning.Doubts()) != 0 {
			r.t.Errorf("after mending: speaks %v, doubts %v", r.speaks(), r.tuning.Doubts())
		}
	})
}

// TestAPermitIsGoodForOneChange: what was permitted for one claim brings no other.
func TestAPermitIsGoodForOneChange(t *testing.T) {
	each(t, func(r *rig) {
		ctx := r.t.Context()
		_, err := r.tuning.Disable(ctx, officer, tuning.DisableRequest{Rule: "r", Owner: "anna", Reason: "x", Until: begin.AddDate(0, 0, 10)})
		r.must(err)
		r.drain()
		var permit core.Position
		r.must(r.log.Replay(ctx, func(rec audit.Record) error {
			if rec.Header.Type == audit.TypeIntent && rec.Header.Action == policy.RuleDisable {
				permit = rec.Position
			}
			return nil
		}))
		longer := fmt.Sprintf(`{"kind":"disable","state":"active","title":"R","owner":"anna","reason":"x","by":"person/anna","since":%d}`, begin.UnixMicro())
		r.must(r.state.Tx(ctx, func(tx *store.Tx) error {
			return audit.Put(ctx, tx, audit.Entry{
				Type: audit.TypeAuthority, Time: begin, Actor: "person/anna", Action: policy.RuleDisable, Object: "rule/" + ruleID, Revision: 2,
				Outcome: "active", Class: audit.ClassSecurity, Subject: "installation", Intent: &permit, Body: json.RawMessage(longer),
			})
		}))
		r.clock.set(begin.AddDate(0, 0, 11))
		r.open()
		if !r.speaks() {
			r.t.Error("a used permit made it last longer")
		}
	})
}

func TestNoiseProposesAFilterThatFits(t *testing.T) {
	each(t, func(r *rig) {
		set := r.tuning.InForce()
		if set == nil {
			r.t.Fatal("nothing is in force")
		}
		alerts := alert.NewStore(nobody{})
		for i := range 30 {
			r.must(r.state.Tx(r.t.Context(), func(tx *store.Tx) error {
				source := "syslog/ours"
				if i%10 == 0 {
					source = "syslog/theirs"
				}
				_, err := alerts.Raise(r.t.Context(), tx, alert.Raise{
					Tenant: tenant, Rule: alert.Rule{Name: "r", ID: ruleID, Title: "R", Author: "A"}, Severity: core.SeverityHigh, Key: source,
					Group: map[string]string{"source": source, "type": "plant"}, Provenance: core.ProvenanceLocal, Now: begin,
					Events: []alert.Event{{ID: core.NewUUID(begin), At: begin, Source: source}},
				})
				return err
			}))
		}
		list, quiet, complete, err := r.tuning.Noise(r.t.Context(), 7)
		r.must(err)
		if len(list) != 1 || quiet != 0 || !complete || list[0].Events != 30 || len(list[0].Advice) != 1 {
			r.t.Fatalf("%d quiet, %+v", quiet, list)
		}
		a := list[0].Advice[0]
		if !strings.Contains(a.Text, "90 %") || !strings.Contains(a.Text, "syslog/ours") {
			r.t.Error(a.Text)
		}
		r.clock.set(begin.Add(-time.Hour))
		r.bad("ours", 2)
		r.bad("theirs", 1)
		r.clock.set(begin)
		text := strings.Replace(strings.Replace(a.Filter, `owner: ""`, "owner: anna", 1), `reason: ""`, "reason: ours", 1)
		shown := r.try(tuning.Attempt{Exclusion: text})
		if c := shown.Result; c.AlertsBefore != 2 || c.AlertsAfter != 1 {
			r.t.Errorf("%+v", c)
		}
		_, err = r.tuning.Exclude(r.t.Context(), officer, tuning.ExcludeRequest{Text: text, Trial: shown.Hash})
		r.must(err)
	})
}

// nobody is a topic that nobody reads.
type nobody struct{}

func (nobody) Publish(context.Context, *store.Tx, core.TenantID, ...[]byte) error { return nil }

// TestNothingIsEncodedAnew: what keeps the rules in force looks every two
// seconds; where nothing changed it must not pay for thousands of rules.
func TestNothingIsEncodedAnew(t *testing.T) {
	each(t, func(r *rig) {
		large := ruleFiles()
		large[0].Text += "# " + strings.Repeat("a long comment ", 30_000) + "\n"
		tuned := tuning.New(tuning.Parts{
			State: r.state, Journal: r.journal, Log: r.log, Facts: audit.Put, Guard: r.guard, Clock: r.clock, Warn: slog.New(slog.DiscardHandler), Tenant: tenant,
			Shipped: large, Files: large, Library: new(detect.Library),
		})
		t.Cleanup(tuned.Close)
		r.must(tuned.Load(r.t.Context()))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 10 {
			r.must(tuned.Load(r.t.Context()))
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(len(large[0].Text)) {
			r.t.Errorf("%d bytes for ten looks at rules of %d", n, len(large[0].Text))
		}
	})
}
