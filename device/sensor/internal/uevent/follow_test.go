package uevent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent/ueventtest"
)

// bench follows a kernel that a test speaks for.
type bench struct {
	t      *testing.T
	clock  *clocktest.Clock
	kernel *ueventtest.Kernel
	looks  chan string
	heard  chan string
	ended  chan error
}

const (
	settle = time.Second
	every  = time.Hour
)

func follow(t *testing.T, first error) (*bench, context.CancelFunc) {
	t.Helper()
	b := &bench{
		t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), kernel: ueventtest.New(),
		looks: make(chan string, 100), heard: make(chan string, 100), ended: make(chan error, 1),
	}
	ctx, cancel := context.WithCancel(t.Context())
	h := uevent.Handler{
		Clock: b.clock, Open: b.kernel.Open, Every: every, Settle: settle, Emit: func(sensor.Reading) {},
		Start: func() error { return first },
		Event: func(e uevent.Event) error { b.heard <- e.Name(); return uevent.ErrLook },
		Look:  func(why string) error { b.looks <- why; return nil },
	}
	go func() { b.ended <- uevent.Follow(ctx, h) }()
	return b, cancel
}

func (b *bench) say(name string) {
	b.t.Helper()
	b.kernel.Say(fmt.Appendf(nil, "add@/devices/%s\x00ACTION=add\x00DEVPATH=/devices/%s\x00", name, name))
	b.await(b.heard)
}

func (b *bench) await(c chan string) string {
	b.t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(3 * time.Minute):
		b.t.Fatal("nothing came")
	}
	return ""
}

// pass waits for n timers and lets time pass.
func (b *bench) pass(n int, d time.Duration) {
	b.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for b.clock.Waiters() < n {
		if time.Now().After(deadline) {
			b.t.Fatalf("%d timers, not %d", b.clock.Waiters(), n)
		}
		runtime.Gosched()
	}
	b.clock.Advance(d)
}

func TestABurstIsOneLookOnceItIsQuiet(t *testing.T) {
	b, cancel := follow(t, nil)
	for i := range 5 {
		b.say(fmt.Sprint("part", i))
		b.pass(min(2+i, 3), settle/2) // the timer before stays with the clock, and nobody hears it
	}
	if n := len(b.looks); n != 0 {
		t.Fatalf("%d looks during the burst", n)
	}
	b.pass(2, settle)
	if why := b.await(b.looks); why != "" {
		t.Errorf("a look for %q", why)
	}
	cancel()
	if err := <-b.ended; err != nil || len(b.looks) != 0 {
		t.Errorf("%v, %d more looks", err, len(b.looks))
	}
}

// A part that flaps for ever must not keep everybody from looking.
func TestAKernelThatIsNeverQuietIsLookedAtAllTheSame(t *testing.T) {
	b, cancel := follow(t, nil)
	defer cancel()
	for i := range 40 {
		b.say(fmt.Sprint("part", i))
		b.clock.Advance(settle / 2)
		if len(b.looks) > 0 {
			return
		}
	}
	b.await(b.looks)
}

func TestStartCanPutOffTheFirstLook(t *testing.T) {
	b, cancel := follow(t, uevent.ErrLook)
	defer cancel()
	b.pass(2, settle)
	b.await(b.looks)
}

func TestLostMessagesAreLookedForAtOnce(t *testing.T) {
	b, cancel := follow(t, nil)
	defer cancel()
	b.kernel.Fail(uevent.ErrOverrun)
	if why := b.await(b.looks); why != "uevents_lost" {
		t.Errorf("a look for %q", why)
	}
}

func TestASocketThatEndsIsAFaultAndSoIsAStartThatFails(t *testing.T) {
	b, cancel := follow(t, nil)
	defer cancel()
	b.kernel.Fail(core.E(core.KindUnavailable, "test", "the socket is gone"))
	if err := <-b.ended; core.KindOf(err) != core.KindUnavailable {
		t.Errorf("Follow: %v", err)
	}
	want := errors.New("no bus")
	b, cancel = follow(t, want)
	defer cancel()
	if err := <-b.ended; !errors.Is(err, want) {
		t.Errorf("Follow: %v", err)
	}
}

func TestTheSelfTestHearsTheRealKernel(t *testing.T) {
	devicetest.NeedsRoot(t, "asking the kernel for a message")
	env := sensor.Env{Clock: core.SystemClock{}}
	if f := uevent.SelfTest(t.Context(), env, uevent.Open); f.Result != sensor.Pass {
		t.Errorf("finding %+v", f)
	}
}

func TestTheSelfTestFailsWhereTheKernelIsSilent(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "sys/devices/virtual/mem/null")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "uevent"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	clock, kernel := clocktest.New(time.Unix(1_700_000_000, 0)), ueventtest.New()
	found := make(chan sensor.Finding, 1)
	go func() { found <- uevent.SelfTest(t.Context(), sensor.Env{Clock: clock, Root: root}, kernel.Open) }()
	deadline := time.Now().Add(3 * time.Minute)
	for clock.Waiters() == 0 {
		if time.Now().After(deadline) {
			t.Fatal("it does not wait")
		}
		runtime.Gosched()
	}
	clock.Advance(time.Minute)
	if f := <-found; f.Result != sensor.Fail || f.Why == "" {
		t.Errorf("finding %+v", f)
	}
}
