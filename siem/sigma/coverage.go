package sigma

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
)

// Bounds of what sets of logsources, which strangers may name, can make an
// engine and its views remember.
const (
	maxPrograms     = 512
	maxProgramBytes = 64 << 20
	maxSources      = 1024
)

// programs are built when events first come from their logsources, and shared.
type programs struct {
	mu    sync.Mutex
	homes map[string]*home // by the groups, as bits
	bytes int
	age   atomic.Uint32 // rises when all are forgotten
}

// home is where the program of some groups is found. The program is replaced by
// one with better witnesses as events come; either finds the same rules.
type home struct {
	groups []int
	now    atomic.Pointer[program]
	seen   map[atom]float64 // under the programs' lock
}

func (p *programs) size() (n, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.homes), p.bytes
}

// home is the one of a set of groups, given as bits.
func (e *Engine) home(key []byte) *home {
	p := &e.programs
	p.mu.Lock()
	defer p.mu.Unlock()
	if h, ok := p.homes[string(key)]; ok {
		return h
	}
	h := &home{}
	for i := range e.groups {
		if key[i/8]>>(i%8)&1 != 0 {
			h.groups = append(h.groups, i)
		}
	}
	made := e.newProgram(h.groups, nil)
	h.now.Store(made)
	if p.homes == nil || len(p.homes) >= maxPrograms || p.bytes+made.bytes > maxProgramBytes {
		p.homes, p.bytes = make(map[string]*home), 0
		p.age.Add(1)
	}
	p.homes[string(key)] = h
	p.bytes += made.bytes
	return h
}

// seat is a view's place at a program: what it counts there.
type seat struct {
	home    *home
	program *program
	hits    []uint32 // by atom
	events  uint32
	until   uint32 // when it tells what it has counted
}

// After firstLook events a view tells what it has counted, and again after four
// times as many, or far more where that changed nothing, until it does so each
// lastLook events: a program that is good is left alone.
const (
	firstLook = 512
	lastLook  = 1 << 20
	sooner    = 4
	later     = 64
)

func newSeat(h *home) *seat {
	s := &seat{home: h, until: firstLook}
	s.sit(h.now.Load())
	return s
}

func (s *seat) sit(p *program) {
	s.program, s.events = p, 0
	s.hits = slices.Grow(s.hits[:0], int(p.atoms))[:p.atoms]
	clear(s.hits)
}

// ready returns the program for one more event.
func (s *seat) ready(e *Engine) *program {
	if s.events >= s.until {
		wait := uint32(later)
		if e.learn(s) {
			wait = sooner
		}
		s.until = min(wait*s.until, lastLook)
		s.sit(s.home.now.Load())
	}
	if now := s.home.now.Load(); now != s.program {
		s.sit(now)
	}
	s.events++
	return s.program
}

// often reports whether any text was seen so often that another witness would be
// tried.
func (s *seat) often() bool {
	for _, hits := range s.hits {
		if float64(hits) > tooOften*float64(s.events) {
			return true
		}
	}
	return false
}

// learn takes what a view has counted, and where rules were asked too often
// puts a program with other witnesses in place. It reports whether there is
// another one now.
func (e *Engine) learn(s *seat) bool {
	if !s.often() {
		return false
	}
	e.programs.mu.Lock()
	defer e.programs.mu.Unlock()
	h := s.home
	if h.now.Load() != s.program {
		return true
	}
	if h.seen == nil {
		h.seen = make(map[atom]float64)
	}
	s.program.tell(s.hits, func(a atom, hits uint32) {
		if hits > 0 || h.seen[a] > 0 {
			h.seen[a] = float64(hits) / float64(s.events)
		}
	})
	better := e.betterWitnesses(s.program.rules, h.seen)
	if sameWitnesses(better, s.program.better) {
		return false
	}
	next := e.newProgram(h.groups, better)
	if e.programs.homes[e.key(h)] == h {
		e.programs.bytes += next.bytes - s.program.bytes
	}
	h.now.Store(next)
	return true
}

// key is a home's groups as bits.
func (e *Engine) key(h *home) string {
	key := make([]byte, e.keyLen())
	for _, g := range h.groups {
		key[g/8] |= 1 << (g % 8)
	}
	return string(key)
}

func (e *Engine) keyLen() int { return (len(e.groups) + 63) / 64 * 8 }

func sameWitnesses(a, b map[int32]witness) bool {
	if len(a) != len(b) {
		return false
	}
	for r, w := range a {
		if !slices.Equal(w.atoms, b[r].atoms) {
			return false
		}
	}
	return true
}

// tell calls fn with every atom and its count.
func (p *program) tell(hits []uint32, fn func(atom, uint32)) {
	for i := range p.indexes {
		ix := &p.indexes[i]
		if len(ix.here.from) > 0 {
			fn(atom{slot: ix.slot, kind: atomHere}, hits[ix.here.base])
		}
		if ix.ends != nil {
			for k, end := range ix.ends.List() {
				fn(atom{ix.slot, endKinds[end.Place], end.Text}, hits[ix.endings.base+int32(k)])
			}
		}
		if ix.parts != nil {
			for k, text := range ix.parts.List() {
				fn(atom{ix.slot, atomPart, text}, hits[ix.parted.base+int32(k)])
			}
		}
	}
	if p.words.parts != nil {
		for k, text := range p.words.parts.List() {
			fn(atom{-1, atomPart, text}, hits[p.words.rules.base+int32(k)])
		}
	}
}

// coverage finds the programs of logsources for one view.
type coverage struct {
	known map[Logsource][]byte // which groups a logsource is covered by, as bits
	seats map[string]*seat
	age   uint32
	key   []byte
}

func (c *coverage) init(e *Engine) {
	c.known, c.seats, c.key = make(map[Logsource][]byte), make(map[string]*seat), make([]byte, e.keyLen())
}

// seat is the view's place at what must be asked of an event of these sources.
func (v *View) seat(sources []Logsource) *seat {
	c := &v.cover
	if age := v.eng.programs.age.Load(); age != c.age || len(c.seats) >= maxPrograms {
		c.age = age
		clear(c.seats)
		v.router.forget()
	}
	own := v.router.last
	if own == nil || !same(own.sources, sources) {
		return c.find(v.eng, sources)
	}
	if own.seat == nil {
		own.seat = c.find(v.eng, sources)
	}
	return own.seat
}

// same reports whether two lists are one and the same memory.
func same(a, b []Logsource) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

func (c *coverage) find(e *Engine, sources []Logsource) *seat {
	clear(c.key)
	for _, src := range sources {
		bits := c.bits(e, src)
		for i := 0; i < len(bits); i += 8 {
			or := binary.LittleEndian.Uint64(c.key[i:]) | binary.LittleEndian.Uint64(bits[i:])
			binary.LittleEndian.PutUint64(c.key[i:], or)
		}
	}
	s, ok := c.seats[string(c.key)]
	if !ok {
		s = newSeat(e.home(c.key))
		c.seats[string(c.key)] = s
	}
	return s
}

func (c *coverage) bits(e *Engine, src Logsource) []byte {
	if bits, ok := c.known[src]; ok {
		return bits
	}
	bits := make([]byte, len(c.key))
	for i, g := range e.groups {
		if g.src.Covers(src) {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	if len(c.known) >= maxSources {
		clear(c.known)
	}
	c.known[src] = bits
	return bits
}
