package automaton

import (
	"regexp/syntax"
	"unicode/utf8"
)

// Matcher finds the groups of a match whose bounds are known: backtracking that
// visits no instruction twice at the same place, as package regexp does for
// short texts, but for any number of instructions and with the real text on both
// sides. It is not safe for concurrent use.
type Matcher struct {
	prog    *syntax.Prog
	visited []uint32
	jobs    []job
	groups  []int
}

type job struct {
	pc  uint32
	at  int
	arg int // of a group to put back: its value, else unset
}

const (
	unset = -2
	// maxVisited bounds the memory of a match, in bits.
	maxVisited = 1 << 23
)

// NewMatcher makes a matcher of the whole pattern, groups and all.
func NewMatcher(re *syntax.Regexp) *Matcher {
	prog := assemble(re)
	return &Matcher{prog: prog, groups: make([]int, prog.NumCap)}
}

// Fits reports whether Find can look at so many bytes.
func (m *Matcher) Fits(n int) bool { return len(m.prog.Inst)*(n+1) <= maxVisited }

// Find is the leftmost match that begins at from or later and lies before end,
// as package regexp's FindSubmatchIndex gives it, nil if there is none. The
// slice is good until the next call.
func (m *Matcher) Find(b []byte, from, end int) []int {
	words := (len(m.prog.Inst)*(end-from+1) + 31) / 32
	if cap(m.visited) < words {
		m.visited = make([]uint32, words)
	}
	m.visited = m.visited[:words]
	clear(m.visited)
	for at := from; at <= end; {
		if m.try(b, from, at, end) {
			return m.groups
		}
		if at == end {
			break
		}
		_, n := utf8.DecodeRune(b[at:end])
		at += n
	}
	return nil
}

func (m *Matcher) visit(pc uint32, at, from, end int) bool {
	bit := int(pc)*(end-from+1) + at - from
	if m.visited[bit/32]&(1<<(bit%32)) != 0 {
		return false
	}
	m.visited[bit/32] |= 1 << (bit % 32)
	return true
}

// try matches at one place.
func (m *Matcher) try(b []byte, from, start, end int) bool {
	for i := range m.groups {
		m.groups[i] = -1
	}
	m.groups[0] = start
	m.jobs = append(m.jobs[:0], job{uint32(m.prog.Start), start, unset})
	for len(m.jobs) > 0 {
		j := m.jobs[len(m.jobs)-1]
		m.jobs = m.jobs[:len(m.jobs)-1]
		if j.arg != unset {
			m.groups[j.pc] = j.arg
			continue
		}
		if m.follow(b, j.pc, j.at, from, end) {
			return true
		}
	}
	return false
}

// follow goes on from an instruction until it fails or the match is done; the
// other ways are left as jobs.
func (m *Matcher) follow(b []byte, pc uint32, at, from, end int) bool {
	for m.visit(pc, at, from, end) {
		in := &m.prog.Inst[pc]
		switch in.Op {
		case syntax.InstMatch:
			m.groups[1] = at
			return true
		case syntax.InstFail:
			return false
		case syntax.InstAlt, syntax.InstAltMatch:
			m.jobs = append(m.jobs, job{in.Arg, at, unset})
		case syntax.InstCapture:
			if int(in.Arg) < len(m.groups) {
				m.jobs = append(m.jobs, job{in.Arg, 0, m.groups[in.Arg]})
				m.groups[in.Arg] = at
			}
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^flagsAt(b, at) != 0 {
				return false
			}
		case syntax.InstNop:
		default:
			if at >= end {
				return false
			}
			r, n := utf8.DecodeRune(b[at:])
			if !takes(in, r) {
				return false
			}
			at += n
			if at > end {
				return false
			}
		}
		pc = in.Out
	}
	return false
}

// flagsAt are the assertions that hold in the real text.
func flagsAt(b []byte, at int) syntax.EmptyOp {
	before, after := rune(-1), rune(-1)
	if at > 0 {
		before, _ = utf8.DecodeLastRune(b[:at])
	}
	if at < len(b) {
		after, _ = utf8.DecodeRune(b[at:])
	}
	return syntax.EmptyOpContext(before, after)
}
