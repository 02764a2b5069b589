package risk

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
)

var (
	now  = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	calm = Exposure{Link: core.DeviceOnline, Arming: core.Armed}
)

func TestAScoreIsWhatItIsMadeOf(t *testing.T) {
	high := Alert{"Device tampered", core.SeverityHigh, now}
	old := Alert{"Device tampered", core.SeverityHigh, now.Add(-HalfLife)}
	ahead := Alert{"Device tampered", core.SeverityHigh, now.Add(time.Hour)}
	for name, row := range map[string]struct {
		criticality string
		alerts      []Alert
		e           Exposure
		want        float64
	}{
		"nothing":                       {"medium", nil, calm, 0},
		"one alert":                     {"medium", []Alert{high}, calm, 25},
		"a day later":                   {"medium", []Alert{old}, calm, 12.5},
		"a clock ahead of ours":         {"medium", []Alert{ahead}, calm, 25},
		"much depends on it":            {"critical", []Alert{high}, calm, 50},
		"little does":                   {"low", []Alert{high}, calm, 12.5},
		"nobody said":                   {"", []Alert{high}, calm, 25},
		"an unknown word":               {"enormous", []Alert{high}, calm, 25},
		"information is none":           {"medium", []Alert{{"x", core.SeverityInfo, now}}, calm, 0},
		"disarmed":                      {"medium", nil, Exposure{Link: core.DeviceOnline, Arming: core.Disarmed}, 10},
		"it has not said":               {"medium", nil, Exposure{Link: core.DeviceOnline}, 5},
		"many faults are one factor":    {"medium", nil, Exposure{Link: core.DeviceOnline, Arming: core.Armed, Faults: 50}, 24},
		"a broken seal and a late one":  {"medium", nil, Exposure{Link: core.DeviceOnline, Arming: core.Armed, BadSeals: 1, LateSeals: 1}, 19},
		"its row says something else":   {"medium", nil, Exposure{Link: core.DeviceOnline, Arming: core.Armed, InDoubt: true}, 25},
		"everything, and it stays full": {"critical", []Alert{high, high, high}, Exposure{Link: core.DeviceOffline, Faults: 9, Latches: 9, FirstUse: true, NotWalked: true, LostEvents: true}, Most},
	} {
		a := Assess(now, row.criticality, row.alerts, row.e)
		if math.Abs(a.Score-row.want) > 0.001 {
			t.Errorf("%s: %v, want %v (%+v)", name, a.Score, row.want, a.Factors)
		}
		sum := 0.0
		for i, f := range a.Factors {
			if sum += f.Points; i > 0 && f.Points > a.Factors[i-1].Points {
				t.Errorf("%s: not the greatest first: %+v", name, a.Factors)
			}
		}
		if math.Abs(min(sum, Most)-a.Score) > 0.051 {
			t.Errorf("%s: the factors add up to %v, the score is %v", name, sum, a.Score)
		}
	}
}

// TestMoreIsNeverLess: whatever is added, the score does not fall; whatever time
// passes, it does not rise.
func TestMoreIsNeverLess(t *testing.T) {
	var alerts []Alert
	last := 0.0
	for i := range 40 {
		alerts = append(alerts, Alert{"x", core.Severities[i%5], now.Add(-time.Duration(i) * time.Hour)})
		a := Assess(now, "high", alerts, calm)
		if a.Score < last {
			t.Errorf("with %d alerts %v, before %v", len(alerts), a.Score, last)
		}
		if len(a.Factors) > maxFactors+1 {
			t.Errorf("%d factors", len(a.Factors))
		}
		last = a.Score
	}
	if a := Assess(now, "high", alerts, calm); !strings.Contains(a.Factors[len(a.Factors)-1].What+a.Factors[0].What, "more alerts") {
		t.Errorf("a flood is not told as one: %+v", a.Factors)
	}
	for h := range 200 {
		later := Assess(now.Add(time.Duration(h)*time.Hour), "high", alerts, calm).Score
		if later > last {
			t.Fatalf("%d hours later it is %v, before %v", h, later, last)
		}
		last = later
	}
}
