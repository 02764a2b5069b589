package geofence_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/geofence"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/gpsd"
	"github.com/interlock-security/interlock/device/sensor/gpsd/gpsdtest"
)

// TestATheftByCarThroughARealGpsd drives a made-up track through gpsd and the
// driver: half a minute at its place, a drive, and the antenna covered. The
// judge's time is the receiver's.
func TestATheftByCarThroughARealGpsd(t *testing.T) {
	var track []gpsdtest.Step
	for i := range 30 {
		track = append(track, gpsdtest.Step{Lat: 52 + float64(i%2)*metre, Lon: 13})
	}
	for i := range 40 {
		track = append(track, gpsdtest.Step{Lat: 52 + float64(i)*15*metre, Lon: 13})
	}
	for range 45 {
		track = append(track, gpsdtest.Step{NoFix: true})
	}
	address, kill := gpsdtest.Start(t, gpsdtest.NMEA(t0, track...))
	driver, err := gpsd.New(sensor.Env{ID: core.MustID[core.SensorID]("gps"), Clock: core.SystemClock{}}, gpsd.Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	j, err := geofence.New(geofence.Config{Circle: hall.Circle, Dwell: 10 * time.Second, LostAfter: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	defer stop()
	var words []string
	now := t0
	_ = driver.Run(ctx, func(r sensor.Reading) {
		if r.Kind == sensor.Position && r.Fix.Time.After(now) {
			now = r.Fix.Time
		}
		for _, said := range j.Judge(now, r) {
			if said.Active || said.Kind == sensor.Pulse {
				words = append(words, said.Type)
			}
		}
		if slices.Contains(words, "position_lost") {
			stop()
			kill()
		}
	})
	if want := []string{"geofence_exit", "position_lost"}; !slices.Equal(words, want) {
		t.Errorf("said %v, want %v; the last time is %v", words, want, now)
	}
}
