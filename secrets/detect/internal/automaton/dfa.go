package automaton

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

func simpleFold(r rune) rune { return unicode.SimpleFold(r) }

// DFA is one worker's automaton of a program. States are made when they are
// first needed and forgotten all at once when there are too many. It is not safe
// for concurrent use.
type DFA struct {
	p      *Program
	width  int
	next   []int32 // rows of transitions; 0 is not known yet
	states []state
	index  map[string]int32
	starts [contexts]int32
	key    []byte
	marked []uint32 // by instruction: the round in which it was visited
	round  uint32
	stack  []uint32
	leaves []uint32
	list   []uint32
	trail  trail
	steps  *int
}

// state is a set of instructions to continue with, in order of preference, and
// what stands before the place.
type state struct {
	list    []uint32
	context uint8
}

// What stands beside a place.
const (
	edge = iota // the text's beginning or end
	wordChar
	lineEnd
	other
	contexts
)

// A transition is the number of a state, dead, or one of them with matched,
// which says that a match ended before the rune that was read.
const (
	dead    int32 = 1
	matched int32 = 1 << 30
)

// maxStates bounds what a DFA remembers.
const maxStates = 3000

// NewDFA makes a worker's own automaton, which adds the runes that it reads to
// steps.
func NewDFA(p *Program, steps *int) *DFA {
	d := &DFA{p: p, width: p.classes + 1, marked: make([]uint32, len(p.prog.Inst)), steps: steps}
	d.forget()
	return d
}

func (d *DFA) forget() {
	d.states = append(d.states[:0], state{}, state{}) // not known, dead
	d.next = append(d.next[:0], make([]int32, 2*d.width)...)
	for i := range d.width {
		d.next[d.width+i] = dead
	}
	d.index = map[string]int32{}
	d.starts = [contexts]int32{}
	d.trail.clear()
}

func contextOf(r rune) uint8 {
	switch {
	case r == '\n':
		return lineEnd
	case syntax.IsWordChar(r):
		return wordChar
	}
	return other
}

// start is the state before anything was read.
func (d *DFA) start(context uint8) int32 {
	if !d.p.asserts {
		context = other
	}
	if d.starts[context] == 0 {
		d.starts[context] = d.intern([]uint32{uint32(d.p.prog.Start)}, context)
	}
	return d.starts[context]
}

func (d *DFA) intern(list []uint32, context uint8) int32 {
	if len(list) == 0 {
		return dead
	}
	if !d.p.asserts {
		context = other
	}
	d.key = append(d.key[:0], context)
	for _, pc := range list {
		d.key = binary.AppendUvarint(d.key, uint64(pc))
	}
	if id, ok := d.index[string(d.key)]; ok {
		return id
	}
	id := int32(len(d.states))
	d.states = append(d.states, state{slices.Clone(list), context})
	for range d.width {
		d.next = append(d.next, 0)
	}
	d.index[string(d.key)] = id
	return id
}

// step works out a transition that is not known yet.
func (d *DFA) step(from int32, class int) int32 {
	if len(d.states) >= maxStates {
		kept := d.states[from]
		d.forget()
		from = d.intern(kept.list, kept.context)
	}
	end := class == d.p.classes
	var r rune
	context := uint8(edge)
	if !end {
		r = d.p.sample[class]
		context = contextOf(r)
	}
	met := d.close(d.states[from].list, d.flags(d.states[from].context, context))
	to := dead
	if !end {
		to = d.intern(d.advance(r), context)
	}
	if met {
		to |= matched
	}
	d.next[int(from)*d.width+class] = to
	return to
}

// flags are the assertions that hold between two neighbours, in reading order.
func (d *DFA) flags(before, after uint8) syntax.EmptyOp {
	if d.p.reverse {
		before, after = after, before
	}
	var f syntax.EmptyOp
	if before == edge {
		f |= syntax.EmptyBeginText | syntax.EmptyBeginLine
	}
	if before == lineEnd {
		f |= syntax.EmptyBeginLine
	}
	if after == edge {
		f |= syntax.EmptyEndText | syntax.EmptyEndLine
	}
	if after == lineEnd {
		f |= syntax.EmptyEndLine
	}
	if (before == wordChar) != (after == wordChar) {
		return f | syntax.EmptyWordBoundary
	}
	return f | syntax.EmptyNoWordBoundary
}

// close follows everything that reads nothing, in order of preference, and
// reports whether the pattern can end here. What is less preferred than an end
// is dropped, unless the longest is wanted.
func (d *DFA) close(list []uint32, flags syntax.EmptyOp) (met bool) {
	d.round++
	d.leaves = d.leaves[:0]
	for _, pc := range list {
		d.stack = append(d.stack[:0], pc)
		for len(d.stack) > 0 {
			pc := d.stack[len(d.stack)-1]
			d.stack = d.stack[:len(d.stack)-1]
			if d.marked[pc] == d.round {
				continue
			}
			d.marked[pc] = d.round
			in := &d.p.prog.Inst[pc]
			switch in.Op {
			case syntax.InstAlt, syntax.InstAltMatch:
				d.stack = append(d.stack, in.Arg, in.Out)
			case syntax.InstCapture, syntax.InstNop:
				d.stack = append(d.stack, in.Out)
			case syntax.InstEmptyWidth:
				if syntax.EmptyOp(in.Arg)&^flags == 0 {
					d.stack = append(d.stack, in.Out)
				}
			case syntax.InstMatch:
				met = true
				if !d.p.reverse {
					return met
				}
			case syntax.InstFail:
			default:
				d.leaves = append(d.leaves, pc)
			}
		}
	}
	return met
}

// advance reads r.
func (d *DFA) advance(r rune) []uint32 {
	d.round++
	d.list = d.list[:0]
	for _, pc := range d.leaves {
		in := &d.p.prog.Inst[pc]
		if !takes(in, r) || d.marked[in.Out] == d.round {
			continue
		}
		d.marked[in.Out] = d.round
		d.list = append(d.list, in.Out)
	}
	if d.p.reverse {
		slices.Sort(d.list)
	}
	return d.list
}

func takes(in *syntax.Inst, r rune) bool {
	switch in.Op {
	case syntax.InstRuneAny:
		return true
	case syntax.InstRuneAnyNotNL:
		return r != '\n'
	case syntax.InstRune1:
		return r == in.Rune[0]
	}
	return in.MatchRune(r)
}

// Fresh makes the DFA ready for another text. What it has learned of the pattern
// stays.
func (d *DFA) Fresh() { d.trail.clear() }

// End is where the match that begins at from ends, -1 if none does before limit.
func (d *DFA) End(b []byte, from, limit int) int {
	context := uint8(edge)
	if from > 0 {
		r, _ := utf8.DecodeLastRune(b[:from])
		context = contextOf(r)
	}
	at, last, i := d.start(context), -1, from
	d.trail.begin()
	mark := (from/stride + 1) * stride
	for i < limit {
		class, n := d.p.ascii[b[i]&0x7f], 1
		if b[i] >= utf8.RuneSelf {
			var r rune
			r, n = utf8.DecodeRune(b[i:])
			class = d.p.classOf(r)
		}
		to := d.next[int(at)*d.width+int(class)]
		if to == 0 {
			to = d.step(at, int(class))
		}
		if to&matched != 0 {
			last = i
			to &^= matched
		}
		if to == dead {
			*d.steps += i - from
			return d.trail.done(last)
		}
		at = to
		i += n
		if i >= mark {
			mark = (i/stride + 1) * stride
			if end, known := d.trail.mark(i, at, last); known {
				*d.steps += i - from
				return end
			}
		}
	}
	*d.steps += i - from
	if i <= limit && d.ends(at, d.p.after(b, i)) {
		last = i
	}
	return d.trail.done(last)
}

// ends asks whether the pattern can end in a state before a rune.
func (d *DFA) ends(at int32, class int) bool {
	to := d.next[int(at)*d.width+class]
	if to == 0 {
		to = d.step(at, class)
	}
	return to&matched != 0
}

// after is the class of what stands at i.
func (p *Program) after(b []byte, i int) int {
	if i >= len(b) {
		return p.classes
	}
	if b[i] < utf8.RuneSelf {
		return int(p.ascii[b[i]])
	}
	r, _ := utf8.DecodeRune(b[i:])
	return int(p.classOf(r))
}

// Begin is the earliest place from which a reversed pattern that ends at end
// reaches it, not before least; -1 if there is none.
func (d *DFA) Begin(b []byte, end, least int) int {
	context := uint8(edge)
	if end < len(b) {
		r, _ := utf8.DecodeRune(b[end:])
		context = contextOf(r)
	}
	at, first, i := d.start(context), -1, end
	for i > least {
		class, n := d.p.before(b, i)
		to := d.next[int(at)*d.width+int(class)]
		if to == 0 {
			to = d.step(at, int(class))
		}
		if to&matched != 0 {
			first = i
			to &^= matched
		}
		if to == dead {
			*d.steps += end - i
			return first
		}
		at = to
		i -= n
	}
	*d.steps += end - i
	class := d.p.classes
	if i > 0 {
		c, _ := d.p.before(b, i)
		class = int(c)
	}
	if d.ends(at, class) {
		return i
	}
	return first
}

// before is the class and the length of what stands before i.
func (p *Program) before(b []byte, i int) (class uint16, n int) {
	if c := b[i-1]; c < utf8.RuneSelf {
		return p.ascii[c], 1
	}
	r, n := utf8.DecodeLastRune(b[:i])
	return p.classOf(r), n
}
