// Package clock is the driver for the machine's own time. Whoever sets the clock
// moves schedules, windows and the age of everything, so a step is an event: the
// kernel wakes the driver when somebody sets the clock, and the driver compares
// the wall clock with the one that counts since boot, which nobody can set. The
// battery-backed clock is compared beside: one that was changed while the
// machine was off, or stands still, shows here.
package clock

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

const (
	lookEvery  = 10 * time.Second
	maxSilence = time.Minute
	// pointRTC is the battery-backed clock, pointWall the system's.
	pointRTC  = "rtc"
	pointWall = "wall"
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "clock", Senses: "steps of the wall clock, a battery-backed clock that disagrees or stands still",
	Interface: "timerfd (TFD_TIMER_CANCEL_ON_SET), CLOCK_BOOTTIME, /sys/class/rtc", Latency: sensor.LatencyEvent,
	Events: []sensor.EventDoc{
		{Type: "clock_stepped", Severity: core.SeverityMedium, Alarm: true, Meaning: "somebody set the clock; backwards is high"},
		{Type: "rtc_disagrees", Severity: core.SeverityMedium, Alarm: true, Meaning: "the battery-backed clock and the system's differ"},
		{Type: "rtc_agrees", Severity: core.SeverityInfo, Meaning: "they agree again"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedRecorded},
}

// Config configures the driver.
type Config struct {
	// Tolerance is the smallest step that is told, 1 s where it is left out.
	Tolerance time.Duration `yaml:"tolerance,omitempty"`
	// RTC is the battery-backed clock: its name below /sys/class/rtc, or none.
	// Left out, it is rtc0 where the machine has one. A clock that keeps local
	// time always disagrees; say none.
	RTC string `yaml:"rtc,omitempty"`
	// RTCTolerance is how far the two may be apart, 5 minutes where it is left out.
	RTCTolerance time.Duration `yaml:"rtc_tolerance,omitempty"`
}

var rtcName = regexp.MustCompile(`^(none|rtc[0-9]{1,3})$`)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Tolerance < 0 || c.Tolerance > time.Hour:
		return invalid("tolerance %s; allowed are 0 to 1h", c.Tolerance)
	case c.RTCTolerance < 0 || c.RTCTolerance > 24*time.Hour:
		return invalid("rtc_tolerance %s; allowed are 0 to 24h", c.RTCTolerance)
	case c.RTC != "" && !rtcName.MatchString(c.RTC):
		return invalid("rtc %q; none, or a name like rtc0", c.RTC)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "clock.Config", fmt.Sprintf(format, args...))
}

// Sensor watches the clocks; see [New].
type Sensor struct {
	env  sensor.Env
	cfg  Config
	now  func() (wall time.Time, boot time.Duration)
	wake func(ctx context.Context) (<-chan error, error)
	// offset is the wall clock less the clock since boot. It outlives a run: a
	// step while the driver is being restarted is a step.
	offset time.Duration
	known  bool
}

// New returns a driver for this machine's clocks.
func New(env sensor.Env, c Config) (sensor.Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return newSensor(env, c), nil
}

func newSensor(env sensor.Env, c Config) *Sensor {
	if c.Tolerance == 0 {
		c.Tolerance = time.Second
	}
	if c.RTCTolerance == 0 {
		c.RTCTolerance = 5 * time.Minute
	}
	return &Sensor{env: env, cfg: c, now: kernelNow, wake: whenSet}
}

// kernelNow reads both clocks, the one since boot before and after, so that a
// pause between the two is no step.
func kernelNow() (time.Time, time.Duration) {
	var before, wall, after unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &before) // both always exist on Linux
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &after)
	return time.Unix(wall.Unix()), time.Duration((before.Nano() + after.Nano()) / 2)
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "clock", Needs: []sensor.Need{sensor.NeedSysfs}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyEvent, MaxSilence: maxSilence, Always: true,
	}
}

// Probe implements [sensor.Sensor]. Every machine has a wall clock.
func (s *Sensor) Probe() sensor.Presence { return sensor.Present() }

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	woken, err := s.wake(ctx)
	if err != nil {
		return err
	}
	w := &watch{s: s, emit: emit, rtc: s.rtc()}
	w.inventory()
	for {
		w.look()
		select {
		case <-ctx.Done():
			return nil
		case err, open := <-woken:
			if ctx.Err() != nil {
				return nil
			}
			if !open || err != nil {
				return core.Wrap(core.KindUnavailable, "clock.Run", err)
			}
		case <-s.env.Clock.After(lookEvery):
		}
	}
}

// rtc returns the folder of the battery-backed clock, "" where there is none to
// be compared.
func (s *Sensor) rtc() string {
	class := s.env.Path("sys/class/rtc")
	switch s.cfg.RTC {
	case "none":
		return ""
	case "":
		if _, err := os.Stat(filepath.Join(class, "rtc0")); err != nil {
			return ""
		}
		return filepath.Join(class, "rtc0")
	}
	return filepath.Join(class, s.cfg.RTC)
}

// watch is one run of the driver.
type watch struct {
	s    *Sensor
	emit func(sensor.Reading)
	rtc  string
	last struct {
		rtc  int64
		boot time.Duration
		read bool
	}
}

func (w *watch) inventory() {
	rtc := "none"
	if w.rtc != "" {
		rtc = filepath.Base(w.rtc)
	}
	w.emit(sensor.Reading{Kind: sensor.Inventory, Type: "inventory", Fields: sensor.Fields(map[string]any{
		"rtc": rtc, "tolerance_s": w.s.cfg.Tolerance.Seconds(), "rtc_tolerance_s": w.s.cfg.RTCTolerance.Seconds(),
	})})
}

func (w *watch) look() {
	wall, boot := w.s.now()
	w.compare(wall, boot)
	if w.rtc != "" {
		w.lookRTC(wall, boot)
	}
	w.emit(sensor.Reading{Kind: sensor.Beat})
}

// compare tells a step: the wall clock went another way than the clock since boot.
func (w *watch) compare(wall time.Time, boot time.Duration) {
	offset := time.Duration(wall.UnixNano()) - boot
	step := offset - w.s.offset
	if w.s.known && step.Abs() >= w.s.cfg.Tolerance {
		w.stepped(wall, step)
	}
	w.s.offset, w.s.known = offset, true
}

func (w *watch) stepped(wall time.Time, step time.Duration) {
	sev, way := core.SeverityMedium, "forward"
	if step < 0 {
		sev, way = core.SeverityHigh, "back"
	}
	w.emit(sensor.Reading{
		Kind: sensor.Pulse, Point: pointWall, Type: "clock_stepped", Alarm: true, Severity: sev,
		Fields: sensor.Fields(map[string]any{
			"by_s": math.Round(step.Seconds()*1000) / 1000, "way": way,
			"from": wall.Add(-step).UTC().Format(time.RFC3339), "to": wall.UTC().Format(time.RFC3339),
		}),
	})
}

// lookRTC compares the battery-backed clock, which has whole seconds.
func (w *watch) lookRTC(wall time.Time, boot time.Duration) {
	rtc, err := readSeconds(filepath.Join(w.rtc, "since_epoch"))
	if err != nil {
		w.broken(err.Error())
		return
	}
	if w.last.read && rtc == w.last.rtc {
		if boot-w.last.boot > 2*time.Second { // it stands still, or this is the same second
			w.broken(fmt.Sprintf("it stands still at %s", time.Unix(rtc, 0).UTC().Format(time.RFC3339)))
		}
		return
	}
	w.last.rtc, w.last.boot, w.last.read = rtc, boot, true
	apart := time.Unix(rtc, 0).Sub(wall)
	w.emit(sensor.Reading{Kind: sensor.Measure, Point: pointRTC, Value: math.Round(apart.Seconds()), Unit: sensor.UnitSecond})
	w.emit(sensor.Reading{
		Kind: sensor.Level, Point: pointRTC, Active: apart.Abs() > w.s.cfg.RTCTolerance, Alarm: true, Unlatched: true,
		Type: "rtc_disagrees", Clear: "rtc_agrees", Severity: core.SeverityMedium,
		Fields: sensor.Fields(map[string]any{"apart_s": math.Round(apart.Seconds()), "rtc": time.Unix(rtc, 0).UTC().Format(time.RFC3339)}),
	})
}

func (w *watch) broken(why string) {
	w.emit(sensor.Reading{Kind: sensor.Broken, Point: pointRTC, Fields: sensor.Fields(map[string]any{"why": sensor.Text(why)})})
}

func readSeconds(path string) (int64, error) {
	text, err := sysfs.Read(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}
