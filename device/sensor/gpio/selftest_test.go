package gpio

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

// wired is a lid whose loop line 5 opens.
func wired() Line {
	l := lid()
	l.Drive = &Drive{Chip: "gpio-sim.0-node0", Offset: 5}
	return l
}

// selfTest tests while time passes on the board's clock.
func (r *rig) selfTest(ctx context.Context) []sensor.Finding {
	r.t.Helper()
	found := make(chan []sensor.Finding, 1)
	go func() { found <- r.sensor.SelfTest(ctx) }()
	deadline := time.After(3 * time.Minute)
	for {
		select {
		case f := <-found:
			return f
		case <-time.After(time.Millisecond):
			r.clock.Advance(driveStep)
		case <-deadline:
			r.t.Fatal("the self-test goes on")
			return nil
		}
	}
}

func TestAContactThatIsStuckIsFoundBeforeSomebodyReliesOnIt(t *testing.T) {
	for name, row := range map[string]struct {
		line   Line
		change func(*board)
		want   sensor.Result
		why    string
	}{
		"it works":     {wired(), func(*board) {}, sensor.Pass, "opened within"},
		"it is welded": {wired(), func(b *board) { b.loops[5] = loop{of: 3, welded: true} }, sensor.Fail, "stuck"},
		"it does not close": {
			wired(), func(b *board) { b.loops[5] = loop{of: 3, jammed: true} }, sensor.Fail, "did not come back",
		},
		"it is open already":        {wired(), func(b *board) { b.high[3] = true }, sensor.Untried, "not calm now"},
		"somebody has the drive":    {wired(), func(b *board) { b.busy[5] = true }, sensor.Untried, "busy"},
		"there is no such line":     {Line{Name: "lid", Chip: "gpiochip0", Offset: 3, Drive: &Drive{Chip: "gpiochip0", Offset: 99}}, func(*board) {}, sensor.Untried, "no line 99"},
		"nothing is wired to it":    {wired(), func(b *board) { delete(b.loops, 5) }, sensor.Fail, "stuck"},
		"the wiring has no drive":   {lid(), func(*board) {}, sensor.Untried, "no drive-back"},
		"a chip without interrupts": {wired(), func(b *board) { b.noIRQ = true }, sensor.Pass, "opened within"},
	} {
		r := newRig(t, row.line)
		r.loops[5] = loop{of: 3}
		row.change(r.board)
		found := r.selfTest(t.Context())
		if len(found) != 1 || found[0].Result != row.want || !strings.Contains(found[0].Why, row.why) || found[0].Check != "lid: drive-back" {
			t.Errorf("%s: %+v", name, found)
		}
		if len(r.open) != 0 {
			t.Errorf("%s: %d descriptors stay open", name, len(r.open))
		}
	}
}

// Who watches does not take the test for an opening, and takes what is open after
// it for one.
func TestATestWhileItWatchesIsNoOpening(t *testing.T) {
	for name, row := range map[string]struct {
		jammed bool
		want   sensor.Result
	}{"it closes again": {false, sensor.Pass}, "it does not": {true, sensor.Fail}} {
		r := newRig(t, wired())
		r.loops[5] = loop{of: 3, jammed: row.jammed}
		stop, wait := r.start()
		r.await("the start is over", isBeat)
		if found := r.selfTest(t.Context()); len(found) != 1 || found[0].Result != row.want {
			t.Errorf("%s: %+v", name, found)
		}
		for x := range r.poll(driveStep) {
			if x.Kind != sensor.Level {
				continue
			}
			if x.Active != row.jammed {
				t.Errorf("%s: %+v", name, x)
			}
			break
		}
		r.drive(3, true)
		for x := range r.poll(driveStep) {
			if isLevel("lid", true)(x) {
				break // a real opening is seen as ever
			}
			if isType("edges_lost")(x) {
				t.Errorf("%s: the test's edges count as lost", name)
			}
		}
		stop()
		if err := wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A contact that is known to be stuck is no calm contact, until it is seen to open.
func TestAStuckLineIsAFaultUntilItMoves(t *testing.T) {
	r := newRig(t, wired())
	r.loops[5] = loop{of: 3, welded: true}
	stop, wait := r.start()
	r.await("the start is over", isBeat)
	if found := r.selfTest(t.Context()); len(found) != 1 || found[0].Result != sensor.Fail || !found[0].Drives {
		t.Fatalf("%+v", found)
	}
	for x := range r.poll(driveStep) {
		if isLevel("lid", false)(x) {
			t.Error("a stuck line is told as calm")
		}
		if x.Kind == sensor.Broken && x.Point == "lid" && strings.Contains(string(x.Fields), "stuck") {
			break
		}
	}
	r.drive(3, true)
	for x := range r.poll(driveStep) {
		if isLevel("lid", true)(x) {
			break
		}
	}
	r.drive(3, false)
	for x := range r.poll(driveStep) {
		if isLevel("lid", false)(x) {
			break
		}
	}
	stop()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

func TestASelfTestHasAnEnd(t *testing.T) {
	r := newRig(t, wired())
	r.sensor.turn <- struct{}{} // a run that never answers
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found := r.sensor.SelfTest(ctx); len(found) != 1 || found[0].Result != sensor.Untried {
		t.Errorf("%+v", found)
	}
}
