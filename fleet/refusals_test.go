package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
)

// bodies is a log that encodes what it is given, as the real one does.
type bodies struct {
	Log
	mu   sync.Mutex
	list []string
	err  error
}

func (b *bodies) Append(_ context.Context, e audit.Entry) (audit.Result, error) {
	text, err := json.Marshal(e.Body)
	if err != nil {
		return audit.Result{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return audit.Result{}, b.err
	}
	b.list = append(b.list, string(text))
	return audit.Result{}, nil
}

func (b *bodies) counted(t *testing.T) (n int) {
	t.Helper()
	for _, text := range b.list {
		var body struct{ Counts map[string]int }
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			t.Fatal(err)
		}
		for _, c := range body.Counts {
			n += c
		}
	}
	return n
}

// Strangers knock while their last minute is written down: a map that both
// touch would end the process, and the stop path with it.
func TestStrangersWhileSummariesAreWritten(t *testing.T) {
	log, clock := &bodies{}, clocktest.New(time.Unix(1e9, 0))
	r := newRefusals(nil, log, clock, slog.New(slog.DiscardHandler))
	kinds := []core.Kind{core.KindDenied, core.KindInvalid, core.KindExpired, core.KindUnauthenticated}
	var wg sync.WaitGroup
	var knocks atomic.Int64
	done := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					r.stranger("192.0.2.1", core.E(kinds[i%len(kinds)], "test", "no"))
					knocks.Add(1)
				}
			}
		})
	}
	for range 2000 {
		clock.Advance(refusalWindow)
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	wg.Wait()
	clock.Advance(refusalWindow)
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := log.counted(t); int64(n) != knocks.Load() {
		t.Errorf("%d refusals stand in the summaries, %d happened", n, knocks.Load())
	}
}

func TestSummariesWaitForTheLog(t *testing.T) {
	log, clock := &bodies{err: errors.New("full")}, clocktest.New(time.Unix(1e9, 0))
	r := newRefusals(nil, log, clock, slog.New(slog.DiscardHandler))
	for i := range 3 {
		r.stranger(fmt.Sprintf("192.0.2.%d", i), core.E(core.KindDenied, "test", "no"))
	}
	clock.Advance(refusalWindow)
	if err := r.Flush(t.Context()); err == nil {
		t.Fatal("a log that refuses was not told of")
	}
	r.stranger("192.0.2.1", core.E(core.KindDenied, "test", "no"))
	log.err = nil
	clock.Advance(refusalWindow)
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := log.counted(t); n != 4 || len(log.list) != 3 {
		t.Errorf("%d refusals in %d summaries, want 4 in 3", n, len(log.list))
	}
}

// A device's first refusal of a kind is told at once, the others as their number
// when the minute is over; none is lost without a word.
func TestRefusalsOfADeviceAreCounted(t *testing.T) {
	log, clock := &bodies{}, clocktest.New(time.Unix(1e9, 0))
	r := newRefusals(nil, log, clock, slog.New(slog.DiscardHandler))
	d := Device{Tenant: core.MustID[core.TenantID]("acme"), ID: core.MustID[core.DeviceID]("press-7")}
	denied, invalid := core.E(core.KindDenied, "test", "no"), core.E(core.KindInvalid, "test", "what")
	for i := range 5 {
		if first := r.countDevice(d, "batch.append", denied); first != (i == 0) {
			t.Errorf("refusal %d: first %v", i, first)
		}
	}
	if !r.countDevice(d, "batch.append", invalid) {
		t.Error("another kind is not told at once")
	}
	clock.Advance(refusalWindow)
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(log.list) != 1 || !strings.Contains(log.list[0], `"more":4`) {
		t.Errorf("summaries %+v", log.list)
	}
	if !r.countDevice(d, "batch.append", denied) {
		t.Error("the next minute's first is not told at once")
	}
}

// A flood of strangers is a line a minute in the program's log, not a full disk.
func TestStrangersLogOnceAMinute(t *testing.T) {
	var text bytes.Buffer
	clock := clocktest.New(time.Unix(1e9, 0))
	r := newRefusals(nil, &bodies{}, clock, slog.New(slog.NewTextHandler(&text, nil)))
	for range 1000 {
		r.stranger("192.0.2.1", core.E(core.KindDenied, "test", "no"))
	}
	if n := strings.Count(text.String(), "\n"); n != 1 {
		t.Errorf("%d lines for one stranger in one minute", n)
	}
}
