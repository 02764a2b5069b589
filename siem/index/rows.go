package index

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
)

// The names under which an event's envelope is searched, beside
// [events.FieldTenant] and [events.FieldSource]. A field of the event itself
// that has one of these names is found as "field.<name>".
const (
	FieldID         = "id"
	FieldTime       = "time"
	FieldReceived   = "received"
	FieldProvenance = "provenance"
	FieldDevice     = "device"
	FieldClass      = "class"
	FieldType       = "type"
	FieldSeverity   = "severity"
	FieldSequence   = "sequence"
	FieldSimulated  = "simulated"
	// FieldUnreadable is "true" where the journal's record is no event; the
	// message is its text.
	FieldUnreadable = "unreadable"
)

// How far a source's clock may be off before its event is searched by the time
// at which it was received: a stamp of 1970 or 2038 would hide it (F10). A
// device that was offline for a month still has its events at their time.
const (
	longestDelay = 30 * 24 * time.Hour
	clockAhead   = 5 * time.Minute
)

var envelopeNames = map[string]bool{
	FieldID: true, FieldTime: true, FieldReceived: true, FieldProvenance: true, FieldDevice: true, FieldClass: true, FieldType: true,
	FieldSeverity: true, FieldSequence: true, FieldSimulated: true, FieldUnreadable: true,
}

// rowsOf appends a frame's events as rows.
func rowsOf(n *normalise.Normaliser, rows []events.Row, f journal.Frame) []events.Row {
	if f.Kind != journal.KindEvents || f.Tenant.IsZero() {
		return rows
	}
	for i, record := range f.Records {
		if i == 0 && isBatch(f) {
			continue
		}
		r := events.Row{Tenant: f.Tenant, Partition: f.Partition, Offset: f.Offset, Index: i, Time: f.Received, Source: f.Source}
		var e core.Event
		if err := json.Unmarshal(record, &e); err != nil || e.Tenant != f.Tenant {
			r.Message = string(record)
			r.Fields = []events.Field{{Name: FieldUnreadable, Value: "true"}}
		} else {
			fill(n, &r, &e)
		}
		rows = append(rows, r)
	}
	return rows
}

// isBatch reports whether a frame begins with the bytes that a device signed:
// evidence, whose events are the records after it. By its place, not by its
// type alone: no device can hide an event by what it calls it.
func isBatch(f journal.Frame) bool {
	var e struct {
		Type string `json:"type"`
	}
	return f.Key != nil && json.Unmarshal(f.Records[0], &e) == nil && e.Type == fleet.TypeBatch
}

// fill makes an event searchable: its envelope, what the normaliser found, and
// the original fields. The first of a name counts, so that no source can take
// the place of what the receiver knows.
func fill(n *normalise.Normaliser, r *events.Row, e *core.Event) {
	r.Source, r.Time = e.Source, searchTime(e.Time, r.Time)
	r.Fields = make([]events.Field, 0, 24)
	add := func(name, value string) {
		if value != "" {
			r.Fields = append(r.Fields, events.Field{Name: name, Value: value})
		}
	}
	add(FieldID, e.ID.String())
	add(FieldTime, stamp(e.Time))
	add(FieldReceived, stamp(e.Received))
	add(FieldProvenance, string(e.Provenance))
	if !e.Device.IsZero() {
		add(FieldDevice, e.Device.String())
	}
	add(FieldClass, strconv.Itoa(e.Class))
	add(FieldType, e.Type)
	add(FieldSeverity, string(e.Severity))
	if e.Sequence != 0 {
		add(FieldSequence, strconv.FormatUint(e.Sequence, 10))
	}
	if e.Simulated {
		add(FieldSimulated, "true")
	}
	n.Event(e, func(field, text string) {
		if !strings.HasPrefix(field, sigma.Reserved) { // the envelope has those
			add(own(field), text)
		}
	})
	if !flatten(e.Fields, func(name, value string) {
		if name == "message" || name == "MESSAGE" {
			r.Message = value
		}
		add(own(name), value)
	}) {
		add(FieldUnreadable, "true")
	}
	if r.Message == "" {
		r.Message = string(e.Fields)
	}
}

// own is the name of an event's own field.
func own(name string) string {
	if envelopeNames[name] {
		return "field." + name
	}
	return name
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// searchTime is the time that an event is searched by.
func searchTime(happened, received time.Time) time.Time {
	if happened.After(received.Add(clockAhead)) || happened.Before(received.Add(-longestDelay)) {
		return received
	}
	return happened
}

// Limits of an event's own fields; what is beyond them stays in the journal.
const (
	maxDepth  = 8
	maxLeaves = 400
)

// flatten hands each leaf of a JSON object to add, nested names joined by dots,
// lists as their text. It reports whether all was read.
func flatten(object []byte, add func(name, value string)) bool {
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	f := flattener{d: d, add: add}
	if !f.object("", 0) {
		return false
	}
	_, err := d.Token()
	return err == io.EOF
}

type flattener struct {
	d      *json.Decoder
	add    func(name, value string)
	leaves int
}

// object reads up to the end of an object whose beginning was read.
func (f *flattener) object(prefix string, depth int) bool {
	for f.d.More() {
		key, err := f.d.Token()
		name, isText := key.(string)
		if err != nil || !isText || !f.value(prefix+name, depth) {
			return false
		}
	}
	_, err := f.d.Token()
	return err == nil
}

func (f *flattener) value(name string, depth int) bool {
	var raw json.RawMessage
	if err := f.d.Decode(&raw); err != nil {
		return false
	}
	if raw[0] == '{' && depth < maxDepth {
		inner := flattener{d: json.NewDecoder(bytes.NewReader(raw)), add: f.add, leaves: f.leaves}
		inner.d.UseNumber()
		if _, err := inner.d.Token(); err != nil {
			return false
		}
		ok := inner.object(name+".", depth+1)
		f.leaves = inner.leaves
		return ok
	}
	if f.leaves++; f.leaves > maxLeaves {
		return false
	}
	f.add(name, leaf(raw))
	return true
}

// leaf is a value as text.
func leaf(raw json.RawMessage) string {
	switch raw[0] {
	case 'n':
		return ""
	case '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	}
	return string(raw)
}
