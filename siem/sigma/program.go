package sigma

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/interlock-security/interlock/siem/sigma/internal/needle"
)

// group are the rules of one logsource.
type group struct {
	src   Logsource
	rules []int32
}

// program is what is asked of the events of a set of logsources: which paths
// feed which slots, and an index for each slot that leads from the atoms in a
// value to the rules that have them as their witness. It does not change.
type program struct {
	rules   []int32 // all of them, in order
	always  []int32 // those without a witness
	feeds   feedTable
	indexes []index
	words   wordIndex
	bytes   int
}

// index leads from one slot's values to rules.
type index struct {
	here    []int32 // asked about as soon as there is a value
	numbers bool    // some text is a number that can be written otherwise
	ends    *needle.Ends
	endings postings
	parts   *needle.Set
	parted  postings
}

// wordIndex leads from any value to rules.
type wordIndex struct {
	parts *needle.Set
	rules postings
}

// postings are lists of rules, one for each text.
type postings struct {
	from  []int32
	rules []int32
}

func newPostings(lists [][]int32) postings {
	p := postings{from: make([]int32, 1, len(lists)+1)}
	for _, l := range lists {
		p.rules = append(p.rules, l...)
		p.from = append(p.from, int32(len(p.rules)))
	}
	return p
}

func (p *postings) of(text int32) []int32 { return p.rules[p.from[text]:p.from[text+1]] }

func (p *postings) bytes() int { return 4 * (len(p.from) + len(p.rules)) }

// feed is a slot that a path fills, and its index, -1 where rules only look at
// it later.
type feed struct{ slot, index int32 }

// feedTable finds the feeds of a path.
type feedTable struct {
	cells []feedCell
	feeds []feed
}

type feedCell struct{ path, from, to int32 }

func newFeedTable(byPath map[int32][]feed) feedTable {
	size := 4
	for size < 2*len(byPath) {
		size *= 2
	}
	t := feedTable{cells: make([]feedCell, size)}
	for path, list := range byPath {
		at := spreadPath(path) & uint32(size-1)
		for t.cells[at].to > 0 {
			at = (at + 1) & uint32(size-1)
		}
		from := len(t.feeds)
		t.feeds = append(t.feeds, list...)
		t.cells[at] = feedCell{path, int32(from), int32(len(t.feeds))}
	}
	return t
}

func spreadPath(path int32) uint32 { return uint32(path) * 0x9e3779b1 >> 12 }

func (t *feedTable) of(path int32) []feed {
	mask := uint32(len(t.cells) - 1)
	for at := spreadPath(path) & mask; ; at = (at + 1) & mask {
		c := &t.cells[at]
		if c.to == 0 {
			return nil
		}
		if c.path == path {
			return t.feeds[c.from:c.to]
		}
	}
}

// builder collects a program.
type builder struct {
	e     *Engine
	slots []int32 // that any rule asks about
	seen  map[int32]bool
	atoms map[int32]*slotAtoms
	p     *program
}

// slotAtoms are the witnesses that stand in one slot.
type slotAtoms struct {
	here    []int32
	numbers bool
	ends    []needle.End
	endings [][]int32
	parts   []string
	parted  [][]int32
	at      map[atom]int
}

// newProgram builds the program of some groups.
func (e *Engine) newProgram(groups []int) *program {
	b := &builder{e: e, seen: make(map[int32]bool), atoms: make(map[int32]*slotAtoms), p: &program{}}
	for _, g := range groups {
		b.p.rules = append(b.p.rules, e.groups[g].rules...)
	}
	slices.Sort(b.p.rules)
	for _, r := range b.p.rules {
		b.slotsOf(e.conds[r])
		b.post(r, e.witnesses[r])
	}
	b.index()
	return b.p
}

// slotsOf notes every slot that a condition asks about.
func (b *builder) slotsOf(x *cond) {
	if x.op != opLeaf {
		for _, k := range x.kids {
			b.slotsOf(k)
		}
		return
	}
	for _, id := range [2]int32{b.e.predSlot[x.pred], b.e.predRef[x.pred]} {
		if id >= 0 && !b.seen[id] {
			b.seen[id] = true
			b.slots = append(b.slots, id)
		}
	}
	if at := b.e.predSlot[x.pred]; at >= 0 && b.e.preds[x.pred].test == testNumber {
		b.slot(at).numbers = true
	}
}

func (b *builder) slot(id int32) *slotAtoms {
	s := b.atoms[id]
	if s == nil {
		s = &slotAtoms{at: make(map[atom]int)}
		b.atoms[id] = s
	}
	return s
}

// post puts a rule under its witness.
func (b *builder) post(rule int32, w witness) {
	if w.none() {
		b.p.always = append(b.p.always, rule)
	}
	for _, a := range w.atoms {
		s := b.slot(a.slot)
		switch a.kind {
		case atomHere:
			s.here = append(s.here, rule)
		case atomPart:
			i := s.number(a, len(s.parts))
			if i == len(s.parts) {
				s.parts, s.parted = append(s.parts, a.text), append(s.parted, nil)
			}
			s.parted[i] = append(s.parted[i], rule)
		default:
			i := s.number(a, len(s.ends))
			if i == len(s.ends) {
				place := map[atomKind]needle.Place{atomWhole: needle.Whole, atomHead: needle.Head, atomTail: needle.Tail}[a.kind]
				s.ends, s.endings = append(s.ends, needle.End{Text: a.text, Place: place}), append(s.endings, nil)
			}
			s.endings[i] = append(s.endings[i], rule)
		}
	}
}

// number is the place of an atom among its like; next if it is new.
func (s *slotAtoms) number(a atom, next int) int {
	if i, ok := s.at[a]; ok {
		return i
	}
	s.at[a] = next
	return next
}

// index makes the tables.
func (b *builder) index() {
	if words := b.atoms[-1]; words != nil {
		b.p.words = wordIndex{needle.NewSet(words.parts, b.e.rarity.of), newPostings(words.parted)}
		b.p.bytes += b.p.words.parts.Bytes() + b.p.words.rules.bytes()
	}
	slices.Sort(b.slots)
	byPath := make(map[int32][]feed)
	for _, id := range b.slots {
		f := feed{id, -1}
		if s := b.atoms[id]; s != nil {
			f.index = int32(len(b.p.indexes))
			b.p.indexes = append(b.p.indexes, b.slotIndex(s))
		}
		for _, path := range b.e.slotPaths[id] {
			byPath[path] = append(byPath[path], f)
		}
	}
	b.p.feeds = newFeedTable(byPath)
	b.p.bytes += 12*len(b.p.feeds.cells) + 8*len(b.p.feeds.feeds) + 4*(len(b.p.rules)+len(b.p.always))
}

func (b *builder) slotIndex(s *slotAtoms) index {
	ix := index{here: s.here, numbers: s.numbers && len(s.ends) > 0}
	if len(s.ends) > 0 {
		ix.ends, ix.endings = needle.NewEnds(s.ends), newPostings(s.endings)
		b.p.bytes += ix.ends.Bytes() + ix.endings.bytes()
	}
	if len(s.parts) > 0 {
		ix.parts, ix.parted = needle.NewSet(s.parts, b.e.rarity.of), newPostings(s.parted)
		b.p.bytes += ix.parts.Bytes() + ix.parted.bytes()
	}
	b.p.bytes += 128 + 4*len(s.here)
	return ix
}

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
	built map[string]*program
	bytes int
	age   atomic.Uint32 // rises when programs are forgotten
}

func (p *programs) init() { p.built = make(map[string]*program) }

func (p *programs) size() (n, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.built), p.bytes
}

// program is the one of a set of groups, given as bits.
func (e *Engine) program(key []byte) *program {
	p := &e.programs
	p.mu.Lock()
	defer p.mu.Unlock()
	if have, ok := p.built[string(key)]; ok {
		return have
	}
	var groups []int
	for i := range e.groups {
		if key[i/8]>>(i%8)&1 != 0 {
			groups = append(groups, i)
		}
	}
	made := e.newProgram(groups)
	if len(p.built) >= maxPrograms || p.bytes+made.bytes > maxProgramBytes {
		p.built, p.bytes = make(map[string]*program), 0
		p.age.Add(1)
	}
	p.built[string(key)] = made
	p.bytes += made.bytes
	return made
}

// coverage finds the program of logsources.
type coverage struct {
	known map[Logsource][]byte // which groups a logsource is covered by, as bits
	built map[string]*program
	age   uint32
	key   []byte
}

func (c *coverage) init(e *Engine) {
	c.known, c.built = make(map[Logsource][]byte), make(map[string]*program)
	c.key = make([]byte, (len(e.groups)+63)/64*8)
}

// program is what must be asked of an event of these sources, nil for nothing.
func (v *View) program(sources []Logsource) *program {
	c := &v.cover
	if age := v.eng.programs.age.Load(); age != c.age || len(c.built) >= maxPrograms {
		c.age = age
		clear(c.built)
		v.router.forget()
	}
	own := v.router.last
	if own == nil || !same(own.sources, sources) {
		return c.find(v.eng, sources)
	}
	if own.program == nil {
		own.program = c.find(v.eng, sources)
	}
	return own.program
}

// same reports whether two lists are one and the same memory.
func same(a, b []Logsource) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

func (r *router) forget() {
	for _, k := range r.kinds {
		k.program = nil
	}
	if r.last != nil {
		r.last.program = nil
	}
}

func (c *coverage) find(e *Engine, sources []Logsource) *program {
	clear(c.key)
	for _, src := range sources {
		bits := c.bits(e, src)
		for i := 0; i < len(bits); i += 8 {
			or := binary.LittleEndian.Uint64(c.key[i:]) | binary.LittleEndian.Uint64(bits[i:])
			binary.LittleEndian.PutUint64(c.key[i:], or)
		}
	}
	p, ok := c.built[string(c.key)]
	if !ok {
		p = e.program(c.key)
		c.built[string(c.key)] = p
	}
	return p
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
