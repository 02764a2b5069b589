package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/interlock-security/interlock/core"
)

// Limits of a frame.
const (
	MaxRecords    = 1000
	MaxFrameBytes = 8 << 20 // of all records, before compression
	maxName       = 256     // bytes of a source or an epoch
)

// stored is a frame as a row: Records are nil, the body holds them.
type stored struct {
	Frame
	size int
	body []byte
}

// coders compress and restore bodies; both are safe for concurrent use. The
// fastest level already takes JSON events to about a sixth.
var coders = sync.OnceValues(func() (*zstd.Encoder, *zstd.Decoder) {
	// These options are constants that the library accepts.
	enc, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true))
	dec, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(2*MaxFrameBytes))
	return enc, dec
})

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// encode checks a frame and packs its records: each with its length in front,
// all compressed together.
func encode(f Frame) (stored, error) {
	if err := check(f); err != nil {
		return stored{}, err
	}
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	plain := (*buf)[:0]
	for _, r := range f.Records {
		plain = binary.AppendUvarint(plain, uint64(len(r)))
		plain = append(plain, r...)
	}
	*buf = plain
	enc, _ := coders()
	s := stored{Frame: f, size: len(plain), body: enc.EncodeAll(plain, nil)}
	s.Records = nil
	return s, nil
}

func check(f Frame) error {
	const op = "journal.Append"
	invalid := func(format string, args ...any) error {
		return core.E(core.KindInvalid, op, fmt.Sprintf("frame of %.64q: ", f.Source)+fmt.Sprintf(format, args...))
	}
	if len(f.Records) > MaxRecords {
		return core.E(core.KindTooLarge, op, fmt.Sprintf("frame of %.64q has %d records, at most %d are allowed", f.Source, len(f.Records), MaxRecords))
	}
	size := 0
	for _, r := range f.Records {
		size += len(r) + binary.MaxVarintLen64
	}
	if size > MaxFrameBytes {
		return core.E(core.KindTooLarge, op, fmt.Sprintf("frame of %.64q has %d bytes, at most %d are allowed", f.Source, size, MaxFrameBytes))
	}
	switch {
	case f.Kind < KindEvents || f.Kind > KindRules:
		return invalid("kind %d is unknown", f.Kind)
	case f.Partition < 0:
		return invalid("partition %d is negative", f.Partition)
	case !isText(f.Source):
		return invalid("the source is not plain text of at most %d bytes", maxName)
	case f.Kind == KindTick && len(f.Records) > 0:
		return invalid("a tick has no records")
	}
	if f.Key != nil {
		return checkKey(*f.Key, invalid)
	}
	return nil
}

func checkKey(k Key, invalid func(string, ...any) error) error {
	switch {
	case k.Tenant.IsZero() || k.Device.IsZero():
		return invalid("its key has no tenant or no device")
	case k.Epoch == "" || !isText(k.Epoch):
		return invalid("its key has no epoch, or one that is not plain text of at most %d bytes", maxName)
	case k.First > k.Last || k.Last > math.MaxInt64:
		return invalid("its key spans %d to %d", k.First, k.Last)
	}
	return nil
}

// isText refuses what one of the engines could not store as text.
func isText(s string) bool {
	return len(s) <= maxName && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// decode restores the records. All of them share one allocation.
func (s stored) decode() (Frame, error) {
	f := s.Frame
	damaged := func(what string) error {
		return core.E(core.KindDamaged, "journal.Read", fmt.Sprintf("partition %d offset %d: %s", f.Partition, f.Offset, what))
	}
	if s.size < 0 || s.size > MaxFrameBytes {
		return f, damaged(fmt.Sprintf("the stored size is %d", s.size))
	}
	_, dec := coders()
	plain, err := dec.DecodeAll(s.body, make([]byte, 0, s.size))
	if err != nil {
		return f, damaged("the body does not decompress: " + err.Error())
	}
	if len(plain) != s.size {
		return f, damaged(fmt.Sprintf("the body has %d bytes, %d were stored", len(plain), s.size))
	}
	for len(plain) > 0 {
		n, used := binary.Uvarint(plain)
		if used <= 0 || n > uint64(len(plain)-used) || len(f.Records) == MaxRecords {
			return f, damaged(fmt.Sprintf("record %d is cut", len(f.Records)))
		}
		end := used + int(n)
		f.Records = append(f.Records, plain[used:end:end])
		plain = plain[end:]
	}
	return f, nil
}

// origin is the key's column: JSON or NULL.
func (s stored) origin() (any, error) {
	if s.Key == nil {
		return nil, nil
	}
	return json.Marshal(s.Key)
}

func (s *stored) setOrigin(b []byte) error {
	if b == nil {
		return nil
	}
	s.Key = new(Key)
	if err := json.Unmarshal(b, s.Key); err != nil {
		return core.E(core.KindDamaged, "journal.Read", fmt.Sprintf("partition %d offset %d: the key does not decode", s.Partition, s.Offset))
	}
	return nil
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
