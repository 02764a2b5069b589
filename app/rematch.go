package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// rematch holds what is stored against the advisories as they are now. Each
// inventory says with which of them it was matched last, and each name of a
// finding by which lists it was looked up, so that nothing has to be remembered
// here: what is behind is found again after a crash, and so is what was handed in
// while another database was being put in place.
type rematch struct {
	*advisories
	state    *store.DB
	findings *lifecycle.Store
	tenant   core.TenantID
	log      *slog.Logger

	looked string // the folder as it was when the database was opened
	told   string // the complaint that was logged last
}

// keepAdvisories notices that the database was updated, and asks it about what is
// behind: nothing is scanned again.
func (s *Server) keepAdvisories(ctx context.Context) error {
	defer s.advisories.close()
	m := &rematch{advisories: s.advisories, state: s.base.state, findings: s.flow.Findings, tenant: s.Config.Tenant, log: s.log}
	return s.every(ctx, 3*time.Second, func() { m.tick(ctx) })
}

func (m *rematch) tick(ctx context.Context) {
	var err error
	if files := m.files(); files != m.looked {
		if err = m.learn(ctx); err == nil {
			m.looked = files
		}
	}
	err = errors.Join(err, m.catchUp(ctx))
	switch {
	case err == nil:
		m.told = ""
	case ctx.Err() == nil && m.told != err.Error():
		m.told = err.Error()
		m.log.Warn("what the advisories say waits", slog.Any("err", err))
	}
}

// learn opens the database and, if it is another one, puts it in place: who hands
// something in is answered by it from then on.
func (m *rematch) learn(ctx context.Context) error {
	fresh, err := advisory.Open(m.dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || core.KindOf(err) == core.KindNotFound {
			return nil
		}
		return err
	}
	m.mu.Lock()
	old := m.db
	if old != nil && old.Content() == fresh.Content() && listsOf(old) == listsOf(fresh) {
		m.mu.Unlock()
		return fresh.Close()
	}
	m.db = fresh
	m.mu.Unlock()
	if old == nil {
		return nil
	}
	if err := m.skip(ctx, old, fresh); err != nil {
		m.log.Info("all inventories are held against the advisories again", slog.Any("err", err))
	}
	return old.Close()
}

// maxDiff is how many changed packages are looked for one by one.
const maxDiff = 20_000

// skip spares the inventories in which nothing is that two databases differ in.
// It only saves work: without it all are asked about.
func (m *rematch) skip(ctx context.Context, old, fresh *advisory.DB) error {
	if old.Content() == fresh.Content() {
		return nil
	}
	list, err := advisory.Diff(old, fresh)
	if err != nil || len(list) > maxDiff {
		return err
	}
	changed := make([]lifecycle.Target, 0, len(list))
	for i := range list { // whatever its version: what was vulnerable may be so no longer
		changed = append(changed, lifecycle.Target{Keys: []string{list[i].Key}, Matches: func(*scanning.Package) (bool, error) { return true, nil }})
	}
	return m.state.Tx(ctx, func(tx *store.Tx) error {
		return m.findings.SkipAhead(ctx, tx, m.tenant, old.Content(), fresh.Content(), changed)
	})
}

// Limits of one reading.
const (
	behindMost = 500
	namesMost  = 200
)

// catchUp asks about everything that is behind. What can't be taken in is left
// behind and the rest goes on.
func (m *rematch) catchUp(ctx context.Context) error {
	m.mu.RLock()
	db := m.db
	m.mu.RUnlock()
	if db == nil {
		return nil
	}
	return errors.Join(m.inventories(ctx, db), m.lists(ctx, db))
}

func (m *rematch) inventories(ctx context.Context, db *advisory.DB) (failed error) {
	var last *lifecycle.Behind
	var report *scanning.Report
	for ctx.Err() == nil {
		var list []lifecycle.Behind
		err := m.state.View(ctx, func(tx *store.Tx) (err error) {
			list, err = m.findings.BehindOf(ctx, tx, m.tenant, db.Content(), last, behindMost)
			return err
		})
		if err != nil || len(list) == 0 {
			return errors.Join(failed, err)
		}
		for i := range list {
			if last == nil || report == nil || last.Document != list[i].Document { // what is the same is asked once
				report, err = m.ask(ctx, db, list[i].Document)
			}
			last = &list[i]
			if err == nil {
				err = m.take(ctx, list[i], report)
			}
			if err != nil && failed == nil {
				failed = err
			}
		}
	}
	return ctx.Err()
}

// ask makes the report of a document.
func (m *rematch) ask(ctx context.Context, db *advisory.DB, document int64) (*scanning.Report, error) {
	var packages []scanning.Package
	err := m.state.View(ctx, func(tx *store.Tx) (err error) {
		packages, err = m.findings.Packages(ctx, tx, m.tenant, document)
		return err
	})
	if err != nil {
		return nil, err
	}
	return matched(db, packages, m.clock.Now()), nil
}

// byAdvisories is under what name findings of stored inventories are made.
const byAdvisories = "service/advisories"

func (m *rematch) take(ctx context.Context, h lifecycle.Behind, r *scanning.Report) error {
	err := m.state.Tx(ctx, func(tx *store.Tx) error {
		return m.findings.Rematch(ctx, tx, m.tenant, h, r.Tool.Rules, r, byAdvisories, m.clock.Now())
	})
	if err != nil {
		return fmt.Errorf("what the advisories say of %s: %w", h.Subject, err)
	}
	return nil
}

// listsOf names the lists of exploited vulnerabilities as they are.
func listsOf(db *advisory.DB) (revision string) {
	st := db.Status()
	for _, f := range []*advisory.FeedState{st.KEV, st.EPSS} {
		if f != nil {
			revision += f.AsOf.UTC().Format(time.RFC3339)
		}
		revision += " "
	}
	return revision
}

// lists notes what the lists of exploited vulnerabilities say of the names of
// findings.
func (m *rematch) lists(ctx context.Context, db *advisory.DB) error {
	revision, after := listsOf(db), ""
	st := db.Status()
	for ctx.Err() == nil {
		var names []string
		err := m.state.View(ctx, func(tx *store.Tx) (err error) {
			names, err = m.findings.NamesBehind(ctx, tx, m.tenant, revision, after, namesMost)
			return err
		})
		if err != nil || len(names) == 0 {
			return err
		}
		after = names[len(names)-1]
		err = m.state.Tx(ctx, func(tx *store.Tx) error {
			for _, n := range names {
				if err := m.findings.Listed(ctx, tx, m.tenant, n, revision, m.factsOf(db, &st, n)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (m *rematch) factsOf(db *advisory.DB, st *advisory.Status, name string) (list []lifecycle.Fact) {
	now := m.clock.Now()
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
