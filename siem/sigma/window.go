package sigma

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Lateness is the stated tolerance: an event that arrives up to this long
// after its fellows is still counted with them, at its own time. A window is
// kept for its timespan plus this.
const Lateness = 5 * time.Minute

// maxSkew is how far an event's own time may lie after its arrival. A clock
// that runs ahead must not hold windows open.
const maxSkew = time.Minute

// maxText is how much of a group's or a counted value is kept as it is; a
// longer one is told apart by its hash.
const maxText = 128

// The fields by which the normaliser says that several lines tell of one thing.
const (
	// FieldAttempt names the thing: a connection, a session.
	FieldAttempt = Reserved + "attempt"
	// FieldEcho is "true" on an event that counts only where no other event
	// of its attempt does.
	FieldEcho = Reserved + "echo"
)

// Entry is one match inside a window. Times are microseconds since the epoch.
type Entry struct {
	Event string `json:"e"`
	At    int64  `json:"t"`
	// Until is when the entry can be forgotten.
	Until int64 `json:"u"`
	// Value is the counted value; nil where the event has none.
	Value *string `json:"v,omitempty"`
	// Source is the authenticated peer, Provenance how it is known.
	Source     string          `json:"s,omitempty"`
	Provenance core.Provenance `json:"p,omitempty"`
	// Attempt and Echo are [FieldAttempt] and [FieldEcho].
	Attempt string `json:"c,omitempty"`
	Echo    bool   `json:"o,omitempty"`
	// Told marks events that a firing has already named.
	Told bool `json:"f,omitempty"`
}

// Window is what one correlation remembers of one group: plain data, for its
// owner to store.
type Window struct {
	Entries []Entry `json:"entries"`
	// Lost counts entries that had to make room before any firing named them.
	Lost uint64 `json:"lost,omitempty"`
}

// Fact is one match as a correlation sees it.
type Fact struct {
	Event        string
	At, Received time.Time
	Source       string
	Provenance   core.Provenance
	// Fields are those of [Match.Fields].
	Fields map[string]string
}

// Firing says that a correlation holds.
type Firing struct {
	Correlation *Correlation
	// Events are those not named by an earlier firing of the same group.
	Events      []Entry
	First, Last time.Time
	// Lost counts events that belonged to the group and had to make room in
	// its window: they are in the journal, but no firing names them.
	Lost uint64
	// Provenance is what the firing is worth: where the rule holds on
	// authenticated events alone, the weakest of theirs, otherwise
	// unauthenticated. So forged events neither raise nor lower it.
	Provenance core.Provenance
}

// Group returns the key of the group that f belongs to, and the group's fields
// by name. Events that lack a field form a group of their own.
func (c *Correlation) Group(f Fact, r *Rule) (key string, fields map[string]string) {
	fields = make(map[string]string, len(c.GroupBy))
	parts := make([]*string, len(c.GroupBy))
	for i, name := range c.GroupBy {
		if val, ok := f.Fields[c.fieldIn(name, r)]; ok {
			short := shorten(val)
			parts[i], fields[name] = &short, short
		}
	}
	b, err := json.Marshal(parts)
	if err != nil { // a list of strings always marshals
		return "", fields
	}
	return string(b), fields
}

// GroupFields returns the fields of a group by its key.
func (c *Correlation) GroupFields(key string) map[string]string {
	var parts []*string
	if json.Unmarshal([]byte(key), &parts) != nil {
		return nil
	}
	fields := make(map[string]string, len(parts))
	for i, part := range parts {
		if part != nil && i < len(c.GroupBy) {
			fields[c.GroupBy[i]] = *part
		}
	}
	return fields
}

// Due is the time at which [Correlation.Advance] has something to do.
func (c *Correlation) Due(w *Window) int64 {
	var due int64
	for i, e := range w.Entries {
		if i == 0 || c.Rising() && e.Until > due {
			due = e.Until
		}
	}
	return due
}

// shorten keeps long values apart without keeping them.
func shorten(s string) string {
	if len(s) <= maxText {
		return s
	}
	h := sha256.Sum256([]byte(s))
	return s[:maxText/2] + "...sha256:" + hex.EncodeToString(h[:16])
}

func (c *Correlation) entry(f Fact, r *Rule) Entry {
	at := f.At
	if at.IsZero() || at.After(f.Received.Add(maxSkew)) {
		at = f.Received
	}
	keep := f.Received
	if at.After(keep) {
		keep = at
	}
	e := Entry{
		Event: f.Event, At: at.UnixMicro(), Until: keep.Add(c.Timespan + Lateness).UnixMicro(),
		Source: f.Source, Provenance: f.Provenance,
		Attempt: shorten(f.Fields[FieldAttempt]), Echo: f.Fields[FieldEcho] == "true",
	}
	if c.Field != "" {
		if val, ok := f.Fields[c.fieldIn(c.Field, r)]; ok {
			short := shorten(val)
			e.Value = &short
		}
	}
	return e
}

// Add takes a match of the rule r into its group's window. It returns a firing
// where the condition holds in a window that contains the event: times t with
// start <= t < start+timespan. The same event twice counts once, and so do the
// echoes of one attempt.
func (c *Correlation) Add(w *Window, f Fact, r *Rule) *Firing {
	e := c.entry(f, r)
	if !w.admit(&e) {
		return nil
	}
	at, _ := slices.BinarySearchFunc(w.Entries, e, func(a, b Entry) int {
		if a.At <= b.At {
			return -1
		}
		return 1
	})
	w.Entries = slices.Insert(w.Entries, at, e)
	if c.makeRoom(w); !c.Rising() {
		return nil
	}
	at = slices.IndexFunc(w.Entries, func(have Entry) bool { return have.Event == e.Event })
	lo, hi, ok := c.around(w.Entries, at, false)
	if at < 0 || !ok {
		return nil
	}
	_, _, authentic := c.around(w.Entries, at, true)
	return c.fire(w, w.Entries[lo:hi], authentic)
}

// admit says whether e counts beside what is there. An event that is no echo
// takes the place of the echo of its attempt.
func (w *Window) admit(e *Entry) bool {
	for i, have := range w.Entries {
		if have.Event == e.Event {
			return false
		}
		if e.Attempt == "" || have.Attempt != e.Attempt {
			continue
		}
		if e.Echo {
			return false
		}
		if have.Echo {
			e.Told = have.Told
			w.Entries = slices.Delete(w.Entries, i, i+1)
			return true
		}
	}
	return true
}

// Advance moves time to the watermark: it forgets what can no longer count
// and decides conditions that had to wait for a window to close. Call it until
// it returns nil; a window without entries can be dropped.
func (c *Correlation) Advance(w *Window, watermark time.Time) *Firing {
	now := watermark.UnixMicro()
	if c.Rising() {
		w.Entries = slices.DeleteFunc(w.Entries, func(e Entry) bool { return e.Until < now })
		return nil
	}
	for len(w.Entries) > 0 && w.Entries[0].Until < now {
		end := w.Entries[0].At + c.Timespan.Microseconds()
		n := slices.IndexFunc(w.Entries, func(e Entry) bool { return e.At >= end })
		if n < 0 {
			n = len(w.Entries)
		}
		closed := slices.Clone(w.Entries[:n])
		w.Entries = slices.Delete(w.Entries, 0, n)
		if c.Holds(float64(c.count(closed, false))) {
			return c.fire(w, closed, c.Holds(float64(c.count(closed, true))))
		}
	}
	return nil
}

// fire names the events that no firing has named before; nil where there are
// none.
func (c *Correlation) fire(w *Window, in []Entry, authentic bool) *Firing {
	f := &Firing{Correlation: c, Provenance: standing(in, authentic), First: time.UnixMicro(in[0].At).UTC(), Last: time.UnixMicro(in[len(in)-1].At).UTC()}
	for i := range in {
		if !in[i].Told {
			in[i].Told = true
			f.Events = append(f.Events, in[i])
		}
	}
	if len(f.Events) == 0 {
		return nil
	}
	f.Lost, w.Lost = w.Lost, 0
	return f
}

// standing is the weakest provenance that the firing needs.
func standing(in []Entry, authentic bool) core.Provenance {
	if !authentic {
		return core.ProvenanceUnauthenticated
	}
	weakest := 0
	for _, e := range in {
		if e.Provenance.Authenticated() {
			weakest = max(weakest, slices.Index(core.Provenances, e.Provenance))
		}
	}
	return core.Provenances[weakest]
}

// around slides a window of the timespan over the entries, as far as it
// contains entry k, and returns what the holding windows cover together.
func (c *Correlation) around(entries []Entry, k int, authentic bool) (lo, hi int, ok bool) {
	if k < 0 {
		return 0, 0, false
	}
	span := c.Timespan.Microseconds()
	lo = k
	for lo > 0 && entries[lo-1].At > entries[k].At-span {
		lo--
	}
	t := newTally(c, authentic)
	first, last, end := -1, -1, lo
	for start := lo; start <= k; start++ {
		for end < len(entries) && entries[end].At < entries[start].At+span {
			t.add(entries[end], 1)
			end++
		}
		if c.Holds(float64(t.count())) {
			if first < 0 {
				first = start
			}
			last = end
		}
		t.add(entries[start], -1)
	}
	return first, last, first >= 0
}

func (c *Correlation) count(entries []Entry, authentic bool) int {
	t := newTally(c, authentic)
	for _, e := range entries {
		t.add(e, 1)
	}
	return t.count()
}

// tally counts events or distinct values as a window slides.
type tally struct {
	kind      Kind
	authentic bool
	events    int
	values    map[string]int
}

func newTally(c *Correlation, authentic bool) *tally {
	return &tally{kind: c.Kind, authentic: authentic, values: make(map[string]int)}
}

func (t *tally) add(e Entry, n int) {
	if t.authentic && !e.Provenance.Authenticated() {
		return
	}
	t.events += n
	if e.Value == nil {
		return
	}
	if t.values[*e.Value] += n; t.values[*e.Value] == 0 {
		delete(t.values, *e.Value)
	}
}

func (t *tally) count() int {
	if t.kind == ValueCount {
		return len(t.values)
	}
	return t.events
}

// makeRoom bounds a window. Of a value_count it gives up an entry whose value
// another one still holds, so that hammering on one account can't push the
// other accounts out.
func (c *Correlation) makeRoom(w *Window) {
	limit := max(4*c.Threshold(), 64)
	for len(w.Entries) > limit {
		victim := 0
		if c.Kind == ValueCount {
			victim = c.spare(w.Entries)
		}
		if !w.Entries[victim].Told {
			w.Lost++
		}
		w.Entries = slices.Delete(w.Entries, victim, victim+1)
	}
}

// spare is the oldest entry that a younger one with the same value makes
// superfluous, or the oldest of all.
func (c *Correlation) spare(entries []Entry) int {
	later := make(map[string]int, len(entries))
	for i, e := range entries {
		if e.Value == nil {
			return i
		}
		later[*e.Value] = i
	}
	for i, e := range entries {
		if later[*e.Value] != i {
			return i
		}
	}
	return 0
}
