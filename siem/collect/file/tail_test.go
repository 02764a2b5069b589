package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/collect"
)

// world is a log file, its writer, the journal's memory and a collector that
// can be started and ended at any point.
type world struct {
	t      *testing.T
	dir    string
	path   string
	clock  *clocktest.Clock
	writer *os.File
	sink   *memory
	c      *Collector
	tail   *tail
}

// memory is a journal: it knows keys, and it can fail on either side of the
// moment in which a frame becomes durable.
type memory struct {
	t             *testing.T
	frames        []journal.Frame
	keys          map[string][32]byte
	before, after bool
}

var errDown = errors.New("down")

func (m *memory) Append(_ context.Context, f journal.Frame) error {
	if m.before {
		return errDown
	}
	if f.Key != nil {
		id := fmt.Sprintf("%s %d-%d", f.Key.Epoch, f.Key.First, f.Key.Last)
		if hash, known := m.keys[id]; known {
			if hash != f.Key.Hash {
				m.t.Errorf("fork: %s", id)
			}
			return nil
		}
		for other := range m.keys {
			var epoch string
			var first, last uint64
			if _, err := fmt.Sscanf(other, "%s %d-%d", &epoch, &first, &last); err != nil {
				m.t.Fatal(err)
			}
			if epoch == f.Key.Epoch && first <= f.Key.Last && f.Key.First <= last {
				m.t.Errorf("frame %s overlaps %s", id, other)
			}
		}
		m.keys[id] = f.Key.Hash
	}
	m.frames = append(m.frames, f)
	if m.after {
		return errDown
	}
	return nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, dir: dir, path: filepath.Join(dir, "auth.log"), clock: clocktest.New(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))}
	w.sink = &memory{t: t, keys: make(map[string][32]byte)}
	return w
}

func (w *world) start(fromStart bool) {
	w.t.Helper()
	c, err := New(Config{
		Tenant: core.MustID[core.TenantID]("acme"), Path: w.path, Checkpoints: filepath.Join(w.dir, "cp"), FromStart: fromStart,
		Location: time.UTC, Clock: w.clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.c, w.tail = c, &tail{c: c, sink: w.sink}
	w.must(w.tail.resume(context.Background()))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// stop ends the collector without another word, as kill -9 does.
func (w *world) stop() {
	w.tail.close()
	w.tail = nil
}

// drain polls until nothing more comes.
func (w *world) drain() {
	w.t.Helper()
	for idle := 0; idle < 2*settle; {
		busy, err := w.tail.step(context.Background())
		w.must(err)
		if idle++; busy {
			idle = 0
		}
	}
}

func (w *world) write(lines ...string) {
	w.t.Helper()
	if w.writer == nil {
		f, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		w.must(err)
		w.writer = f
		w.t.Cleanup(func() { _ = f.Close() })
	}
	for _, l := range lines {
		_, err := w.writer.WriteString(l)
		w.must(err)
	}
}

// rotate renames the file; the writer goes on with the old one until reopen.
func (w *world) rotate(suffix string) {
	w.t.Helper()
	w.must(os.Rename(w.path, w.path+suffix))
}

func (w *world) reopen() { w.writer = nil }

func (w *world) lines() (out []string) {
	for _, e := range w.events() {
		if e.Type != collect.TypeLoss {
			out = append(out, w.line(e).Line)
		}
	}
	return out
}

func (w *world) line(e core.Event) (l collect.Line) {
	w.must(json.Unmarshal(e.Fields, &l))
	return l
}

func (w *world) events() (out []core.Event) {
	for _, f := range w.sink.frames {
		for _, r := range f.Records {
			var e core.Event
			w.must(json.Unmarshal(r, &e))
			out = append(out, e)
		}
	}
	return out
}

func (w *world) want(lines ...string) {
	w.t.Helper()
	if got := w.lines(); !slices.Equal(got, lines) {
		w.t.Errorf("lines %q\nwant  %q", got, lines)
	}
}

func TestLinesBecomeEvents(t *testing.T) {
	w := newWorld(t)
	w.write("old\n")
	w.start(true)
	w.write("Jan  1 23:00:00 host sshd[42]: Failed password for x\n", "2026-01-01T23:00:01+01:00 h cron: run\n", "plain\r\n", "bad \xff utf8\n")
	w.drain()
	events := w.events()
	if len(events) != 5 {
		t.Fatalf("%d events", len(events))
	}
	e := events[1]
	l := w.line(e)
	if e.Source != "file"+w.path || e.Provenance != core.ProvenanceLocal || e.Type != "sshd" || !e.Time.Equal(time.Date(2026, 1, 1, 23, 0, 0, 0, time.UTC)) ||
		l.Program != "sshd" || l.PID != "42" || l.Host != "host" || l.Message != "Failed password for x" || l.Line != "Jan  1 23:00:00 host sshd[42]: Failed password for x" {
		t.Errorf("%+v %+v", e, l)
	}
	if !events[2].Time.Equal(time.Date(2026, 1, 1, 22, 0, 1, 0, time.UTC)) || !events[3].Time.Equal(w.clock.Now()) || events[3].Type != "log" || w.line(events[3]).Line != "plain" {
		t.Errorf("%+v\n%+v", events[2], events[3])
	}
	if l := w.line(events[4]); string(l.Raw) != "bad \xff utf8" {
		t.Errorf("%+v", l)
	}
	if n := w.c.Counts(); n.Records != 5 || n.Unparsed != 3 {
		t.Errorf("%+v", n)
	}
}

func TestHistoryIsNotReadUnlessAsked(t *testing.T) {
	w := newWorld(t)
	w.write("history\n", "begun")
	w.start(false)
	w.drain()
	w.write(" and ended\n", "new\n")
	w.drain()
	w.want("begun and ended", "new")
}

func TestAFileThatComesLaterIsReadFromItsBeginning(t *testing.T) {
	w := newWorld(t)
	w.start(false)
	w.drain()
	w.write("first\n")
	w.drain()
	w.want("first")
}

func TestPartialLinesWait(t *testing.T) {
	w := newWorld(t)
	w.start(true)
	w.write("a")
	w.drain()
	w.want()
	w.write("b\n")
	w.drain()
	w.want("ab")
}

func TestLongLinesAreCutAndMarked(t *testing.T) {
	w := newWorld(t)
	w.start(true)
	long := strings.Repeat("x", maxChunk*2)
	w.write("before\n", long)
	w.drain()
	w.write(long, "\nafter\n", strings.Repeat("y", MaxLine), "\n", strings.Repeat("z", MaxLine+1), "\n")
	w.drain()
	w.want("before", long[:MaxLine], "after", strings.Repeat("y", MaxLine), strings.Repeat("z", MaxLine))
	var cut []bool
	for _, e := range w.events() {
		cut = append(cut, w.line(e).Cut)
	}
	if !slices.Equal(cut, []bool{false, true, false, false, true}) || w.c.Counts().Cut != 2 {
		t.Errorf("cut %v, %d", cut, w.c.Counts().Cut)
	}
}

func TestRotationByRename(t *testing.T) {
	w := newWorld(t)
	w.start(true)
	w.write("1\n")
	w.drain()
	w.write("2\n")
	w.rotate(".1")
	w.write("3\n", "4 unfinished") // the writer has not noticed
	w.reopen()
	w.write("5\n")
	w.drain()
	w.want("1", "2", "3", "4 unfinished", "5")
}

func TestRotationsWhileNotRunning(t *testing.T) {
	w := newWorld(t)
	w.start(true)
	w.write("1\n")
	w.drain()
	w.stop()
	for i, suffix := range []string{".2", ".1", ""} {
		w.write(fmt.Sprintf("%d\n", i+2))
		if suffix != "" {
			w.rotate(suffix)
			w.reopen()
			at := time.Unix(int64(1000+i), 0)
			w.must(os.Chtimes(w.path+suffix, at, at))
		}
	}
	w.must(os.WriteFile(w.path+".notes", []byte("no log\n"), 0o600))
	w.start(true)
	w.drain()
	w.want("1", "2", "3", "4")
}

func TestCopyTruncate(t *testing.T) {
	for _, more := range []string{"c\n", "c much longer than what was there before, past the old offset\n"} {
		w := newWorld(t)
		w.start(true)
		w.write("a\n", "b\n")
		w.drain()
		w.must(os.Truncate(w.path, 0))
		w.write(more)
		w.drain()
		w.want("a", "b", strings.TrimSpace(more))
	}
}

func TestTruncationWhileNotRunningIsReported(t *testing.T) {
	w := newWorld(t)
	w.start(true)
	w.write("a\n", "b\n")
	w.drain()
	w.stop()
	w.must(os.Truncate(w.path, 0))
	w.write("c\n")
	w.start(false)
	w.drain()
	w.want("a", "b", "c")
	if n := w.c.Counts().Lost; n != 1 {
		t.Errorf("%d losses", n)
	}
	if e := w.events()[2]; e.Type != collect.TypeLoss || !strings.Contains(string(e.Fields), "byte 4") {
		t.Errorf("%+v", e)
	}
}

// TestCrashesAtEveryPoint ends the collector before, in and after every append,
// while lines are written and files rotated: each line is there once, in order.
func TestCrashesAtEveryPoint(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		w.start(true)
		w.write("seen before it is rotated\n")
		w.drain()
		want := []string{"seen before it is rotated"}
		rotations := 0
		for i := range 120 {
			switch rng.IntN(8) {
			case 0, 1, 2, 3:
				line := fmt.Sprintf("%d%s", i, strings.Repeat("x", rng.IntN(3)))
				want = append(want, line)
				if half := rng.IntN(len(line)); rng.IntN(3) == 0 {
					w.write(line[:half])
					w.crash(rng)
					w.write(line[half:], "\n")
				} else {
					w.write(line, "\n")
				}
			case 4:
				if w.writer != nil && rotations < 20 {
					rotations++
					suffix := fmt.Sprintf(".%d", rotations)
					w.rotate(suffix)
					w.reopen()
					at := time.Unix(int64(1000+rotations), 0)
					w.must(os.Chtimes(w.path+suffix, at, at))
				}
			default:
				w.crash(rng)
			}
		}
		w.sink.before, w.sink.after = false, false
		w.drain()
		if got := w.lines(); !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d lines, want %d\n%q\n%q", seed, len(got), len(want), got, want)
		}
		w.stop()
		if w.writer != nil {
			_ = w.writer.Close()
		}
	}
}

// crash lets the collector work for a few steps with a journal that fails
// before or after it has stored, and ends it there.
func (w *world) crash(rng *rand.Rand) {
	w.t.Helper()
	w.sink.before, w.sink.after = rng.IntN(2) == 0, rng.IntN(2) == 0
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range rng.IntN(6) {
		if w.sink.before || w.sink.after {
			cancel() // it would try again for ever: it ends while it waits
		}
		if _, err := w.tail.step(ctx); errors.Is(err, context.Canceled) {
			break
		} else if err != nil {
			w.t.Fatal(err)
		}
	}
	w.stop()
	w.sink.before, w.sink.after = false, false
	w.start(true)
}

func TestADamagedCheckpointIsAnErrorThatSaysWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.start(true)
	w.write("a\n")
	w.drain()
	path := w.c.checkpointPath()
	w.stop()
	info, err := os.Stat(path)
	w.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	w.must(os.WriteFile(path, []byte(`{"v":1,"x":1}`), 0o600))
	err = (&tail{c: w.c, sink: w.sink}).resume(context.Background())
	if core.KindOf(err) != core.KindDamaged || core.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	good := Config{Tenant: core.MustID[core.TenantID]("a"), Path: "/var/log/x", Checkpoints: t.TempDir(), Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler)}
	for _, damage := range []func(*Config){
		func(c *Config) { c.Path = "x" }, func(c *Config) { c.Path = "/a/../b" }, func(c *Config) { c.Tenant = core.TenantID{} }, func(c *Config) { c.Path = "/" + strings.Repeat("x", 300) },
	} {
		c := good
		damage(&c)
		if _, err := New(c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
	c, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Probe(context.Background()); p.Present || p.Reason == "" {
		t.Errorf("%+v", p)
	}
}

// TestRunEndsAndTriesAgain drives the real loop by the clock.
func TestRunEndsAndTriesAgain(t *testing.T) {
	w := newWorld(t)
	w.write("a\n")
	w.start(true)
	w.stop()
	w.sink.before = true
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.c.Run(ctx, w.sink) }()
	for w.c.Counts().Retries < 3 {
		if w.clock.Waiters() > 0 {
			w.clock.Advance(time.Minute)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\nb\r\n\nc"), false, true)
	f.Fuzz(func(t *testing.T, chunk []byte, skipping, final bool) {
		lines := 0
		size, _ := split(chunk, skipping, final, func(at int, text []byte, _ bool) {
			lines++
			if at+len(text) > len(chunk) || len(text) > MaxLine && !final {
				t.Fatalf("line of %d bytes at %d of %d", len(text), at, len(chunk))
			}
		})
		again := 0
		size2, _ := split(chunk[:size], skipping, final, func(int, []byte, bool) { again++ })
		if size > len(chunk) || size2 != size || again != lines {
			t.Fatalf("%d bytes in %d lines, then %d in %d", size, lines, size2, again)
		}
	})
}
