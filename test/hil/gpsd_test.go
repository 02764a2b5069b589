package hil

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/geofence"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/gpsd"
	"github.com/interlock-security/interlock/test/rig"
)

// TestPositionThroughGPSD has the real gpsd of this host read a receiver that
// gpsfake plays, and the driver and its judge follow: the device stands in its
// place and then is 900 m away.
func TestPositionThroughGPSD(t *testing.T) {
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	for _, tool := range []string{"gpsd", "gpsfake"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v\nnext: make deps, which installs what the tests need (Debian 12)", err)
		}
	}
	began := time.Now()
	judge, err := geofence.New(geofence.Config{
		Name: "hall", Circle: &geofence.Circle{Lat: 48, Lon: 11, Radius: 100}, Dwell: time.Second, MaxSpeed: 1000, ClockTolerance: 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	driver, err := gpsd.New(sensor.Env{ID: core.MustID[core.SensorID]("position"), Clock: core.SystemClock{}}, gpsd.Config{Address: playTrack(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	var home, fixes int
	var left bool
	run := func() error {
		return driver.Run(ctx, func(r sensor.Reading) {
			if r.Fix != nil {
				fixes++
			}
			for _, said := range judge.Judge(time.Now(), r) {
				left = left || said.Active && said.Type == "geofence_exit"
			}
			switch {
			case left:
				cancel()
			case r.Fix != nil && r.Fix.Mode >= 2 && r.Fix.Lat < 48.001:
				home++
			}
		})
	}
	for ctx.Err() == nil { // gpsd may still be starting; the monitor would run the driver again
		if err = run(); err != nil {
			<-core.SystemClock{}.After(100 * time.Millisecond)
		}
	}
	if !left || home == 0 {
		t.Fatalf("of %d positions %d were at home, left %v: %v", fixes, home, left, err)
	}
	fmt.Printf("ok   gpsd reads a receiver that gpsfake plays: %d positions at home, then geofence_exit … %s\n", home, time.Since(began).Round(time.Millisecond))
}

// playTrack has gpsfake play a receiver to a gpsd of its own, over and over, and
// returns where that listens.
func playTrack(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "track.nmea")
	if err := os.WriteFile(file, []byte(track()), 0o644); err != nil {
		t.Fatal(err)
	}
	address := rig.Address(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("gpsfake", "-q", "-c", "0.05", "-P", port, file)
	said := new(rig.Output)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // gpsd is of its group
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("gpsfake said: %s", rig.Tail(said.String(), 2000))
		}
	})
	return address
}

// track is a receiver's minute and a half: at home, then half a minute of latitude
// further north.
func track() string {
	var b strings.Builder
	for second := range 90 {
		north, at := 0.0, fmt.Sprintf("12%02d%02d.00", second/60, second%60)
		if second >= 30 {
			north = 0.5
		}
		place := fmt.Sprintf("%010.5f,N,01100.00000,E", 4800+north)
		for _, sentence := range []string{
			"GPGGA," + at + "," + place + ",1,08,0.9,500.0,M,47.0,M,,",
			"GPGSA,A,3,01,02,03,04,05,06,07,08,,,,,1.5,0.9,1.2",
			"GPRMC," + at + ",A," + place + ",0.0,0.0,211126,,,A",
		} {
			sum := byte(0)
			for _, c := range []byte(sentence) {
				sum ^= c
			}
			fmt.Fprintf(&b, "$%s*%02X\r\n", sentence, sum)
		}
	}
	return b.String()
}
