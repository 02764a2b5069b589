package correlate

import (
	"slices"
)

// What things cost, in bytes: the size in memory and a share of what the
// runtime and the maps add. The sums depend on the content alone, so that a
// restored state gives way at the same moment as one that was never stopped.
const (
	groupCost = 312
	entryCost = 56
	indexCost = 96
	textCost  = 96
)

func (g *group) price() int64 {
	cost := groupCost + 2*int64(len(g.key)) + 8*int64(len(g.refs)) + int64(capFor(len(g.es)))*entryCost
	if g.gains != nil {
		cost += 16 * int64(len(g.es))
	}
	if g.index != nil {
		cost += int64(len(g.es)) * indexCost
	}
	return cost
}

// texts keeps each text once.
type texts struct {
	ids  map[string]uint32
	all  []text
	free []uint32
	cost int64
}

type text struct {
	s    string
	refs uint32
}

func newTexts() texts { return texts{ids: make(map[string]uint32), all: make([]text, 1)} }

func (t *texts) get(id uint32) string { return t.all[id].s }

// keep returns the number of a text; 0 is the empty one.
func (t *texts) keep(s string) uint32 {
	if s == "" {
		return 0
	}
	id, ok := t.ids[s]
	if !ok {
		id = t.add(s)
	}
	t.all[id].refs++
	return id
}

// keepBytes is keep without making a string of what is known.
func (t *texts) keepBytes(b []byte) uint32 {
	if id, ok := t.ids[string(b)]; ok {
		t.all[id].refs++
		return id
	}
	return t.keep(string(b))
}

func (t *texts) add(s string) uint32 {
	var id uint32
	if n := len(t.free); n > 0 {
		id, t.free = t.free[n-1], t.free[:n-1]
	} else {
		id = uint32(len(t.all))
		t.all = append(t.all, text{})
	}
	t.all[id].s = s
	t.ids[s] = id
	t.cost += textCost + int64(len(s))
	return id
}

func (t *texts) release(ids ...uint32) {
	for _, id := range ids {
		if id == 0 {
			continue
		}
		x := &t.all[id]
		if x.refs--; x.refs > 0 {
			continue
		}
		t.cost -= textCost + int64(len(x.s))
		delete(t.ids, x.s)
		x.s = ""
		t.free = append(t.free, id)
	}
}

// The classes of groups: what is far from firing gives way first.
const (
	classFar = iota
	classNear
	classes
)

// classOf judges how much a group matters by what it holds.
func (p *plan) classOf(g *group) uint8 {
	near := len(g.es) > 1
	switch {
	case g.untold < len(g.es): // it has fired and goes on
		near = true
	case p.follows:
		near = p.anchor(g) < len(g.es)
	case p.corr.Kind.Temporal():
		near = 2*g.seen() > len(p.refNeed)
	case p.rising && !p.corr.Kind.Numeric():
		near = 2*len(g.es) > p.need
	}
	if near {
		return classNear
	}
	return classFar
}

// seen is how many of the rules have matched.
func (g *group) seen() (n int) {
	for _, have := range g.refs {
		if have > 0 {
			n++
		}
	}
	return n
}

// fit makes the state fit its memory.
func (s *State) fit() {
	for s.bytes+s.texts.cost > s.cfg.Memory {
		g := s.victim()
		if g == nil {
			return
		}
		s.evict(g)
	}
}

// victim is the group that matters least: the one that ends first of those far
// from firing, unless those near hold more than three quarters of the memory.
func (s *State) victim() *group {
	far, near := s.first(classFar), s.first(classNear)
	if far == nil || near != nil && s.classBytes[classNear] > s.cfg.Memory/4*3 {
		return near
	}
	return far
}

func (s *State) evict(g *group) {
	stats := &g.plan.stats
	stats.EvictedGroups++
	stats.EvictedEvents += uint64(len(g.es))
	if s.cfg.Evicted != nil {
		s.cfg.Evicted(Eviction{
			Correlation: g.plan.corr, Key: s.keyOf(g), Events: len(g.es), Untold: g.untold,
			First: micros(g.es[0].at), Last: micros(g.es[len(g.es)-1].at),
		})
	}
	s.drop(g)
}

// drop forgets a group.
func (s *State) drop(g *group) {
	s.remove(g, func(int, *entry) bool { return true })
	s.bytes -= g.cost
	s.classBytes[g.class] -= g.cost
	s.heaps[g.class].take(g)
	delete(s.groups, g.key)
	g.plan.stats.Groups--
	if g.dirty > 0 {
		last := len(s.dirty) - 1
		s.dirty[g.dirty-1] = s.dirty[last]
		s.dirty[g.dirty-1].dirty = g.dirty
		s.dirty[last] = nil
		s.dirty, g.dirty = s.dirty[:last], 0
	}
	if g.stored {
		s.dropped = append(s.dropped, g)
	}
}

// settle brings cost, class and time of a group up to date after it changed,
// and drops it where nothing is left.
func (s *State) settle(g *group) {
	if len(g.es) == 0 {
		s.drop(g)
		return
	}
	if g.dirty == 0 {
		s.dirty = append(s.dirty, g)
		g.dirty = len(s.dirty)
	}
	s.bytes -= g.cost
	s.classBytes[g.class] -= g.cost
	if class := g.plan.classOf(g); class != g.class {
		s.heaps[g.class].take(g)
		g.class = class
	}
	g.cost = g.price()
	s.bytes += g.cost
	s.classBytes[g.class] += g.cost
	s.heaps[g.class].put(g, g.plan.soonest(g))
}

// heap orders groups by when they are due, and groups that are due at the same
// time by key. A group's place is for a time no later than its true one.
type heap []*group

func (h heap) less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].key < h[j].key
}

func (h heap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

func (h heap) up(i int) {
	for i > 0 && h.less(i, (i-1)/4) {
		h.swap(i, (i-1)/4)
		i = (i - 1) / 4
	}
}

func (h heap) down(i int) {
	for {
		least := i
		for k := 4*i + 1; k <= 4*i+4 && k < len(h); k++ {
			if h.less(k, least) {
				least = k
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

// put gives g its place where it has none or is due earlier.
func (h *heap) put(g *group, due int64) {
	if g.pos < 0 {
		g.pos, g.due = len(*h), due
		*h = append(*h, g)
		h.up(g.pos)
	} else if due < g.due {
		g.due = due
		h.up(g.pos)
	}
}

func (h *heap) take(g *group) {
	i, last := g.pos, len(*h)-1
	if i < 0 {
		return
	}
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	g.pos = -1
	if i < last {
		h.up(i)
		h.down(i)
	}
}

// first is the group of a class that is truly due first.
func (s *State) first(class int) *group {
	h := s.heaps[class]
	for len(h) > 0 {
		g := h[0]
		due := g.plan.due(g)
		if due <= g.due {
			return g
		}
		g.due = due
		h.down(0)
	}
	return nil
}

// due is when a group has to be looked at.
func (p *plan) due(g *group) int64 {
	switch {
	case p.rising:
		return g.maxUntil
	case p.corr.Window == sliding:
		return p.soonest(g)
	}
	due := g.es[0].until
	for _, e := range g.es[:p.windowEnd(g.es, 0)] {
		due = max(due, e.until)
	}
	return due
}

// soonest is a time no later than due, and quickly found.
func (p *plan) soonest(g *group) int64 {
	if p.rising {
		return g.maxUntil
	}
	if p.corr.Window != sliding {
		return g.es[0].until
	}
	if i := p.anchor(g); i < len(g.es) {
		return g.es[i].until
	}
	return g.maxUntil
}

// anchor is the first event that opens a window which still has to close.
func (p *plan) anchor(g *group) int {
	i := slices.IndexFunc(g.es, func(e entry) bool { return p.opens[e.ref] && e.flags&flagDecided == 0 })
	if i < 0 {
		return len(g.es)
	}
	return i
}
