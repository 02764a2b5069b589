package hunt

import (
	"bytes"

	"github.com/interlock-security/interlock/siem/internal/jsonwalk"
)

// envelopes are exports that put each event into a member of its own, beside
// what the exporting program has to say: Elasticsearch, Splunk, test cases.
var envelopes = []string{"_source", "result", "event"}

// envelopeOf returns the member that holds the event in the first record of a
// file, "" if records are events themselves. Something is an envelope only where
// what stands in it looks like an event and what stands around it does not:
// `event` is a member of events in ECS, too.
func envelopeOf(head []byte) string {
	at := bytes.IndexByte(head, '{')
	if at < 0 {
		return ""
	}
	record := head[at:]
	if n := balanced(record); n > 0 {
		record = record[:n]
	}
	for _, name := range envelopes {
		inner := member(new(jsonwalk.Walker), record, name)
		switch {
		case inner == nil:
		case name == "_source" && has(record, "_index"), name == "result" && has(record, "preview"):
			return name
		case looksLikeEvent(inner) && !looksLikeEvent(record):
			return name
		}
	}
	return ""
}

// telling are members by which an event can be told.
var telling = []string{"EventID", "Channel", "@timestamp", "eventName", "eventType", "SYSLOG_IDENTIFIER", "MESSAGE", "type", "message"}

func looksLikeEvent(object []byte) bool {
	for _, name := range telling {
		if has(object, name) {
			return true
		}
	}
	return false
}

func has(object []byte, name string) bool { return new(jsonwalk.Walker).Member(object, name) != nil }

// member returns the object that is a member of an object.
func member(w *jsonwalk.Walker, object []byte, name string) []byte {
	if val := w.Member(object, name); len(val) > 0 && val[0] == '{' {
		return val
	}
	return nil
}
