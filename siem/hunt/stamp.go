package hunt

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/siem/internal/jsonwalk"
)

// Names under which events carry their time and their host, best first: what
// the machine itself noted goes before what a collector did later, and a stamp
// with a zone before one without.
var (
	timeNames = []string{
		"TimeCreated", "SystemTime", "Event.System.TimeCreated.SystemTime", "Event.System.TimeCreated.#attributes.SystemTime",
		"Event.System.TimeCreated_attributes.SystemTime", "System.TimeCreated.SystemTime", "data.win.system.systemTime",
		"UtcTime", "winlog.event_data.UtcTime", "@timestamp", "eventTime", "EventTimestamp", "timestamp", "time",
		"TimeGenerated", "createdDateTime", "activityDateTime", "CreationTime", "published", "ts", "_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP",
		"event.created", "created_at", "protoPayload.requestMetadata.requestAttributes.time", "requestReceivedTimestamp", "EventTime", "EventReceivedTime", "datetime", "date",
	}
	hostNames = []string{
		"Computer", "Event.System.Computer", "System.Computer", "data.win.system.computer", "Hostname", "winlog.computer_name", "host.hostname", "host.name", "computer_name", "ComputerName", "hostname", "_HOSTNAME",
		"host", "agent.hostname", "agent.name", "node", "recipientAccountId",
	}
	textNames = []string{"Message", "message", "MESSAGE", "msg", "log", "eventName", "operationName"}
)

// origin finds time, host and text of one event.
type origin struct {
	json             jsonwalk.Walker
	names            map[string]named
	time, host, text []byte
	rank             [3]int
	stamped          time.Time
}

type named struct{ what, rank int }

const (
	isTime = iota
	isHost
	isText
)

func newOrigin() *origin {
	o := &origin{names: make(map[string]named)}
	for what, list := range [][]string{timeNames, hostNames, textNames} {
		for rank, name := range list {
			o.names[name] = named{what, rank}
		}
	}
	o.json.Visit = o.see
	return o
}

// of looks through an event once.
func (o *origin) of(event []byte) {
	o.time, o.host, o.text, o.stamped = nil, nil, nil, time.Time{}
	o.rank = [3]int{1 << 10, 1 << 10, 1 << 10}
	o.json.Object(event)
}

func (o *origin) see(path, val []byte) {
	n, ok := o.names[string(path)]
	if !ok || n.rank >= o.rank[n.what] {
		return
	}
	val = bytes.Trim(val, `"`)
	switch n.what {
	case isTime:
		t, ok := stampOf(string(val))
		if !ok {
			return
		}
		o.stamped = t
	case isHost:
		o.host = val
	case isText:
		o.text = val
	}
	o.rank[n.what] = n.rank
}

// Layouts of stamps with a zone of their own, and of those that are taken as
// UTC.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006/01/02 15:04:05.999999999", "02/Jan/2006:15:04:05 -0700",
	"2006-01-02 15:04:05.999999999 UTC", "01/02/2006 15:04:05", "Mon, 02 Jan 2006 15:04:05 MST",
}

// stampOf reads a time. A bare number is seconds, or a thousandth, a millionth
// or a billionth of them: whichever puts it in our days.
func stampOf(s string) (time.Time, bool) {
	if len(s) < 8 || len(s) > 64 {
		return time.Time{}, false
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), sane(t)
		}
	}
	if ms, ok := strings.CutPrefix(s, `/Date(`); ok {
		s = strings.TrimRight(ms, `)/`)
	}
	return number(strings.TrimPrefix(s, `\/Date(`))
}

func number(s string) (time.Time, bool) {
	s = strings.TrimRight(s, `)\/`)
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, false
	}
	ns := int64(0)
	if fraction != "" {
		f, err := strconv.ParseFloat("0."+fraction, 64)
		if err != nil {
			return time.Time{}, false
		}
		ns = int64(f * 1e9)
	}
	var t time.Time
	switch {
	case n < 1e11:
		t = time.Unix(n, ns)
	case n < 1e14:
		t = time.UnixMilli(n)
	case n < 1e17:
		t = time.UnixMicro(n)
	default:
		t = time.Unix(0, n)
	}
	return t.UTC(), sane(t)
}

// sane keeps out what is a number of something else.
func sane(t time.Time) bool { return t.Year() >= 1980 && t.Year() < 2200 }
