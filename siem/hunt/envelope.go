package hunt

import "bytes"

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
	var w walker
	for _, name := range envelopes {
		inner := w.member(record, name)
		switch {
		case inner == nil:
		case name == "_source" && w.has(record, "_index"), name == "result" && w.has(record, "preview"):
			return name
		case w.looksLikeEvent(inner) && !w.looksLikeEvent(record):
			return name
		}
	}
	return ""
}

// telling are members by which an event can be told.
var telling = []string{"EventID", "Channel", "@timestamp", "eventName", "eventType", "SYSLOG_IDENTIFIER", "MESSAGE", "type", "message"}

func (w *walker) looksLikeEvent(object []byte) bool {
	for _, name := range telling {
		if w.has(object, name) {
			return true
		}
	}
	return false
}

func (w *walker) has(object []byte, name string) bool { return w.find(object, name) != nil }

// member returns the object that is a member of an object.
func (w *walker) member(object []byte, name string) []byte {
	if val := w.find(object, name); len(val) > 0 && val[0] == '{' {
		return val
	}
	return nil
}

// find returns a member of an object as it stands there, nil if it has none of
// that name or is no JSON up to there.
func (w *walker) find(object []byte, name string) []byte {
	w.b, w.i, w.path, w.visit = object, 0, w.path[:0], goOn
	if !w.next('{') {
		return nil
	}
	for {
		w.space()
		from := w.i
		if !w.str() {
			return nil
		}
		key := object[from+1 : w.i-1]
		if !w.next(':') {
			return nil
		}
		w.space()
		at := w.i
		if !w.value(1) {
			return nil
		}
		if string(key) == name {
			return object[at:w.i]
		}
		if !w.next(',') {
			return nil
		}
	}
}

func goOn([]byte, []byte) bool { return true }
