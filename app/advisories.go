package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
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
func (a *advisories) Match(_ context.Context, subject string, packages []scanning.Package) (r *scanning.Report, err error) {
	err = a.using(func(db *advisory.DB) error {
		r = matched(db, subject, packages, a.clock.Now())
		return nil
	})
	return r, err
}

// matched is what advisories say of a subject's packages.
func matched(db *advisory.DB, subject string, packages []scanning.Package, now time.Time) *scanning.Report {
	r := &scanning.Report{
		Tool:    scanning.Tool{Name: dependencies.Name, Rules: db.Content(), Database: db.Built()},
		Scope:   scanning.Scope{Kind: scanning.ScopeSBOM, Name: subject},
		Started: now, Scanned: map[string]int64{"packages": int64(len(packages))},
	}
	r.Findings, r.Gaps = db.Match(packages, advisory.MatchOptions{Now: now})
	if len(r.Findings) > lifecycle.MaxFindings || len(r.Gaps) >= lifecycle.MaxGaps {
		// They are in the order of what to fix first, so the least of them go.
		r.Findings = r.Findings[:min(len(r.Findings), lifecycle.MaxFindings)]
		r.Gaps = append(r.Gaps[:min(len(r.Gaps), lifecycle.MaxGaps-1)], scanning.Gap{
			What: "vulnerabilities", Why: "there are more than one report may hold", Reason: scanning.ReasonTooMany,
		})
	}
	r.Finished = now
	return r
}

// state names what the database knows: advisories and lists.
func stateOf(db *advisory.DB) string {
	st := db.Status()
	state := st.Content
	for _, f := range []*advisory.FeedState{st.KEV, st.EPSS} {
		if f != nil {
			state += " " + f.AsOf.UTC().Format(time.RFC3339)
		}
	}
	return state
}

// keepAdvisories notices that the database was updated, and asks it about the
// inventories that are known: nothing is scanned again.
func (s *Server) keepAdvisories(ctx context.Context) error {
	defer s.advisories.close()
	var told, looked string
	return s.every(ctx, 3*time.Second, func() {
		files := s.advisories.files()
		if files == looked {
			return
		}
		err := s.learn(ctx)
		if err == nil || ctx.Err() != nil {
			told, looked = "", files
			return
		}
		if told != err.Error() {
			s.log.Warn("what the advisories say waits", slog.Any("err", err))
			told = err.Error()
		}
	})
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

// markAdvisories is under what name the state is kept that findings were made by.
const markAdvisories = "advisories"

// learn opens the database if it is another one, and takes in what is new in it.
func (s *Server) learn(ctx context.Context) error {
	a := s.advisories
	fresh, err := advisory.Open(a.dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || core.KindOf(err) == core.KindNotFound {
			return nil
		}
		return err
	}
	a.mu.RLock()
	old := a.db
	a.mu.RUnlock()
	if old != nil && stateOf(old) == stateOf(fresh) {
		return fresh.Close()
	}
	if err := s.takeIn(ctx, old, fresh); err != nil {
		return errors.Join(err, fresh.Close())
	}
	a.mu.Lock()
	a.db = fresh
	a.mu.Unlock()
	if old != nil {
		return old.Close()
	}
	return nil
}

// takeIn makes findings and facts of what a database says of stored inventories.
func (s *Server) takeIn(ctx context.Context, old, fresh *advisory.DB) error {
	state := stateOf(fresh)
	var mark string
	err := s.base.state.View(ctx, func(tx *store.Tx) (err error) {
		mark, err = s.flow.Findings.Mark(ctx, tx, s.Config.Tenant, markAdvisories)
		return err
	})
	if err != nil || mark == state {
		return err
	}
	if old != nil && mark == stateOf(old) {
		err = s.takeInNews(ctx, old, fresh)
	} else {
		err = s.takeInAll(ctx, fresh)
	}
	if err == nil {
		err = s.takeInFacts(ctx, fresh)
	}
	if err != nil {
		return err
	}
	return s.base.state.Tx(ctx, func(tx *store.Tx) error {
		return s.flow.Findings.SetMark(ctx, tx, s.Config.Tenant, markAdvisories, state)
	})
}

// takeInNews asks only about what two databases differ in.
func (s *Server) takeInNews(ctx context.Context, old, fresh *advisory.DB) error {
	list, err := advisory.Diff(old, fresh)
	if err != nil || len(list) == 0 {
		return err
	}
	var ids []string
	for _, a := range list {
		ids = append(ids, a.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var hits []lifecycle.Hit
	err = s.base.state.View(ctx, func(tx *store.Tx) (err error) {
		hits, err = s.flow.Findings.Who(ctx, tx, s.Config.Tenant, lifecycle.TargetsOf(list))
		return err
	})
	if err != nil {
		return err
	}
	for _, h := range hits {
		if !h.Ended.IsZero() {
			continue
		}
		r := matched(fresh, h.Subject, h.Packages, s.clock.Now())
		r.Tool.Detectors = ids
		// Only what the changed records hit was asked, and another record may
		// still have it: this finds and proves nothing gone.
		r.Scope.Parts = []string{"(what changed advisories hit)"}
		r.Findings = slices.DeleteFunc(r.Findings, func(f scanning.Finding) bool {
			return !slices.Contains(ids, f.Rule) && !slices.ContainsFunc(f.Aliases, func(n string) bool { return slices.Contains(ids, n) })
		})
		if err := s.submit(ctx, h.Subject, r); err != nil {
			return err
		}
	}
	return nil
}

// takeInAll asks about every inventory; those that are the same are asked once.
func (s *Server) takeInAll(ctx context.Context, db *advisory.DB) error {
	var docs map[int64][]string
	err := s.base.state.View(ctx, func(tx *store.Tx) (err error) {
		docs, err = s.flow.Findings.Documents(ctx, tx, s.Config.Tenant)
		return err
	})
	if err != nil {
		return err
	}
	for number, subjects := range docs {
		var packages []scanning.Package
		err := s.base.state.View(ctx, func(tx *store.Tx) (err error) {
			packages, err = s.flow.Findings.Packages(ctx, tx, s.Config.Tenant, number)
			return err
		})
		if err != nil {
			return err
		}
		r := matched(db, "", packages, s.clock.Now())
		for _, subject := range subjects {
			one := *r
			one.Scope.Name = subject
			if err := s.submit(ctx, subject, &one); err != nil {
				return err
			}
		}
	}
	return nil
}

// byAdvisories is under what name findings of stored inventories are made.
const byAdvisories = "service/advisories"

func (s *Server) submit(ctx context.Context, subject string, r *scanning.Report) error {
	err := s.base.state.Tx(ctx, func(tx *store.Tx) error {
		_, err := s.flow.Findings.ImportFor(ctx, tx, s.Config.Tenant, subject, r, byAdvisories, s.clock.Now())
		return err
	})
	if err != nil {
		return fmt.Errorf("what the advisories say of %s: %w", subject, err)
	}
	return nil
}

// takeInFacts notes what the lists of exploited vulnerabilities say of open
// findings.
func (s *Server) takeInFacts(ctx context.Context, db *advisory.DB) error {
	var names []string
	err := s.base.state.View(ctx, func(tx *store.Tx) (err error) {
		names, err = s.flow.Findings.OpenNames(ctx, tx, s.Config.Tenant)
		return err
	})
	if err != nil {
		return err
	}
	st := db.Status()
	for _, n := range names {
		for _, f := range s.factsOf(db, &st, n) {
			err := s.base.state.Tx(ctx, func(tx *store.Tx) error {
				_, err := s.flow.Findings.AddFact(ctx, tx, s.Config.Tenant, f, core.Position{})
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) factsOf(db *advisory.DB, st *advisory.Status, name string) (list []lifecycle.Fact) {
	now := s.clock.Now()
	add := func(kind lifecycle.FactKind, at time.Time, value float64, source string, of *advisory.FeedState) {
		list = append(list, lifecycle.Fact{
			Advisory: name, Kind: kind, At: at, Noted: now, By: byAdvisories, Source: source + " of " + of.AsOf.UTC().Format(time.DateOnly), Value: value,
		})
	}
	if since, _ := db.Exploited(name); st.KEV != nil && !since.IsZero() && !since.After(now) {
		add(lifecycle.FactKEV, since, 0, "CISA KEV", st.KEV)
	}
	if p, _ := db.Likelihood(name); st.EPSS != nil && p > 0 && !st.EPSS.AsOf.After(now) {
		add(lifecycle.FactEPSS, st.EPSS.AsOf, p, "FIRST EPSS", st.EPSS)
	}
	return list
}

// openAdvisories names the folder; the first look opens it.
func (s *Server) openAdvisories(paths Paths) {
	dir := s.Config.Advisories
	if dir == "" {
		dir = paths.Advisories()
	}
	s.advisories = &advisories{dir: dir, clock: s.clock}
}
