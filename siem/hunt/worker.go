package hunt

import (
	"bytes"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/collect"
	"github.com/interlock-security/interlock/siem/hunt/evtx"
	"github.com/interlock-security/interlock/siem/internal/jsonwalk"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
)

// hit is one rule that held, with what is needed of the event when its bytes
// are gone.
type hit struct {
	rule   *sigma.Rule
	alerts bool
	event  int // within the block
	time   time.Time
	host   string
	fields []sigma.Field
	why    []sigma.Field
	facts  []sigma.Field // for correlations
}

// file is one that is being read.
type file struct {
	item
	index   int
	form    form
	dialect dialect
	inner   string // the member that holds the event, "" if a record is one
	blocks  chan *block
	err     error // why the reader ended early; read after blocks is closed
}

// worker matches blocks. It has a view of its own and buffers that it reuses.
type worker struct {
	h      *hunt
	view   *sigma.View
	origin *origin
	evtx   evtx.Decoder
	norm   *normalise.Normaliser
	buf    []byte
	// envelope takes events out of what is around them.
	envelope jsonwalk.Walker
	// Rules that fired, by themselves, and how often each was explained in this
	// block.
	singles map[*sigma.Rule]single
	told    map[*sigma.Rule]int

	// The event that is being asked.
	b       *block
	event   []byte
	at      time.Time // what the form of the file says, zero if nothing
	host    string
	looked  bool
	forced  [1]sigma.Logsource
	emit    func(sigma.Match)
	setter  func(field, text string)
	setting core.Event
}

func (h *hunt) newWorker() *worker {
	w := &worker{h: h, view: h.Engine.NewView(), origin: newOrigin(), norm: normalise.New(), singles: make(map[*sigma.Rule]single), told: make(map[*sigma.Rule]int)}
	w.emit, w.setter = w.hit, w.view.Set
	if h.visit != nil {
		w.setter = func(field, text string) {
			h.visit.vouched = append(h.visit.vouched, sigma.Field{Name: field, Value: text})
			w.view.Set(field, text)
		}
	}
	if h.Force != nil {
		w.forced[0] = *h.Force
	}
	return w
}

// do matches a block and gives its buffer back.
func (w *worker) do(b *block) {
	w.b = b
	clear(w.told)
	switch {
	case b.spans != nil || b.file.form == formDocs || b.file.form == formWrapped:
		w.spans()
	case b.file.form == formEvtx:
		w.chunks()
	default:
		w.lines()
	}
	if w.h.visit != nil {
		w.h.visit.done(b)
	}
	w.h.Progress.Events.Add(int64(b.events))
	giveBuffer(b.data)
	b.data = nil
	close(b.done)
}

func (w *worker) spans() {
	b := w.b
	from := 0
	for _, s := range b.spans {
		b.lines += bytes.Count(b.data[from:s.from], newline)
		from = s.from
		if s.why != "" {
			w.fault(b.lines+1, s.why)
			b.events++
			continue
		}
		w.object(b.data[s.from:s.to], b.lines+1)
	}
	b.lines += bytes.Count(b.data[from:], newline)
}

var newline = []byte{'\n'}

func (w *worker) lines() {
	b := w.b
	for rest := b.data; len(rest) > 0; b.lines++ {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		switch {
		case b.file.form == formLines, b.file.form == formText && line[0] == '{' && balanced(line) == len(line):
			w.object(line, b.lines+1)
		case b.file.form == formAudit:
			w.auditd(line)
		default:
			w.text(line)
		}
	}
}

func (w *worker) fault(line int, why string) {
	w.b.faults = append(w.b.faults, Fault{Line: line, Event: w.b.events, Why: why})
}

// begin clears the view for the next event.
func (w *worker) begin() {
	if w.h.visit != nil {
		w.h.visit.vouched = w.h.visit.vouched[:0]
	}
	w.view.Reset()
	w.at, w.host, w.looked = time.Time{}, "", false
}

// object asks about one JSON object.
func (w *worker) object(event []byte, line int) {
	w.begin()
	if w.b.file.inner != "" {
		if inner := member(&w.envelope, event, w.b.file.inner); inner != nil {
			event = inner
		}
	}
	var sources []sigma.Logsource
	if w.b.file.dialect == journald {
		sources = w.normalise(event, "")
	}
	w.ask(event, line, sources)
}

// normalise lets the normaliser read a line of a log, before the event is
// loaded.
func (w *worker) normalise(event []byte, program string) []sigma.Logsource {
	w.setting = core.Event{Source: "hunt", Type: collect.TypeOf(program), Fields: event}
	sources, _ := w.norm.Event(&w.setting, w.setter)
	return sources
}

func (w *worker) text(line []byte) {
	w.begin()
	l := readLine(string(line), w.b.file.stamp, w.h.Zone)
	w.at, w.host = l.Time, l.Host
	w.buf = l.appendJSON(w.buf[:0])
	var sources []sigma.Logsource
	if l.known {
		sources = w.normalise(w.buf, l.Program)
	}
	w.ask(w.buf, w.b.lines+1, sources)
}

var auditSources = []sigma.Logsource{{Product: "linux", Service: "auditd"}}

func (w *worker) auditd(line []byte) {
	a, ok := normalise.ParseAudit(string(line))
	if !ok {
		w.fault(w.b.lines+1, "not a record of auditd")
		w.b.events++
		return
	}
	w.begin()
	w.buf = appendAudit(w.buf[:0], &a)
	w.at, w.host = a.Time, a.Node
	w.ask(w.buf, w.b.lines+1, auditSources)
}

func (w *worker) chunks() {
	b := w.b
	for from := 0; from < len(b.data); from += evtx.ChunkSize {
		err := w.evtx.Chunk(b.data[from:min(len(b.data), from+evtx.ChunkSize)], func(r evtx.Record) {
			if r.Err != nil {
				w.fault(0, place(b.at+int64(from+r.Offset), r.Err))
				b.events++
				return
			}
			w.begin()
			w.at = r.Time
			w.ask(r.JSON, 0, nil)
		})
		if err != nil {
			b.faults = append(b.faults, Fault{Event: -1, Why: place(b.at+int64(from), err)})
		}
	}
}

// ask loads an event and asks the rules of its sources, or of every one where
// nobody knows them.
func (w *worker) ask(event []byte, line int, sources []sigma.Logsource) {
	w.event = event
	if err := w.view.Load(event); err != nil {
		w.fault(line, reason(err))
		w.b.events++
		return
	}
	if w.h.visit != nil {
		w.h.visit.event(w, event, sources)
		w.b.events++
		return
	}
	if w.h.Force != nil {
		w.h.Engine.Match(w.view, w.forced[:], w.emit)
		w.b.events++
		return
	}
	routed := w.view.Sources()
	w.h.Engine.Match(w.view, routed, w.emit)
	if len(sources)+len(routed) == 0 {
		sources = w.h.every
		w.b.unrouted++
	}
	w.h.Engine.Match(w.view, sources, w.emit)
	w.b.events++
}

// reason is an error of the engine without where it came from.
func reason(err error) string {
	if _, why, ok := strings.Cut(err.Error(), ": "); ok {
		return why
	}
	return err.Error()
}

// hit takes one match.
func (w *worker) hit(m sigma.Match) {
	if w.h.Force == nil && w.seen(m.Rule) {
		return
	}
	feeds := w.h.feeds[m.Rule]
	wanted := m.Alerts && w.h.Keep(m.Rule)
	if !feeds && !wanted {
		return
	}
	w.look()
	t := hit{rule: m.Rule, alerts: wanted, event: w.b.events, time: w.at, host: w.host}
	if feeds {
		t.facts = m.AppendFields(nil)
	}
	if wanted {
		t.fields, t.why = w.fields(m.Rule), w.why(m.Rule)
	}
	w.b.hits = append(w.b.hits, t)
}

// seen reports whether this event has this rule already: two calls of Match may
// both reach it.
func (w *worker) seen(r *sigma.Rule) bool {
	for i := len(w.b.hits) - 1; i >= 0 && w.b.hits[i].event == w.b.events; i-- {
		if w.b.hits[i].rule == r {
			return true
		}
	}
	return false
}

// look finds time and host in the event, the first time that a rule holds.
func (w *worker) look() {
	if w.looked {
		return
	}
	w.looked = true
	w.origin.of(w.event)
	if w.at.IsZero() {
		w.at = w.origin.stamped
	}
	if w.host == "" {
		w.host = clip(string(w.origin.host), 255)
	}
}

// fields are those that the rule asks for; a rule of bare keywords shows what
// the event says.
func (w *worker) fields(r *sigma.Rule) []sigma.Field {
	var out []sigma.Field
	for _, name := range r.Fields() {
		if text, ok := w.view.First(name); ok && len(out) < maxFields {
			out = append(out, sigma.Field{Name: name, Value: clip(text, maxFieldBytes)})
		}
	}
	if len(out) == 0 && len(w.origin.text) > 0 {
		out = append(out, sigma.Field{Name: "message", Value: clip(unescape(w.origin.text), maxFieldBytes)})
	}
	return out
}

// clip shortens a text at the beginning of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return strings.Clone(s[:n]) + "…"
}
