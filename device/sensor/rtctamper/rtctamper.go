// Package rtctamper is the driver for clock chips that have a tamper input of
// their own (PCF2127, PCF2131, RV-3028): they run from a battery, and write down
// when the input changed while everything else was off. What happened while the
// machine had no power is told at the next start, with the chip's own time.
package rtctamper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

const (
	lookEvery  = 2 * time.Second
	maxSilence = time.Minute
	// rearmAfter is how long a time stands before it is cleared, so that the next
	// one is written down: longer than it takes to make our own latch durable.
	rearmAfter = 10 * time.Second
	// maxInputs bounds what is read.
	maxInputs = 16
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "rtc-tamper", Senses: "a case that was opened while the machine had no power",
	Interface: "/sys/class/rtc/rtc*/timestamp*", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "case_intrusion", Severity: core.SeverityCritical, Alarm: true, Meaning: "the clock chip's tamper input changed; `at` is the chip's time of it"},
		{Type: "rearm_failed", Severity: core.SeverityMedium, Meaning: "the chip's time could not be cleared: it can't write down another one"},
	},
	Tested: []sensor.Tested{sensor.TestedSimulator},
}

// Config configures the driver.
type Config struct {
	// Clock is the clock chip by its name below /sys/class/rtc; left out, each
	// that has a tamper input.
	Clock string `yaml:"clock,omitempty"`
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	n, ok := strings.CutPrefix(c.Clock, "rtc")
	if _, err := strconv.ParseUint(n, 10, 8); c.Clock != "" && (!ok || err != nil) {
		return core.E(core.KindInvalid, "rtctamper.Config", fmt.Sprintf("clock %q is no name like rtc0", c.Clock))
	}
	return nil
}

// Sensor reads the times that clock chips wrote down; see [New].
type Sensor struct {
	env sensor.Env
	cfg Config
	// had are the inputs that were there, by path. They outlive a run.
	had []string
}

// New returns a driver for the tamper inputs of clock chips.
func New(env sensor.Env, c Config) (sensor.Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sensor{env: env, cfg: c}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "rtc-tamper", Needs: []sensor.Need{sensor.NeedSysfs, sensor.NeedRoot}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyPoll, MaxSilence: maxSilence, Latches: true, Always: true,
	}
}

// inputs lists the chips' inputs. Older kernels have them at the chip, one
// folder further down.
func (s *Sensor) inputs() []string {
	name := s.cfg.Clock
	if name == "" {
		name = "rtc*"
	}
	var all []string
	for _, place := range []string{"timestamp[0-9]", "device/timestamp[0-9]"} {
		found, err := filepath.Glob(s.env.Path("sys/class/rtc", name, place))
		if err == nil { // the pattern is well formed
			all = append(all, found...)
		}
	}
	return all[:min(len(all), maxInputs)]
}

// Probe implements [sensor.Sensor].
func (s *Sensor) Probe() sensor.Presence {
	if s.cfg.Clock == "" && len(s.had) == 0 && len(s.inputs()) == 0 {
		return sensor.Skipped("no clock chip of this machine has a tamper input (timestamp0 in /sys/class/rtc/rtc*)")
	}
	return sensor.Present()
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	for _, path := range s.inputs() {
		if !slices.Contains(s.had, path) {
			s.had = append(s.had, path)
		}
	}
	if len(s.had) == 0 {
		return core.E(core.KindNotFound, "rtctamper.Run", fmt.Sprintf("%s has no tamper input", s.cfg.Clock)).WithHint("is the chip's kernel module loaded?")
	}
	w := watch{s: s, emit: emit, since: map[string]time.Time{}}
	emit(sensor.Reading{Kind: sensor.Inventory, Type: "inventory", Fields: sensor.Fields(map[string]any{"inputs": s.points()})})
	for {
		for _, path := range s.had {
			w.look(path)
		}
		emit(sensor.Reading{Kind: sensor.Beat})
		select {
		case <-ctx.Done():
			return nil
		case <-s.env.Clock.After(lookEvery):
		}
	}
}

func (s *Sensor) points() (all []string) {
	for _, path := range s.had {
		all = append(all, s.point(path))
	}
	return all
}

// point names an input as people know it: rtc0/timestamp0.
func (s *Sensor) point(path string) string {
	rel, err := filepath.Rel(s.env.Path("sys/class/rtc"), path)
	if err != nil {
		return sensor.Text(path)
	}
	return sensor.Text(strings.ReplaceAll(rel, "device/", ""))
}

// watch is one run of the driver.
type watch struct {
	s     *Sensor
	emit  func(sensor.Reading)
	since map[string]time.Time // when a time was first read
}

func (w *watch) look(path string) {
	point := w.s.point(path)
	text, err := sysfs.Read(path)
	at, bad := parse(text)
	if err != nil || bad != nil {
		if err == nil {
			err = bad
		}
		w.emit(sensor.Reading{Kind: sensor.Broken, Point: point, Fields: sensor.Fields(map[string]any{"why": sensor.Text(err.Error())})})
		return
	}
	fields := map[string]any{"input": point}
	if !at.IsZero() {
		fields["at"] = at.Format(time.RFC3339)
	}
	w.emit(sensor.Reading{
		Kind: sensor.Level, Point: point, Active: !at.IsZero(), Settled: true, Alarm: true, Type: "case_intrusion", Clear: "case_closed",
		Severity: core.SeverityCritical, Fields: sensor.Fields(fields),
	})
	w.rearm(path, point, !at.IsZero())
}

// parse reads what the chip wrote down: seconds since 1970, nothing for none.
func parse(text string) (time.Time, error) {
	if text == "" || text == "0" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return time.Time{}, core.E(core.KindDamaged, "rtctamper.parse", fmt.Sprintf("%.40q is no time", text))
	}
	return time.Unix(n, 0).UTC(), nil
}

// rearm clears a time some while after it was told.
func (w *watch) rearm(path, point string, active bool) {
	now := w.s.env.Clock.Now()
	since, known := w.since[path]
	switch {
	case !active:
		delete(w.since, path)
		return
	case !known:
		w.since[path] = now
		return
	case now.Sub(since) < rearmAfter:
		return
	}
	w.since[path] = now.Add(time.Hour) // once an hour is often enough for one that does not obey
	if err := sysfs.Write(path, "1"); err != nil && !os.IsNotExist(err) {
		w.emit(sensor.Reading{Kind: sensor.Pulse, Point: point, Type: "rearm_failed", Severity: core.SeverityMedium, Fields: sensor.Fields(map[string]any{"why": sensor.Text(err.Error())})})
	}
}
