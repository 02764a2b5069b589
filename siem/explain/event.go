package explain

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
)

// Received reports on an event of the journal, read as detection reads it.
func Received(e *sigma.Engine, ev *core.Event, o Options) Report {
	v := e.NewView()
	v.Reset()
	sources, _ := normalise.New().Event(ev, v.Set)
	fault := v.Load(ev.Fields)
	r := View(e, v, append(slices.Clone(sources), v.Sources()...), o)
	if fault != nil { // the rules are asked about what could be read
		r.Fault = fault.Error()
	}
	return r
}

// Exported reads an event in the form in which a server gives it away, as
// `interlock events tail --json` does.
func Exported(object []byte) (*core.Event, bool) {
	var ev core.Event
	d := json.NewDecoder(bytes.NewReader(object))
	d.DisallowUnknownFields()
	if err := d.Decode(&ev); err != nil || ev.ID.IsZero() || ev.Received.IsZero() || ev.Source == "" || len(ev.Fields) == 0 {
		return nil, false
	}
	return &ev, true
}
