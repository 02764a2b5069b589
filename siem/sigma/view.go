package sigma

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
)

// Limits on one event, so that nothing sent can make matching expensive
// without bound.
const (
	maxValues     = 4096
	maxEventDepth = 32
)

// Reserved is the prefix of fields that only [View.Set] can fill: what the
// receiver knows of an event, which no source can claim for itself.
const Reserved = "interlock."

// value is one scalar of an event. The text and its folding are made when a
// predicate first asks.
type value struct {
	raw     []byte // between the quotes, for text
	txt     []byte
	low     []byte
	escaped bool
	hasText bool
	hasLow  bool
	null    bool
	ours    bool  // filled by Set, not something that the event says
	next    int32 // next value of the same slot, -1 at the end
}

// slot is one field as rules see it: several paths of an event may feed it,
// and it may have several values.
type slot struct {
	epoch       uint32
	first, last int32
	fixed       bool // filled by Set: the event's own claim is not heard
}

// View is one event laid out for matching. It belongs to one goroutine and is
// reused; after the first few events it allocates nothing for an event that
// matches no rule.
type View struct {
	eng     *Engine
	epoch   uint32
	slots   []slot
	vals    []value
	path    []byte
	buf     []byte
	asked   []uint32 // epoch in which a predicate was answered
	answer  []bool
	ran     []uint32 // epoch in which a rule was evaluated
	routes  map[Logsource][]int32
	sources []Logsource
}

// NewView makes a view for events that e will match.
func (e *Engine) NewView() *View {
	return &View{
		eng: e, epoch: 1,
		slots: make([]slot, e.slotCount), asked: make([]uint32, len(e.preds)),
		answer: make([]bool, len(e.preds)), ran: make([]uint32, len(e.rules)),
		routes: make(map[Logsource][]int32),
	}
}

// Reset forgets the event.
func (v *View) Reset() {
	v.epoch++
	if v.epoch == 0 {
		clear(v.slots)
		clear(v.asked)
		clear(v.ran)
		v.epoch = 1
	}
	v.vals, v.buf, v.path = v.vals[:0], v.buf[:0], v.path[:0]
}

// Set gives a field a value that the receiver or the normaliser vouches for.
// Called before [View.Load], it silences whatever the event itself says in
// that field. Called again for the same field it adds a value.
func (v *View) Set(field, text string) {
	for _, id := range v.eng.paths[field] {
		if s := &v.slots[id]; s.epoch != v.epoch || s.fixed {
			v.add(id, value{txt: v.keep(text), hasText: true, ours: true})
			v.slots[id].fixed = true
		}
	}
}

func (v *View) keep(text string) []byte {
	n := len(v.buf)
	v.buf = append(v.buf, text...)
	return v.buf[n:len(v.buf):len(v.buf)]
}

func (v *View) add(id int32, val value) {
	val.next = -1
	at := int32(len(v.vals))
	v.vals = append(v.vals, val)
	s := &v.slots[id]
	if s.epoch != v.epoch {
		*s = slot{epoch: v.epoch, first: at, last: at}
		return
	}
	v.vals[s.last].next = at
	s.last = at
}

// Load reads the event's own fields: one JSON object, whose bytes must stay as
// they are until the next Reset. Nested names are joined with dots, every
// element of an array is a value of its field.
func (v *View) Load(object []byte) error {
	s := scanner{v: v, b: object}
	s.space()
	if s.i == len(s.b) || s.b[s.i] != '{' {
		return core.E(core.KindInvalid, "sigma.View.Load", "an event's fields must be one JSON object")
	}
	if !s.value(0) {
		return core.E(core.KindInvalid, "sigma.View.Load", s.why())
	}
	return nil
}

// Sources lists the logsources that [Options.Routes] find for the event that was
// loaded, none where no route holds. The list is the view's own and stays until
// the next Reset.
func (v *View) Sources() []Logsource {
	v.sources = v.sources[:0]
	for _, r := range v.eng.routed {
		if v.marked(r.marks) {
			v.sources = append(v.sources, r.sources...)
		}
	}
	return v.sources
}

// First returns the first value of a field that the engine knows.
func (v *View) First(field string) (string, bool) {
	for _, id := range v.eng.paths[field] {
		if text, ok := v.slotText(id); ok {
			return text, true
		}
	}
	return "", false
}

func (v *View) slotText(id int32) (string, bool) {
	s := v.slots[id]
	if s.epoch != v.epoch {
		return "", false
	}
	for i := s.first; i >= 0; i = v.vals[i].next {
		if val := &v.vals[i]; !val.null {
			return string(v.text(val)), true
		}
	}
	return "", false
}

// form is the value as p reads it.
func (v *View) form(p *predicate, val *value) []byte {
	if p.original() {
		return v.text(val)
	}
	return v.lowered(val)
}

// text is the value as a program would read it.
func (v *View) text(val *value) []byte {
	if val.hasText {
		return val.txt
	}
	val.txt, val.hasText = val.raw, true
	if val.escaped {
		n := len(v.buf)
		v.buf = appendUnescaped(v.buf, val.raw)
		val.txt = v.buf[n:len(v.buf):len(v.buf)]
	}
	return val.txt
}

func (v *View) lowered(val *value) []byte {
	if !val.hasLow {
		s := v.text(val)
		n := len(v.buf)
		v.buf = appendLower(v.buf, s)
		val.low, val.hasLow = v.buf[n:len(v.buf):len(v.buf)], true
	}
	return val.low
}

// leaf takes one scalar at the current path.
func (v *View) leaf(val value) {
	kept := false
	if !strings.HasPrefix(string(v.path), Reserved) {
		for _, id := range v.eng.paths[string(v.path)] {
			if s := &v.slots[id]; s.epoch == v.epoch && s.fixed {
				continue
			}
			v.add(id, val)
			kept = true
		}
	}
	if !kept && v.eng.keywords {
		val.next = -1
		v.vals = append(v.vals, val)
	}
}

// scanner walks JSON bytes once.
type scanner struct {
	v *View
	b []byte
	i int
}

func (s *scanner) why() string {
	if len(s.v.vals) >= maxValues {
		return "the event has too many values"
	}
	return "the event's fields are not JSON, or nest too deeply"
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

func (s *scanner) eat(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) value(depth int) bool {
	s.space()
	if s.i >= len(s.b) || depth > maxEventDepth || len(s.v.vals) >= maxValues {
		return false
	}
	switch s.b[s.i] {
	case '{':
		s.i++
		return s.object(depth)
	case '[':
		s.i++
		return s.array(depth)
	case '"':
		raw, escaped, ok := s.str()
		if ok {
			s.v.leaf(value{raw: raw, escaped: escaped})
		}
		return ok
	}
	return s.bare()
}

func (s *scanner) object(depth int) bool {
	if s.eat('}') {
		return true
	}
	mark := len(s.v.path)
	for {
		s.space()
		key, escaped, ok := s.str()
		if !ok || !s.eat(':') {
			return false
		}
		if mark > 0 {
			s.v.path = append(s.v.path, '.')
		}
		if escaped {
			s.v.path = appendUnescaped(s.v.path, key)
		} else {
			s.v.path = append(s.v.path, key...)
		}
		if !s.value(depth + 1) {
			return false
		}
		s.v.path = s.v.path[:mark]
		if s.eat('}') {
			return true
		}
		if !s.eat(',') {
			return false
		}
	}
}

func (s *scanner) array(depth int) bool {
	if s.eat(']') {
		return true
	}
	for {
		if !s.value(depth + 1) {
			return false
		}
		if s.eat(']') {
			return true
		}
		if !s.eat(',') {
			return false
		}
	}
}

func (s *scanner) str() (raw []byte, escaped, ok bool) {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return nil, false, false
	}
	s.i++
	for start := s.i; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case '"':
			s.i++
			return s.b[start : s.i-1], escaped, true
		case '\\':
			escaped = true
			s.i++
		}
	}
	return nil, false, false
}

// bare takes a number, true, false or null.
func (s *scanner) bare() bool {
	start := s.i
	for s.i < len(s.b) && strings.IndexByte(" \t\r\n,]}", s.b[s.i]) < 0 {
		s.i++
	}
	raw := s.b[start:s.i]
	if len(raw) == 0 {
		return false
	}
	s.v.leaf(value{raw: raw, null: string(raw) == "null"})
	return true
}

var shortEscapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', '"': '"', '\\': '\\', '/': '/'}

func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			dst = append(dst, s[i])
			continue
		}
		i++
		if s[i] != 'u' {
			if c, ok := shortEscapes[s[i]]; ok {
				dst = append(dst, c)
			} else {
				dst = append(dst, '\\', s[i])
			}
			continue
		}
		r := hexRune(s[i+1:])
		i += min(4, len(s)-i-1)
		if utf16.IsSurrogate(r) && i+2 < len(s) && s[i+1] == '\\' && s[i+2] == 'u' {
			if pair := utf16.DecodeRune(r, hexRune(s[i+3:])); pair != utf8.RuneError {
				r = pair
				i += min(6, len(s)-i-1)
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

func hexRune(s []byte) rune {
	if len(s) < 4 {
		return utf8.RuneError
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return utf8.RuneError
		}
	}
	return r
}
