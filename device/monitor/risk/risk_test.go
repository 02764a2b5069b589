package risk_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/risk"
)

var (
	epoch = time.Unix(1_700_000_000, 0).UTC()
	lid   = core.MustID[core.SensorID]("lid")
	calm  = risk.State{Arming: core.Armed, Sensors: []risk.Sensor{{ID: lid, Health: core.SensorOK}}}
)

func newRisk(t *testing.T, c risk.Config) *risk.Risk {
	t.Helper()
	r, err := risk.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNothingIsNoRisk(t *testing.T) {
	if a := newRisk(t, risk.Config{}).Assess(epoch, calm); a.Score != 0 || len(a.Factors) != 0 {
		t.Errorf("%+v", a)
	}
}

func TestTheFactorsSayWhatTheScoreIsMadeOf(t *testing.T) {
	r := newRisk(t, risk.Config{})
	r.Note(epoch, lid, "case_intrusion", core.SeverityCritical)
	a := r.Assess(epoch, risk.State{
		Arming:  core.Disarmed,
		Latches: []risk.Latch{{Sensor: lid, Point: "front", Type: "case_intrusion", Severity: core.SeverityCritical}},
		Sensors: []risk.Sensor{{ID: lid, Health: core.SensorStale}},
	})
	want := risk.Assessment{Score: 90, Factors: []risk.Factor{
		{"latch case_intrusion at lid/front", 45}, {"recent case_intrusion at lid", 20}, {"lid is stale", 15}, {"the device is disarmed", 10},
	}}
	if a.Score != want.Score || !slices.Equal(a.Factors, want.Factors) {
		t.Errorf("got %+v", a)
	}
}

func TestWhatHappenedCountsHalfAfterEachHalfLife(t *testing.T) {
	r := newRisk(t, risk.Config{HalfLife: time.Minute})
	r.Note(epoch, lid, "case_intrusion", core.SeverityCritical)
	for i, want := range []float64{20, 10, 5, 2.5, 1.3, 0.6} {
		if got := r.Assess(epoch.Add(time.Duration(i)*time.Minute), calm).Score; got != want {
			t.Errorf("after %d half-lives %v, want %v", i, got, want)
		}
	}
	if got := r.Assess(epoch.Add(-24*time.Hour), calm).Score; got != 20 {
		t.Errorf("a clock that was set back makes it %v", got)
	}
}

func TestAFloodIsOneFactor(t *testing.T) {
	r := newRisk(t, risk.Config{})
	for range 100_000 {
		r.Note(epoch, lid, "usb_attached", core.SeverityHigh)
	}
	if a := r.Assess(epoch, calm); a.Score != 25 || len(a.Factors) != 1 {
		t.Errorf("%+v", a)
	}
	for i := range 1000 {
		r.Note(epoch, lid, fmt.Sprint("kind", i), core.SeverityMedium)
	}
	if a := r.Assess(epoch, calm); a.Score > 100 || !slices.ContainsFunc(a.Factors, func(f risk.Factor) bool { return strings.Contains(f.What, "usb_attached") }) {
		t.Errorf("many small ones pushed the greatest out: %v %+v", a.Score, a.Factors)
	}
}

// In every state the score is the sum of the factors, at most 100, and more of
// anything is never less risk.
func TestTheScoreIsTheSumOfItsFactors(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		x, s, last := newRisk(t, risk.Config{}), risk.State{Arming: core.Armings[r.IntN(4)]}, 0.0
		for i := range 30 {
			switch r.IntN(3) {
			case 0:
				s.Latches = append(s.Latches, risk.Latch{Sensor: lid, Type: fmt.Sprint(i), Severity: core.Severities[r.IntN(5)]})
			case 1:
				s.Sensors = append(s.Sensors, risk.Sensor{ID: lid, Health: core.SensorStates[r.IntN(6)]})
			default:
				x.Note(epoch, lid, fmt.Sprint(r.IntN(5)), core.Severities[r.IntN(5)])
			}
			a := x.Assess(epoch, s)
			sum := 0.0
			for _, f := range a.Factors {
				sum += f.Points
			}
			if math.Abs(sum-a.Score) > 1e-9 || a.Score > 100 || a.Score < last-1.5 {
				t.Fatalf("score %v after %v, sum %v: %+v", a.Score, last, sum, a.Factors)
			}
			last = a.Score
		}
	}
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []risk.Config{
		{HalfLife: -1},
		{HalfLife: 1000 * time.Hour},
		{Event: map[core.Severity]float64{core.SeverityHigh: -1}},
		{State: map[core.SensorState]float64{core.SensorFault: math.NaN()}},
		{Latch: map[core.Severity]float64{core.SeverityLow: 101}},
	} {
		if _, err := risk.New(c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
