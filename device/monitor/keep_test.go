package monitor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

// kept collects what was handed to Keep.
type kept struct {
	mu   sync.Mutex
	last string
	n    int
	full error // why nothing can be kept
}

func (k *kept) keep(_ core.SensorID, memory map[string][]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last, k.n = string(memory["mind"]), k.n+1
	return k.full
}

func (k *kept) refuse(why error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.full = why
}

func (k *kept) is(want string, n int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last == want && k.n == n
}

func TestMemoryIsKeptWhenItChangesBySchedulesOrdersAndAtTheEnd(t *testing.T) {
	k, m, clock := &kept{}, &mind{}, clocktest.New(epoch)
	mon, err := New(Config{
		Sensors: []sensor.Sensor{only{lid}}, Clock: clock, Sink: func(Event) {}, Log: slog.New(slog.DiscardHandler), Keep: k.keep,
		Judges: map[core.SensorID][]Named{lid: {{"mind", m}}}, Memory: map[core.SensorID]map[string][]byte{lid: {"mind": []byte("before")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	learn := func(s string) {
		mon.mu.Lock()
		defer mon.mu.Unlock()
		m.memory, m.fresh = []byte(s), true
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mon.Run(ctx) }()
	await := func(want string, n int) {
		t.Helper()
		deadline := time.After(3 * time.Minute)
		for !k.is(want, n) {
			select {
			case <-deadline:
				t.Fatalf("kept %q %d times, want %q and %d", k.last, k.n, want, n)
			case <-time.After(time.Millisecond):
				clock.Advance(time.Second)
			}
		}
	}
	recalled := func() bool {
		mon.mu.Lock()
		defer mon.mu.Unlock()
		return string(m.memory) == "before"
	}
	for !recalled() {
		if t.Context().Err() != nil {
			t.Fatal("never recalled")
		}
	}
	learn("learned")
	await("learned", 1)
	if err := mon.Accept(lid, "right"); err != nil || !k.is("accepted", 2) {
		t.Errorf("an order: %v; kept %q", err, k.last)
	}
	k.refuse(errors.New("the state is full"))
	if err := mon.Accept(lid, "right"); err == nil {
		t.Error("an order whose outcome could not be kept was done")
	}
	k.refuse(nil)
	learn("at the end")
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !k.is("at the end", 4) {
		t.Errorf("at the end kept %q, %d times", k.last, k.n)
	}
}
