package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning/priority"
)

// with returns an exposure to which a fact has been added.
func (e Exposure) with(f Fact) Exposure {
	switch f.Kind {
	case FactPublished:
		e.Published = priority.Earliest(e.Published, f.At)
	case FactPoC:
		e.PoC = priority.Earliest(e.PoC, f.At)
	case FactKEV:
		e.KEV, e.KEVDue = priority.Earliest(e.KEV, f.At), priority.Earliest(e.KEVDue, f.Due)
	case FactExploited:
		e.Exploited = priority.Earliest(e.Exploited, f.At)
	case FactEPSS:
		e.EPSS = f.Value
	}
	return e
}

// check says what is wrong with a fact.
func (f Fact) check(now time.Time) error {
	bad := func(why string) error { return core.E(core.KindInvalid, "lifecycle.AddFact", why) }
	switch {
	case !name(f.Advisory):
		return bad("a fact is about an advisory, by one of its names")
	case !slices.Contains(FactKinds, f.Kind):
		return bad(fmt.Sprintf("%.40q is no kind of fact; known are %v", f.Kind, FactKinds))
	case f.At.IsZero() || f.At.After(now.Add(aheadMost)):
		return bad("a fact has a time that is not in the future")
	case !name(f.Source):
		return bad("a fact has a source: who says so?")
	case f.Kind == FactEPSS && (math.IsNaN(f.Value) || f.Value < 0 || f.Value > 1):
		return bad("EPSS is a probability from 0 to 1")
	case len(f.Text) > maxDetail:
		return bad(fmt.Sprintf("its text has more than %d bytes", maxDetail))
	}
	return nil
}

// AddFact notes what became known about an advisory, and what that means for each
// of its findings. One that is known already changes nothing. It returns how many
// findings it concerns.
func (s *Store) AddFact(ctx context.Context, tx *store.Tx, tenant core.TenantID, f Fact, intent core.Position) (concerned int, err error) {
	f.At, f.Due, f.Noted = f.At.UTC().Truncate(time.Microsecond), f.Due.UTC().Truncate(time.Microsecond), f.Noted.UTC().Truncate(time.Microsecond)
	if err := f.check(f.Noted); err != nil {
		return 0, err
	}
	b := s.begin(ctx, tx, tenant)
	ids, err := column[core.UUID](ctx, tx, `SELECT finding FROM scanning_names WHERE tenant = $1 AND name = $2 ORDER BY finding`, tenant, f.Advisory)
	if err != nil {
		return 0, err
	}
	have, err := s.Facts(ctx, tx, tenant, f.Advisory)
	if err != nil || f.isIn(have) {
		return len(ids), err
	}
	if err := b.keepFact(f, len(have)+1, intent); err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := b.expose(id, f); err != nil {
			return 0, err
		}
	}
	return len(ids), b.end()
}

// isIn reports whether a fact adds nothing to those that are known.
func (f Fact) isIn(have []Fact) bool {
	var e Exposure
	said := false
	for _, h := range have {
		e = e.with(h)
		said = said || h.Kind == f.Kind
	}
	return said && e.with(f) == e
}

func (b *batch) keepFact(f Fact, number int, intent core.Position) error {
	body, err := json.Marshal(f)
	if err != nil {
		return core.Wrap(core.KindInternal, "lifecycle.keepFact", err)
	}
	if _, err := b.tx.Exec(b.ctx, `INSERT INTO scanning_facts (tenant, advisory, number, body) VALUES ($1, $2, $3, $4)`, b.tenant, f.Advisory, int64(number), body); err != nil {
		return fmt.Errorf("advisory %s: writing a fact: %w", f.Advisory, err)
	}
	entry := audit.Entry{
		Type: audit.TypeFact, Time: f.Noted, Actor: f.By, Action: "finding.fact", Object: "finding/advisory-" + f.Advisory, Revision: uint64(number),
		Outcome: string(f.Kind), Class: audit.ClassSecurity, Body: f,
	}
	if intent != (core.Position{}) {
		entry.Intent = &intent
	}
	return b.s.facts(b.ctx, b.tx, entry)
}

// loud is by how much EPSS changes before a finding's timeline says so: it
// changes a little every day.
const loud = 0.05

// expose adds a fact to a finding.
func (b *batch) expose(id core.UUID, fact Fact) error {
	f, err := b.s.Get(b.ctx, b.tx, b.tenant, id)
	if err != nil {
		return err
	}
	before, was := f.Revision, f.Facts
	if f.Facts = f.Facts.with(fact); f.Facts == was {
		return nil
	}
	var events []Event
	note := func(kind EventKind, text string) {
		var e Event
		f, e, _ = f.tell(Event{At: fact.Noted, By: fact.By, Kind: kind, Text: text, Refs: []string{"advisory/" + fact.Advisory}})
		events = append(events, e)
	}
	if fact.Kind != FactEPSS || math.Abs(f.Facts.EPSS-was.EPSS) >= loud {
		note(EventFact, fact.String())
	}
	var shorter bool
	if f, shorter = b.s.rules.wind(f); shorter && f.State.Open() {
		note(EventShortened, "due on "+f.Clock.Due.UTC().Format(time.DateOnly)+": "+f.Clock.Why)
	}
	_, err = b.put(f, before, events...)
	return err
}

// String tells the fact in a sentence.
func (f Fact) String() string {
	switch day := f.At.UTC().Format(time.DateOnly); f.Kind {
	case FactPublished:
		return f.Advisory + " was published on " + day + " (" + f.Source + ")"
	case FactPoC:
		return "code that exploits " + f.Advisory + " is public since " + day + " (" + f.Source + ")"
	case FactKEV:
		return f.Advisory + " is known to be exploited since " + day + " (" + f.Source + ")"
	case FactExploited:
		return "an attempt to exploit " + f.Advisory + " was seen on " + day + " (" + f.Source + ")"
	}
	return fmt.Sprintf("EPSS of %s is %.3f (%s)", f.Advisory, f.Value, f.Source)
}

// Facts reads what is known about an advisory, in the order in which it became
// known.
func (s *Store) Facts(ctx context.Context, tx *store.Tx, tenant core.TenantID, advisory string) ([]Fact, error) {
	return bodies[Fact](ctx, tx, `SELECT body FROM scanning_facts WHERE tenant = $1 AND advisory = $2 ORDER BY number`, tenant, text(advisory))
}

// exposure is what the facts about all names of an advisory amount to.
func (b *batch) exposure(names []string) (e Exposure, err error) {
	for _, n := range names {
		facts, err := b.s.Facts(b.ctx, b.tx, b.tenant, n)
		if err != nil {
			return e, err
		}
		for _, f := range facts {
			e = e.with(f)
		}
	}
	return e, nil
}
