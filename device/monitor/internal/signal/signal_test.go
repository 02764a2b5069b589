package signal_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/monitor/internal/signal"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance || math.IsNaN(got) {
		t.Errorf("%s is %g, want %g", what, got, want)
	}
}

func TestAngle(t *testing.T) {
	z := signal.Vec{Z: 1}
	near(t, "to itself", signal.Angle(z, z), 0, 0)
	near(t, "to the opposite", signal.Angle(z, z.Mul(-3)), 180, 1e-9)
	near(t, "a right one", signal.Angle(z, signal.Vec{X: 0.2}), 90, 1e-9)
	near(t, "a millidegree", signal.Angle(z, signal.Vec{X: math.Tan(math.Pi / 180e3), Z: 1}), 1e-3, 1e-9)
	near(t, "to nothing", signal.Angle(z, signal.Vec{}), 0, 0)
}

// bins runs samples through a grid.
func bins(g *signal.Grid, samples []signal.Sample) (all []signal.Bin, gaps int) {
	for _, s := range samples {
		if g.Put(s) {
			gaps++
		}
		for b, ok := g.Take(); ok; b, ok = g.Take() {
			all = append(all, b)
		}
	}
	return all, gaps
}

// A ramp must come out as the same ramp whatever the rate and however uneven the
// times are.
func TestGridKeepsARamp(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, rate := range []float64{5, 20, 26, 104, 4000} {
		var in []signal.Sample
		for i := range int(4 * rate) {
			at := time.Duration((float64(i) + 0.8*(rnd.Float64()-0.5)) / rate * float64(time.Second))
			at = max(at, 0)
			in = append(in, signal.Sample{At: at, V: signal.Vec{X: at.Seconds(), Z: 1}})
		}
		out, gaps := bins(signal.NewGrid(40*time.Millisecond, time.Second), in)
		if gaps != 0 || len(out) < 90 {
			t.Fatalf("rate %g: %d bins, %d gaps", rate, len(out), gaps)
		}
		for i, b := range out {
			near(t, "the ramp", b.Mean.X, b.At.Seconds(), 0.021)
			if i > 0 && b.At-out[i-1].At != 40*time.Millisecond {
				t.Fatalf("rate %g: bins %v and %v", rate, out[i-1].At, b.At)
			}
		}
	}
}

func TestGridStartsAnewBehindAHole(t *testing.T) {
	g := signal.NewGrid(100*time.Millisecond, time.Second)
	out, gaps := bins(g, []signal.Sample{{At: 0}, {At: 900 * time.Millisecond}, {At: time.Hour}, {At: time.Hour + 100*time.Millisecond}})
	if gaps != 1 || len(out) != 10 {
		t.Errorf("%d gaps and %d bins, want 1 and 10", gaps, len(out))
	}
}

func TestClock(t *testing.T) {
	var c signal.Clock
	for i, s := range []struct {
		at      time.Duration
		verdict signal.Verdict
		rose    bool
	}{
		{5 * time.Second, signal.Rising, true},
		{6 * time.Second, signal.Rising, true},
		{6 * time.Second, signal.Rising, true}, // read together
		{5900 * time.Millisecond, signal.Stale, false},
		{7 * time.Second, signal.Rising, true},
		{0, signal.Restarted, true},
		{time.Second, signal.Rising, true},
	} {
		was := c.Now
		now, verdict := c.Put(s.at)
		if verdict != s.verdict || (now > was) != s.rose || now != c.Now {
			t.Errorf("step %d: %v gives %v, %v after %v", i, s.at, now, verdict, was)
		}
	}
	if c.Back != 2 || c.Now != 8*time.Second+time.Millisecond {
		t.Errorf("%d times back, now %v", c.Back, c.Now)
	}
}

// Some samples may have one time, not all that come.
func TestClockThatStandsStill(t *testing.T) {
	var c signal.Clock
	rose := 0
	for range 500 {
		if _, verdict := c.Put(time.Second); verdict == signal.Rising {
			rose++
		}
	}
	if rose > 70 || c.Still != 499 || c.Now > time.Second+time.Millisecond {
		t.Errorf("%d rose, %d stood still, now %v", rose, c.Still, c.Now)
	}
	if now, verdict := c.Put(time.Second + 1); verdict != signal.Rising || now <= time.Second || c.Still != 0 {
		t.Errorf("afterwards: %v, %v", now, verdict)
	}
}

// Times that would run over are no times.
func TestClockBelievesNoCenturies(t *testing.T) {
	var c signal.Clock
	for _, at := range []time.Duration{math.MaxInt64, math.MinInt64, 1e18 + 1} {
		if _, verdict := c.Put(at); verdict != signal.Stale {
			t.Errorf("%d is believed", at)
		}
	}
	for range 5 {
		c.Put(1e18)
		if now, _ := c.Put(-1e18); now < 0 {
			t.Fatalf("ran over to %d", now)
		}
	}
}

// A sensor that is read in bursts has the rate of its samples, not of the bursts.
func TestSpectrumOfBursts(t *testing.T) {
	var s signal.Spectrum
	for i := range 600 {
		at := time.Duration(i/10)*100*time.Millisecond + time.Duration(i%10)*50*time.Microsecond
		s.Put(signal.Sample{At: at, V: signal.Vec{Z: 1}})
	}
	near(t, "the rate", s.Rate, 100, 25) // four bursts and a bit tell no more
}

func TestLevels(t *testing.T) {
	var l signal.Levels
	if l.Quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
	for i := range 1000 {
		l.Put(float64(i) / 1000)
	}
	near(t, "the median", l.Quantile(0.5), 0.5, 0.1)
	near(t, "the tenth", l.Quantile(0.1), 0.1, 0.02)
	l.Reset()
	if l.N() != 0 {
		t.Error("a reset forgets nothing")
	}
}

// A loud minute must not make the floor deaf, a quiet one must bring it back.
func TestFloor(t *testing.T) {
	var f signal.Floor
	for range 300 {
		f.Put(0.002, 0.2)
	}
	near(t, "the floor", f.Value, 0.002, 1e-6)
	for range 25 {
		f.Put(0.02, 0.2)
	}
	if f.Value > 0.0025 {
		t.Errorf("five loud seconds raise it to %g", f.Value)
	}
	for range 300 {
		f.Put(0.002, 0.2)
	}
	near(t, "the floor afterwards", f.Value, 0.002, 1e-4)
}

func TestPeriod(t *testing.T) {
	r := signal.NewRing(200)
	for i := range 200 {
		s := math.Sin(2 * math.Pi * float64(i) / 13)
		r.Put(signal.Vec{X: 0.3 * s, Z: 5 + s})
	}
	if lag, strength := signal.Period(r, 100, 3, 30); lag != 13 || strength < 0.95 {
		t.Errorf("lag %d with %g, want 13", lag, strength)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		r.Put(signal.Vec{X: rnd.NormFloat64()})
	}
	if _, strength := signal.Period(r, 100, 3, 30); strength > 0.45 {
		t.Errorf("noise repeats itself with %g", strength)
	}
}

// The energy of a tone is found where it is, at any rate and with uneven times.
func TestSpectrumFindsATone(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, rate := range []float64{104, 833, 4000} {
		for _, hertz := range []float64{17, 31} {
			var s signal.Spectrum
			var last []float64
			for i := range int(6 * rate) {
				at := (float64(i) + 0.1*rnd.Float64()) / rate
				v := signal.Vec{X: 0.1 * math.Sin(2*math.Pi*hertz*at), Z: 1}
				if out := s.Put(signal.Sample{At: time.Duration(at * 1e9), V: v}); out != nil {
					last = append(last[:0], out...)
				}
			}
			sum, most, where := 0.0, 0.0, 0
			for b, e := range last {
				if sum += e; e > most {
					most, where = e, b
				}
			}
			near(t, "the energy", sum, 0.005, 0.0008)
			near(t, "the frequency", signal.Hertz(where)/hertz, 1, 0.13)
			near(t, "the rate", s.Rate/rate, 1, 0.1)
		}
	}
}

// The hot path allocates nothing once it is warm.
func TestNoAllocations(t *testing.T) {
	var s signal.Spectrum
	g := signal.NewGrid(40*time.Millisecond, time.Second)
	at := time.Duration(0)
	step := func() {
		for range 1000 {
			at += 9615 * time.Microsecond
			v := signal.Sample{At: at, V: signal.Vec{X: float64(at % 7), Z: 1}}
			s.Put(v)
			g.Put(v)
			for _, ok := g.Take(); ok; _, ok = g.Take() {
			}
		}
	}
	step()
	if n := testing.AllocsPerRun(5, step); n > 0 {
		t.Errorf("%g allocations in 1000 samples", n)
	}
}

// However times jump, they rise, and a sample makes no more bins than a hole that
// is bridged has: what a judge costs goes by its samples.
func TestCostIsBoundedBySamples(t *testing.T) {
	const samples = 20000
	steps := []time.Duration{
		0, 1, time.Microsecond, 10 * time.Millisecond, 999 * time.Millisecond, time.Second, time.Second + 1, time.Hour, 1 << 62,
		-1, -time.Millisecond, -time.Second, -2 * time.Second, -time.Hour, -(1 << 62),
	}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		var c signal.Clock
		g := signal.NewGrid(40*time.Millisecond, time.Second)
		made, raw, last := 0, time.Duration(0), time.Duration(-1)
		few := steps[:3+rnd.IntN(len(steps)-2)]
		for i := range samples {
			raw += few[rnd.IntN(len(few))]
			at, verdict := c.Put(raw)
			if verdict == signal.Stale {
				continue
			}
			if i > 0 && at <= last {
				t.Fatalf("seed %d, sample %d: %v behind %v (raw %v)", seed, i, at, last, raw)
			}
			last = at
			before := made
			g.Put(signal.Sample{At: at})
			for _, ok := g.Take(); ok; _, ok = g.Take() {
				made++
			}
			if made-before > 26 {
				t.Fatalf("seed %d, sample %d: %d bins", seed, i, made-before)
			}
		}
	}
}
