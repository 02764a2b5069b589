package sigma

import (
	"slices"

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
	atoms   int32 // how many atoms are looked for
	bytes   int
	better  map[int32]witness // of rules whose own witness holds too often
}

// index leads from one slot's values to rules.
type index struct {
	slot    int32
	here    postings // asked about as soon as there is a value: one list
	numbers bool     // some text is a number that can be written otherwise
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

// postings are lists of rules, one for each text; base is the program's number
// of the first text.
type postings struct {
	base  int32
	from  []int32
	rules []int32
}

func (b *builder) postings(lists [][]int32) postings {
	p := postings{base: b.p.atoms, from: make([]int32, 1, len(lists)+1)}
	b.p.atoms += int32(len(lists))
	for _, l := range lists {
		p.rules = append(p.rules, l...)
		p.from = append(p.from, int32(len(p.rules)))
	}
	return p
}

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

// newProgram builds the program of some groups. Rules in better have another
// witness than the one that was guessed at first.
func (e *Engine) newProgram(groups []int, better map[int32]witness) *program {
	b := &builder{e: e, seen: make(map[int32]bool), atoms: make(map[int32]*slotAtoms), p: &program{better: better}}
	for _, g := range groups {
		b.p.rules = append(b.p.rules, e.groups[g].rules...)
	}
	slices.Sort(b.p.rules)
	for _, r := range b.p.rules {
		w, ok := better[r]
		if !ok {
			w = e.witnesses[r]
		}
		b.slotsOf(e.conds[r])
		b.post(r, w)
	}
	b.index()
	return b.p
}

// betterWitnesses finds others for the rules whose own was seen too often.
func (e *Engine) betterWitnesses(rules []int32, seen map[atom]float64) map[int32]witness {
	choose := newChooser(e)
	choose.seen = seen
	better := make(map[int32]witness)
	for _, r := range rules {
		if w := e.witnesses[r]; !w.none() && choose.priced(w.atoms).cost > tooOften {
			better[r] = choose.choose(e.conds[r], false)
		}
	}
	return better
}

// tooOften is how often an event may have a rule's witness before another one
// is tried.
const tooOften = 1.0 / 1000

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
				place := needle.Place(slices.Index(endKinds[:], a.kind))
				s.ends, s.endings = append(s.ends, needle.End{Text: a.text, Place: place}), append(s.endings, nil)
			}
			s.endings[i] = append(s.endings[i], rule)
		}
	}
}

// endKinds are the kinds of atoms by the places of texts.
var endKinds = [...]atomKind{needle.Whole: atomWhole, needle.Head: atomHead, needle.Tail: atomTail}

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
		b.p.words = wordIndex{needle.NewSet(words.parts, b.e.rarity.of), b.postings(words.parted)}
		b.p.bytes += b.p.words.parts.Bytes() + b.p.words.rules.bytes()
	}
	slices.Sort(b.slots)
	byPath := make(map[int32][]feed)
	for _, id := range b.slots {
		f := feed{id, -1}
		if s := b.atoms[id]; s != nil && len(s.here)+len(s.ends)+len(s.parts) > 0 {
			f.index = int32(len(b.p.indexes))
			b.p.indexes = append(b.p.indexes, b.slotIndex(id, s))
		}
		for _, path := range b.e.slotPaths[id] {
			byPath[path] = append(byPath[path], f)
		}
	}
	b.p.feeds = newFeedTable(byPath)
	b.p.bytes += 12*len(b.p.feeds.cells) + 8*len(b.p.feeds.feeds) + 4*(len(b.p.rules)+len(b.p.always))
}

func (b *builder) slotIndex(slot int32, s *slotAtoms) index {
	ix := index{slot: slot, numbers: s.numbers && len(s.ends) > 0}
	if len(s.here) > 0 {
		ix.here = b.postings([][]int32{s.here})
	}
	if len(s.ends) > 0 {
		ix.ends, ix.endings = needle.NewEnds(s.ends), b.postings(s.endings)
		b.p.bytes += ix.ends.Bytes() + ix.endings.bytes()
	}
	if len(s.parts) > 0 {
		ix.parts, ix.parted = needle.NewSet(s.parts, b.e.rarity.of), b.postings(s.parted)
		b.p.bytes += ix.parts.Bytes() + ix.parted.bytes()
	}
	b.p.bytes += 128 + 4*len(s.here)
	return ix
}
