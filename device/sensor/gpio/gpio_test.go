package gpio

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// rig runs the driver over a board.
type rig struct {
	*board
	sensor   *Sensor
	readings chan sensor.Reading
}

func lid() Line { return Line{Name: "lid", Chip: "gpio-sim.0-node0", Offset: 3} }

func newRig(t *testing.T, lines ...Line) *rig {
	t.Helper()
	b := newBoard(t)
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("case"), Clock: b.clock}, Config{Lines: lines})
	if err != nil {
		t.Fatal(err)
	}
	s.kernel = b
	return &rig{b, s, make(chan sensor.Reading, 4096)}
}

func (r *rig) emit(x sensor.Reading) { r.readings <- x }

// start runs the driver; wait returns how it ended.
func (r *rig) start() (stop func(), wait func() error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.sensor.Run(ctx, r.emit) }()
	return cancel, func() error {
		select {
		case err := <-ended:
			cancel()
			if left := len(r.open); left != 0 {
				r.t.Errorf("%d descriptors stay open", left)
			}
			return err
		case <-time.After(3 * time.Minute):
			r.t.Fatal("the driver goes on")
			return nil
		}
	}
}

// await returns the next reading that fits; the deadline only bounds a failure.
func (r *rig) await(what string, fits func(sensor.Reading) bool) sensor.Reading {
	r.t.Helper()
	deadline := time.After(3 * time.Minute)
	for {
		select {
		case x := <-r.readings:
			if fits(x) {
				return x
			}
		case <-deadline:
			r.t.Fatalf("never: %s", what)
		}
	}
}

func isLevel(point string, active bool) func(sensor.Reading) bool {
	return func(x sensor.Reading) bool { return x.Kind == sensor.Level && x.Point == point && x.Active == active }
}

func isType(kind string) func(sensor.Reading) bool {
	return func(x sensor.Reading) bool { return x.Type == kind && x.Kind == sensor.Pulse }
}

func isBeat(x sensor.Reading) bool { return x.Kind == sensor.Beat }

func TestEveryWiringAlarmsOnItsWrongSideAndIsCalmOnTheRightOne(t *testing.T) {
	for _, row := range []struct {
		contact, active string
		calm            bool // the electrical level of a closed case: high
	}{
		{"", "", false},
		{"nc", "low", false},
		{"nc", "high", true},
		{"no", "low", true},
		{"no", "high", false},
	} {
		l := lid()
		l.Contact, l.Active = row.contact, row.active
		r := newRig(t, l)
		r.high[3] = row.calm
		stop, wait := r.start()
		inv := r.await("inventory", func(x sensor.Reading) bool { return x.Kind == sensor.Inventory })
		if !strings.Contains(string(inv.Fields), `"kernel_debounce_us":30000`) {
			t.Errorf("inventory %s", inv.Fields)
		}
		r.await("calm at the start", isLevel("lid", false))
		r.drive(3, !row.calm)
		if x := r.await("opened", isLevel("lid", true)); x.Type != TypeOpened || !x.Alarm || !x.Settled || x.Severity != core.SeverityCritical {
			t.Errorf("%+v: %+v", row, x)
		}
		r.drive(3, row.calm)
		r.await("closed", isLevel("lid", false))
		stop()
		if err := wait(); err != nil {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

// TestACaseThatIsOpenAtTheStartAlarms looks at what the monitor makes of it.
func TestACaseThatIsOpenAtTheStartAlarms(t *testing.T) {
	r := newRig(t, lid())
	r.high[3] = true
	stop, wait := r.start()
	c := monitor.NewCore(monitor.Rules{}, monitor.Spec{ID: r.sensor.ID(), Caps: r.sensor.Capabilities()})
	var events []monitor.Event
	for len(events) < 2 { // the inventory, the alarm; no time passes
		events = append(events, c.Read(r.clock.Now(), r.sensor.ID(), r.await("a reading", func(sensor.Reading) bool { return true }))...)
	}
	if e := events[1]; e.Type != TypeOpened || e.Latch == nil {
		t.Errorf("event %+v", e)
	}
	stop()
	_ = wait()
}

func TestABriefOpeningIsOneEventAndALatch(t *testing.T) {
	r := newRig(t, lid())
	stop, wait := r.start()
	r.await("the start is over", isBeat)
	r.drive(3, true) // over before anybody reads: both edges are in the queue
	r.drive(3, false)
	c := monitor.NewCore(monitor.Rules{}, monitor.Spec{ID: r.sensor.ID(), Caps: r.sensor.Capabilities()})
	var types []string
	for _, active := range []bool{true, false} {
		x := r.await("both edges", isLevel("lid", active))
		for _, e := range c.Read(r.clock.Now(), r.sensor.ID(), x) {
			types = append(types, e.Type)
		}
	}
	if !slices.Equal(types, []string{TypeOpened}) || len(c.Latches()) != 1 {
		t.Errorf("events %v, latches %v", types, c.Latches())
	}
	stop()
	_ = wait()
}

func TestEdgesThatTheKernelDroppedAreTold(t *testing.T) {
	r := newRig(t, lid())
	stop, wait := r.start()
	r.await("the start is over", isBeat)
	r.drive(3, true)
	r.await("opened", isLevel("lid", true))
	r.swallow(3, 5)
	r.drive(3, false)
	if x := r.await("loss", isType("edges_lost")); !strings.Contains(string(x.Fields), `"count":5`) || x.Alarm {
		t.Errorf("reading %+v %s", x, x.Fields)
	}
	r.await("what came after", isLevel("lid", false))
	stop()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

func TestAChipThatGoesAwayIsTamperingAndTheNextRunIsAFault(t *testing.T) {
	r := newRig(t, lid(), Line{Name: "door", Chip: "gpio-sim.0-node0", Offset: 4})
	stop, wait := r.start()
	r.await("the start is over", isBeat)
	r.unplug(true)
	if x := r.await("tampering", isType("chip_removed")); !x.Alarm || x.Severity != core.SeverityCritical {
		t.Errorf("reading %+v", x)
	}
	if err := wait(); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("Run: %v", err)
	}
	stop()
	stop, wait = r.start()
	defer stop()
	if err := wait(); err == nil {
		t.Error("a chip that is not there is no fault")
	}
	for len(r.readings) > 0 {
		if x := <-r.readings; x.Type == "chip_removed" {
			t.Error("told twice")
		}
	}
	r.unplug(false)
	stop, wait = r.start()
	r.await("it reads again", isBeat)
	stop()
	_ = wait()
}

func TestAChipThatGoesBetweenTwoRunsIsTampering(t *testing.T) {
	for _, chip := range []string{"gpio-sim.0-node0", "gpiochip0", "/dev/gpiochip0"} {
		l := lid()
		l.Chip = chip
		r := newRig(t, l)
		stop, wait := r.start()
		r.await("the start is over", isBeat)
		stop()
		_ = wait()
		r.unplug(true)
		_, wait = r.start()
		r.await("tampering", isType("chip_removed"))
		if err := wait(); err == nil {
			t.Error("no fault")
		}
	}
}

// A dead chip may tell of nothing at all: poll stays silent and the read fails.
func TestTheLookByTheClockFindsADeadChip(t *testing.T) {
	r := newRig(t, lid())
	_, wait := r.start()
	r.await("the start is over", isBeat)
	for x := range r.poll(lookEvery) {
		if isBeat(x) {
			break // it looks without being told
		}
	}
	r.mu.Lock()
	r.silent = true
	r.mu.Unlock()
	r.unplug(true)
	for x := range r.poll(lookEvery) {
		if isType("chip_removed")(x) {
			break
		}
	}
	if err := wait(); err == nil {
		t.Error("no fault")
	}
}

func TestAChipWithoutInterruptsIsReadAgainAndAgain(t *testing.T) {
	r := newRig(t, lid())
	r.noIRQ = true
	stop, wait := r.start()
	r.await("the start is over", isBeat)
	r.drive(3, true)
	for x := range r.poll(pollEvery) {
		if isLevel("lid", true)(x) {
			if x.Settled {
				t.Error("a level that nobody debounced counts at once")
			}
			break
		}
	}
	stop()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// poll lets time pass and yields what is read.
func (r *rig) poll(step time.Duration) func(func(sensor.Reading) bool) {
	return func(yield func(sensor.Reading) bool) {
		deadline := time.After(3 * time.Minute)
		for {
			select {
			case x := <-r.readings:
				if !yield(x) {
					return
				}
			case <-time.After(time.Millisecond):
				r.clock.Advance(step)
			case <-deadline:
				r.t.Fatal("never read")
			}
		}
	}
}

func TestALineOfADoorThatPeopleUseDoesNotLatch(t *testing.T) {
	no := false
	l := lid()
	l.Latch, l.Severity = &no, core.SeverityMedium
	r := newRig(t, l)
	r.high[3] = true
	stop, wait := r.start()
	x := r.await("open", isLevel("lid", true))
	c := monitor.NewCore(monitor.Rules{}, monitor.Spec{ID: r.sensor.ID(), Caps: r.sensor.Capabilities()})
	events := c.Read(r.clock.Now(), r.sensor.ID(), x)
	if len(events) != 1 || events[0].Latch != nil || events[0].State != core.SensorAlarm || events[0].Severity != core.SeverityMedium {
		t.Errorf("events %+v", events)
	}
	stop()
	_ = wait()
}

func TestWhatCannotBeWatchedIsAFaultWithAReason(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*board)
		line   Line
		want   string
	}{
		"another chip": {func(*board) {}, Line{Name: "lid", Chip: "pinctrl-bcm2711", Offset: 3}, "pinctrl-bcm2711"},
		"a line that others have": {
			func(b *board) { b.busy[3] = true }, lid(), `"somebody" has it`,
		},
		"a line that the chip hasn't": {func(*board) {}, Line{Name: "lid", Chip: "gpiochip0", Offset: 8}, "no line 8"},
	} {
		r := newRig(t, row.line)
		row.change(r.board)
		_, wait := r.start()
		if err := wait(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
		if r.sensor.Probe() != sensor.Present() {
			t.Errorf("%s: skipped, which looks like nothing", name)
		}
	}
}

func TestBadLinesAreRefused(t *testing.T) {
	for name, lines := range map[string][]Line{
		"none":              {},
		"a name that talks": {{Name: "li d", Chip: "x"}},
		"no chip":           {{Name: "lid"}},
		"a path upwards":    {{Name: "lid", Chip: "/dev/../etc/passwd"}},
		"an offset":         {{Name: "lid", Chip: "x", Offset: maxOffset}},
		"a contact":         {{Name: "lid", Chip: "x", Contact: "open"}},
		"an active level":   {{Name: "lid", Chip: "x", Active: "1"}},
		"a bias":            {{Name: "lid", Chip: "x", Bias: "pull-up"}},
		"too long a wait":   {{Name: "lid", Chip: "x", Debounce: time.Minute}},
		"a severity":        {{Name: "lid", Chip: "x", Severity: "info"}},
		"one name twice":    {{Name: "lid", Chip: "x"}, {Name: "lid", Chip: "y"}},
		"one line twice":    {{Name: "lid", Chip: "x"}, {Name: "door", Chip: "x"}},
	} {
		if _, err := New(sensor.Env{ID: core.MustID[core.SensorID]("case"), Clock: core.SystemClock{}}, Config{Lines: lines}); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheRealKernelOpensNoFileThatIsNoDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gpiochip0")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (linux{}).Open(path); err == nil {
		t.Error("a plain file was opened")
	}
	fd, err := (linux{}).Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	if err := (linux{}).Ioctl(fd, ioctlChipInfo, make([]byte, sizeChipInfo)); err == nil {
		t.Error("/dev/null is a GPIO chip")
	}
	ctx, cancel := context.WithCancel(t.Context())
	wake, stop, err := waker(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	cancel()
	if _, err := (linux{}).Poll([]int{-1}, wake, time.Minute); err != nil {
		t.Errorf("Poll: %v", err)
	}
	if err := (linux{}).Close(fd); err != nil {
		t.Error(err)
	}
}
