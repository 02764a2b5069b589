package coverage

import (
	"encoding/json"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// Reader notes events in a [Seen] as detection would see them: the normaliser's
// logsources, and where it has none those that the event's own fields say. It
// belongs to one goroutine.
type Reader struct {
	Seen *Seen

	view  *sigma.View
	norm  *normalise.Normaliser
	found []string
	set   func(field, text string)
}

// NewReader makes a reader for a Seen.
func NewReader(seen *Seen) (*Reader, error) {
	e, err := sigma.Compile(nil, sigma.Options{Aliases: taxonomy.Aliases, Routes: taxonomy.Routes()})
	if err != nil {
		return nil, err
	}
	r := &Reader{Seen: seen, view: e.NewView(), norm: normalise.New()}
	r.set = func(field, text string) {
		if text != "" {
			r.found = append(r.found, field)
		}
		r.view.Set(field, text)
	}
	return r, nil
}

// Event notes an event of the journal.
func (r *Reader) Event(e *core.Event) {
	r.found = r.found[:0]
	r.view.Reset()
	sources, _ := r.norm.Event(e, r.set)
	if r.view.Load(e.Fields) != nil {
		r.Seen.Unread()
		return
	}
	if len(sources) == 0 {
		sources = r.view.Sources()
	}
	r.Seen.Add(e.Received, sources, e.Fields, r.found)
}

// Object notes an event of a file: a JSON object as its source wrote it.
func (r *Reader) Object(at time.Time, object []byte) {
	r.view.Reset()
	if r.view.Load(object) != nil {
		r.Seen.Unread()
		return
	}
	r.Seen.Add(at, r.view.Sources(), object, nil)
}

// Line notes a line of a log: what a syslog daemon or auditd wrote. Others have
// no program and are of no logsource.
func (r *Reader) Line(at time.Time, text string, loc *time.Location) {
	l := struct {
		Program string `json:"program,omitempty"`
		PID     string `json:"pid,omitempty"`
		Message string `json:"message"`
	}{Message: text}
	if h, ok := normalise.ParseLine(text, at, loc); ok {
		at, l.Program, l.PID, l.Message = h.Time, h.Program, h.PID, h.Message
	} else if a, ok := normalise.ParseAudit(text); ok {
		at = a.Time
	}
	fields, err := json.Marshal(l)
	if err != nil {
		r.Seen.Unread()
		return
	}
	r.Event(&core.Event{Source: "file", Received: at, Fields: fields})
}
