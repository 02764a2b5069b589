package lifecycle_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

var (
	tenant = core.MustID[core.TenantID]("main")
	start  = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
)

const day = 24 * time.Hour

func person(name string) core.Principal {
	return core.Principal{Kind: core.KindPerson, ID: name, Tenant: tenant, Roles: []string{core.RoleOperator}}
}

// world is a store with what it told others.
type world struct {
	t     testing.TB
	db    *store.DB
	store *lifecycle.Store
	facts []audit.Entry
	topic []lifecycle.Record
	now   time.Time
}

func newWorld(t testing.TB, db *store.DB) *world {
	w := &world{t: t, db: db, now: start}
	w.store = lifecycle.NewStore(w, w.fact, lifecycle.DefaultRules())
	return w
}

// each runs a test over both engines.
func each(t *testing.T, body func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Each(t, []store.Migrations{lifecycle.Migrations()}, func(t *testing.T, db *store.DB) { body(t, newWorld(t, db)) })
}

func onSQLite(t testing.TB) *world {
	return newWorld(t, storetest.Open(t, storetest.Config(t, "sqlite"), lifecycle.Migrations()))
}

// Publish implements lifecycle.Topic.
func (w *world) Publish(_ context.Context, _ *store.Tx, _ core.TenantID, records ...[]byte) error {
	for _, b := range records {
		var r lifecycle.Record
		if err := json.Unmarshal(b, &r); err != nil {
			return err
		}
		w.topic = append(w.topic, r)
	}
	return nil
}

func (w *world) fact(_ context.Context, _ *store.Tx, e audit.Entry) error {
	w.facts = append(w.facts, e)
	return nil
}

func (w *world) tx(fn func(tx *store.Tx) error) error { return w.db.Tx(w.t.Context(), fn) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// report is a report of the tool "deps" on the repository "shop" that began now.
func (w *world) report(edit func(*scanning.Report), findings ...scanning.Finding) *scanning.Report {
	r := &scanning.Report{
		Tool:    scanning.Tool{Name: "deps", Version: "1.0.0", Database: start.Add(-day)},
		Scope:   scanning.Scope{Kind: scanning.ScopeGit, Name: "shop"},
		Started: w.now, Finished: w.now.Add(time.Second), Findings: findings,
	}
	if edit != nil {
		edit(r)
	}
	return r
}

// take imports a report a minute after the one before.
func (w *world) take(r *scanning.Report) lifecycle.Summary {
	w.t.Helper()
	var sum lifecycle.Summary
	w.must(w.tx(func(tx *store.Tx) (err error) {
		sum, err = w.store.Import(w.t.Context(), tx, tenant, r, "person/anna", r.Finished)
		return err
	}))
	if after := r.Finished.Add(time.Minute); after.After(w.now) {
		w.now = after
	}
	return sum
}

func (w *world) get(id core.UUID) (f lifecycle.Finding) {
	w.t.Helper()
	w.must(w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		f, err = w.store.Get(w.t.Context(), tx, tenant, id)
		return err
	}))
	return f
}

func (w *world) list(q lifecycle.Filter) (list []lifecycle.Finding) {
	w.t.Helper()
	w.must(w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		list, err = w.store.List(w.t.Context(), tx, tenant, q)
		return err
	}))
	return list
}

func (w *world) timeline(id core.UUID) (list []lifecycle.Event) {
	w.t.Helper()
	w.must(w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		list, err = w.store.Timeline(w.t.Context(), tx, tenant, id)
		return err
	}))
	return list
}

func (w *world) move(id core.UUID, to lifecycle.State, edit func(*lifecycle.Change)) (f lifecycle.Finding, err error) {
	w.now = w.now.Add(time.Minute)
	c := lifecycle.Change{To: to, By: person("anna"), At: w.now}
	if edit != nil {
		edit(&c)
	}
	err = w.tx(func(tx *store.Tx) (err error) {
		f, err = w.store.Move(w.t.Context(), tx, tenant, id, c)
		return err
	})
	w.now = w.now.Add(time.Minute)
	return f, err
}

// through moves a finding over several edges.
func (w *world) through(id core.UUID, states ...lifecycle.State) {
	w.t.Helper()
	for _, s := range states {
		_, err := w.move(id, s, nil)
		w.must(err)
	}
}

func (w *world) state(id core.UUID, want lifecycle.State) lifecycle.Finding {
	w.t.Helper()
	f := w.get(id)
	if f.State != want {
		w.t.Errorf("finding %s is %s, want %s", f.What.Rule, f.State, want)
		for _, e := range w.timeline(id) {
			w.t.Logf("  %d %s %s %s→%s %s", e.Revision, e.At.Format(time.DateTime), e.Kind, e.From, e.To, e.Text)
		}
	}
	return f
}

// vuln is a vulnerable package in go.mod.
func vuln(rule, pkg string, edit func(*scanning.Finding)) scanning.Finding {
	f := scanning.Finding{
		Rule: rule, Class: scanning.ClassVulnerability, Title: rule + " in " + pkg, Severity: core.SeverityHigh,
		Location: scanning.Location{File: "go.mod", Line: 7}, Package: &scanning.Package{Ecosystem: "Go", Name: pkg, Version: "v1.0.0", File: "go.mod"},
		Fixed: []string{"v1.0.1"},
	}
	if edit != nil {
		edit(&f)
	}
	f.Fingerprint = scanning.Fingerprint(&f)
	return f
}

// leak is a secret in a file.
func leak(file string) scanning.Finding {
	f := scanning.Finding{
		Rule: "github-pat", Class: scanning.ClassSecret, Title: "GitHub token", Severity: core.SeverityHigh,
		Location: scanning.Location{File: file, Line: 3, Context: "token = "}, Redacted: "ghp_…abcd",
	}
	f.Fingerprint = scanning.Fingerprint(&f)
	return f
}
