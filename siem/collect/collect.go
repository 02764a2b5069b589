// Package collect is how events come in that are not a device's: log files,
// syslog, the journal of systemd. Each collector is a small package of its own
// with this interface; docs/howto/new-collector.md says how to write one.
//
// What every collector promises:
//
//   - The original stays: the line, or the object, is in the event's fields as
//     it came. Normalising happens later, in memory.
//   - Source and provenance are set by the receiver. What a message says about
//     its own origin is a field, and no more than a claim (TRUST F17).
//   - A place in the input is given up only after the sink has said that the
//     frame is durable. Where the input can wait, it waits; where it can't
//     (UDP), what is lost is counted, and the count is an event.
//   - Limits come before parsing, and what is cut says so.
package collect

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
)

// Sink takes frames. Append returns nil only when the frame is durable; the
// same frame (by its Key) may come again after a crash.
type Sink interface {
	Append(ctx context.Context, f journal.Frame) error
}

// Appender is the raw journal as far as [Journal] writes it.
type Appender interface {
	Append(ctx context.Context, frames ...journal.Frame) ([]journal.Appended, error)
}

// Journal makes the raw journal a sink.
func Journal(raw Appender) Sink { return journalSink{raw} }

type journalSink struct{ raw Appender }

func (j journalSink) Append(ctx context.Context, f journal.Frame) error {
	_, err := j.raw.Append(ctx, f)
	return err
}

// Capabilities say what a collector can do, for people and for the posture.
type Capabilities struct {
	Kind string `json:"kind"` // "file", "syslog", "journald"
	// Provenance is the strongest that its events can have.
	Provenance core.Provenance `json:"provenance"`
	// Lossless is true where the input waits for us.
	Lossless bool `json:"lossless"`
	// MaxRecord is where a record is cut, in bytes.
	MaxRecord int `json:"max_record"`
}

// Presence is the answer of a probe: here, or skipped and why. Skipped is shown,
// it is never the same as quiet.
type Presence struct {
	Present bool   `json:"present"`
	Reason  string `json:"reason,omitempty"`
}

// Counts are what a collector has done since it started.
type Counts struct {
	Records uint64 `json:"records"`
	// Cut are records longer than MaxRecord, Unparsed those whose form was not
	// understood; both are kept.
	Cut      uint64 `json:"cut"`
	Unparsed uint64 `json:"unparsed"`
	// Lost are records that are not in the journal and never will be.
	Lost uint64 `json:"lost"`
	// Retries are appends that the sink refused at first.
	Retries uint64 `json:"retries"`
}

// Collector takes events in until ctx ends. Run is called once.
type Collector interface {
	Name() string
	Capabilities() Capabilities
	Probe(ctx context.Context) Presence
	Run(ctx context.Context, sink Sink) error
	Counts() Counts
}

// Line are the fields of an event that was one line of text. Everything but
// Line and what describes it is read from the line, for convenience; nothing
// of it is believed.
type Line struct {
	Line string `json:"line"`
	// Raw is the line's bytes where it was not valid UTF-8, base64 in JSON.
	Raw []byte `json:"raw,omitempty"`
	// Cut is true where the line was longer than the limit.
	Cut      bool   `json:"cut,omitempty"`
	Path     string `json:"path,omitempty"`
	Host     string `json:"host,omitempty"`
	Program  string `json:"program,omitempty"`
	PID      string `json:"pid,omitempty"`
	Message  string `json:"message,omitempty"`
	Facility string `json:"facility,omitempty"`
	Level    string `json:"level,omitempty"`
	// Structured is RFC 5424 structured data, by element and name.
	Structured map[string]map[string]string `json:"structured,omitempty"`
}

// SetLine keeps the bytes of a line as they came.
func (l *Line) SetLine(b []byte) {
	l.Line = string(b)
	if !utf8.Valid(b) {
		l.Raw = append([]byte(nil), b...)
	}
}

// Origin is what a collector knows of all its events.
type Origin struct {
	Tenant     core.TenantID
	Source     string
	Provenance core.Provenance
}

// Event makes a record of fields. What can't be marshalled can't happen: the
// fields are ours.
func (o Origin) Event(id core.UUID, at, received time.Time, kind string, severity core.Severity, fields any) ([]byte, error) {
	b, err := json.Marshal(fields)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "collect.Event", err)
	}
	record, err := json.Marshal(core.Event{
		ID: id, Time: at, Received: received, Tenant: o.Tenant, Source: o.Source, Provenance: o.Provenance,
		Type: kind, Severity: severity, Fields: b,
	})
	return record, core.Wrap(core.KindInternal, "collect.Event", err)
}

// TypeLoss is the type of the event that says that a collector lost records.
const TypeLoss = "collector_loss"

// Loss makes the record that says so. The collector itself is its source.
func (o Origin) Loss(now time.Time, lost uint64, why string) ([]byte, error) {
	o.Provenance = core.ProvenanceLocal
	return o.Event(core.NewUUID(now), now, now, TypeLoss, core.SeverityMedium, map[string]any{"lost": lost, "why": why})
}

// EventID makes an identifier from the place that a record has in its input, so
// that reading the place again gives the same event.
func EventID(at time.Time, place string) core.UUID {
	sum := sha256.Sum256([]byte("interlock-event-v1\x00" + place))
	var u core.UUID
	copy(u[:], sum[:])
	ms := uint64(at.UnixMilli())
	binary.BigEndian.PutUint32(u[0:4], uint32(ms>>16))
	binary.BigEndian.PutUint16(u[4:6], uint16(ms))
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u
}

// TypeOf makes an event's type of a program's name: the name where it is a
// plain word, "log" where it could be anything.
func TypeOf(program string) string {
	if program == "" || len(program) > 48 {
		return "log"
	}
	for _, c := range []byte(program) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return "log"
		}
	}
	return program
}

// PeerID makes the name under which a collector's frames are kept apart in the
// journal, from the input that it reads.
func PeerID(kind, input string) core.DeviceID {
	sum := sha256.Sum256([]byte(input))
	return core.MustID[core.DeviceID](fmt.Sprintf("%s-%x", kind, sum[:8]))
}

// Backoff bounds of [Deliver].
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// Deliver appends a frame, trying again until it is durable or ctx ends. It
// never gives a frame up. failed is called for each refusal.
func Deliver(ctx context.Context, clock core.Clock, sink Sink, f journal.Frame, failed func(error)) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := sink.Append(ctx, f)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed(err)
		select {
		case <-clock.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
