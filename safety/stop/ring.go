package stop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/core"
)

// RingOptions configure a [Ring]; the zero value works.
type RingOptions struct {
	// Slots is how many records the ring holds when it is created; 0 means
	// [DefaultSlots]. An existing file keeps its number.
	Slots int
	Clock core.Clock
	Log   *slog.Logger
	// Write and Sync take the place of the file's own, so that tests can
	// stall them and make them fail.
	Write func(f *os.File, b []byte, off int64) error
	Sync  func(f *os.File) error
}

// Ring keeps the records of stops in a preallocated file. [Ring.Append] touches
// memory only; one goroutine writes behind it. So neither a full nor a stalled
// nor a broken disk delays a stop, and memory is bounded by the file's size.
//
// A record stays until it is drained into the audit log, and the record of an
// active stop until the stop ends. When nothing can be overwritten by that rule,
// the oldest and the newest records survive: one from the middle of what waits
// makes room and is counted as lost. Which stops are active never depends on a
// record that was lost in memory, and after a restart a lost reset leaves its
// stop active: loss errs towards the stop.
//
// Safe for concurrent use.
type Ring struct {
	f     *os.File // nil: in memory only
	clock core.Clock
	log   *slog.Logger
	write func(*os.File, []byte, int64) error
	sync  func(*os.File) error

	mu      sync.Mutex
	slots   []slot
	next    int // where the search for a free slot begins
	seq     uint64
	head    header
	headNew bool // head has to be written
	active  map[core.UUID]int
	damaged []int
	faults  uint64
	waiters []waiter

	wake    chan struct{} // something to write
	pending chan struct{} // something to drain
	stop    chan struct{}
	closing sync.Once
	done    chan struct{}
}

type slot struct {
	rec   Record // Seq 0: free
	bytes []byte // what the slot holds or will hold; nil once written
}

type waiter struct {
	seq uint64
	ch  chan struct{}
}

// RingStats tell how the ring is.
type RingStats struct {
	Slots int `json:"slots"`
	// OnDisk is false where records live in memory only.
	OnDisk bool `json:"on_disk"`
	// Undrained records wait for the audit log, Unwritten ones for the disk.
	Undrained int `json:"undrained"`
	Unwritten int `json:"unwritten"`
	// Lost records were overwritten before they were drained.
	Lost uint64 `json:"lost"`
	// Damaged slots could not be read at start.
	Damaged int `json:"damaged"`
	// Faults counts writes and syncs that failed.
	Faults uint64 `json:"faults"`
}

// OpenRing opens the ring file, or makes it, taking all its space now. A file
// that is not a ring is an error of kind damaged and is not touched; single
// slots that fail their checksum are counted and told, never quietly dropped.
//
// A server that can't open its ring goes on with [NewMemoryRing] and says so:
// a stop must not wait for a disk.
func OpenRing(path string, o RingOptions) (*Ring, error) {
	if o.Slots == 0 {
		o.Slots = DefaultSlots
	}
	if o.Slots < MinSlots || o.Slots > MaxSlots {
		return nil, core.E(core.KindInvalid, "stop.OpenRing", fmt.Sprintf("%d slots, allowed are %d to %d", o.Slots, MinSlots, MaxSlots))
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := createRingFile(path, o.Slots); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "stop.OpenRing", err)
	}
	r := newRing(f, o)
	if err := r.load(); err != nil {
		_ = f.Close()
		return nil, err
	}
	go r.writer()
	return r, nil
}

// NewMemoryRing returns a ring without a file, for a server whose disk is
// broken at start. Its records drain as from a file and do not survive.
func NewMemoryRing(o RingOptions) *Ring {
	if o.Slots < MinSlots || o.Slots > MaxSlots {
		o.Slots = DefaultSlots
	}
	r := newRing(nil, o)
	r.slots = make([]slot, o.Slots)
	close(r.done)
	return r
}

func newRing(f *os.File, o RingOptions) *Ring {
	r := &Ring{
		f: f, clock: o.Clock, log: o.Log, write: o.Write, sync: o.Sync,
		active: make(map[core.UUID]int),
		wake:   make(chan struct{}, 1), pending: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	if r.clock == nil {
		r.clock = core.SystemClock{}
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.write == nil {
		r.write = func(f *os.File, b []byte, off int64) error { _, err := f.WriteAt(b, off); return err }
	}
	if r.sync == nil {
		r.sync = func(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
	}
	return r
}

// load reads the file into memory and finds the active stops.
func (r *Ring) load() error {
	if err := lockFile(r.f); err != nil {
		return err
	}
	if err := r.loadHeader(); err != nil {
		return err
	}
	r.slots = make([]slot, r.head.slots)
	b := make([]byte, slotSize)
	for i := range r.slots {
		if _, err := r.f.ReadAt(b, slotOffset(i)); err != nil {
			return core.Wrap(core.KindUnavailable, "stop.OpenRing", fmt.Errorf("slot %d of %s: %w", i, r.f.Name(), err))
		}
		rec, err := decodeSlot(b)
		switch {
		case err == nil:
			r.slots[i].rec = rec
			r.seq = max(r.seq, rec.Seq)
		case !errors.Is(err, errFree):
			r.damaged = append(r.damaged, i)
		}
	}
	r.seq = max(r.seq, r.head.drained)
	r.fold()
	r.signal(r.pending)
	return nil
}

func (r *Ring) loadHeader() error {
	size, err := r.f.Seek(0, io.SeekEnd)
	if err != nil {
		return core.Wrap(core.KindUnavailable, "stop.OpenRing", err)
	}
	var a, b [headerSize]byte
	_, errA := r.f.ReadAt(a[:], 0)
	_, errB := r.f.ReadAt(b[:], headerGap)
	ha, okA := decodeHeader(a[:])
	hb, okB := decodeHeader(b[:])
	switch {
	case errA != nil || errB != nil || !okA && !okB:
		return core.E(core.KindDamaged, "stop.OpenRing", r.f.Name()+": offset 0: neither header can be read").
			WithHint("move the file away; stops work without it and a new one is made at the next start")
	case okA && (!okB || ha.gen > hb.gen):
		r.head = ha
	default:
		r.head = hb
	}
	if want := int64(slotsStart) + int64(r.head.slots)*slotSize; size != want || r.head.slots < MinSlots || r.head.slots > MaxSlots {
		return core.E(core.KindDamaged, "stop.OpenRing", fmt.Sprintf("%s has %d bytes, its header says %d", r.f.Name(), size, want)).
			WithHint("move the file away; stops work without it and a new one is made at the next start")
	}
	return nil
}

// fold finds which stops are active: tripped, not reset, not replaced.
func (r *Ring) fold() {
	for _, i := range r.bySeq(func(Record) bool { return true }) {
		r.note(i)
	}
}

// note applies the record in slot i to the list of active stops. A trip takes
// the place of every earlier one of its scope, also where the records between
// them were lost.
func (r *Ring) note(i int) {
	rec := r.slots[i].rec
	switch {
	case rec.Kind == RecordTrip:
		maps.DeleteFunc(r.active, func(_ core.UUID, old int) bool { return r.slots[old].rec.stop().sameScope(rec.stop()) })
		r.active[rec.Stop] = i
	case rec.Kind == RecordReset && rec.Device.IsZero():
		delete(r.active, rec.Stop)
	}
}

// bySeq returns the used slots that keep selects, oldest record first.
func (r *Ring) bySeq(keep func(Record) bool) []int {
	var out []int
	for i := range r.slots {
		if rec := r.slots[i].rec; rec.Seq > 0 && keep(rec) {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b int) int {
		if r.slots[a].rec.Seq < r.slots[b].rec.Seq {
			return -1
		}
		return 1
	})
	return out
}

func slotOffset(i int) int64 { return slotsStart + int64(i)*slotSize }

// Append takes a record into the ring, in memory, and has it written behind.
// durable is closed when it is on disk; that may be never, so nobody waits for it
// without a limit. The error means that the record could not be kept at all, which is counted as a
// loss; the stop it tells of is none the less in effect.
func (r *Ring) Append(rec Record) (durable <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec.At = rec.At.UTC()
	b, err := encodeSlot(r.seq+1, rec)
	if err == nil {
		rec, err = decodeSlot(b) // what drains is what a restart would read
	}
	if err == nil {
		var i int
		if i, err = r.room(); err == nil {
			r.seq++
			return r.put(i, rec, b), nil
		}
	}
	r.lose()
	return nil, err
}

func (r *Ring) put(i int, rec Record, b []byte) <-chan struct{} {
	if old := r.slots[i]; old.bytes != nil { // overwritten before it was written: never durable
		r.waiters = slices.DeleteFunc(r.waiters, func(w waiter) bool { return w.seq == old.rec.Seq })
	}
	r.slots[i] = slot{rec: rec, bytes: b}
	r.next = (i + 1) % len(r.slots)
	r.note(i)
	r.signal(r.pending)
	if r.f == nil {
		r.slots[i].bytes = nil
		return nil
	}
	w := waiter{r.seq, make(chan struct{})}
	r.waiters = append(r.waiters, w)
	r.signal(r.wake)
	return w.ch
}

func (r *Ring) lose() {
	r.head.lost++
	r.headNew = true
	r.signal(r.wake)
}

// room finds a slot for a record: a free one, one whose record is drained and
// not of an active stop, else the middle one of those that wait. A trip that
// takes the place of another does not take its slot: a write torn there would
// lose both.
func (r *Ring) room() (int, error) {
	for n := range r.slots {
		i := (r.next + n) % len(r.slots)
		if old := r.slots[i].rec; old.Seq == 0 || old.Seq <= r.head.drained && !r.keeps(old) {
			return i, nil
		}
	}
	waiting := r.bySeq(func(old Record) bool { return !r.keeps(old) })
	if len(waiting) == 0 {
		return 0, core.E(core.KindUnavailable, "stop.Append", fmt.Sprintf("all %d slots hold active stops", len(r.slots)))
	}
	r.lose()
	return waiting[len(waiting)/2], nil
}

// keeps reports whether a record is the trip of an active stop.
func (r *Ring) keeps(rec Record) bool {
	_, active := r.active[rec.Stop]
	return active && rec.Kind == RecordTrip
}

// Active returns the trips of the stops that were active when the ring was
// opened or became so since, oldest first.
func (r *Ring) Active() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records(r.keeps)
}

// Find returns the records that keep selects, oldest first.
func (r *Ring) Find(keep func(Record) bool) []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records(keep)
}

func (r *Ring) records(keep func(Record) bool) []Record {
	var out []Record
	for _, i := range r.bySeq(keep) {
		out = append(out, r.slots[i].rec)
	}
	return out
}

// Stats returns how the ring is.
func (r *Ring) Stats() RingStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := RingStats{Slots: len(r.slots), OnDisk: r.f != nil, Lost: r.head.lost, Damaged: len(r.damaged), Faults: r.faults}
	for i := range r.slots {
		if rec := r.slots[i].rec; rec.Seq > r.head.drained {
			s.Undrained++
		}
		if r.slots[i].bytes != nil {
			s.Unwritten++
		}
	}
	return s
}

func (r *Ring) signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// retryWrite is how long the writer waits after a fault.
const retryWrite = time.Second

// writer brings memory to the file until the ring is closed. A fault is counted
// and tried again; nobody waits for it.
func (r *Ring) writer() {
	defer close(r.done)
	for {
		var again <-chan time.Time
		if err := r.flush(); err != nil {
			r.log.Error("the stop ring could not be written; stops go on", slog.String("file", r.f.Name()), slog.Any("err", err))
			again = r.clock.After(retryWrite)
		}
		select {
		case <-r.wake:
		case <-again:
		case <-r.stop:
			_ = r.flush()
			return
		}
	}
}

// flush writes what is new and syncs once.
func (r *Ring) flush() error {
	work, seq, head := r.dirty()
	if len(work) == 0 && head == nil {
		return nil
	}
	err := r.writeOut(work, head)
	if err == nil {
		err = r.sync(r.f)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.faults++
		r.headNew = r.headNew || head != nil
		return err
	}
	for i, b := range work {
		if bytes.Equal(r.slots[i].bytes, b) {
			r.slots[i].bytes = nil
		}
	}
	r.waiters = slices.DeleteFunc(r.waiters, func(w waiter) bool {
		if w.seq <= seq {
			close(w.ch)
		}
		return w.seq <= seq
	})
	return nil
}

// dirty returns what is to be written, the last sequence number in it, and the
// header's bytes where it changed.
func (r *Ring) dirty() (work map[int][]byte, seq uint64, head []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	work = make(map[int][]byte)
	for i := range r.slots {
		if b := r.slots[i].bytes; b != nil {
			work[i] = b
		}
	}
	if r.headNew {
		r.head.gen++
		r.headNew = false
		head = r.head.encode()
	}
	return work, r.seq, head
}

func (r *Ring) writeOut(work map[int][]byte, head []byte) error {
	for i, b := range work {
		if err := r.write(r.f, b, slotOffset(i)); err != nil {
			return err
		}
	}
	if head == nil {
		return nil
	}
	gen := (r.generation() - 1) % 2
	return r.write(r.f, head, int64(gen)*headerGap)
}

func (r *Ring) generation() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head.gen
}

// closeWait is how long [Ring.Close] waits for a disk that does not answer.
const closeWait = 5 * time.Second

// Close writes what is left and closes the file. It gives up on a stalled disk.
func (r *Ring) Close() error {
	r.closing.Do(func() { close(r.stop) })
	select {
	case <-r.done:
	case <-r.clock.After(closeWait):
		return core.E(core.KindUncertain, "stop.Ring.Close", "the disk does not answer; the last records may not be on it")
	}
	if r.f == nil {
		return nil
	}
	return core.Wrap(core.KindUnavailable, "stop.Ring.Close", r.f.Close())
}

// Drain gives fn every record that waits for the audit log, oldest first, and
// remembers how far it came. A record may be given again after a crash; its
// stop, kind and time say that it is the same. It stops at the first error.
func (r *Ring) Drain(ctx context.Context, fn func(context.Context, Record) error) error {
	for {
		rec, ok := r.oldest()
		if !ok {
			return nil
		}
		if err := fn(ctx, rec); err != nil {
			return err
		}
		r.drained(rec.Seq)
	}
}

func (r *Ring) oldest() (Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var first Record
	for i := range r.slots {
		if rec := r.slots[i].rec; rec.Seq > r.head.drained && (first.Seq == 0 || rec.Seq < first.Seq) {
			first = rec
		}
	}
	return first, first.Seq > 0
}

func (r *Ring) drained(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head.drained = max(r.head.drained, seq)
	r.headNew = true
	r.signal(r.wake)
}
