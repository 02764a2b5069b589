package coverage

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/siem/sigma"
)

// Limits on what is remembered, so that no sender makes it grow without bound.
// What goes beyond is counted in [SeenCounts.Beyond].
const (
	maxSources = 1024
	maxFields  = 4096 // of one source
	maxTotal   = 65536
	maxShapes  = 16384
	maxName    = 256
	maxNumbers = 1024 // different numbers of events of one source
)

// Seen is what events were really like: which logsources came, and which fields
// they had. It is safe for use by several goroutines, but one that reads many
// events keeps a Seen of its own and merges it.
type Seen struct {
	mu      sync.Mutex
	sources map[sigma.Logsource]*seenSource
	total   int
	shapes  map[uint64]*shape
	seed    maphash.Seed
	counts  SeenCounts
	walk    walker
}

// SeenCounts are what of the events was seen.
type SeenCounts struct {
	Events uint64 `json:"events"`
	// Unrouted are events of which nothing said what they are; no rule is asked
	// about them where logsources are asked for.
	Unrouted uint64 `json:"unrouted"`
	// Unread are records that are no event.
	Unread uint64 `json:"unread"`
	// Beyond are events that had a logsource or a field that was not remembered
	// because there are too many.
	Beyond uint64 `json:"beyond"`
	// Partial is true where there was more than was read.
	Partial     bool      `json:"partial,omitempty"`
	First, Last time.Time `json:"-"`
}

type seenSource struct {
	events      uint64
	first, last time.Time
	fields      map[string]uint64
	numbers     map[string]uint64
	// full is true where some name was not remembered: what it lacks can't be told.
	full bool
}

func newSource() *seenSource {
	return &seenSource{fields: make(map[string]uint64), numbers: make(map[string]uint64)}
}

// shape is one set of names: most events have those of one that came before, and
// cost no more than their hash.
type shape struct {
	sources []*seenSource
	fields  []string
	numbers []string
	events  uint64
}

// NewSeen makes an empty record.
func NewSeen() *Seen {
	s := &Seen{sources: make(map[sigma.Logsource]*seenSource), shapes: make(map[uint64]*shape), seed: maphash.MakeSeed()}
	s.walk.json.Visit = s.walk.leaf
	return s
}

// Add notes an event: when it was, what it is of, its own fields (a JSON object),
// and the names of what was found of it besides.
func (s *Seen) Add(at time.Time, sources []sigma.Logsource, object []byte, found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.walk.read(object) {
		s.counts.Unread++
		return
	}
	for _, name := range found {
		s.walk.name(name)
	}
	s.counts.Events++
	stretch(&s.counts.First, &s.counts.Last, at)
	if len(sources) == 0 {
		s.counts.Unrouted++
		return
	}
	sh := s.shapeOf(sources)
	if sh == nil {
		s.counts.Beyond++
		return
	}
	sh.events++
	for _, src := range sh.sources {
		src.events++
		stretch(&src.first, &src.last, at)
	}
}

// Unread notes records that are no events.
func (s *Seen) Unread(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Unread += uint64(max(n, 0))
}

// Cut notes that there is more than was read.
func (s *Seen) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Partial = true
}

func stretch(first, last *time.Time, at time.Time) {
	if at.IsZero() {
		return
	}
	if first.IsZero() || at.Before(*first) {
		*first = at
	}
	if at.After(*last) {
		*last = at
	}
}

// shapeOf finds the shape of the event that was walked, or remembers it.
func (s *Seen) shapeOf(sources []sigma.Logsource) *shape {
	var h maphash.Hash
	h.SetSeed(s.seed)
	for _, src := range sources {
		for _, part := range [...]string{src.Product, src.Category, src.Service} {
			_, _ = h.WriteString(part)
			_ = h.WriteByte(0)
		}
	}
	for i := range s.walk.ends {
		_, _ = h.Write(s.walk.at(i))
		_ = h.WriteByte(1)
	}
	_, _ = h.Write(s.walk.numbers)
	key := h.Sum64()
	if sh, ok := s.shapes[key]; ok {
		return sh
	}
	if len(s.shapes) >= maxShapes {
		s.fold()
	}
	sh := s.remember(sources)
	if sh != nil {
		s.shapes[key] = sh
	}
	return sh
}

// fold counts what the shapes have seen and forgets them.
func (s *Seen) fold() {
	for _, sh := range s.shapes {
		for _, src := range sh.sources {
			for _, f := range sh.fields {
				src.fields[f] += sh.events
			}
			for _, n := range sh.numbers {
				src.numbers[n] += sh.events
			}
		}
	}
	clear(s.shapes)
}

// remember makes room for the sources and names of the event that was walked;
// nil where there is none left.
func (s *Seen) remember(sources []sigma.Logsource) *shape {
	sh := &shape{}
	for _, l := range sources {
		src := s.sources[l]
		if src == nil {
			if len(s.sources) >= maxSources {
				return nil
			}
			src = newSource()
			s.sources[l] = src
		}
		if !slices.Contains(sh.sources, src) {
			sh.sources = append(sh.sources, src)
		}
	}
	for i := range s.walk.ends {
		name := s.walk.at(i)
		if len(name) > maxName {
			continue
		}
		sh.fields = append(sh.fields, string(name))
	}
	slices.Sort(sh.fields)
	sh.fields = slices.Compact(sh.fields)
	if len(s.walk.numbers) > 0 {
		sh.numbers = strings.Split(string(s.walk.numbers[1:]), "\x00")
		slices.Sort(sh.numbers)
		sh.numbers = slices.Compact(sh.numbers)
	}
	for _, src := range sh.sources {
		if len(src.numbers)+len(sh.numbers) > maxNumbers {
			return sh.beyond()
		}
		for _, n := range sh.numbers {
			src.numbers[n] += 0
		}
		for _, f := range sh.fields {
			if _, ok := src.fields[f]; ok {
				continue
			}
			if len(src.fields) >= maxFields || s.total >= maxTotal {
				return sh.beyond()
			}
			src.fields[f] = 0
			s.total++
		}
	}
	return sh
}

// beyond marks the sources of an event for whose names there is no room.
func (sh *shape) beyond() *shape {
	for _, src := range sh.sources {
		src.events++
		src.full = true
	}
	return nil
}

// Merge adds what other has seen. Other is not to be used any more.
func (s *Seen) Merge(other *Seen) {
	other.fold()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fold()
	s.counts.Events += other.counts.Events
	s.counts.Unrouted += other.counts.Unrouted
	s.counts.Unread += other.counts.Unread
	s.counts.Beyond += other.counts.Beyond
	s.counts.Partial = s.counts.Partial || other.counts.Partial
	stretch(&s.counts.First, &s.counts.Last, other.counts.First)
	stretch(&s.counts.First, &s.counts.Last, other.counts.Last)
	for l, from := range other.sources {
		to := s.sources[l]
		if to == nil {
			if len(s.sources) >= maxSources {
				s.counts.Beyond += from.events
				continue
			}
			to = newSource()
			s.sources[l] = to
		}
		to.events += from.events
		to.full = to.full || from.full
		stretch(&to.first, &to.last, from.first)
		stretch(&to.first, &to.last, from.last)
		for v, n := range from.numbers {
			if _, ok := to.numbers[v]; !ok && len(to.numbers) >= maxNumbers {
				to.full = true
				continue
			}
			to.numbers[v] += n
		}
		for f, n := range from.fields {
			if _, ok := to.fields[f]; !ok {
				if len(to.fields) >= maxFields || s.total >= maxTotal {
					to.full = true
					continue
				}
				s.total++
			}
			to.fields[f] += n
		}
	}
}

// SeenSource is a logsource that events were of.
type SeenSource struct {
	Logsource string    `json:"logsource"`
	Events    uint64    `json:"events"`
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"`
	// Fields are the names that its events had, and in how many.
	Fields map[string]uint64 `json:"fields,omitempty"`
	// Numbers are the values of EventID, and how many events had each.
	Numbers map[string]uint64 `json:"event_ids,omitempty"`

	// Full is true where some names were not remembered because there are too
	// many: no field is then said to be missing.
	Full bool `json:"full,omitempty"`

	src sigma.Logsource
}

// Counts returns what was counted.
func (s *Seen) Counts() SeenCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Sources lists what was seen, the most frequent first.
func (s *Seen) Sources() []SeenSource {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fold()
	out := make([]SeenSource, 0, len(s.sources))
	for l, src := range s.sources {
		out = append(out, SeenSource{l.String(), src.events, src.first, src.last, maps.Clone(src.fields), maps.Clone(src.numbers), src.full, l})
	}
	slices.SortFunc(out, func(a, b SeenSource) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.Logsource, b.Logsource))
	})
	return out
}
