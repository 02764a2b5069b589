package detect

import (
	"bytes"
	"fmt"
)

// Grammars are asked at every keyword, and each time they look around. What they
// may see and how often they are asked is bounded here, so that a text of nothing
// but keywords costs no more than its length is worth.
const (
	// sight is how much of a text a grammar sees before a keyword, and ahead how
	// much behind it: an armored key is no longer.
	sight = 8 << 10
	ahead = 64 << 10
	// Ordinary texts, tables of keys and values among them, have fewer keywords
	// than one in so many bytes, and are forgiven the first ones.
	bytesPerPlace = 12
	leastPlaces   = 1 << 17
	// What stands so deep in its line costs more: grammars read lines.
	longLine  = 512
	longPlace = 3
)

// places counts where grammars were asked, over all views of a text.
type places struct {
	before  int // bytes of the views that were read
	asked   int
	skipped int
}

// take reports whether a grammar may be asked at a place of b. A part that is too
// dense leaves nothing for its own end; what follows it is read again.
func (p *places) take(b []byte, at int) bool {
	if p.asked >= leastPlaces+(p.before+at)/bytesPerPlace {
		return false
	}
	p.asked++
	if at >= longLine && bytes.IndexByte(b[at-longLine:at], '\n') < 0 {
		p.asked += longPlace - 1
	}
	return true
}

// at asks a grammar at a keyword, showing it the neighbourhood.
func (s *scan) at(v *view, g *grammar, start, end int) {
	if !s.places.take(v.Body, start) {
		s.places.skipped++
		return
	}
	from, to := max(0, start-sight), min(len(v.Body), end+ahead)
	near := v.Text
	near.Body = v.Body[from:to:to]
	g.At(near, start-from, end-start, func(h Hit) {
		if h.Start < 0 || h.End > len(near.Body) {
			return // a fault of the grammar
		}
		h.Start, h.End = h.Start+from, h.End+from
		h.MatchStart, h.MatchEnd = h.MatchStart+from, h.MatchEnd+from
		s.hit(g, v, h)
	})
}

// placesLeftOut tells what was skipped.
func (s *scan) placesLeftOut() {
	if p := s.places; p.skipped > 0 {
		s.gap(fmt.Sprintf("it has more words that name secrets than its length is worth; %d of them were not looked at", p.skipped))
	}
}
