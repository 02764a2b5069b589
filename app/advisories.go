package app

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/dependencies"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// advisories is the database that "interlock scan db" keeps, as the server reads
// it. It implements [api.AdvisorySource].
type advisories struct {
	dir   string
	clock core.Clock

	mu sync.RWMutex
	db *advisory.DB // nil where there is none
}

// using calls fn with the database, which is not closed meanwhile.
func (a *advisories) using(fn func(db *advisory.DB) error) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.db == nil {
		return core.E(core.KindUnavailable, "advisories", "the server has no advisory database in "+a.dir).WithHint("make one: interlock scan db update --db " + a.dir)
	}
	return fn(a.db)
}

// Affected lists the packages of an advisory.
func (a *advisories) Affected(name string) (list []advisory.Affected, err error) {
	err = a.using(func(db *advisory.DB) (err error) {
		list, err = db.Affected(name)
		return err
	})
	return list, err
}

// Lists tells of when advisories and lists are.
func (a *advisories) Lists() map[string]time.Time {
	lists := map[string]time.Time{}
	_ = a.using(func(db *advisory.DB) error { // none is told by an empty map
		st := db.Status()
		lists["advisories"] = st.Built
		if st.KEV != nil {
			lists["KEV"] = st.KEV.AsOf
		}
		if st.EPSS != nil {
			lists["EPSS"] = st.EPSS.AsOf
		}
		return nil
	})
	return lists
}

// Match makes a report of an inventory.
func (a *advisories) Match(_ context.Context, l lifecycle.Look) (r *scanning.Report, err error) {
	err = a.using(func(db *advisory.DB) error {
		r = matched(db, l.Packages, a.clock.Now())
		r.Scope, r.Started = lifecycle.LookScope(l.Subject, l.Scope), l.At
		return nil
	})
	return r, err
}

// matched is what advisories say of packages.
func matched(db *advisory.DB, packages []scanning.Package, now time.Time) *scanning.Report {
	r := &scanning.Report{
		Tool:    scanning.Tool{Name: dependencies.Name, Rules: db.Content(), Database: db.Built()},
		Started: now, Finished: now, Scanned: map[string]int64{"packages": int64(len(packages))},
	}
	r.Findings, r.Gaps = db.Match(packages, advisory.MatchOptions{Now: now})
	if len(r.Findings) > lifecycle.MaxFindings || len(r.Gaps) >= lifecycle.MaxGaps {
		// They are in the order of what to fix first, so the least of them go.
		r.Findings = r.Findings[:min(len(r.Findings), lifecycle.MaxFindings)]
		r.Gaps = append(r.Gaps[:min(len(r.Gaps), lifecycle.MaxGaps-1)], scanning.Gap{
			What: "vulnerabilities", Why: "there are more than one report may hold", Reason: scanning.ReasonTooMany,
		})
	}
	return r
}

// files names the folder's files as they are: another answer may mean another
// database.
func (a *advisories) files() string {
	list, err := os.ReadDir(a.dir)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, e := range list {
		if info, err := e.Info(); err == nil {
			_, _ = fmt.Fprintf(&b, "%s %d %d\n", e.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

func (a *advisories) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.db != nil {
		_ = a.db.Close()
		a.db = nil
	}
}

// openAdvisories names the folder; the first look opens it.
func (s *Server) openAdvisories(paths Paths) {
	dir := s.Config.Advisories
	if dir == "" {
		dir = paths.Advisories()
	}
	s.advisories = &advisories{dir: dir, clock: s.clock}
}
