package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/wal"
)

// normal is the space that sensors can fill; the rest is reserved.
func (s *Spool) normal() int64 { return s.o.Limit - s.o.Limit/4 }

// makeRoom sees to it that the items fit. It drops a quarter of the limit at
// once, so that a full spool does not write itself to death.
func (s *Spool) makeRoom(items []item) error {
	var need [2]int64
	for _, it := range items {
		need[it.class.space()] += it.size
	}
	over := max(s.used[0]+need[0]-s.normal(), s.used[0]+s.used[1]+need[0]+need[1]-s.o.Limit)
	if over <= 0 {
		return nil
	}
	return s.compact(s.victims(over + s.o.Limit/4))
}

// victims chooses what to drop, at least bytes in all if there is as much: the
// lowest class first, in each class from the middle.
func (s *Spool) victims(bytes int64) map[int]bool {
	doomed := map[int]bool{}
	for class := Class(0); class <= ClassLatch && bytes > 0; class++ {
		var of []int
		for i, it := range s.queue {
			if it.class == class {
				of = append(of, i)
			}
		}
		for _, i := range fromTheMiddle(of) {
			if bytes <= 0 {
				break
			}
			doomed[i] = true
			bytes -= s.queue[i].size
		}
	}
	return doomed
}

// fromTheMiddle orders indices from the middle outwards and leaves the first
// and the last out.
func fromTheMiddle(of []int) []int {
	if len(of) <= 2 {
		return nil
	}
	inner := of[1 : len(of)-1]
	out := make([]int, 0, len(inner))
	lo, hi := len(inner)/2-1, len(inner)/2
	for lo >= 0 || hi < len(inner) {
		if hi < len(inner) {
			out = append(out, inner[hi])
			hi++
		}
		if lo >= 0 {
			out = append(out, inner[lo])
			lo--
		}
	}
	return out
}

// loss is what the event about dropped events tells.
type loss struct {
	Count    int                   `json:"count"`
	Severity map[core.Severity]int `json:"severity"`
	First    int64                 `json:"first"` // times of the events, microseconds
	Last     int64                 `json:"last"`
	Why      string                `json:"why"`
}

// compact writes a new generation without the doomed events and with an event
// that tells of them, then lets it count, then removes the old one. A crash at
// any point leaves one of the two whole.
func (s *Spool) compact(doomed map[int]bool) error {
	if len(doomed) == 0 {
		return core.E(core.KindUnavailable, "spool.Append", "the spool is full of events that are never dropped")
	}
	next := s.gen + 1
	if err := os.RemoveAll(s.genDir(next)); err != nil {
		return core.Wrap(core.KindUnavailable, "spool.Append", err)
	}
	fresh, err := wal.Open(s.genDir(next), s.o.WAL)
	if err != nil {
		return fmt.Errorf("spool.Append: making room: %w", err)
	}
	if err := s.copyInto(fresh, doomed); err != nil {
		return errors.Join(err, fresh.Close(), os.RemoveAll(s.genDir(next)))
	}
	if err := atomicfile.WriteFile(filepath.Join(s.o.Dir, currentFile), []byte(strconv.FormatUint(next, 10)+"\n"), 0o600); err != nil {
		return errors.Join(core.Wrap(core.KindUnavailable, "spool.Append", err), fresh.Close())
	}
	old := s.gen
	_ = s.log.Close()
	s.log, s.gen = fresh, next
	if err := s.replay(); err != nil {
		s.broken = err
		return err
	}
	// A folder that can't be removed now is swept at the next start.
	_ = os.RemoveAll(s.genDir(old))
	return nil
}

// chunk bounds what compaction holds in memory.
const chunk = 256 << 10

func (s *Spool) copyInto(fresh *wal.Log, doomed map[int]bool) error {
	c := &copier{to: fresh}
	tail := s.tail
	if s.out != nil {
		tail = s.prev
	}
	c.add(record{n: s.next, Base: &baseRecord{Tail: tail, Lost: s.lost + uint64(len(doomed))}})
	if s.out != nil {
		c.add(record{n: s.out.upto, Batch: &batchRecord{Envelope: s.out.Envelope}})
	}
	gone := loss{Severity: map[core.Severity]int{}, Why: "the spool was full"}
	i := 0
	err := s.log.Scan(s.queue[0].at, func(_ wal.Pos, frame []byte) error {
		if i == len(s.queue) || !isEvent(frame, s.queue[i].n) {
			return nil
		}
		i++
		if !doomed[i-1] {
			c.raw(frame)
			return c.err
		}
		r, err := decodeRecord(frame)
		if err != nil {
			return err
		}
		gone.count(r.Event)
		return nil
	})
	if err == nil && i != len(s.queue) {
		err = core.E(core.KindDamaged, "spool.Append", "the log does not hold the events that wait")
	}
	if err != nil {
		return fmt.Errorf("spool.Append: making room: %w", err)
	}
	e := s.lossEvent(gone)
	c.add(record{n: s.next, Class: ClassOf(e), Event: &e})
	return c.flush()
}

func (l *loss) count(e *link.DeviceEvent) {
	l.Count++
	l.Severity[e.Severity]++
	if l.First == 0 || e.Time < l.First {
		l.First = e.Time
	}
	l.Last = max(l.Last, e.Time)
}

func (s *Spool) lossEvent(l loss) link.DeviceEvent {
	fields, err := json.Marshal(l)
	if err != nil {
		fields = []byte("{}")
	}
	now := s.o.Clock.Now()
	return link.DeviceEvent{
		ID: core.NewUUID(now), Time: now.UnixMicro(), Type: EventLost, Class: core.ClassDeviceState,
		Severity: core.SeverityHigh, Fields: fields,
	}
}

// copier writes frames in chunks; its first error stays.
type copier struct {
	to     *wal.Log
	frames [][]byte
	size   int
	err    error
}

func (c *copier) add(r record) {
	frame, err := encodeRecord(r)
	if err != nil {
		c.err = errors.Join(c.err, err)
		return
	}
	c.raw(frame)
}

func (c *copier) raw(frame []byte) {
	c.frames = append(c.frames, append([]byte(nil), frame...))
	if c.size += len(frame); c.size > chunk {
		c.err = errors.Join(c.err, c.flush())
	}
}

func (c *copier) flush() error {
	if c.err != nil || len(c.frames) == 0 {
		return c.err
	}
	_, err := c.to.AppendAll(c.frames)
	c.frames, c.size = nil, 0
	if err != nil {
		return fmt.Errorf("spool.Append: making room: %w", err)
	}
	return nil
}
