// Package literal finds many words in a text at once, in any ASCII case. It is
// the first thing that secrets/detect asks of every byte, so it is an
// Aho-Corasick automaton with every transition filled in: one table look-up a
// byte, whatever the number of words.
package literal

import "slices"

// Set is a set of words made ready. It never changes and is safe for concurrent
// use.
type Set struct {
	class [256]uint8
	width uint32   // classes, the length of a state's row
	next  []uint32 // rows; states are offsets of their row
	// States from first on are the ends of words: out[(s-first)/width] lists them.
	first uint32
	out   [][]int32
	size  []int
}

// New makes a set of words, which are known by their index. The empty word is
// nowhere.
func New(words []string) *Set {
	s := &Set{}
	s.classes(words)
	t := newTrie(s, words)
	s.lay(t)
	return s
}

// classes numbers the bytes that words are made of; 0 are all others.
func (s *Set) classes(words []string) {
	s.width = 1
	for _, w := range words {
		s.size = append(s.size, len(w))
		for i := range len(w) {
			c := fold(w[i])
			if s.class[c] == 0 {
				s.class[c] = uint8(s.width)
				s.width++
			}
		}
	}
	for c := byte('A'); c <= 'Z'; c++ {
		s.class[c] = s.class[fold(c)]
	}
}

func fold(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// trie is the automaton while it is built, a node being its number.
type trie struct {
	next [][]int32
	out  [][]int32
}

func newTrie(s *Set, words []string) *trie {
	t := &trie{}
	t.node(s)
	for id, w := range words {
		at := int32(0)
		for i := range len(w) {
			c := s.class[w[i]]
			if t.next[at][c] == 0 {
				t.next[at][c] = t.node(s)
			}
			at = t.next[at][c]
		}
		if w != "" {
			t.out[at] = append(t.out[at], int32(id))
		}
	}
	t.fill()
	return t
}

func (t *trie) node(s *Set) int32 {
	t.next = append(t.next, make([]int32, s.width))
	t.out = append(t.out, nil)
	return int32(len(t.next) - 1)
}

// fill sets the transitions that fall back, nearest nodes first.
func (t *trie) fill() {
	fail := make([]int32, len(t.next))
	queue := []int32{0}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for c, to := range t.next[at] {
			back := t.next[fail[at]][c]
			if to == 0 {
				if at != 0 {
					t.next[at][c] = back
				}
				continue
			}
			if at != 0 {
				fail[to] = back
				t.out[to] = append(t.out[to], t.out[back]...)
			}
			queue = append(queue, to)
		}
	}
}

// lay writes the rows, ends of words last.
func (s *Set) lay(t *trie) {
	var plain, ends []int32
	for n := range t.next {
		if len(t.out[n]) > 0 {
			ends = append(ends, int32(n))
			s.out = append(s.out, t.out[n])
		} else {
			plain = append(plain, int32(n))
		}
	}
	s.first = uint32(len(plain)) * s.width
	row := make([]uint32, len(t.next))
	for i, n := range slices.Concat(plain, ends) {
		row[n] = uint32(i) * s.width
	}
	s.next = make([]uint32, uint32(len(t.next))*s.width)
	for n, to := range t.next {
		for c, m := range to {
			s.next[row[n]+uint32(c)] = row[m]
		}
	}
}

// Find calls hit at each place where a word stands, in the order of their ends;
// words that end together, the longest first.
func (s *Set) Find(b []byte, hit func(word int32, start, end int)) {
	at, next, first := uint32(0), s.next, s.first
	for i, c := range b {
		at = next[at+uint32(s.class[c])]
		if at >= first {
			for _, id := range s.out[(at-first)/s.width] {
				hit(id, i+1-s.size[id], i+1)
			}
		}
	}
}

// Has reports whether any word stands in b.
func (s *Set) Has(b []byte) bool {
	at := uint32(0)
	for _, c := range b {
		if at = s.next[at+uint32(s.class[c])]; at >= s.first {
			return true
		}
	}
	return false
}
