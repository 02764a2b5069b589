package journald

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/collect"
)

// fake is a journalctl that prints the lines of a file after the one with the
// cursor, and goes on printing what is added. It understands the switches that
// the collector uses and refuses others.
const fake = `#!/bin/sh
dir=$(dirname "$0")
after=""; follow=""; tail=all; want=""
while [ $# -gt 0 ]; do
  case "$1" in
    -o) [ "$2" = json ] || exit 9; shift;;
    --all|--no-pager|-q) ;;
    -f) follow=1; tail=10;;
    --no-tail) tail=all;;
    -n) tail=$2; shift;;
    --after-cursor=*) after="${1#--after-cursor=}"; tail=all;;
    *=*) want="$1";;
    *) echo "unknown $1" >&2; exit 9;;
  esac
  shift
done
[ "$tail" = 1 ] && { tail -n 1 "$dir/log"; exit 0; }
line=0
if [ -n "$after" ]; then
  line=$(grep -nF "\"$after\"" "$dir/log" | cut -d: -f1); line=${line:-0}
fi
exec tail -n +$((line + 1)) -f --pid=$$ "$dir/log"
`

type world struct {
	t    *testing.T
	dir  string
	sink *memory
	c    *Collector
	done chan error
	stop context.CancelFunc
	n    int
}

// memory is a journal that knows keys.
type memory struct {
	t      *testing.T
	mu     sync.Mutex
	frames []journal.Frame
	keys   map[string][32]byte
	fail   func(n int) (before, after bool)
	tries  int
	came   chan struct{}
}

var errDown = errors.New("down")

func (m *memory) Append(_ context.Context, f journal.Frame) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tries++
	before, after := m.fail(m.tries)
	if before {
		return errDown
	}
	id := fmt.Sprintf("%s %d-%d", f.Key.Epoch, f.Key.First, f.Key.Last)
	if hash, known := m.keys[id]; known && hash != f.Key.Hash {
		m.t.Errorf("fork %s", id)
	} else if !known {
		for other := range m.keys {
			var epoch string
			var first, last uint64
			if _, err := fmt.Sscanf(other, "%s %d-%d", &epoch, &first, &last); err != nil || epoch == f.Key.Epoch && first <= f.Key.Last && f.Key.First <= last {
				m.t.Errorf("%s overlaps %s (%v)", id, other, err)
			}
		}
		m.keys[id] = f.Key.Hash
		m.frames = append(m.frames, f)
		select {
		case m.came <- struct{}{}:
		default:
		}
	}
	if after {
		return errDown
	}
	return nil
}

func (m *memory) messages() (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.frames {
		for _, r := range f.Records {
			var e core.Event
			var fields struct{ MESSAGE string }
			if err := errors.Join(json.Unmarshal(r, &e), json.Unmarshal(e.Fields, &fields)); err != nil {
				m.t.Fatal(err)
			}
			out = append(out, fields.MESSAGE)
		}
	}
	return out
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, dir: dir, sink: &memory{t: t, keys: map[string][32]byte{}, came: make(chan struct{}, 1), fail: func(int) (bool, bool) { return false, false }}}
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "log"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// log adds an entry as journalctl prints it.
func (w *world) log(message string) {
	w.t.Helper()
	w.n++
	b, err := json.Marshal(map[string]string{
		"__CURSOR": fmt.Sprintf("s=abc;i=%x;b=b;m=1;t=1;x=1", w.n), "__REALTIME_TIMESTAMP": fmt.Sprint(1_700_000_000_000_000 + w.n),
		"PRIORITY": "4", "SYSLOG_IDENTIFIER": "sshd", "_COMM": "sshd", "_PID": "7", "MESSAGE": message,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(w.dir, "log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(append(b, '\n')); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) new(fromStart bool) *Collector {
	w.t.Helper()
	c, err := New(Config{
		Tenant: core.MustID[core.TenantID]("acme"), Checkpoints: filepath.Join(w.dir, "cp"), Matches: []string{"_COMM=sshd"}, FromStart: fromStart,
		Command: []string{filepath.Join(w.dir, "journalctl")}, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) start(fromStart bool) {
	w.t.Helper()
	w.c = w.new(fromStart)
	ctx, cancel := context.WithCancel(context.Background())
	w.done, w.stop = make(chan error, 1), cancel
	go func(c *Collector, done chan<- error) { done <- c.Run(ctx, w.sink) }(w.c, w.done)
	w.t.Cleanup(cancel)
}

func (w *world) end() {
	w.t.Helper()
	w.stop()
	if err := <-w.done; !errors.Is(err, context.Canceled) {
		w.t.Errorf("Run ended with %v", err)
	}
}

// await waits until the last message is there.
func (w *world) await(last string) {
	w.t.Helper()
	limit := time.After(3 * time.Minute)
	for !slices.Contains(w.sink.messages(), last) {
		select {
		case <-w.sink.came:
		case <-limit:
			w.t.Fatalf("%q did not come; there are %q", last, w.sink.messages())
		}
	}
}

func TestEntriesBecomeEvents(t *testing.T) {
	w := newWorld(t)
	w.log("history")
	if p := w.new(false).Probe(context.Background()); !p.Present {
		t.Fatalf("%+v", p)
	}
	w.start(true)
	w.log("Failed password for root from 203.0.113.9 port 1 ssh2")
	w.await("Failed password for root from 203.0.113.9 port 1 ssh2")
	w.end()
	var e core.Event
	if err := json.Unmarshal(w.sink.frames[0].Records[0], &e); err != nil {
		t.Fatal(err)
	}
	if e.Source != "journald/local" || e.Provenance != core.ProvenanceLocal || e.Type != "sshd" || e.Severity != core.SeverityLow ||
		!e.Time.Equal(time.UnixMicro(1_700_000_000_000_001)) || !strings.Contains(string(e.Fields), `"_COMM":"sshd"`) {
		t.Errorf("%+v", e)
	}
	if k := w.sink.frames[0].Key; k.Epoch != "abc" || k.First != 1 {
		t.Errorf("%+v", k)
	}
}

// TestNothingIsLostOrDoubled ends the collector again and again, with a journal
// that fails on either side of storing.
func TestNothingIsLostOrDoubled(t *testing.T) {
	w := newWorld(t)
	var want []string
	for round := range 8 {
		fails := round % 3
		w.sink.mu.Lock()
		w.sink.fail = func(n int) (bool, bool) { return fails == 1 && n%2 == 0, fails == 2 && n%2 == 0 }
		w.sink.mu.Unlock()
		w.start(true)
		for i := range 20 {
			m := fmt.Sprintf("%d/%d", round, i)
			want = append(want, m)
			w.log(m)
		}
		if round%2 == 0 {
			w.await(want[len(want)-1])
		}
		w.end()
	}
	w.sink.fail = func(int) (bool, bool) { return false, false }
	w.start(true)
	w.await(want[len(want)-1])
	w.end()
	if got := w.sink.messages(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestHistoryIsNotReadUnlessAsked(t *testing.T) {
	w := newWorld(t)
	w.log("history")
	cp := &checkpoint{V: 1}
	if err := w.new(false).begin(context.Background(), cp); err != nil {
		t.Fatal(err)
	}
	w.log("missed by nobody")
	w.start(false)
	w.await("missed by nobody")
	w.end()
	if got := w.sink.messages(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestAMachineWithoutAJournalIsSkipped(t *testing.T) {
	w := newWorld(t)
	if p := w.new(false).Probe(context.Background()); p.Present || !strings.Contains(p.Reason, "empty") {
		t.Errorf("%+v", p)
	}
	c := w.new(false)
	c.Command = []string{"/nonexistent/journalctl"}
	if p := c.Probe(context.Background()); p.Present || !strings.Contains(p.Reason, "not installed") {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsNoObjectIsKeptAsText(t *testing.T) {
	w := newWorld(t)
	c := w.new(false)
	long := `{"__CURSOR":"s=a;i=2;b=b","MESSAGE":"` + strings.Repeat("x", 2*MaxEntry) + `"}`
	for _, row := range []struct {
		line string
		cut  bool
	}{{"junk", false}, {"[1]", false}, {long[:MaxEntry], true}} {
		e := newEntry([]byte(row.line), row.cut)
		b, err := c.record(e)
		var ev core.Event
		var l collect.Line
		if err = errors.Join(err, json.Unmarshal(b, &ev), json.Unmarshal(ev.Fields, &l)); err != nil || l.Line != row.line || l.Cut != row.cut {
			t.Errorf("%.40q: %v %+v", row.line, err, ev)
		}
	}
	if e := newEntry([]byte(long[:MaxEntry]), true); e.number != 2 {
		t.Errorf("the place of a cut entry: %+v", e)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for _, m := range []string{"--file=/etc/shadow", "x", "=x"} {
		_, err := New(Config{Tenant: core.MustID[core.TenantID]("a"), Checkpoints: t.TempDir(), Matches: []string{m}, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler)})
		if core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v", m, err)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"__CURSOR":"s=a;i=1f;b=x","__REALTIME_TIMESTAMP":"1","MESSAGE":[1,2]}`), false)
	f.Fuzz(func(_ *testing.T, line []byte, cut bool) { newEntry(line, cut) })
}
