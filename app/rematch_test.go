package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

var rematchTenant = core.MustID[core.TenantID]("main")

// shelf is a server's advisories and what it stored, without the server.
type shelf struct {
	t     *testing.T
	clock *clocktest.Clock
	m     *rematch
}

type silent struct{}

func (silent) Publish(context.Context, *store.Tx, core.TenantID, ...[]byte) error { return nil }

func newShelf(t *testing.T, db *store.DB) *shelf {
	clock := clocktest.New(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
	s := &shelf{t: t, clock: clock}
	s.m = s.started(t.TempDir(), db)
	return s
}

// started is what a process has when it begins.
func (s *shelf) started(dir string, db *store.DB) *rematch {
	a := &advisories{dir: dir, clock: s.clock}
	s.t.Cleanup(a.close)
	findings := lifecycle.NewStore(silent{}, func(context.Context, *store.Tx, audit.Entry) error { return nil }, lifecycle.DefaultRules())
	return &rematch{advisories: a, state: db, findings: findings, tenant: rematchTenant, log: slog.New(slog.DiscardHandler)}
}

// advise puts a database in place that knows these packages to be vulnerable, or
// with a "-" that they are not.
func (s *shelf) advise(packages ...string) {
	s.t.Helper()
	s.clock.Advance(time.Hour)
	from := s.t.TempDir()
	for _, p := range packages {
		withdrawn := ""
		if p[0] == '-' {
			p, withdrawn = p[1:], `"withdrawn":"2026-11-21T10:00:00Z",`
		}
		record := fmt.Sprintf(`{"schema_version":"1.7.0","id":"GO-%s","modified":"`+s.clock.Now().Format(time.RFC3339)+`",`+withdrawn+`"affected":[{"package":{"ecosystem":"Go","name":"example.com/%s"},
			"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.1.0"}]}]}]}`, p, p)
		if err := os.WriteFile(filepath.Join(from, p+".json"), []byte(record), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if _, err := advisory.Import(s.t.Context(), s.m.dir, advisory.Options{Clock: s.clock}, from); err != nil {
		s.t.Fatal(err)
	}
}

// hands in what a subject has, as the API does, answered by the advisories that the
// server has at the moment.
func (s *shelf) hands(subject string, between func(), packages ...string) {
	s.t.Helper()
	l := lifecycle.Look{Subject: subject, At: s.clock.Now()}
	for _, p := range packages {
		l.Packages = append(l.Packages, scanning.Package{Ecosystem: "Go", Name: "example.com/" + p, Version: "v1.0.0", File: "go.mod"})
	}
	report, err := s.m.Match(s.t.Context(), l)
	if err != nil && core.KindOf(err) != core.KindUnavailable {
		s.t.Fatal(err)
	}
	between()
	err = s.m.state.Tx(s.t.Context(), func(tx *store.Tx) error {
		if report != nil {
			l.Matched = report.Tool.Rules
		}
		if _, err := s.m.findings.TakeInventory(s.t.Context(), tx, rematchTenant, l); err != nil || report == nil {
			return err
		}
		_, err := s.m.findings.ImportFor(s.t.Context(), tx, rematchTenant, subject, report, "person/anna", s.clock.Now())
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// found are the subjects of the open findings of a package.
func (s *shelf) found(pkg string) (subjects []string) {
	s.t.Helper()
	err := s.m.state.View(s.t.Context(), func(tx *store.Tx) error {
		list, err := s.m.findings.List(s.t.Context(), tx, rematchTenant, lifecycle.Filter{OpenOnly: true, Package: "example.com/" + pkg, Sort: lifecycle.SortNewest})
		for _, f := range list {
			subjects = append(subjects, f.Subject)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return subjects
}

func (s *shelf) tick() {
	s.t.Helper()
	s.m.tick(s.t.Context())
	if s.m.told != "" {
		s.t.Fatal(s.m.told)
	}
}

// TestNothingIsLostWhileAdvisoriesChange: handed in before there were any, answered
// by the old ones and kept after the new ones were in place, and both again over
// the end of the process.
func TestNothingIsLostWhileAdvisoriesChange(t *testing.T) {
	storetest.Each(t, []store.Migrations{lifecycle.Migrations()}, func(t *testing.T, db *store.DB) {
		s := newShelf(t, db)
		s.hands("device/early", func() {}, "a", "b")
		s.advise("a")
		s.tick()
		if got := s.found("a"); len(got) != 1 {
			t.Errorf("before there were advisories: %v", got)
		}
		s.hands("device/between", func() {
			s.advise("b")
			s.tick()
		}, "b")
		if got := s.found("b"); len(got) != 1 {
			t.Errorf("answered by the old ones: %v", got)
		}
		s.tick()
		if got := s.found("b"); len(got) != 2 {
			t.Errorf("handed in while they changed: %v", got)
		}
		s.hands("device/killed", func() { s.advise("c") }, "c")
		s.m = s.started(s.m.dir, db) // the other one is dead
		s.tick()
		if got := s.found("c"); len(got) != 1 {
			t.Errorf("over the end of the process: %v", got)
		}
	})
}

// TestOnlyWhatChangedIsAskedAbout: an update of a few advisories costs no round over
// the whole fleet, and one that is gone ends its findings.
func TestOnlyWhatChangedIsAskedAbout(t *testing.T) {
	s := newShelf(t, storetest.Open(t, storetest.Config(t, "sqlite"), lifecycle.Migrations()))
	s.advise("a", "b")
	s.tick()
	s.hands("device/a", func() {}, "a")
	s.hands("device/b", func() {}, "b")
	reports := func() (n int) {
		if err := s.m.state.View(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM scanning_reports WHERE tenant = $1`, rematchTenant).Scan(&n)
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := reports()
	s.tick()
	if n := reports() - before; n != 0 {
		t.Errorf("%d were asked about for nothing", n)
	}
	s.advise("-a")
	s.tick()
	if n := reports() - before; n != 1 || len(s.found("a")) != 0 || len(s.found("b")) != 1 {
		t.Errorf("%d were asked about; open: %v, %v", n, s.found("a"), s.found("b"))
	}
}
