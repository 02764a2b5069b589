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
	return View(e, v, sources, o), nil
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
	r := View(e, v, v.Sources(), o)
	r.Routes = RoutesOf(v)
	return r, nil
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
