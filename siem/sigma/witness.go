package sigma

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/interlock-security/interlock/siem/sigma/internal/needle"
)

// atom is the least that can be asked of an event: something that an index
// answers for thousands of rules at once.
type atom struct {
	slot int32 // -1 for keywords
	kind atomKind
	text string // folded
}

type atomKind uint8

const (
	atomHere  atomKind = iota // the slot has a value
	atomWhole                 // a value is the text
	atomHead                  // begins with it
	atomTail                  // ends with it
	atomPart                  // has it anywhere
)

// witness is a set of atoms of which at least one holds for every event for
// which a rule holds; cost is how often one is expected to hold. Without atoms
// there is none, and the rule must be asked about every event.
type witness struct {
	atoms []atom
	cost  float64
}

func (w witness) none() bool { return w.atoms == nil }

// noWitness is the witness of what can hold when nothing is there.
var noWitness = witness{cost: math.Inf(1)}

// choose finds the cheapest witness of a condition, or of its contrary: of
// parts that must all hold the cheapest part, of parts of which one is enough
// all of them.
func (c *chooser) choose(x *cond, contrary bool) witness {
	switch {
	case x.op == opNot:
		return c.choose(x.kids[0], !contrary)
	case x.op == opLeaf && contrary:
		return noWitness
	case x.op == opLeaf:
		return c.leaf(x.pred)
	case (x.op == opAnd) != contrary:
		best := noWitness
		for _, k := range x.kids {
			if w := c.choose(k, contrary); w.cost < best.cost {
				best = w
			}
		}
		return best
	}
	var all witness
	for _, k := range x.kids {
		w := c.choose(k, contrary)
		if w.none() {
			return noWitness
		}
		all.atoms = append(all.atoms, w.atoms...)
		all.cost += w.cost
	}
	return all
}

// chooser finds witnesses, with what is known of how often texts occur.
type chooser struct {
	e     *Engine
	known map[int32]witness // by predicate
	seen  map[atom]float64  // how often an atom has held, where that was counted
}

func newChooser(e *Engine) *chooser {
	return &chooser{e: e, known: make(map[int32]witness)}
}

func (c *chooser) leaf(pred int32) witness {
	if w, ok := c.known[pred]; ok {
		return w
	}
	var w witness
	if g := c.e.any[pred]; g != nil {
		w = c.of(g.members)
	} else {
		w = c.atoms(c.e.preds[pred], c.e.predSlot[pred])
	}
	c.known[pred] = w
	return w
}

// of is the witness of predicates of which one is enough.
func (c *chooser) of(preds []int32) witness {
	var all witness
	for _, p := range preds {
		w := c.leaf(p)
		if w.none() {
			return noWitness
		}
		all.atoms = append(all.atoms, w.atoms...)
		all.cost += w.cost
	}
	return all
}

// atoms is the witness of one predicate.
func (c *chooser) atoms(p *predicate, slot int32) witness {
	switch p.test {
	case testEqual:
		return c.one(p, slot, atomWhole, p.text)
	case testPrefix:
		return c.one(p, slot, atomHead, p.text)
	case testSuffix:
		return c.one(p, slot, atomTail, p.text)
	case testContains:
		return c.one(p, slot, atomPart, p.text)
	case testWild:
		return c.wild(p, slot)
	case testNumber:
		return c.number(p, slot)
	case testRegex:
		if texts := requiredTexts(p.text, needle.MinLen); texts != nil {
			return c.any(slot, texts)
		}
	}
	return c.here(slot)
}

func (c *chooser) here(slot int32) witness {
	if slot < 0 {
		return noWitness
	}
	return c.priced([]atom{{slot: slot, kind: atomHere}})
}

// one is the witness of a text at a place. A keyword can stand anywhere; a text
// too short to be looked for, or one whose letters can't be told, says only
// that there is a value.
func (c *chooser) one(p *predicate, slot int32, kind atomKind, text string) witness {
	if p.cased {
		text = lower(text)
	}
	if slot < 0 {
		kind = atomPart
	}
	if !utf8.ValidString(text) || kind == atomPart && len(text) < needle.MinLen || kind != atomWhole && text == "" {
		return c.here(slot)
	}
	return c.priced([]atom{{slot, kind, text}})
}

// wild is the cheapest of the texts between wildcards.
func (c *chooser) wild(p *predicate, slot int32) witness {
	best := c.here(slot)
	for i, seg := range p.wild.segs {
		for k, t := range seg {
			if t.kind != tokLit {
				continue
			}
			kind := atomPart
			if i == 0 && k == 0 && p.wild.head {
				kind = atomHead
			} else if i == len(p.wild.segs)-1 && k == len(seg)-1 && p.wild.tail {
				kind = atomTail
			}
			if w := c.one(p, slot, kind, t.text); w.cost < best.cost {
				best = w
			}
		}
	}
	return best
}

// number is the witness of a number: it is written as the rule writes it, or
// as [appendNumber] does.
func (c *chooser) number(p *predicate, slot int32) witness {
	w := c.one(p, slot, atomWhole, lower(p.text))
	if text := string(appendNumber(nil, p.num)); !w.none() && text != w.atoms[0].text {
		return c.priced(append(w.atoms, atom{slot, atomWhole, text}))
	}
	return w
}

// appendNumber writes equal numbers alike.
func appendNumber(dst []byte, f float64) []byte {
	if f == 0 {
		f = 0 // of which there are two
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// any is the witness of a value that has one of the texts.
func (c *chooser) any(slot int32, texts []string) witness {
	atoms := make([]atom, len(texts))
	for i, t := range texts {
		atoms[i] = atom{slot, atomPart, t}
	}
	return c.priced(atoms)
}

func (c *chooser) priced(atoms []atom) witness {
	w := witness{atoms: atoms}
	for _, a := range atoms {
		w.cost += c.price(a)
	}
	return w
}

// price is how often an atom is expected to hold, once in an event: as it was
// counted, or guessed from its text. The guess is coarse; it must only put what
// is rare before what is not.
func (c *chooser) price(a atom) float64 {
	if seen, ok := c.seen[a]; ok {
		return seen + 1e-6/float64(1+len(a.text))
	}
	n := len(a.text)
	switch a.kind {
	case atomHere:
		return 0.9
	case atomWhole:
		return 0.04 / float64(1+min(n, 20))
	case atomHead:
		return 0.6 / float64(1+min(n, 30))
	case atomTail:
		if n <= 4 {
			return 0.5
		}
		return 0.06 / float64(min(n, 20))
	}
	return (0.2/float64(n*n) + 0.0005) * (1 + float64(c.e.rarity.least(a.text))/16)
}
