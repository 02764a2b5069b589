package coverage

import (
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// Reader notes events in a [Seen] as detection would see them: the normaliser's
// logsources, and those that the event's own fields say. It belongs to one goroutine.
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
		r.Seen.Unread(1)
		return
	}
	sources = slices.Clip(sources)
	for _, routed := range r.view.Sources() {
		if !slices.Contains(sources, routed) {
			sources = append(sources, routed)
		}
	}
	r.Seen.Add(e.Received, sources, e.Fields, r.found)
}
