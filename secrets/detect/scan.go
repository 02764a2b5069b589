package detect

import (
	"bytes"
	"fmt"

	"github.com/interlock-security/interlock/secrets/detect/internal/search"
)

// scan is the state of reading one text. It is used again for the next one.
type scan struct {
	d     *Detector
	text  Text
	base  *view
	finds []find
	// spared are finds that somebody excuses, where that is told.
	spared []find
	gaps   []Gap
	full   bool
	lines  lineIndex
	// What this worker has learned of the patterns, by rule.
	workers  []*search.Worker
	windows  search.Windows
	seen     []bool // by word
	concerns []concern
	// What allowlists say of the path, by their number.
	permissions []permission
	named       *search.Asker
	budget      search.Budget
	places      places
}

// view is a text as it is, or with a layer of encoding taken off.
type view struct {
	Text
	origin   int // where it begins in the text that was scanned
	segments []segment
}

// find is a candidate that passed its rule; at and end are the secret's place in
// the text that was scanned, or that of what it was decoded from.
type find struct {
	rule      *rule
	secret    []byte
	at, end   int
	matchAt   int
	verdict   Verdict
	entropy   float64
	decoded   []string
	allowed   string
	lost      bool // another rule reports it, or what it requires is missing
	line, col int
	matchLine int
	matchCol  int
}

func (s *scan) run(t Text, emit func(*Leak)) []Gap {
	s.text = t
	if a := s.excusing(s.d.allow); a != nil {
		if s.d.tell && a.Source != "" && len(t.Body) > 0 {
			emit(&Leak{Allowed: a.Source, Place: Place{Path: t.Path, Commit: t.Commit}})
		}
		return nil
	}
	alphabet := s.prepare()
	binary := Binary(s.text.Body)
	s.paths()
	s.read(s.base, binary)
	for _, g := range s.d.grammars {
		if g.Wants(t.Path) {
			g.All(s.text, func(h Hit) { s.hit(g, s.base, h) })
		}
	}
	if !binary {
		s.peel()
	}
	if s.budget.Over() {
		s.gap("patterns took too long on it; a part of the text was not searched")
	}
	s.placesLeftOut()
	s.report(alphabet, emit)
	s.tellSpared(alphabet, emit)
	return s.gaps
}

// prepare cuts the text to what may be read and turns it into UTF-8; it names
// what it was before.
func (s *scan) prepare() (alphabet []string) {
	if most := s.d.limits.Text; len(s.text.Body) > most {
		s.gap(fmt.Sprintf("only the first %d of %d bytes were scanned", most, len(s.text.Body)))
		s.text.Body = s.text.Body[:most]
	}
	if plain, name, ok := fromUTF16(s.text.Body); ok {
		s.text.Body = plain
		alphabet = []string{name}
	}
	s.base = &view{Text: s.text}
	s.budget = search.Budget{Most: leastBudget + budgetPerByte*len(s.text.Body)}
	return alphabet
}

func (s *scan) reset() {
	clear(s.finds)
	clear(s.spared)
	clear(s.concerns)
	for i := range s.permissions {
		s.permissions[i].known = false
	}
	*s = scan{
		d: s.d, finds: s.finds[:0], spared: s.spared[:0], workers: s.workers, windows: s.windows,
		seen: s.seen, concerns: s.concerns, permissions: s.permissions, named: s.named,
	}
}

// What reading a text may cost, in bytes read by patterns; ordinary ones cost
// about one for each of theirs. A find that must be looked into is weighed as so
// many.
const (
	leastBudget   = 256 << 20
	budgetPerByte = 100
	considering   = 2000
)

func (s *scan) gap(why string) { s.gaps = append(s.gaps, Gap{Path: s.text.Path, Why: why}) }

// paths asks the rules that find a file by its name, all of them at once first.
func (s *scan) paths() {
	if s.d.names == nil {
		return
	}
	if s.named == nil {
		s.named = s.d.names.NewAsker()
	}
	if !s.named.Match([]byte(s.text.Path)) {
		return
	}
	for _, r := range s.d.rules {
		if r.re == nil && r.path.MatchString(s.text.Path) && !s.allowedText(r) {
			s.add(find{rule: r, allowed: s.sparedBy(r)})
		}
	}
}

// secretOf picks the group that is the secret; where none is, the match without
// the line ends that a pattern may have taken along.
func secretOf(r *rule, body []byte, loc []int) (start, end int) {
	if r.Group > 0 {
		return loc[2*r.Group], loc[2*r.Group+1]
	}
	for i := 2; i+1 < len(loc); i += 2 {
		if loc[i] >= 0 && loc[i] < loc[i+1] {
			return loc[i], loc[i+1]
		}
	}
	start, end = loc[0], loc[1]
	for start < end && body[start] == '\n' {
		start++
	}
	for end > start && body[end-1] == '\n' {
		end--
	}
	return start, end
}

// hit is what a grammar found. One that names no rule of its own, or a place
// outside of the text, is a fault of the grammar and no leak.
func (s *scan) hit(g *grammar, v *view, h Hit) {
	r := g.rules[h.Rule]
	if r == nil || h.Start < 0 || h.End > len(v.Body) || h.Start >= h.End {
		return
	}
	if h.MatchEnd <= h.MatchStart || h.MatchStart > h.Start || h.MatchEnd < h.End || h.MatchEnd > len(v.Body) || h.MatchStart < 0 {
		h.MatchStart, h.MatchEnd = h.Start, h.End
	}
	if r.path != nil && !r.path.MatchString(s.text.Path) || s.allowedText(r) {
		return
	}
	s.consider(r, v, h)
}

// consider asks everything that can still speak against a find.
func (s *scan) consider(r *rule, v *view, h Hit) {
	if s.budget.Spent += considering; s.budget.Over() {
		return
	}
	if h.Start < 0 || h.Start >= h.End || h.End-h.Start > s.d.limits.Secret || h.Verdict == Invalid {
		return
	}
	f := find{rule: r, secret: v.Body[h.Start:h.End], verdict: h.Verdict}
	if !s.place(&f, v, h) {
		return
	}
	f.entropy = Entropy(f.secret)
	if r.Entropy > 0 && f.entropy <= r.Entropy || s.excused(&f, v, h) && f.allowed == "" {
		return
	}
	if r.Check != nil && f.verdict == Unknown {
		f.verdict = r.Check(f.secret)
	}
	if f.verdict == Invalid {
		return
	}
	if v != s.base {
		f.secret = bytes.Clone(f.secret) // the view goes, the find stays
	}
	s.add(f)
}

// excused asks the allowlists and the words in the line, and notes who excuses it
// where that is told.
func (s *scan) excused(f *find, v *view, h Hit) bool {
	line := lineAround(v.Body, h.MatchStart, h.MatchEnd)
	original := line
	if v != s.base {
		original = lineAround(s.base.Body, f.matchAt, f.end)
	}
	for _, w := range s.d.inline {
		if bytes.Contains(original, w) {
			f.allowed = s.told(AllowedInLine)
			return true
		}
	}
	match := v.Body[h.MatchStart:h.MatchEnd]
	for _, list := range [2][]*allow{s.d.allow, f.rule.allow} {
		for _, a := range list {
			if s.allows(a, f.secret, match, line) {
				f.allowed = s.told(a.Source)
				return true
			}
		}
	}
	f.allowed = s.sparedBy(f.rule)
	return f.allowed != ""
}

func (s *scan) add(f find) {
	if f.allowed != "" {
		if len(s.spared) < s.d.limits.Leaks { // the first of them says that some are
			s.spared = append(s.spared, f)
		}
		return
	}
	if len(s.finds) >= s.d.limits.Leaks {
		if !s.full {
			s.gap(fmt.Sprintf("more than %d candidates; the rest were not reported", s.d.limits.Leaks))
		}
		s.full = true
		return
	}
	s.finds = append(s.finds, f)
}
