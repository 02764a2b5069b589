package link

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/interlock-security/interlock/core"
)

// Limits of a batch.
const (
	// MaxBatchEvents is as many as one journal frame holds.
	MaxBatchEvents = 1000
	maxEventType   = 64
	maxBootID      = 64
	maxDetail      = 2000
)

// BatchHash is the name of a batch: SHA-256 of the payload as received. The
// next batch of the epoch and the receipt carry it.
func BatchHash(payload []byte) [32]byte { return sha256.Sum256(payload) }

// DecodeBatch reads a batch strictly and checks that it makes sense by itself:
// its events are gap-free from First to Last and it names the batch before it
// unless it is the first of its epoch. Who signed it is
// [Envelope.VerifiedBy]'s answer; whether it follows what is known,
// [Batch.Follows]'s.
func DecodeBatch(payload []byte) (*Batch, error) {
	if len(payload) > MaxPayload {
		return nil, core.E(core.KindTooLarge, "link.DecodeBatch", fmt.Sprintf("%d bytes, at most %d are allowed", len(payload), MaxPayload))
	}
	b := new(Batch)
	if err := DecodeStrict(payload, b); err != nil {
		return nil, fmt.Errorf("link.DecodeBatch: %w", err)
	}
	for _, step := range []func() error{b.head, b.chain, b.events} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// EncodeBatch makes the bytes that a device signs, and refuses a batch that no
// server would take.
func EncodeBatch(b *Batch) ([]byte, error) {
	payload, err := encodePayload("link.EncodeBatch", b)
	if err != nil {
		return nil, err
	}
	if _, err := DecodeBatch(payload); err != nil {
		return nil, err
	}
	return payload, nil
}

func batchError(format string, args ...any) error {
	return core.E(core.KindInvalid, "link.DecodeBatch", fmt.Sprintf(format, args...))
}

func (b *Batch) head() error {
	switch {
	case b.V != 1:
		return batchError("version %d of the format, known is 1", b.V)
	case b.Tenant.IsZero() || b.Device.IsZero():
		return batchError("tenant and device must both be named")
	case !isHex(b.Epoch, idBytes):
		return batchError("epoch %q is not 32 lower-case hex digits", clip(b.Epoch))
	case b.Boot == "" || len(b.Boot) > maxBootID || !plain(b.Boot):
		return batchError("boot %q is empty, too long or not plain text", clip(b.Boot))
	case b.Sent < 0:
		return batchError("sent is before 1970")
	case b.LogSize == 0 && b.LogRoot != "":
		return batchError("log_root without log_size")
	case b.LogSize > 0 && !isRootHash(b.LogRoot):
		return batchError("log_root %q is not a hash as checkpoints write it", clip(b.LogRoot))
	}
	return nil
}

func isRootHash(s string) bool {
	b, err := decodeBase64(s)
	return err == nil && len(b) == sha256.Size && base64.StdEncoding.EncodeToString(b) == s
}

func (b *Batch) chain() error {
	switch {
	case b.First == 0 || b.Last < b.First:
		return batchError("sequence %d to %d; it begins at 1 and never falls", b.First, b.Last)
	case b.Last-b.First >= MaxBatchEvents:
		return batchError("sequence %d to %d, at most %d events are allowed", b.First, b.Last, MaxBatchEvents)
	case uint64(len(b.Events)) != b.Last-b.First+1:
		return batchError("%d events for sequence %d to %d", len(b.Events), b.First, b.Last)
	case b.First == 1 && b.Prev != "":
		return batchError("the first batch of an epoch names no batch before it")
	case b.First > 1 && !isHex(b.Prev, sha256.Size):
		return batchError("prev %q is not a SHA-256 in lower-case hex", clip(b.Prev))
	}
	return nil
}

func (b *Batch) events() error {
	for i := range b.Events {
		if err := b.Events[i].check(b.First + uint64(i)); err != nil {
			return batchError("events[%d]: %v", i, err)
		}
	}
	return nil
}

func (e *DeviceEvent) check(seq uint64) error {
	switch {
	case e.Seq != seq:
		return fmt.Errorf("sequence %d, want %d: there are no gaps", e.Seq, seq)
	case e.ID.IsZero():
		return fmt.Errorf("there is no id")
	case !isEventType(e.Type):
		return fmt.Errorf("type %q is not like carrier_down", clip(e.Type))
	case e.Time < 0 || e.Mono < 0 || e.Class < 0:
		return fmt.Errorf("time, mono and class are never negative")
	case e.Latch != "" && !isHex(e.Latch, idBytes):
		return fmt.Errorf("latch %q is not 32 lower-case hex digits", clip(e.Latch))
	case !bytes.HasPrefix(e.Fields, []byte("{")):
		return fmt.Errorf("fields is not an object")
	}
	if e.Sensor == "" {
		return nil
	}
	if _, err := core.ParseID[core.SensorID](e.Sensor); err != nil {
		return fmt.Errorf("sensor: %w", err)
	}
	return nil
}

func isEventType(s string) bool {
	return s != "" && len(s) <= maxEventType && !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return c != '_' && c != '.' && c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9')
	})
}

// Follows reports whether the batch continues a chain that ended at sequence
// last with a batch of this hash, in the same epoch.
func (b *Batch) Follows(epoch string, last uint64, hash [32]byte) error {
	switch {
	case b.Epoch != epoch:
		return core.E(core.KindConflict, "link.Batch.Follows", fmt.Sprintf("epoch %s, the chain is of %s", b.Epoch, epoch))
	case b.First != last+1:
		return core.E(core.KindConflict, "link.Batch.Follows", fmt.Sprintf("begins at sequence %d, the chain ended at %d", b.First, last))
	case last > 0 && b.Prev != hex.EncodeToString(hash[:]):
		return core.E(core.KindConflict, "link.Batch.Follows", fmt.Sprintf("prev %s, the chain ended with %x", b.Prev, hash))
	}
	return nil
}

// outcomes lists the known ones.
var outcomes = []Outcome{OutcomeDone, OutcomeRefused, OutcomePending, OutcomeFailed, OutcomeDuplicate}

// DecodeResult reads a device's answer to an order strictly.
func DecodeResult(payload []byte) (*Result, error) {
	const op = "link.DecodeResult"
	if len(payload) > MaxPayload {
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("%d bytes, at most %d are allowed", len(payload), MaxPayload))
	}
	r := new(Result)
	if err := DecodeStrict(payload, r); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	switch {
	case r.V != 1:
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("version %d of the format, known is 1", r.V))
	case r.Tenant.IsZero() || r.Device.IsZero() || r.Order.IsZero():
		return nil, core.E(core.KindInvalid, op, "tenant, device and order must all be named")
	case !slices.Contains(outcomes, r.Outcome):
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("outcome %q; known are %v", clip(string(r.Outcome)), outcomes))
	case len(r.Detail) > maxDetail:
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("detail of %d bytes, at most %d are allowed", len(r.Detail), maxDetail))
	case !isHex(r.Epoch, idBytes):
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("epoch %q is not 32 lower-case hex digits", clip(r.Epoch)))
	case r.Time < 0:
		return nil, core.E(core.KindInvalid, op, "time is before 1970")
	}
	return r, nil
}

// EncodeResult makes the bytes that a device signs.
func EncodeResult(r *Result) ([]byte, error) {
	payload, err := encodePayload("link.EncodeResult", r)
	if err != nil {
		return nil, err
	}
	if _, err := DecodeResult(payload); err != nil {
		return nil, err
	}
	return payload, nil
}
