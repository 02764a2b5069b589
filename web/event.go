package web

import (
	"bytes"
	"encoding/json"
	"html/template"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// eventView is an event as a row shows it, on the server and in the script.
type eventView struct {
	At        time.Time     `json:"at"`
	Severity  core.Severity `json:"severity"`
	Source    pieces        `json:"source"`
	Device    string        `json:"device,omitempty"` // where the source leads
	Type      pieces        `json:"type"`
	Fields    pieces        `json:"fields"`
	Simulated bool          `json:"simulated,omitempty"`
	Skipped   int           `json:"skipped,omitempty"`
}

// How much of a text a row shows, in bytes. A hostile byte takes six on the page,
// and a page has a limit.
const (
	maxCell   = 80
	maxFields = 240
)

// viewOf reads an event's JSON.
func viewOf(record []byte) (eventView, bool) {
	var ev core.Event
	if err := json.Unmarshal(record, &ev); err != nil {
		return eventView{}, false
	}
	return eventView{
		At: ev.Time, Severity: ev.Severity, Simulated: ev.Simulated, Device: ev.Device.String(),
		Source: piecesOf(cut(ev.Source, maxCell)), Type: piecesOf(cut(ev.Type, maxCell)), Fields: piecesOf(cut(fieldsLine(ev.Fields), maxFields)),
	}, true
}

// EncodeEvent makes of an event's JSON what the live page's script draws: text,
// cut, with what can't be seen marked. It returns nil for what is no event.
func EncodeEvent(record []byte) []byte {
	v, ok := viewOf(record)
	if !ok {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// pieces is text in parts: those that stand for what can't be seen are escapes.
type pieces []piece

type piece struct {
	text   string
	escape bool
}

// piecesOf splits text as [plain] shows it.
func piecesOf(text string) pieces {
	list := pieces{}
	add := func(text string, escape bool) string {
		if n := len(list); n > 0 && escape == list[n-1].escape {
			list[n-1].text += text
		} else {
			list = append(list, piece{text, escape})
		}
		return ""
	}
	visible(text, func(s string) string { return add(s, true) }, func(r rune) string { return add(string(r), false) })
	return list
}

// MarshalJSON writes ["text"] and ["\\u202e", true].
func (p piece) MarshalJSON() ([]byte, error) {
	if p.escape {
		return json.Marshal([]any{p.text, true})
	}
	return json.Marshal([]any{p.text})
}

// HTML is the text as a page shows it.
func (p pieces) HTML() template.HTML {
	var b strings.Builder
	b.WriteString("<bdi>")
	for _, piece := range p {
		text := template.HTMLEscapeString(piece.text)
		if piece.escape {
			text = `<span class="esc">` + text + `</span>`
		}
		b.WriteString(text)
	}
	b.WriteString("</bdi>")
	return template.HTML(b.String()) //nolint:gosec // every piece was escaped above
}

// fieldsLine tells an event's fields on one line, in the order in which they
// came: key=value key=value.
func fieldsLine(raw json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return string(raw)
	}
	var b strings.Builder
	for d.More() && b.Len() < 2*maxFields {
		key, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		name, _ := key.(string)
		b.WriteString(name + "=" + scalar(value))
	}
	return b.String()
}

// scalar is a value as people write it: text in quotes only where it holds a
// space.
func scalar(value json.RawMessage) string {
	var s string
	switch {
	case json.Unmarshal(value, &s) != nil:
		return string(value)
	case strings.Contains(s, " "):
		return `"` + s + `"`
	}
	return s
}
