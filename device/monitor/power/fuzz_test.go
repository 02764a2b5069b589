package power

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

// Whatever numbers come at whatever times: nothing panics, no level is told twice
// in a row, every level has its words, and what is told can be written down.
func FuzzJudge(f *testing.F) {
	seed := make([]byte, 0, 200)
	for i := range 20 {
		seed = append(seed, byte(i), byte(i*7))
		seed = binary.LittleEndian.AppendUint64(seed, math.Float64bits(float64(i*i)-50))
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := New(Config{Rails: []Rail{{Point: "a"}, {Point: "b", MaxCurrent: 1, Hold: time.Second}}})
		if err != nil {
			t.Fatal(err)
		}
		points := []struct {
			point string
			unit  sensor.Unit
		}{{"a", sensor.UnitVolt}, {"b", sensor.UnitAmpere}, {"AC/online", sensor.UnitNone}, {"BAT0/discharging", sensor.UnitNone}, {"BAT0/capacity", sensor.UnitPercent}, {"cpu/throttle_count", sensor.UnitNone}, {"throttle/throttled", sensor.UnitNone}}
		active := map[string]bool{}
		now := time.Unix(1_700_000_000, 0)
		for ; len(data) >= 10; data = data[10:] {
			now = now.Add(time.Duration(data[0]) * 100 * time.Millisecond)
			p := points[int(data[1])%len(points)]
			v := math.Float64frombits(binary.LittleEndian.Uint64(data[2:]))
			var said []sensor.Reading
			if next := j.Next(); !next.IsZero() && !now.Before(next) {
				said = j.Tick(now)
			}
			for _, r := range append(said, j.Judge(now, sensor.Reading{Kind: sensor.Measure, Point: p.point, Value: v, Unit: p.unit})...) {
				if len(r.Fields) > 0 && !json.Valid(r.Fields) {
					t.Fatalf("%s: %s", r.Type, r.Fields)
				}
				if r.Kind != sensor.Level {
					continue
				}
				if r.Type == "" || r.Clear == "" || r.Point == "" || r.Severity == "" || active[r.Point] == r.Active {
					t.Fatalf("%+v, was %v", r, active[r.Point])
				}
				active[r.Point] = r.Active
			}
		}
	})
}
