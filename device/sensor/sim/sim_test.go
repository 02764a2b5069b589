package sim_test

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/sim"
)

var lid = core.MustID[core.SensorID]("lid")

func TestItRefusesToLoadBesideARealEnrolment(t *testing.T) {
	rows := []struct {
		enrolled, demo bool
		want           core.Kind
	}{{false, false, core.KindInternal}, {false, true, core.KindInternal}, {true, true, core.KindInternal}, {true, false, core.KindDenied}}
	for _, r := range rows {
		_, err := sim.New(lid, core.SystemClock{}, sim.Options{Enrolled: r.enrolled, Demo: r.demo})
		if core.KindOf(err) != r.want || (err == nil) != (r.want == core.KindInternal) {
			t.Errorf("enrolled %v, demo %v: %v", r.enrolled, r.demo, err)
		}
	}
}

func script(t *testing.T, text string) sim.Scenario {
	t.Helper()
	s, err := sim.ParseScript([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStepsThatAreRefused(t *testing.T) {
	for _, bad := range []string{
		`{"do":"explode"}`, `{"do":"level","type":"x","clear":"y"}`, `{"do":"level","point":"a","type":"x"}`, `{"do":"pulse","point":"a"}`,
		`{"do":"wait","ms":-1}`, `{"do":"wait","ms":99999999999}`, `{"do":"flap","point":"a","type":"x","clear":"y","times":-3}`,
		`{"do":"beat","simulated":false}`, `{"do":"beat"}{"do":"beat"}`, `{"do":"pulse","point":"a","type":"b","severity":"urgent"}`, `[]`, `{`,
		`{"do":"beat","why":"` + strings.Repeat("x", 5000) + `"}`,
	} {
		if _, err := sim.ParseScript([]byte("{\"do\":\"beat\"}\n" + bad)); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("ParseScript took %.60s: %v", bad, err)
		}
	}
}

func FuzzParseStep(f *testing.F) {
	f.Add([]byte(`{"do":"flap","point":"lid","type":"a","clear":"b","times":3,"ms":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if s, err := sim.ParseStep(line); err == nil && (s.MS < 0 || s.Times < 0 || s.Severity.Rank() < 0) {
			t.Errorf("ParseStep(%q) = %+v", line, s)
		}
	})
}

// rig runs one simulated sensor under a clock that the test owns.
type rig struct {
	t        *testing.T
	sensor   *sim.Sensor
	clock    *clocktest.Clock
	readings chan sensor.Reading
	ended    chan error
}

func run(t *testing.T, o sim.Options) *rig {
	t.Helper()
	r := &rig{t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), readings: make(chan sensor.Reading, 4096), ended: make(chan error, 1)}
	s, err := sim.New(lid, r.clock, o)
	if err != nil {
		t.Fatal(err)
	}
	r.sensor = s
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer func() {
			if p := recover(); p != nil {
				r.ended <- core.E(core.KindInternal, "panic", "")
			}
		}()
		r.ended <- s.Run(ctx, func(x sensor.Reading) { r.readings <- x })
	}()
	t.Cleanup(cancel)
	return r
}

func (r *rig) feed(do ...sim.Step) {
	r.t.Helper()
	for _, s := range do {
		if err := r.sensor.Feed(r.t.Context(), s); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) next() sensor.Reading {
	r.t.Helper()
	select {
	case x := <-r.readings:
		if !x.Simulated {
			r.t.Errorf("a reading without the mark: %+v", x)
		}
		return x
	case <-time.After(3 * time.Minute):
		r.t.Fatal("no reading")
		return sensor.Reading{}
	}
}

func (r *rig) end() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(3 * time.Minute):
		r.t.Fatal("the driver goes on")
		return nil
	}
}

func TestEveryReadingIsMarkedAndTheInventoryComesFirst(t *testing.T) {
	r := run(t, sim.Options{Script: script(t, `{"do":"level","point":"lid","active":true,"type":"case_opened","clear":"case_closed"}`)})
	if x := r.next(); x.Kind != sensor.Inventory {
		t.Errorf("first reading %+v", x)
	}
	if x := r.next(); x.Kind != sensor.Beat {
		t.Errorf("second reading %+v", x)
	}
	if x := r.next(); x.Kind != sensor.Level || !x.Active || !x.Alarm {
		t.Errorf("third reading %+v", x)
	}
	if !r.sensor.Capabilities().Simulated {
		t.Error("the driver does not declare itself simulated")
	}
}

func TestFaults(t *testing.T) {
	for _, do := range []string{"error", "panic", "end"} {
		r := run(t, sim.Options{})
		r.feed(sim.Step{Do: do, Why: "test"})
		if err := r.end(); err == nil {
			t.Errorf("%s: the driver ended calmly", do)
		}
	}
}

func TestFlappingGivesEachEdge(t *testing.T) {
	r := run(t, sim.Options{})
	r.next()
	r.next()
	r.feed(sim.Step{Do: "flap", Point: "lid", Type: "o", Clear: "c", Times: 6})
	for i := range 6 {
		if x := r.next(); x.Active != (i%2 == 0) {
			t.Errorf("edge %d: %+v", i, x)
		}
	}
}

func TestASilentOrFrozenSensorGivesNoFreshSample(t *testing.T) {
	r := run(t, sim.Options{})
	r.next()
	first := r.next().Sample
	r.feed(sim.Step{Do: "frozen"}, sim.Step{Do: "pulse", Point: "p", Type: "seen"})
	r.next()
	r.tick()
	if x := r.next(); x.Kind != sensor.Beat || x.Sample != first {
		t.Errorf("frozen beat %+v, want sample %d", x, first)
	}
	r.feed(sim.Step{Do: "silence"}, sim.Step{Do: "pulse", Point: "p", Type: "seen"})
	r.next()
	r.tick()
	r.feed(sim.Step{Do: "beat"})
	if x := r.next(); x.Kind != sensor.Beat || x.Sample == first {
		t.Errorf("beat after silence %+v", x)
	}
}

// tick moves the clock once the driver sleeps.
func (r *rig) tick() {
	r.t.Helper()
	for r.clock.Waiters() == 0 {
		if err := r.t.Context().Err(); err != nil {
			r.t.Fatal(err)
		}
	}
	r.clock.Advance(time.Second)
}

func TestTheSocketTakesStepsAndIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.sock")
	r := run(t, sim.Options{Socket: path})
	r.next()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("socket %v, %v", info, err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	answers := bufio.NewScanner(c)
	for _, line := range []struct{ say, want string }{{`{"do":"pulse","point":"a","type":"b"}`, "ok"}, {`{"do":"x"}`, "nothing to do"}, {"open lid", "ok"}, {"opne lid", "did you mean open?"}, {"at 09:00 open lid", "write after"}} {
		if _, err := c.Write([]byte(line.say + "\n")); err != nil {
			t.Fatal(err)
		}
		if !answers.Scan() || !strings.Contains(answers.Text(), line.want) {
			t.Errorf("%s is answered %q", line.say, answers.Text())
		}
	}
}
