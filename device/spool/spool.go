// Package spool keeps what a device noticed until the server has proved that it
// keeps it: events go in durably, come out in signed, hash-chained batches with
// a gap-free sequence, and are freed by a verified receipt and nothing else. It
// stands on platform/wal; device/agent fills and empties it.
//
// What it promises:
//
//   - When [Spool.Append] returns nil, the events are on disk.
//   - A batch is on disk, signed, before its bytes leave: after a crash the very
//     same bytes are sent again, so that the server sees a repetition and never
//     a fork. An event gets its sequence number with the batch, so there is never
//     a gap, whatever was dropped before.
//   - Events come out in the order in which they went in, each once.
//   - When space runs out, the lowest severity goes first and within it the
//     middle: the oldest and the newest stay (TRUST F24). Latches, losses and
//     results have space that no sensor can use. What was dropped is itself an
//     event, with counts.
package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/wal"
)

// Limits of one event and one batch. A batch in the journal is one frame.
const (
	maxEvent       = 16 << 10
	maxBatchEvents = 500
	// batchHead is room for what a batch carries beside its events.
	batchHead   = 2 << 10
	segmentSize = 1 << 20
	// frameOverhead is more than the log adds to a frame.
	frameOverhead = 64
	// DefaultLimit is the space for events that wait, in bytes.
	DefaultLimit = 64 << 20
	minLimit     = 64 << 10
)

// Header is what a batch says of the device at the moment it is sealed. Epoch,
// sequence, chain and events are the spool's to fill.
type Header struct {
	Tenant        core.TenantID
	Device        core.DeviceID
	Epoch         string
	Boot          string
	StateCounter  uint64
	PolicyVersion uint64
	RootVersion   uint64
	LogSize       uint64
	LogRoot       string
	Sent          int64
}

// Tail names the last batch sealed; the next one continues it.
type Tail struct {
	Epoch string `json:"epoch"`
	Last  uint64 `json:"last"`
	Hash  string `json:"hash"` // SHA-256, hex, of its payload
}

// Options say where the spool is and how it signs.
type Options struct {
	Dir string
	// Limit is the space for waiting events in bytes, 0 for DefaultLimit; a
	// quarter of it is reserved. On disk it may be twice that for a moment.
	Limit  int64
	Clock  core.Clock
	Header func() Header
	Sign   func(payload []byte) (*link.Envelope, error)
	// WAL are the log's options; tests put faults there.
	WAL wal.Options
}

// Spool is an open spool. Safe for concurrent use.
type Spool struct {
	o     Options
	ready chan struct{}

	mu     sync.Mutex
	log    *wal.Log
	gen    uint64 // generation: compaction writes a new one
	tail   Tail
	prev   Tail // what the outstanding batch continues
	out    *Sealed
	queue  []item // events that wait, oldest first
	next   uint64 // number of the next event; see record.go
	used   [2]int64
	lost   uint64 // events dropped since this spool was made
	broken error  // the log must be opened again before it is used
}

// item is a waiting event as memory knows it; the event itself is on disk.
type item struct {
	n     uint64
	at    wal.Pos // a frame at or before the event's own
	size  int64
	class Class
}

// Sealed is a batch that waits for its receipt.
type Sealed struct {
	// Envelope is what travels, Payload the bytes within it that are signed.
	Envelope []byte
	Payload  []byte
	Tail     Tail
	First    uint64
	count    int    // events in it
	upto     uint64 // number of the last of them
}

// Stats tells how full the spool is.
type Stats struct {
	Waiting  int    `json:"waiting"` // events not in a batch
	Sealed   int    `json:"sealed"`  // events in the batch that waits for its receipt
	Bytes    int64  `json:"bytes"`
	Reserved int64  `json:"reserved"` // bytes of latches, losses and results
	Limit    int64  `json:"limit"`
	Lost     uint64 `json:"lost"` // events dropped for want of space since the start
}

// Open opens the spool in o.Dir, or makes it. Damage in the middle of the log
// is an error of kind damaged; see [Quarantine].
func Open(o Options) (*Spool, error) {
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	if o.Limit < minLimit {
		return nil, core.E(core.KindInvalid, "spool.Open", fmt.Sprintf("limit is %d bytes, at least %d are needed", o.Limit, minLimit))
	}
	if o.WAL.SegmentSize == 0 {
		o.WAL.SegmentSize = segmentSize
	}
	o.WAL.Prealloc, o.WAL.Reserve = true, true
	if err := atomicfile.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "spool.Open", err)
	}
	s := &Spool{o: o, ready: make(chan struct{}, 1)}
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// Quarantine moves a damaged spool aside, so that a new one can begin, and
// returns where it went. Nothing in it is repaired or lost.
func Quarantine(dir string, now int64) (string, error) {
	aside := fmt.Sprintf("%s.damaged-%d", filepath.Clean(dir), now)
	if err := os.Rename(dir, aside); err != nil {
		return "", core.Wrap(core.KindUnavailable, "spool.Quarantine", err)
	}
	return aside, atomicfile.SyncDir(filepath.Dir(aside))
}

// load opens the current generation and reads back what waits.
func (s *Spool) load() (err error) {
	if s.gen, err = currentGeneration(s.o.Dir); err != nil {
		return err
	}
	if err := s.sweep(); err != nil {
		return err
	}
	if s.log, err = wal.Open(s.genDir(s.gen), s.o.WAL); err != nil {
		return fmt.Errorf("spool.Open: %w", err)
	}
	if err := s.replay(); err != nil {
		return errors.Join(err, s.log.Close())
	}
	s.broken = nil
	return nil
}

func (s *Spool) genDir(gen uint64) string {
	return filepath.Join(s.o.Dir, "gen-"+strconv.FormatUint(gen, 10))
}

const currentFile = "current"

// currentGeneration reads which folder counts; 1 where nothing says.
func currentGeneration(dir string) (uint64, error) {
	b, err := os.ReadFile(filepath.Join(dir, currentFile))
	if errors.Is(err, os.ErrNotExist) {
		return 1, nil
	}
	if err != nil {
		return 0, core.Wrap(core.KindUnavailable, "spool.Open", err)
	}
	gen, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 63)
	if err != nil || gen == 0 {
		return 0, core.E(core.KindDamaged, "spool.Open", fmt.Sprintf("%s says %.40q, not a generation", filepath.Join(dir, currentFile), b))
	}
	return gen, nil
}

// sweep removes generations that do not count: a compaction that did not finish
// or whose last step did not.
func (s *Spool) sweep() error {
	dirs, err := filepath.Glob(filepath.Join(s.o.Dir, "gen-*"))
	if err != nil {
		return core.Wrap(core.KindInternal, "spool.Open", err)
	}
	for _, d := range dirs {
		if d == s.genDir(s.gen) {
			continue
		}
		if err := os.RemoveAll(d); err != nil {
			return core.Wrap(core.KindUnavailable, "spool.Open", err)
		}
	}
	return nil
}

// replay rebuilds memory from the log.
func (s *Spool) replay() error {
	s.tail, s.prev, s.out, s.queue, s.used, s.next = Tail{}, Tail{}, nil, nil, [2]int64{}, 1
	err := s.log.Scan(wal.Pos{}, func(at wal.Pos, frame []byte) error {
		r, err := decodeRecord(frame)
		if err != nil {
			return fmt.Errorf("segment %d offset %d: %w", at.Segment, at.Offset, err)
		}
		return s.apply(at, r, int64(len(frame)))
	})
	if err != nil {
		return fmt.Errorf("spool.Open: %w", err)
	}
	s.signal()
	return nil
}

func (s *Spool) apply(at wal.Pos, r record, size int64) error {
	switch {
	case r.Event != nil:
		s.push(item{r.n, at, size, r.Class})
		s.next = r.n + 1
	case r.Batch != nil:
		return s.sealed(r.n, r.Batch)
	case r.Base != nil:
		s.tail, s.lost, s.next = r.Base.Tail, r.Base.Lost, max(s.next, r.n)
	case r.Ack != nil:
		// Trimming removes whole segments, so a batch may be gone before the
		// record of its receipt: the record alone says where the chain stands.
		if s.out != nil && s.out.Tail != r.Ack.Tail {
			return core.E(core.KindDamaged, "spool", "a receipt is for another batch than the one that waits")
		}
		s.out, s.tail, s.lost, s.next = nil, r.Ack.Tail, r.Ack.Lost, max(s.next, r.n)
	}
	return nil
}

// sealed takes the events up to a number from the queue: they stand in the
// batch now.
func (s *Spool) sealed(upto uint64, b *batchRecord) error {
	out, err := b.open()
	if err != nil {
		return err
	}
	out.upto = upto
	s.prev, s.out, s.tail = s.tail, out, out.Tail
	for len(s.queue) > 0 && s.queue[0].n <= upto {
		s.used[s.queue[0].class.space()] -= s.queue[0].size
		s.queue = s.queue[1:]
	}
	s.next = max(s.next, upto+1)
	return nil
}

func (s *Spool) push(it item) {
	s.queue = append(s.queue, it)
	s.used[it.class.space()] += it.size
}

// Append makes events durable, in order, with one sync. They are classed by
// what they are, not by what the caller would like.
func (s *Spool) Append(events ...link.DeviceEvent) error {
	frames, items, err := encodeEvents(events)
	if err != nil || len(frames) == 0 {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mend(); err != nil {
		return err
	}
	if err := s.makeRoom(items); err != nil {
		return err
	}
	for i := range items {
		items[i].n = s.next + uint64(i)
		number(frames[i], items[i].n)
	}
	if err := s.write(frames, items); err != nil {
		return err
	}
	s.signal()
	return nil
}

// write appends all frames with one sync. On a full disk, what has reserved
// space is still written, one by one.
func (s *Spool) write(frames [][]byte, items []item) error {
	start, err := s.log.AppendAll(frames)
	if err == nil {
		s.next += uint64(len(items))
		for _, it := range items {
			it.at = start
			s.push(it)
		}
		return nil
	}
	size := int64(0)
	for _, frame := range frames {
		size += int64(len(frame)) + frameOverhead
	}
	if s.log.Admit(size) == nil {
		s.broken = err // there is room, so it is something else
		return fmt.Errorf("spool.Append: %w", err)
	}
	for i, frame := range frames {
		if items[i].class < ClassReserved {
			continue
		}
		at, reservedErr := s.log.AppendReserved(frame)
		if reservedErr != nil {
			s.broken = reservedErr
			return fmt.Errorf("spool.Append: %w", errors.Join(err, reservedErr))
		}
		items[i].at, s.next = at, items[i].n+1
		s.push(items[i])
	}
	s.signal()
	return &PartialError{Err: err}
}

// PartialError says that the disk took no more than what has reserved space.
type PartialError struct{ Err error }

// Error implements error.
func (e *PartialError) Error() string {
	return "spool.Append: only what has reserved space was written: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *PartialError) Unwrap() error { return e.Err }

// mend opens the log again after a failed sync: nothing can be appended to the
// old one, and what it holds is what recovery says.
func (s *Spool) mend() error {
	if s.broken == nil {
		return nil
	}
	_ = s.log.Close()
	if err := s.load(); err != nil {
		return fmt.Errorf("spool: after %w: %w", s.broken, err)
	}
	return nil
}

// Next returns the batch that waits for its receipt, after sealing one if none
// does; nil where there is nothing to send.
func (s *Spool) Next() (*Sealed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mend(); err != nil {
		return nil, err
	}
	if s.out == nil && len(s.queue) > 0 {
		if err := s.seal(); err != nil {
			return nil, err
		}
	}
	return s.out, nil
}

// seal makes a batch of the oldest events, signs it and makes it durable.
func (s *Spool) seal() error {
	h := s.o.Header()
	prev := Tail{Epoch: h.Epoch}
	if s.tail.Epoch == h.Epoch {
		prev = s.tail
	}
	events, err := s.oldest(prev.Last)
	if err != nil {
		return err
	}
	batch := h.batch(prev, events)
	payload, err := link.EncodeBatch(batch)
	if err != nil {
		return fmt.Errorf("spool.Next: %w", err)
	}
	env, err := s.o.Sign(payload)
	if err != nil {
		return fmt.Errorf("spool.Next: %w", err)
	}
	raw, err := json.Marshal(env)
	if err != nil {
		return core.Wrap(core.KindInternal, "spool.Next", err)
	}
	b, upto := &batchRecord{Envelope: raw}, s.queue[len(events)-1].n
	frame, err := encodeRecord(record{n: upto, Batch: b})
	if err != nil {
		return err
	}
	if _, err := s.log.AppendReserved(frame); err != nil {
		s.broken = err
		return fmt.Errorf("spool.Next: %w", err)
	}
	return s.sealed(upto, b)
}

func (h Header) batch(prev Tail, events []link.DeviceEvent) *link.Batch {
	return &link.Batch{
		V: 1, Tenant: h.Tenant, Device: h.Device, Epoch: h.Epoch, First: prev.Last + 1, Last: prev.Last + uint64(len(events)),
		Prev: prev.Hash, Boot: h.Boot, StateCounter: h.StateCounter, PolicyVersion: h.PolicyVersion, RootVersion: h.RootVersion,
		LogSize: h.LogSize, LogRoot: h.LogRoot, Sent: h.Sent, Events: events,
	}
}

var errEnough = errors.New("enough")

// oldest reads the events for one batch from the log and numbers them.
func (s *Spool) oldest(after uint64) ([]link.DeviceEvent, error) {
	var events []link.DeviceEvent
	size := int64(batchHead)
	err := s.log.Scan(s.queue[0].at, func(_ wal.Pos, frame []byte) error {
		n := len(events)
		if n == len(s.queue) || n == maxBatchEvents {
			return errEnough
		}
		if !isEvent(frame, s.queue[n].n) {
			return nil // a batch, a receipt, or an event that went before
		}
		if size += int64(len(frame)) + 24; size > link.MaxPayload { // 24: the number that it gets
			return errEnough
		}
		r, err := decodeRecord(frame)
		if err != nil {
			return err
		}
		r.Event.Seq = after + uint64(n) + 1
		events = append(events, *r.Event)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("spool.Next: %w", err)
	}
	if len(events) == 0 {
		return nil, core.E(core.KindDamaged, "spool.Next", "the log does not hold the events that wait")
	}
	return events, nil
}

// Receive frees the batch on a receipt that the trust root's log key proves.
// Any other receipt is an error and frees nothing.
func (s *Spool) Receive(trust *link.Trust, receipt *link.Receipt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		return core.E(core.KindConflict, "spool.Receive", "no batch waits for a receipt")
	}
	if err := s.fits(receipt); err != nil {
		return err
	}
	if err := link.VerifyReceipt(trust, receipt, s.out.Payload); err != nil {
		return fmt.Errorf("spool.Receive: %w", err)
	}
	return s.free()
}

// fits compares what a receipt says with the batch that waits, in the clear
// fields; the proof is link's.
func (s *Spool) fits(r *link.Receipt) error {
	t := s.out.Tail
	if r.Batch != t.Hash || r.Epoch != t.Epoch || r.First != s.out.First || r.Last != t.Last {
		return core.E(core.KindInvalid, "spool.Receive", fmt.Sprintf("the receipt is for %.64s %d to %d, the batch is %s %d to %d", r.Batch, r.First, r.Last, t.Hash, s.out.First, t.Last))
	}
	return nil
}

func (s *Spool) free() error {
	frame, err := encodeRecord(record{n: s.next, Ack: &ackRecord{Tail: s.out.Tail, Lost: s.lost}})
	if err != nil {
		return err
	}
	at, err := s.log.AppendReserved(frame)
	if err != nil {
		s.broken = err
		return fmt.Errorf("spool.Receive: %w", err)
	}
	s.out = nil
	if len(s.queue) > 0 {
		at = s.queue[0].at
	}
	s.signal()
	// What can't be trimmed now is trimmed with the next receipt.
	_ = s.log.TrimBefore(at)
	return nil
}

// Continues says whether the spool goes on from a tail that was kept elsewhere:
// it ends there, or with the one batch after it that may have been sealed just
// before a crash.
func (s *Spool) Continues(t Tail) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail == t || s.out != nil && s.prev == t
}

// Tail names the last batch that was sealed.
func (s *Spool) Tail() Tail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail
}

// Stats tells how full the spool is.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Waiting: len(s.queue), Bytes: s.used[0] + s.used[1], Reserved: s.used[1], Limit: s.o.Limit, Lost: s.lost}
	if s.out != nil {
		st.Sealed = s.out.count
	}
	return st
}

// Ready receives when there may be something to send.
func (s *Spool) Ready() <-chan struct{} { return s.ready }

func (s *Spool) signal() {
	if s.out == nil && len(s.queue) == 0 {
		return
	}
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Close closes the log; everything is durable already.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Close()
}
