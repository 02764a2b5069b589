package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/collect"
	"github.com/interlock-security/interlock/siem/normalise"
)

// tail is a run of the collector: the file that is open and where it stands.
type tail struct {
	c    *Collector
	sink collect.Sink
	f    *os.File
	cp   *checkpoint
	// queue are files that come after the open one, oldest first.
	queue []string
	// rotated is true once the path names another file; quiet counts the polls
	// since then in which the open one brought nothing.
	rotated bool
	quiet   int
	buf     []byte
	refused string // why the file can't be opened, told once
}

func (t *tail) close() {
	if t.f != nil {
		_ = t.f.Close() // opened for reading only
		t.f = nil
	}
}

// resume finds the file that the checkpoint speaks of, wherever it is now.
func (t *tail) resume(ctx context.Context) error {
	cp, err := t.c.load()
	if err != nil {
		return err
	}
	if cp == nil {
		if _, err := os.Stat(t.c.Path); errors.Is(err, fs.ErrNotExist) {
			t.cp = &checkpoint{} // what it will hold when it comes is new
		}
		return nil
	}
	later, err := t.find(cp)
	if err != nil {
		return err
	}
	if t.f != nil {
		t.cp, t.queue, t.rotated = cp, later, t.f.Name() != t.c.Path
		return t.finishPending(ctx)
	}
	// Truncated, compressed or deleted: what came after the offset is gone. What
	// the path names now came later, all of it.
	t.cp = &checkpoint{}
	return t.c.lose(ctx, t.sink, 0, fmt.Sprintf("the file that was read up to byte %d is no longer there", cp.Offset))
}

// find opens the checkpoint's file: the path itself or one beside it that
// begins with its name. later are the rotated files that were written after it.
func (t *tail) find(cp *checkpoint) (later []string, err error) {
	names, err := siblings(t.c.Path)
	if err != nil {
		return nil, err
	}
	for i := len(names) - 1; i >= 0; i-- {
		f, err := os.Open(names[i])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, core.Wrap(core.KindUnavailable, "file.find", err)
		}
		if ok, err := cp.is(f); err == nil && ok {
			t.f = f
			return t.rotatedAfter(names, i), nil
		}
		_ = f.Close() // opened for reading only
	}
	return nil, nil
}

// rotatedAfter are the names that come after the one at i, without the path.
func (t *tail) rotatedAfter(names []string, i int) []string {
	return slices.DeleteFunc(slices.Clone(names[i+1:]), func(n string) bool { return n == t.c.Path })
}

// siblings lists the path and its rotated files, by time of their last change;
// the path itself is the last.
func siblings(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "file.siblings", err)
	}
	type aged struct {
		name string
		at   time.Time
	}
	var found []aged
	for _, e := range entries {
		name := filepath.Join(filepath.Dir(path), e.Name())
		suffix, ok := strings.CutPrefix(name, path)
		if !ok || !rotatedName.MatchString(suffix) || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil {
			found = append(found, aged{name, info.ModTime()})
		}
	}
	slices.SortStableFunc(found, func(a, b aged) int { return a.at.Compare(b.at) })
	var out []string
	for _, f := range found {
		out = append(out, f.name)
	}
	return append(out, path), nil
}

// rotatedName is what logrotate and its kin put behind the name: a number or a
// date. Compressed files are not opened.
var rotatedName = regexp.MustCompile(`^[.-][0-9][0-9._-]*$`)

// finishPending sends the frame again that was on its way when the last run
// ended: the same bytes under the same key.
func (t *tail) finishPending(ctx context.Context) error {
	if t.cp.Pending <= t.cp.Offset {
		return nil
	}
	chunk := make([]byte, t.cp.Pending-t.cp.Offset)
	if _, err := io.ReadFull(io.NewSectionReader(t.f, t.cp.Offset, int64(len(chunk))), chunk); err != nil {
		return core.Wrap(core.KindUnavailable, "file.finishPending", err)
	}
	return t.send(ctx, chunk, t.cp.Final)
}

// step does one thing: read a frame, or notice that the file is another. It
// reports whether to go on at once.
func (t *tail) step(ctx context.Context) (busy bool, err error) {
	if t.f == nil {
		return t.open()
	}
	n, err := t.read(ctx, t.rotated && t.quiet >= settle)
	if errors.Is(err, errTruncated) {
		return true, t.restart()
	}
	if err != nil || n > 0 {
		t.quiet = 0
		return err == nil, err
	}
	if t.rotated {
		if t.quiet++; t.quiet <= settle {
			return false, nil
		}
		err := t.leave()
		return err == nil, err
	}
	return t.changed()
}

// errTruncated says that the open file is not what it was.
var errTruncated = errors.New("the file was truncated")

// restart reads a file that was truncated in place from its beginning.
func (t *tail) restart() error {
	t.c.Log.Info("a log file was truncated", slog.Any("file", t.c.Path))
	t.close()
	t.cp = &checkpoint{} // not nil: nothing of what comes is history
	t.rotated, t.quiet = false, 0
	return nil
}

// leave closes a rotated file that is done with. Files that were rotated since
// come before the path.
func (t *tail) leave() error {
	info, err := t.f.Stat()
	if err != nil {
		return core.Wrap(core.KindUnavailable, "file.leave", err)
	}
	names, err := siblings(t.c.Path)
	if err != nil {
		return err
	}
	for i, name := range names {
		if other, err := os.Stat(name); err == nil && os.SameFile(info, other) {
			t.queue = t.rotatedAfter(names, i)
		}
	}
	t.close()
	t.rotated, t.quiet = false, 0
	return nil
}

// open begins with the next file: one that waits, or the path.
func (t *tail) open() (bool, error) {
	name, fresh := t.c.Path, t.cp == nil
	if len(t.queue) > 0 {
		name, t.queue = t.queue[0], t.queue[1:]
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		if t.refused != err.Error() {
			t.refused = err.Error()
			t.c.Log.Warn("a log file can't be opened; trying again", slog.Any("file", name), slog.Any("error", err))
		}
		return false, nil
	}
	t.refused = ""
	cp, err := identify(t.c.Path, f)
	if err != nil {
		_ = f.Close() // opened for reading only
		return false, fmt.Errorf("file: %w", err)
	}
	t.f, t.cp, t.rotated = f, cp, name != t.c.Path
	if fresh && !t.c.FromStart {
		if t.cp.Offset, err = lastLine(f); err != nil {
			return false, core.Wrap(core.KindUnavailable, "file.open", err)
		}
	}
	return true, t.c.save(t.cp)
}

// lastLine is where the line begins that has no end yet, or the end.
func lastLine(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	b := make([]byte, min(end, MaxLine))
	if _, err := io.ReadFull(io.NewSectionReader(f, end-int64(len(b)), int64(len(b))), b); err != nil {
		return 0, err
	}
	return end - int64(len(b)-1-bytes.LastIndexByte(b, '\n')), nil
}

// changed looks whether the path still names the open file.
func (t *tail) changed() (bool, error) {
	info, err := t.f.Stat()
	if err != nil {
		return false, core.Wrap(core.KindUnavailable, "file.changed", err)
	}
	now, err := os.Stat(t.c.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, now) {
		t.rotated = true
		return false, nil
	}
	return false, nil
}

// read takes the next lines. final lets the last line end without a newline.
func (t *tail) read(ctx context.Context, final bool) (int, error) {
	if t.buf == nil {
		t.buf = make([]byte, maxChunk)
	}
	n, err := t.f.ReadAt(t.buf, t.cp.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, core.Wrap(core.KindUnavailable, "file.read", err)
	}
	final = final && errors.Is(err, io.EOF)
	// Only now: had the file been truncated before the bytes were read, its
	// beginning would show it.
	if err := t.verify(); err != nil {
		return 0, err
	}
	size, _ := split(t.buf[:n], t.cp.Skipping, final, func(int, []byte, bool) {})
	if size == 0 {
		return 0, nil
	}
	t.cp.Pending, t.cp.Final = t.cp.Offset+int64(size), final
	if err := t.c.save(t.cp); err != nil {
		return 0, err
	}
	return size, t.send(ctx, t.buf[:size], final)
}

// verify checks that the open file begins as it did, and learns more of its
// beginning while that is short.
func (t *tail) verify() error {
	info, err := t.f.Stat()
	if err != nil {
		return core.Wrap(core.KindUnavailable, "file.verify", err)
	}
	intact, err := t.cp.intact(t.f, info.Size())
	if err != nil {
		return core.Wrap(core.KindUnavailable, "file.verify", err)
	}
	if !intact {
		return errTruncated
	}
	return core.Wrap(core.KindUnavailable, "file.verify", t.cp.grow(t.f, info.Size()))
}

// send puts the lines of a chunk into one frame and moves the checkpoint past
// them once they are durable.
func (t *tail) send(ctx context.Context, chunk []byte, final bool) error {
	received := t.c.Clock.Now()
	var records [][]byte
	var failed error
	_, skipping := split(chunk, t.cp.Skipping, final, func(at int, line []byte, cut bool) {
		record, err := t.record(t.cp.Offset+int64(at), line, cut, received)
		records, failed = append(records, record), errors.Join(failed, err)
	})
	if failed != nil {
		return failed
	}
	if len(records) > 0 {
		key := &journal.Key{
			Tenant: t.c.Tenant, Device: collect.PeerID("file", t.c.Path), Epoch: t.cp.Epoch,
			First: uint64(t.cp.Offset), Last: uint64(t.cp.Offset) + uint64(len(chunk)) - 1, Hash: sha256.Sum256(chunk),
		}
		if err := t.c.deliver(ctx, t.sink, key, records); err != nil {
			return err
		}
		t.c.records.Add(uint64(len(records)))
	}
	t.cp.Offset += int64(len(chunk))
	t.cp.Pending, t.cp.Final, t.cp.Skipping = 0, false, skipping
	return t.c.save(t.cp)
}

// split cuts a chunk into lines and returns how much of it they take, and
// whether its end lies inside a line that was cut. The same bytes give the same
// lines, which is what makes a frame repeatable.
func split(chunk []byte, skipping, final bool, line func(at int, text []byte, cut bool)) (size int, inside bool) {
	for count := 0; size < len(chunk) && count < journal.MaxRecords; {
		rest := chunk[size:]
		end := bytes.IndexByte(rest, '\n')
		switch {
		case skipping && end < 0:
			return len(chunk), true
		case skipping:
			skipping = false
			size += end + 1
			continue
		case end < 0 && len(rest) > MaxLine:
			line(size, rest[:MaxLine], true)
			return len(chunk), true
		case end < 0 && !final:
			return size, false
		case end < 0:
			end = len(rest) - 1
			line(size, rest, false)
		case end > MaxLine:
			line(size, rest[:MaxLine], true)
		default:
			line(size, bytes.TrimSuffix(rest[:end], []byte("\r")), false)
		}
		size += end + 1
		count++
	}
	return size, skipping
}

func (t *tail) record(at int64, text []byte, cut bool, received time.Time) ([]byte, error) {
	// A writer that keeps its place over a truncation leaves a hole of zeros.
	text = bytes.TrimLeft(text, "\x00")
	l := collect.Line{Path: t.c.Path, Cut: cut}
	l.SetLine(text)
	when := received
	if h, ok := normalise.ParseLine(l.Line, received, t.c.Location); ok {
		when = h.Time
		l.Host, l.Program, l.PID, l.Message = h.Host, h.Program, h.PID, h.Message
	} else {
		t.c.unread.Add(1)
		l.Message = l.Line
	}
	if cut {
		t.c.cut.Add(1)
	}
	id := collect.EventID(when, fmt.Sprintf("%s|%s|%d", t.c.Path, t.cp.Epoch, at))
	return t.c.origin.Event(id, when, received, collect.TypeOf(l.Program), core.SeverityInfo, l)
}
