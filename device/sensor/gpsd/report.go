package gpsd

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// maxSignals bounds how many satellites are taken from one report.
const maxSignals = 128

// report is one line of gpsd, as far as it is used here.
type report struct {
	Class    string   `json:"class"`
	Device   string   `json:"device"`
	Mode     int      `json:"mode"`
	Time     string   `json:"time"`
	Lat      *float64 `json:"lat"`
	Lon      *float64 `json:"lon"`
	AltHAE   float64  `json:"altHAE"`
	Alt      float64  `json:"alt"`
	Eph      float64  `json:"eph"`
	Epx      float64  `json:"epx"`
	Epy      float64  `json:"epy"`
	Speed    float64  `json:"speed"`
	Release  string   `json:"release"`
	Major    int      `json:"proto_major"`
	Minor    int      `json:"proto_minor"`
	Message  string   `json:"message"`
	Devices  []device `json:"devices"`
	Path     string   `json:"path"`
	Signals  []signal `json:"satellites"`
	Activity any      `json:"activated"` // a time, or 0 when it went away
}

type device struct {
	Path   string `json:"path"`
	Driver string `json:"driver"`
}

type signal struct {
	Strength float64 `json:"ss"`
	Used     bool    `json:"used"`
}

// parse reads one line.
func parse(line []byte) (report, error) {
	var r report
	if err := json.Unmarshal(line, &r); err != nil {
		return r, core.Wrap(core.KindDamaged, "gpsd.parse", fmt.Errorf("this is not gpsd: %w", err))
	}
	return r, nil
}

// fix is a TPV report as a position, and why it can't be one.
func (r report) fix() (sensor.Fix, string) {
	f := sensor.Fix{}
	if t, err := time.Parse(time.RFC3339Nano, r.Time); err == nil {
		f.Time = t.UTC()
	}
	if r.Mode < 2 || r.Lat == nil || r.Lon == nil {
		return f, "" // it looks for satellites
	}
	if math.Abs(*r.Lat) > 90 || math.Abs(*r.Lon) > 180 {
		return f, fmt.Sprintf("gpsd tells an impossible position: %g, %g", *r.Lat, *r.Lon)
	}
	f.Mode, f.Lat, f.Lon, f.Speed = min(r.Mode, 3), *r.Lat, *r.Lon, r.Speed
	if f.Mode == 3 {
		f.Altitude = r.AltHAE
		if f.Altitude == 0 {
			f.Altitude = r.Alt
		}
	}
	// Older receivers tell the two axes alone.
	if f.Error = r.Eph; f.Error <= 0 {
		f.Error = math.Hypot(max(r.Epx, 0), max(r.Epy, 0))
	}
	return f, ""
}

// strengths are the signals of the satellites that a SKY report says are used.
func (r report) strengths() []float64 {
	var all []float64
	for _, s := range r.Signals[:min(len(r.Signals), maxSignals)] {
		if s.Used && s.Strength > 0 && s.Strength < 200 {
			all = append(all, s.Strength)
		}
	}
	return slices.Clip(all)
}

// gone says that a DEVICE report tells of a receiver that went away.
func (r report) gone() bool {
	n, isNumber := r.Activity.(float64)
	return isNumber && n == 0
}
