package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

const (
	// DefaultSegmentSize is for servers.
	DefaultSegmentSize = 64 << 20
	// MinSegmentSize is the smallest accepted; it is for tests.
	MinSegmentSize = 4 << 10
)

// Options are the ways in which a device's spool and a server's log differ.
// The zero value is usable.
type Options struct {
	// SegmentSize is the size of a segment file; 0 means DefaultSegmentSize.
	// No payload can be longer than a segment holds.
	SegmentSize int64
	// Prealloc fills segments with zeros beforehand and keeps the next one
	// ready.
	Prealloc bool
	// Reserve, which implies Prealloc, keeps one more segment ready that only
	// AppendReserved may use, once no other can be made.
	Reserve bool
	// OnTorn is shown the bytes of a torn tail before they are cut. An error
	// keeps them and fails Open.
	OnTorn func(Torn) error
	// Sync makes what was written to a file durable; nil means fdatasync.
	// Tests put faults here.
	Sync func(*os.File) error
	// Alloc reserves and zeroes the bytes of a new file. Tests put a full
	// disk here.
	Alloc func(f *os.File, size int64) error
}

// Torn is the tail of a write that was never acknowledged.
type Torn struct {
	At    Pos
	Bytes []byte
}

// Pos is a place in the log. The zero Pos is before everything. Positions are
// ordered and stay valid until trimmed.
type Pos struct {
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
}

// Before reports whether p lies before o.
func (p Pos) Before(o Pos) bool {
	return p.Segment < o.Segment || p.Segment == o.Segment && p.Offset < o.Offset
}

// Log is an open log. Appending is for one caller at a time; reading may go on
// beside it.
type Log struct {
	dir  string
	o    Options
	lock *os.File

	append sync.Mutex // held while writing; guards what follows
	f      *os.File
	tail   segment // the one that f is
	next   uint64  // sequence of the next frame
	buf    []byte
	failed error // a sync failed: nothing more can be promised

	mu       sync.RWMutex // guards what readers look at
	segments []segment
	end      Pos // after the last durable frame

	spare   spare // the next segment
	reserve spare // for AppendReserved, when no other can be made
	torn    *Torn
	damage  error
}

// Open recovers the log in dir, which is made if it is missing, and locks it
// against other processes (core.KindConflict).
func Open(dir string, o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "wal.Open", err)
	}
	l := &Log{dir: dir, o: o}
	if l.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.SegmentSize == 0 {
		o.SegmentSize = DefaultSegmentSize
	}
	if o.SegmentSize < MinSegmentSize {
		return o, core.E(core.KindInvalid, "wal.Open", fmt.Sprintf("segments of %d bytes; the least is %d", o.SegmentSize, MinSegmentSize))
	}
	if o.Sync == nil {
		o.Sync = func(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
	}
	if o.Alloc == nil {
		o.Alloc = allocate
	}
	o.Prealloc = o.Prealloc || o.Reserve
	return o, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "wal.Open", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, core.E(core.KindConflict, "wal.Open", dir+" is open in another process").
			WithHint("one process opens a data directory; stop the other one")
	}
	return f, nil
}

func (l *Log) open() (err error) {
	if l.segments, err = listSegments(l.dir); err != nil {
		return err
	}
	l.spare.init(l, spareName)
	l.reserve.init(l, reserveName)
	if l.o.Reserve {
		_ = l.reserve.make() // a full disk is Append's to report
	}
	if len(l.segments) > 0 {
		err = l.recover()
	} else {
		err = l.startSegment(1, 1, true)
	}
	if err == nil {
		l.spare.prepare()
	}
	return err
}

// startSegment makes the segment that appends go to.
func (l *Log) startSegment(number, first uint64, reserved bool) error {
	from := spareName
	err := l.spare.take()
	if err != nil && reserved && l.o.Reserve {
		from, err = reserveName, l.reserve.take()
	}
	if err != nil {
		return noRoom(err)
	}
	f, s, err := activate(l.dir, from, number, first)
	if err != nil {
		l.failed = core.Wrap(core.KindUnavailable, "wal.Append", fmt.Errorf("beginning segment %d: %w", number, err))
		return l.failed
	}
	if l.f != nil {
		_ = l.f.Close() // synced after every write
	}
	l.f, l.tail, l.next = f, s, first
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.end = Pos{number, segmentHeader}
	l.mu.Unlock()
	return nil
}

// Append makes one frame durable and returns where it stands.
func (l *Log) Append(payload []byte) (Pos, error) { return l.AppendAll([][]byte{payload}) }

// AppendAll writes frames in order with one sync (more where they cross into a
// new segment) and returns the place of the first. On an error none of them is
// acknowledged; after a crash a leading part of them may be there.
func (l *Log) AppendAll(payloads [][]byte) (Pos, error) { return l.write(payloads, false) }

// AppendReserved is [Log.Append] that may use the reserve.
func (l *Log) AppendReserved(payload []byte) (Pos, error) {
	return l.write([][]byte{payload}, true)
}

// Admit reports whether Append of frames with this many bytes in all would be
// refused because the disk is full or the reserve has been broken into; it
// first tries to make room. An error is of kind core.KindUnavailable.
func (l *Log) Admit(size int64) error {
	l.append.Lock()
	defer l.append.Unlock()
	return l.admit(size)
}

func (l *Log) admit(size int64) error {
	if !l.o.Reserve {
		return nil
	}
	err := l.reserve.make()
	if err == nil && size > l.o.SegmentSize-l.end.Offset {
		err = l.spare.make()
	}
	if err != nil {
		return noRoom(err)
	}
	return nil
}

func noRoom(err error) error {
	return &core.Error{
		Kind: core.KindUnavailable,
		Op:   "wal.Append",
		Msg:  "no room for a new segment",
		Hint: "free disk space; what has a reserve is still recorded",
		Err:  err,
	}
}

func (l *Log) write(payloads [][]byte, reserved bool) (Pos, error) {
	l.append.Lock()
	defer l.append.Unlock()
	if l.failed != nil {
		return Pos{}, l.failed
	}
	size := int64(0)
	for i, p := range payloads {
		size += frameHeader + int64(len(p))
		if limit := min(MaxFrame, l.o.SegmentSize-segmentHeader-frameHeader); int64(len(p)) > limit {
			return Pos{}, core.E(core.KindTooLarge, "wal.Append", fmt.Sprintf("payload %d has %d bytes, at most %d are allowed", i, len(p), limit))
		}
	}
	if !reserved {
		if err := l.admit(size); err != nil {
			return Pos{}, err
		}
	}
	return l.writeRuns(payloads, reserved)
}

// writeRuns writes the longest run that fits the segment, then begins another.
func (l *Log) writeRuns(payloads [][]byte, reserved bool) (start Pos, err error) {
	for done := 0; done < len(payloads); {
		n, size := l.fitting(payloads[done:])
		if n == 0 {
			if err := l.startSegment(l.tail.number+1, l.next, reserved); err != nil {
				return Pos{}, err
			}
			l.spare.prepare()
			continue
		}
		at := l.end
		if err := l.writeRun(payloads[done:done+n], size); err != nil {
			return Pos{}, err
		}
		if done == 0 {
			start = at
		}
		done += n
	}
	return start, nil
}

func (l *Log) fitting(payloads [][]byte) (n int, size int64) {
	room := l.o.SegmentSize - l.end.Offset
	for _, p := range payloads {
		need := int64(frameHeader + len(p))
		if size+need > room {
			break
		}
		size += need
		n++
	}
	return n, size
}

func (l *Log) writeRun(payloads [][]byte, size int64) error {
	first := l.next
	l.buf = l.buf[:0]
	for i, p := range payloads {
		l.buf = appendFrame(l.buf, l.tail.salt, first+uint64(i), first, p)
	}
	if _, err := l.f.WriteAt(l.buf, l.end.Offset); err != nil {
		return l.undo(err, size)
	}
	if err := l.o.Sync(l.f); err != nil {
		l.failed = core.Wrap(core.KindUnavailable, "wal.Append",
			fmt.Errorf("sync failed at segment %d offset %d, nothing is appended until the log is opened again: %w", l.end.Segment, l.end.Offset, err))
		return l.failed
	}
	l.next += uint64(len(payloads))
	l.mu.Lock()
	l.end.Offset += size
	l.mu.Unlock()
	return nil
}

// undo takes back a write that failed half way, as on a full disk, so that the
// log can go on when there is room. If that fails too, the log is done.
func (l *Log) undo(cause error, size int64) error {
	var err error
	if l.o.Prealloc {
		_, err = l.f.WriteAt(make([]byte, size), l.end.Offset)
	} else {
		err = l.f.Truncate(l.end.Offset)
	}
	cause = core.Wrap(core.KindUnavailable, "wal.Append", fmt.Errorf("writing at segment %d offset %d: %w", l.end.Segment, l.end.Offset, cause))
	if err != nil {
		l.failed = errors.Join(cause, err)
	}
	return cause
}

// Segments returns the numbers of the segment files, oldest first.
func (l *Log) Segments() []uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	numbers := make([]uint64, len(l.segments))
	for i, s := range l.segments {
		numbers[i] = s.number
	}
	return numbers
}

// End returns the place after the last durable frame.
func (l *Log) End() Pos {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.end
}

// Torn returns what Open cut from the tail, nil if nothing.
func (l *Log) Torn() *Torn { return l.torn }

// TrimBefore removes the segments that lie wholly before p, oldest first, and
// never the one being written.
func (l *Log) TrimBefore(p Pos) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	removed := false
	for len(l.segments) > 1 && l.segments[0].number < p.Segment {
		if err := os.Remove(filepath.Join(l.dir, segmentName(l.segments[0].number))); err != nil {
			return core.Wrap(core.KindUnavailable, "wal.TrimBefore", err)
		}
		l.segments, removed = l.segments[1:], true
	}
	if !removed {
		return nil
	}
	return core.Wrap(core.KindUnavailable, "wal.TrimBefore", atomicfile.SyncDir(l.dir))
}

// Close releases the files. What was acknowledged is on disk already.
func (l *Log) Close() error {
	l.append.Lock()
	defer l.append.Unlock()
	if l.failed == nil {
		l.failed = core.E(core.KindUnavailable, "wal.Append", "the log is closed")
	}
	l.spare.wait()
	l.reserve.wait()
	var errs []error
	for _, f := range []**os.File{&l.f, &l.lock} {
		if *f != nil {
			errs = append(errs, (*f).Close())
			*f = nil
		}
	}
	return errors.Join(errs...)
}
