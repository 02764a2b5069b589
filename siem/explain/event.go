package explain

import (
	"bytes"
	"encoding/json"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
)

// Received reports on an event of the journal, read as detection reads it.
func Received(e *sigma.Engine, ev *core.Event, o Options) (Report, error) {
	v := e.NewView()
	v.Reset()
	sources, _ := normalise.New().Event(ev, v.Set)
	if err := v.Load(ev.Fields); err != nil {
		return Report{}, core.Wrap(core.KindInvalid, "explain.Received", err)
	}
	return routed(e, v, sources, o), nil
}

// routed asks the event's own fields what it is of where nothing else says so.
func routed(e *sigma.Engine, v *sigma.View, sources []sigma.Logsource, o Options) Report {
	if len(sources) > 0 {
		return View(e, v, sources, o)
	}
	r := View(e, v, v.Sources(), o)
	r.Reasons = reasonsOf(v)
	return r
}

// Raw reports on an event as its source wrote it, one JSON object. An event that
// this server exported says itself how it was received. forced is what the event
// is of, nil to let it say so itself.
func Raw(e *sigma.Engine, object []byte, forced *sigma.Logsource, o Options) (Report, error) {
	if ev, ok := exported(object); ok && forced == nil {
		return Received(e, ev, o)
	}
	v := e.NewView()
	v.Reset()
	if err := v.Load(object); err != nil {
		return Report{}, core.Wrap(core.KindInvalid, "explain.Raw", err)
	}
	if forced != nil {
		return View(e, v, []sigma.Logsource{*forced}, o), nil
	}
	return routed(e, v, nil, o), nil
}

// exported reads an event in the form of `interlock events tail --json`.
func exported(object []byte) (*core.Event, bool) {
	var ev core.Event
	d := json.NewDecoder(bytes.NewReader(object))
	d.DisallowUnknownFields()
	if err := d.Decode(&ev); err != nil || ev.ID.IsZero() || ev.Received.IsZero() || ev.Source == "" || len(ev.Fields) == 0 {
		return nil, false
	}
	return &ev, true
}
