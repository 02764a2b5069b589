package advisory

import (
	"encoding/binary"
	"time"
)

// wire writes the compact form: varints, and strings behind their length.
type wire struct{ b []byte }

func (w *wire) num(n uint64)     { w.b = binary.AppendUvarint(w.b, n) }
func (w *wire) int(n int)        { w.num(uint64(n)) }
func (w *wire) byte(c byte)      { w.b = append(w.b, c) }
func (w *wire) str(s string)     { w.int(len(s)); w.b = append(w.b, s...) }
func (w *wire) time(t time.Time) { w.num(nanos(t)) }

func (w *wire) list(s []string) {
	w.int(len(s))
	for _, e := range s {
		w.str(e)
	}
}

// nanos keeps a time as nanoseconds since 1970, 0 for none.
func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	n := t.UnixNano()
	if n <= 0 {
		return 1
	}
	return uint64(n)
}

// slit reads it. After the first fault everything reads as nothing and bad is
// set, so that callers ask once.
type slit struct {
	b   []byte
	bad bool
	// whole, if set, is what b is the end of, as a string: strings are cut out of
	// it and not copied one by one.
	whole string
}

func (s *slit) num() uint64 {
	n, k := binary.Uvarint(s.b)
	if k <= 0 {
		s.fail()
		return 0
	}
	s.b = s.b[k:]
	return n
}

func (s *slit) fail() { s.bad, s.b = true, nil }

// count reads a number of things that each take at least one byte, so that a
// false one can't ask for memory.
func (s *slit) count() int {
	n := s.num()
	if n > uint64(len(s.b)) {
		s.fail()
		return 0
	}
	return int(n)
}

// index reads a number below n.
func (s *slit) index(n int) int {
	i := s.num()
	if i >= uint64(n) {
		s.fail()
		return 0
	}
	return int(i)
}

func (s *slit) byte() byte {
	if len(s.b) == 0 {
		s.fail()
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

func (s *slit) bytes() []byte {
	n := s.count()
	v := s.b[:n:n]
	s.b = s.b[n:]
	return v
}

func (s *slit) str() string {
	b := s.bytes()
	if s.whole == "" || s.bad {
		return string(b)
	}
	end := len(s.whole) - len(s.b)
	return s.whole[end-len(b) : end]
}

func (s *slit) time() time.Time {
	n := s.num()
	if n == 0 || n > 1<<63-1 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}

func (s *slit) list() []string {
	n := s.count()
	if n == 0 {
		return nil
	}
	out := make([]string, 0, n)
	for range n {
		out = append(out, s.str())
	}
	return out
}

// encode writes an advisory whole, each entry behind its length.
func (a *Advisory) encode(w *wire) {
	w.str(a.ID)
	w.time(a.Modified)
	w.time(a.Published)
	w.time(a.Withdrawn)
	w.list(a.Aliases)
	w.list(a.Related)
	w.list(a.Upstream)
	w.str(a.Summary)
	w.str(a.Details)
	encodeSeverity(w, a.Severity)
	w.str(a.Rating)
	w.int(len(a.References))
	for _, r := range a.References {
		w.str(r.Type)
		w.str(r.URL)
	}
	w.int(len(a.Affected))
	var part wire
	for i := range a.Affected {
		part.b = part.b[:0]
		a.Affected[i].encode(&part)
		w.int(len(part.b))
		w.b = append(w.b, part.b...)
	}
}

func encodeSeverity(w *wire, all []Severity) {
	w.int(len(all))
	for _, s := range all {
		w.str(s.Type)
		w.str(s.Score)
	}
}

func (e *Entry) encode(w *wire) {
	w.str(e.Ecosystem)
	w.str(e.Name)
	w.str(e.PURL)
	encodeSeverity(w, e.Severity)
	w.str(e.Rating)
	w.list(e.Versions)
	w.int(len(e.Ranges))
	for i := range e.Ranges {
		r := &e.Ranges[i]
		w.byte(byte(r.Type))
		w.str(r.Repo)
		w.int(len(r.Events))
		for _, ev := range r.Events {
			w.byte(byte(ev.Kind))
			w.str(ev.Version)
		}
	}
	w.int(len(e.Imports))
	for i := range e.Imports {
		w.str(e.Imports[i].Path)
		w.list(e.Imports[i].Symbols)
		w.list(e.Imports[i].GOOS)
		w.list(e.Imports[i].GOARCH)
	}
}

func decodeAdvisory(b []byte) (*Advisory, bool) {
	s := &slit{b: b}
	a := &Advisory{ID: s.str(), Modified: s.time(), Published: s.time(), Withdrawn: s.time()}
	a.Aliases, a.Related, a.Upstream = s.list(), s.list(), s.list()
	a.Summary, a.Details = s.str(), s.str()
	a.Severity, a.Rating = decodeSeverity(s), s.str()
	for range s.count() {
		a.References = append(a.References, Reference{Type: s.str(), URL: s.str()})
	}
	for range s.count() {
		e, ok := decodeEntry(s.bytes())
		if !ok {
			return nil, false
		}
		a.Affected = append(a.Affected, e)
	}
	return a, !s.bad && len(s.b) == 0
}

func decodeSeverity(s *slit) []Severity {
	var out []Severity
	for range s.count() {
		out = append(out, Severity{Type: s.str(), Score: s.str()})
	}
	return out
}

func decodeEntry(b []byte) (Entry, bool) {
	s := &slit{b: b}
	e := Entry{Ecosystem: s.str(), Name: s.str(), PURL: s.str()}
	e.Severity, e.Rating, e.Versions = decodeSeverity(s), s.str(), s.list()
	for range s.count() {
		r := Range{Type: RangeType(s.byte()), Repo: s.str()}
		for range s.count() {
			r.Events = append(r.Events, Event{EventKind(s.byte()), s.str()})
		}
		if r.Type > RangeGit {
			return Entry{}, false
		}
		e.Ranges = append(e.Ranges, r)
	}
	for range s.count() {
		e.Imports = append(e.Imports, GoPackage{Path: s.str(), Symbols: s.list(), GOOS: s.list(), GOARCH: s.list()})
	}
	return e, !s.bad && len(s.b) == 0
}
