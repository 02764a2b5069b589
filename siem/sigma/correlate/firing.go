package correlate

import (
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

// fire names the events that no firing has named before; false where there are
// none. A group that is hammered fires with each event, so it looks at what is
// new alone where that is enough.
func (s *State) fire(g *group, in []entry, value float64, authentic bool) (Firing, bool) {
	p := g.plan
	fresh, untold := g.tellAll(in)
	if len(fresh) == 0 {
		return Firing{}, false
	}
	if untold == len(in) {
		g.episode = in[0].id
	}
	f := Firing{
		Correlation: p.corr, Key: s.keyOf(g), First: micros(in[0].at), Last: micros(in[len(in)-1].at), Provenance: g.standing(in, authentic),
		Value: value, Counts: g.counts(in), Lost: g.lost, Alerts: p.alerts,
	}
	g.lost = 0
	if over := len(fresh) - MaxNamed; over > 0 {
		fresh = slices.Delete(fresh, MaxNamed/2, MaxNamed/2+over)
		f.Omitted = over
	}
	f.Events = make([]Event, len(fresh))
	for i, at := range fresh {
		f.Events[i] = s.event(&in[at])
	}
	return f, true
}

// tellAll marks what a firing is about and returns which of it is news, and how
// many entries no firing had named. An event that matched two rules is news
// once.
func (g *group) tellAll(in []entry) (fresh []int, untold int) {
	for end := len(in); end > 0 && g.untold > 0; {
		begin, news := end-1, true
		for begin > 0 && in[begin-1].id == in[begin].id && in[begin-1].at == in[begin].at {
			begin--
		}
		for i := begin; i < end; i++ {
			if in[i].has(flagTold) {
				news = false
				continue
			}
			in[i].flags |= flagTold
			g.untold--
			untold++
		}
		if news {
			fresh = append(fresh, begin)
		}
		end = begin
	}
	slices.Reverse(fresh)
	return fresh, untold
}

// counts is how often each rule matched in the window: of a group that is all
// inside, what is known of it.
func (g *group) counts(in []entry) []int {
	out := make([]int, len(g.plan.corr.Refs))
	if len(in) == len(g.es) {
		for ref, n := range g.refs {
			out[ref] = int(n)
		}
		return out
	}
	for i := range in {
		out[in[i].ref]++
	}
	return out
}

func (s *State) event(e *entry) Event {
	return Event{ID: e.id, At: micros(e.at), Source: s.texts.get(e.source), Provenance: core.Provenances[e.prov], Ref: int(e.ref)}
}

// standing is the weakest provenance that the firing needs.
func (g *group) standing(in []entry, authentic bool) core.Provenance {
	if !authentic {
		return core.ProvenanceUnauthenticated
	}
	worst := int(unauthenticated) - 1 // of the group
	for worst > 0 && g.provs[worst] == 0 {
		worst--
	}
	weakest := -1
	for i := 0; i < len(in) && weakest < worst; i++ {
		if in[i].authenticated() {
			weakest = max(weakest, int(in[i].prov))
		}
	}
	if weakest < 0 {
		return core.ProvenanceUnauthenticated
	}
	return core.Provenances[weakest]
}

// tell hands a firing out, and on to the correlations that count it: there its
// event is the one that completed it, and its fields are those of its group
// and, where a match completed it, those of the match.
func (s *State) tell(g *group, f *Firing, m *match, emit func(Firing)) {
	p := g.plan
	p.stats.Firings++
	s.stats.Firings++
	episode := g.episode
	if emit != nil {
		emit(*f)
	}
	if len(p.feeds) > 0 {
		s.pass(p, f, m, episode.String(), emit)
	}
}

func (s *State) pass(p *plan, f *Firing, m *match, episode string, emit func(Firing)) {
	last := f.Events[len(f.Events)-1]
	// As echoes of one attempt, the firings that go on with one another count once.
	fields := append(f.Key.Fields(p.corr), sigma.Field{Name: sigma.FieldAttempt, Value: episode}, sigma.Field{Name: sigma.FieldEcho, Value: "true"})
	for _, name := range p.carry {
		if v, ok := m.field(p.corr.In(name, m.Rule)); ok {
			fields = append(fields, sigma.Field{Name: name, Value: v})
		}
	}
	fact := Fact{
		Scope: m.Scope, Rule: p.corr.Rule, Event: last.ID, At: f.Last, Received: m.Received, Source: last.Source,
		Provenance: f.Provenance, Fields: fields,
	}
	next := match{Fact: &fact, at: f.Last.UnixMicro(), received: m.received}
	for i := range p.feeds {
		s.feed(&p.feeds[i], &next, emit)
	}
}
