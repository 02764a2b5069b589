package geofence_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/geofence"
	"github.com/interlock-security/interlock/device/sensor"
)

var (
	_  monitor.Judge = (*geofence.Judge)(nil)
	t0               = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	// hall is where the device belongs: 100 m around a place.
	hall = geofence.Config{Name: "hall 1", Circle: &geofence.Circle{Lat: 52, Lon: 13, Radius: 100}}
	sky  = []float64{46, 41, 39, 45, 40}
)

// metre is a metre to the north, in degrees.
const metre = 1 / 111_194.9

// walk is a judge that gets one position a second.
type walk struct {
	t    *testing.T
	j    *geofence.Judge
	now  time.Time
	fix  sensor.Fix
	said []sensor.Reading
	tick int
}

func newWalk(t *testing.T, c geofence.Config) *walk {
	t.Helper()
	j, err := geofence.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &walk{t: t, j: j, now: t0, fix: sensor.Fix{Mode: 3, Lat: 52, Lon: 13, Error: 5, Signals: sky}}
}

// north puts the device so many metres north of the middle.
func (w *walk) north(m float64) *walk {
	w.fix.Lat = 52 + m*metre
	return w
}

// stay lets so many seconds pass with a position each. The last digit moves, as
// a receiver's does.
func (w *walk) stay(seconds int) *walk {
	for range seconds {
		w.now = w.now.Add(time.Second)
		f := w.fix
		w.tick++
		f.Lon += float64(w.tick%3) * metre / 10
		if f.Time.IsZero() {
			f.Time = w.now
		} else {
			f.Time = f.Time.Add(time.Duration(w.tick) * time.Second)
		}
		w.said = append(w.said, w.j.Judge(w.now, sensor.Reading{Kind: sensor.Position, Point: "position", Fix: &f})...)
	}
	return w
}

// words are what was said: for a level its type, or its other word for the way
// back.
func (w *walk) words() []string {
	all := []string{}
	for _, r := range w.said {
		switch {
		case r.Kind == sensor.Level && !r.Active:
			all = append(all, r.Clear)
		default:
			all = append(all, r.Type)
		}
	}
	w.said = nil
	return all
}

func (w *walk) wants(want ...string) *walk {
	w.t.Helper()
	if got := w.words(); !slices.Equal(got, want) {
		w.t.Fatalf("said %v, want %v", got, want)
	}
	return w
}

// settled is a walk that has been in the hall for a while.
func settled(t *testing.T, c geofence.Config) *walk {
	t.Helper()
	w := newWalk(t, c).stay(90)
	for _, r := range w.said {
		if r.Active || r.Kind == sensor.Pulse {
			t.Fatalf("at first: %s %s", r.Type, r.Fields)
		}
	}
	w.said = nil
	return w
}

func TestWhoLeavesIsOutsideAfterAWhileAndByMoreThanTheError(t *testing.T) {
	w := settled(t, hall)
	w.north(120).stay(60).wants()                      // within the margin
	w.north(130).stay(29).north(0).stay(60).wants()    // not for long enough
	w.north(130).stay(31).wants("geofence_exit")       // out
	w.north(110).stay(60).wants()                      // between: still out
	w.north(90).stay(31).wants("geofence_enter")       // in
	w.fix.Error = 60                                   // a bad fix
	w.north(150).stay(120).wants()                     // within its own error
	w.north(180).stay(40).wants("geofence_exit")       // further than its error
	w.fix.Error = 500                                  // one that does not count
	w.north(0).stay(120).wants()                       // brings nobody back
	w.fix.Error = 5                                    // until
	w.stay(31).wants("geofence_enter").stay(9).wants() // it counts
}

func TestTheAlarmSaysWhere(t *testing.T) {
	w := settled(t, hall)
	w.north(400).stay(40)
	r := w.said[slices.IndexFunc(w.said, func(r sensor.Reading) bool { return r.Kind == sensor.Level && r.Point == "fence" })]
	if r.Type != "geofence_exit" || !r.Alarm || r.Severity != core.SeverityCritical || !r.Settled || r.Point != "fence" ||
		!strings.Contains(string(r.Fields), `"beyond_m":300`) || !strings.Contains(string(r.Fields), `"fence":"hall 1"`) {
		t.Errorf("%+v %s", r, r.Fields)
	}
}

func TestADeviceThatStartsOutsideIsOutside(t *testing.T) {
	w := newWalk(t, hall).north(5000).stay(40)
	if got := w.words(); !slices.Contains(got, "geofence_exit") {
		t.Errorf("%v", got)
	}
}

func TestNoSatellitesIsALostPositionAndNoTheft(t *testing.T) {
	w := settled(t, hall)
	w.fix.Mode = 0
	w.stay(299).wants()
	w.stay(10)
	r := w.said[0]
	w.wants("position_lost")
	if r.Alarm || r.Severity != core.SeverityMedium {
		t.Errorf("%+v", r)
	}
	w.fix.Mode = 3
	w.stay(40).wants("position_found")
}

func TestAReceiverThatNeverFindsAnythingHasLostIt(t *testing.T) {
	w := newWalk(t, hall)
	w.fix.Mode, w.fix.Signals = 0, nil
	w.stay(1)
	due := w.j.Next()
	if !due.Equal(w.now.Add(5 * time.Minute)) {
		t.Fatalf("next at %v", due)
	}
	if got := w.j.Tick(due); len(got) != 1 || got[0].Type != "position_lost" {
		t.Errorf("%v", got)
	}
	if next := w.j.Next(); !next.IsZero() {
		t.Errorf("it waits for %v", next)
	}
}

func TestAJumpIsSeenAndADriveIsNot(t *testing.T) {
	w := settled(t, geofence.Config{})
	w.north(5000).stay(1).wants("position_jump", "position_doubtful")
	w.stay(601).wants("position_plausible")
	for m := 5000.0; m < 9000; m += 30 { // 108 km/h
		w.north(m).stay(1)
	}
	w.wants()
	w.fix.Error = 400 // reflections
	w.north(8600).stay(1).wants()
}

func TestTheWayWhileNoSatellitesWereSeenIsNoJumpIfThereWasTime(t *testing.T) {
	w := settled(t, geofence.Config{LostAfter: time.Hour})
	w.fix.Mode = 0
	w.stay(600)
	w.fix.Mode = 3
	w.north(20_000).stay(1).wants()
}

func TestAClockThatDisagreesIsTold(t *testing.T) {
	w := settled(t, hall)
	w.fix.Time = t0.AddDate(0, 0, -1)
	w.stay(59).wants()
	w.stay(10).wants("gps_clock_disagrees", "position_doubtful")
	w.fix.Time = time.Time{}
	w.stay(70).wants("gps_clock_agrees", "position_plausible")
}

func TestTwoDoubtsAtOnceAreSuspectedForgery(t *testing.T) {
	w := settled(t, hall)
	w.fix.Signals = []float64{44, 44, 44, 44.5, 44}
	w.stay(90).wants("position_doubtful")
	w.fix.Lat += 3000 * metre
	w.stay(1)
	r := w.said[len(w.said)-1]
	w.wants("position_jump", "position_spoof_suspected")
	if !r.Alarm || r.Severity != core.SeverityHigh || !strings.Contains(string(r.Fields), `["jump","equal_signals"]`) {
		t.Errorf("%+v %s", r, r.Fields)
	}
}

func TestAPositionThatStandsStillToTheLastDigitIsDoubtful(t *testing.T) {
	for name, c := range map[string]struct {
		after   time.Duration
		signals func(i int) []float64
		want    bool
	}{
		"signals vary":               {0, func(i int) []float64 { return []float64{40 + float64(i%5), 30, 20, 45} }, true},
		"the receiver stands still":  {0, func(int) []float64 { return sky }, false},
		"a receiver that holds":      {-time.Second, func(i int) []float64 { return []float64{40 + float64(i%5), 30, 20, 45} }, false},
		"one that tells no strength": {0, func(int) []float64 { return nil }, false},
	} {
		j, err := geofence.New(geofence.Config{FrozenAfter: c.after})
		if err != nil {
			t.Fatal(err)
		}
		told := false
		for i := range 4000 {
			now := t0.Add(time.Duration(i) * time.Second)
			f := sensor.Fix{Mode: 3, Lat: 52, Lon: 13, Error: 5, Time: now, Signals: c.signals(i)}
			for _, r := range j.Judge(now, sensor.Reading{Kind: sensor.Position, Fix: &f}) {
				told = told || r.Type == "position_doubtful" && r.Active
			}
		}
		if told != c.want {
			t.Errorf("%s: told %v", name, told)
		}
	}
}

func TestAPolygonAndTheDateLine(t *testing.T) {
	yard := []geofence.Place{{Lat: 0, Lon: 179.999}, {Lat: 0, Lon: -179.999}, {Lat: 0.002, Lon: -179.999}, {Lat: 0.001, Lon: 180}, {Lat: 0.002, Lon: 179.999}}
	for name, c := range map[string]struct {
		lat, lon float64
		out      bool
	}{
		"in the middle":             {0.0005, 180, false},
		"across the date line":      {0.0005, -179.9995, false},
		"in the notch at its top":   {0.0019, 180, true},
		"in its arm":                {0.0018, 179.9991, false},
		"far away":                  {0.05, 180, true},
		"on the other side of all":  {0.0005, 0, true},
		"at the pole":               {90, 0, true},
		"within the margin":         {-0.0001, 180, false},
		"beyond the margin":         {-0.0004, 180, true},
		"next to a corner, outside": {-0.0004, 179.9986, true},
	} {
		w := newWalk(t, geofence.Config{Polygon: yard})
		w.fix.Lat, w.fix.Lon = c.lat, c.lon
		w.stay(40)
		if got := slices.Contains(w.words(), "geofence_exit"); got != c.out {
			t.Errorf("%s: outside %v", name, got)
		}
	}
}

func TestWhatIsNoPositionChangesNothing(t *testing.T) {
	w := settled(t, hall)
	for _, f := range []sensor.Fix{
		{Mode: 3, Lat: math.NaN(), Lon: 13},
		{Mode: 3, Lat: 52, Lon: math.Inf(1)},
		{Mode: 3, Lat: 200, Lon: 13},
		{Mode: 3, Lat: 10, Lon: 10, Error: math.NaN()},
		{Mode: 3, Lat: 10, Lon: 10, Error: -1},
		{Mode: 1, Lat: 10, Lon: 10},
	} {
		for range 60 {
			w.now = w.now.Add(time.Second)
			w.said = append(w.said, w.j.Judge(w.now, sensor.Reading{Kind: sensor.Position, Fix: &f})...)
		}
		w.stay(1)
	}
	w.wants()
	w.j.Judge(w.now, sensor.Reading{Kind: sensor.Position})
	w.j.Judge(w.now, sensor.Reading{Kind: sensor.Beat})
	w.wants()
}

func TestConfigIsChecked(t *testing.T) {
	for want, c := range map[string]geofence.Config{
		"one of them":      {Circle: hall.Circle, Polygon: []geofence.Place{{}, {}, {}}},
		"is no place":      {Circle: &geofence.Circle{Lat: 91, Radius: 100}},
		"radius 5 m":       {Circle: &geofence.Circle{Radius: 5}},
		"2 corners":        {Polygon: []geofence.Place{{}, {}}},
		"polygon[1]: more": {Polygon: []geofence.Place{{Lat: 1}, {Lat: 52}, {}}},
		"polygon[2]: 999":  {Polygon: []geofence.Place{{}, {}, {Lat: 999}}},
		"hysteresis":       {Hysteresis: math.NaN()},
		"max_error":        {MaxError: -1},
		"max_speed":        {MaxSpeed: 0.1},
		"min_mode":         {MinMode: 1},
		"dwell":            {Dwell: -1},
		"lost_after":       {LostAfter: 1},
		"clock_tolerance":  {ClockTolerance: 1},
		"frozen_after":     {FrozenAfter: time.Second},
	} {
		if _, err := geofence.New(c); core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
