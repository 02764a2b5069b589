// Package judgetest is what the tests of judges of numbers have in common: it
// asks a judge as the monitor's core does and holds what it tells against what
// is promised of it. Nothing outside tests imports it.
package judgetest

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// Point is something that is measured.
type Point struct {
	Name string
	Unit sensor.Unit
}

// Measure has a judge look at the time, if that is due, and then at a value.
func Measure(j monitor.Judge, now time.Time, p Point, v float64) (said []sensor.Reading) {
	if next := j.Next(); !next.IsZero() && !now.Before(next) {
		said = j.Tick(now)
	}
	return append(said, j.Judge(now, sensor.Reading{Kind: sensor.Measure, Point: p.Name, Value: v, Unit: p.Unit})...)
}

// Documented holds a level or a pulse against what the judge says of itself.
func Documented(t testing.TB, doc sensor.Doc, x sensor.Reading) {
	t.Helper()
	if x.Kind != sensor.Level && x.Kind != sensor.Pulse {
		return
	}
	for _, word := range []string{x.Type, x.Clear} {
		i := slices.IndexFunc(doc.Events, func(d sensor.EventDoc) bool { return d.Type == word })
		if i < 0 && (word != "" || x.Kind == sensor.Level) {
			t.Errorf("nothing describes %q", word)
		} else if i >= 0 && word == x.Type && (doc.Events[i].Severity != x.Severity || doc.Events[i].Alarm != x.Alarm) {
			t.Errorf("%s is %s, alarm %v; it is described as %+v", word, x.Severity, x.Alarm, doc.Events[i])
		}
	}
}

// Fuzz measures whatever numbers at whatever times: nothing panics, no level is
// told twice in a row, every level has its words, and what is told can be
// written down.
func Fuzz[J monitor.Judge](f *testing.F, fresh func() (J, error), points []Point) {
	seed := make([]byte, 0, 200)
	for i := range 20 {
		seed = append(seed, byte(i), byte(i*7))
		seed = binary.LittleEndian.AppendUint64(seed, math.Float64bits(float64(i*i)-50))
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := fresh()
		if err != nil {
			t.Fatal(err)
		}
		active := map[string]bool{}
		now := time.Unix(1_700_000_000, 0)
		for ; len(data) >= 10; data = data[10:] {
			now = now.Add(time.Duration(data[0]) * 100 * time.Millisecond)
			v := math.Float64frombits(binary.LittleEndian.Uint64(data[2:]))
			for _, r := range Measure(j, now, points[int(data[1])%len(points)], v) {
				check(t, r, active)
			}
		}
	})
}

func check(t *testing.T, r sensor.Reading, active map[string]bool) {
	t.Helper()
	if len(r.Fields) > 0 && !json.Valid(r.Fields) {
		t.Fatalf("%s: %s", r.Type, r.Fields)
	}
	if r.Kind != sensor.Level {
		return
	}
	if r.Type == "" || r.Clear == "" || r.Point == "" || r.Severity == "" || active[r.Point] == r.Active {
		t.Fatalf("%+v, was %v", r, active[r.Point])
	}
	active[r.Point] = r.Active
}
