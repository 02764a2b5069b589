package detect

import (
	"strings"

	"github.com/interlock-security/interlock/secrets/detect/internal/literal"
	"github.com/interlock-security/interlock/secrets/detect/internal/search"
)

// ask is what is done where a word stands.
type ask struct {
	rule    int32 // of Detector.rules, or none
	way     int32
	grammar *grammar
}

const none = -1

// index gathers the words of all rules and grammars into one set, each once.
func (d *Detector) index() {
	ids := map[string]int{}
	var words []string
	add := func(word string, a ask) {
		word = lowerASCII(word)
		id, ok := ids[word]
		if !ok {
			id = len(words)
			ids[word] = id
			words = append(words, word)
			d.asks = append(d.asks, nil)
		}
		d.asks[id] = append(d.asks[id], a)
	}
	for i, r := range d.rules {
		r.index = int32(i)
		if r.re == nil {
			continue
		}
		for way := range r.pattern.Plans() {
			for _, l := range r.pattern.Literals(way) {
				add(l, ask{rule: r.index, way: int32(way)})
			}
		}
		if r.pattern.Plans() == 0 {
			d.unplanned = append(d.unplanned, r)
		}
		if r.hinted {
			for _, k := range r.Keywords {
				add(k, ask{rule: none})
			}
			r.hints = wordIDs(ids, r.Keywords)
		}
	}
	for _, g := range d.grammars {
		for _, k := range g.Keywords() {
			add(k, ask{rule: none, grammar: g})
		}
	}
	d.words = literal.New(words)
}

func wordIDs(ids map[string]int, words []string) []int {
	var out []int
	for _, w := range words {
		out = append(out, ids[lowerASCII(w)])
	}
	return out
}

// lowerASCII leaves everything else alone: offsets must hold.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func newScan(d *Detector) *scan {
	return &scan{
		d:        d,
		workers:  make([]*search.Worker, len(d.rules)),
		seen:     make([]bool, len(d.asks)),
		concerns: make([]concern, len(d.rules)),

		permissions: make([]permission, d.allows),
	}
}

// read asks every rule and, of what is no binary, every grammar.
func (s *scan) read(v *view, binary bool) {
	clear(s.seen)
	s.fresh()
	s.d.words.Find(v.Body, func(word int32, start, end int) {
		s.seen[word] = true
		for _, a := range s.d.asks[word] {
			switch {
			case a.rule >= 0:
				s.window(v, a, start)
			case a.grammar != nil && !binary:
				s.at(v, a.grammar, start, end)
			}
		}
	})
	s.windows.Merged(func(id int32, from, to int) {
		if r := s.d.rules[id]; s.wanted(r) && s.hint(r) {
			s.worker(id).Within(v.Body, from, to, func(loc []int) { s.match(r, v, loc) })
		}
	})
	for _, r := range s.d.unplanned {
		if s.hint(r) && s.wanted(r) {
			s.worker(r.index).All(v.Body, func(loc []int) { s.match(r, v, loc) })
		}
	}
	s.places.before += len(v.Body)
}

func (s *scan) fresh() {
	for _, w := range s.workers {
		if w != nil {
			w.Fresh()
		}
	}
}

func (s *scan) worker(rule int32) *search.Worker {
	if s.workers[rule] == nil {
		s.workers[rule] = search.NewWorker(s.d.rules[rule].pattern, &s.budget)
	}
	return s.workers[rule]
}

// window notes where a rule may match.
func (s *scan) window(v *view, a ask, at int) {
	if from, to, ok := s.worker(a.rule).Window(v.Body, int(a.way), at); ok {
		s.windows.Add(a.rule, from, to)
	}
}

// hint reports whether the text has the word without which a rule is not asked.
func (s *scan) hint(r *rule) bool {
	for _, id := range r.hints {
		if s.seen[id] {
			return true
		}
	}
	return len(r.hints) == 0
}

// concern is whether a text's path concerns a rule.
type concern uint8

const (
	unasked concern = iota
	concerned
	unconcerned
)

// wanted asks the rule's path and allowlists, once a text.
func (s *scan) wanted(r *rule) bool {
	if s.concerns[r.index] == unasked {
		s.concerns[r.index] = concerned
		if r.path != nil && !r.path.MatchString(s.text.Path) || s.allowedText(r) {
			s.concerns[r.index] = unconcerned
		}
	}
	return s.concerns[r.index] == concerned
}

func (s *scan) match(r *rule, v *view, loc []int) {
	start, end := secretOf(r, v.Body, loc)
	from, to := loc[0], loc[1]
	// A pattern that takes the ends of lines along means the line between them.
	if from < start && v.Body[from] == '\n' {
		from++
	}
	for to > end && v.Body[to-1] == '\n' {
		to--
	}
	s.consider(r, v, Hit{Start: start, End: end, MatchStart: from, MatchEnd: to})
}
