package spool

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// Class is how dear an event is when space runs out: higher goes later.
type Class uint8

// The classes. Those below ClassReserved are the severities from info up.
const (
	ClassReserved Class = 5 // results, refusals, losses, lost and found sensors
	ClassLatch    Class = 6
)

// space is which account an event is charged to: what sensors can cause at
// will, and what they can't.
func (c Class) space() int {
	if c >= ClassReserved {
		return 1
	}
	return 0
}

// EventLost is the type of the event that tells what was dropped.
const EventLost = "events_lost"

// reserved are the types of events that have space of their own. All of them
// are made by the agent, none by a sensor.
var reserved = map[string]bool{
	EventLost: true, "order_result": true, "order_refused": true, "release_pending": true, "latch_released": true,
	"receipt_invalid": true, "epoch_changed": true, "sequence_fork": true, "log_diverted": true, "local_refused": true, "sensor_lost": true,
}

// ClassOf returns the class of an event.
func ClassOf(e link.DeviceEvent) Class {
	switch {
	case e.Latch != "" && e.Type != "latch_released":
		return ClassLatch
	case reserved[e.Type]:
		return ClassReserved
	}
	return Class(max(0, e.Severity.Rank()))
}

// record is one frame of the log: a head of nine bytes, then JSON in which
// exactly one of the pointers is set. The head holds the kind and a number.
// Events are numbered without a gap as they come in; a batch has the number of
// its last event, a receipt and a base that of the next. The numbers stay on
// the device: what they are for is to tell after a crash, and after old
// segments were trimmed, which events are in a batch already.
type record struct {
	n     uint64
	Class Class             `json:"class,omitempty"`
	Event *link.DeviceEvent `json:"event,omitempty"`
	Batch *batchRecord      `json:"batch,omitempty"`
	Ack   *ackRecord        `json:"ack,omitempty"`
	Base  *baseRecord       `json:"base,omitempty"`
}

// headSize is the kind (1 byte) and the number (8, big endian).
const headSize = 9

// batchRecord is a signed batch.
type batchRecord struct {
	Envelope json.RawMessage `json:"envelope"`
}

// ackRecord is a verified receipt: the batch may go.
type ackRecord struct {
	Tail Tail   `json:"tail"`
	Lost uint64 `json:"lost"`
}

// baseRecord begins a generation.
type baseRecord struct {
	Tail Tail   `json:"tail"`
	Lost uint64 `json:"lost"`
}

func (r record) kind() (kind byte, members int) {
	for k, is := range map[byte]bool{'e': r.Event != nil, 'b': r.Batch != nil, 'a': r.Ack != nil, 'g': r.Base != nil} {
		if is {
			kind = k
			members++
		}
	}
	return kind, members
}

func encodeRecord(r record) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "spool", err)
	}
	frame := make([]byte, headSize, headSize+len(body))
	frame[0], _ = r.kind()
	number(frame, r.n)
	return append(frame, body...), nil
}

func number(frame []byte, n uint64) { binary.BigEndian.PutUint64(frame[1:headSize], n) }

// isEvent tells from the head alone.
func isEvent(frame []byte, n uint64) bool {
	return len(frame) > headSize && frame[0] == 'e' && binary.BigEndian.Uint64(frame[1:headSize]) == n
}

// decodeRecord reads a frame that this package wrote and the log's checksum
// covers; it still refuses what it does not know.
func decodeRecord(frame []byte) (record, error) {
	if len(frame) <= headSize {
		return record{}, core.E(core.KindDamaged, "spool", fmt.Sprintf("a record of %d bytes", len(frame)))
	}
	r := record{n: binary.BigEndian.Uint64(frame[1:headSize])}
	d := json.NewDecoder(bytes.NewReader(frame[headSize:]))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return record{}, core.Wrap(core.KindDamaged, "spool", err)
	}
	if kind, members := r.kind(); members != 1 || kind != frame[0] || r.Class > ClassLatch {
		return record{}, core.E(core.KindDamaged, "spool", fmt.Sprintf("a record of kind %q with %d members", frame[0], members))
	}
	return r, nil
}

// open reads a batch back: the bytes to send again and what they say.
func (b *batchRecord) open() (*Sealed, error) {
	env, err := link.ParseEnvelope(b.Envelope)
	if err != nil {
		return nil, core.Wrap(core.KindDamaged, "spool", err)
	}
	batch, err := link.DecodeBatch(env.Payload)
	if err != nil {
		return nil, core.Wrap(core.KindDamaged, "spool", err)
	}
	hash := link.BatchHash(env.Payload)
	return &Sealed{
		Envelope: b.Envelope, Payload: env.Payload, First: batch.First, count: len(batch.Events),
		Tail: Tail{Epoch: batch.Epoch, Last: batch.Last, Hash: hex.EncodeToString(hash[:])},
	}, nil
}

// encodeEvents makes the frames of events. One that is too large keeps
// everything but its fields.
func encodeEvents(events []link.DeviceEvent) (frames [][]byte, items []item, err error) {
	for _, e := range events {
		if len(e.Fields) == 0 {
			e.Fields = json.RawMessage("{}")
		}
		if len(e.Fields) > maxEvent-1024 {
			e.Fields = fmt.Appendf(nil, `{"truncated":true,"bytes":%d}`, len(e.Fields))
		}
		if err := fit(e); err != nil {
			return nil, nil, err
		}
		e.Seq = 0
		class := ClassOf(e)
		frame, err := encodeRecord(record{Class: class, Event: &e})
		if err != nil {
			return nil, nil, err
		}
		frames = append(frames, frame)
		items = append(items, item{size: int64(len(frame)), class: class})
	}
	return frames, items, nil
}

// fit refuses at the door an event that no batch could carry: inside, it would
// keep every later one from leaving.
func fit(e link.DeviceEvent) error {
	e.Seq = 1
	_, err := link.EncodeBatch(&link.Batch{
		V: 1, Tenant: core.MustID[core.TenantID]("x"), Device: core.MustID[core.DeviceID]("x"), Epoch: strings.Repeat("0", 32),
		First: 1, Last: 1, Boot: "x", Events: []link.DeviceEvent{e},
	})
	if err != nil {
		return fmt.Errorf("spool.Append: event %.64q: %w", e.Type, err)
	}
	return nil
}
