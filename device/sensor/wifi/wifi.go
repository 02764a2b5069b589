// Package wifi is the driver that reads which access points the machine's radio
// last heard. It has nothing scanned: it reads the kernel's results, which are
// there where a supplicant manages the radio. Which access points belong there
// the judge says (device/monitor/known): a device that hears other ones than
// before was moved, or somebody set one up beside it.
//
// An access point's address and name are its own word, and anyone can send them.
package wifi

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	lookEvery  = 30 * time.Second
	maxSilence = 2 * time.Minute
	// fresh is how old a result may be: supplicants scan every few minutes.
	fresh = 10 * time.Minute
	// maxPoints bounds how many access points are taken of one scan.
	maxPoints = 256
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "wifi", Senses: "which Wi-Fi access points are in the air, as the machine's radio last heard them",
	Interface: "nl80211 (NL80211_CMD_GET_SCAN, the results of others' scans)", Latency: sensor.LatencyPoll,
	Tested: []sensor.Tested{sensor.TestedSimulator},
}

// Config configures the driver.
type Config struct {
	// Interfaces are the radios to read, by name. None means each of the machine.
	Interfaces []string `yaml:"interfaces,omitempty"`
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	for i, name := range c.Interfaces {
		if name == "" || name == "." || name == ".." || len(name) >= unix.IFNAMSIZ || filepath.Base(name) != name || sensor.Text(name) != name {
			return core.E(core.KindInvalid, "wifi.Config", fmt.Sprintf("interfaces[%d]: %q is no interface's name", i, name))
		}
	}
	return nil
}

// Sensor reads scan results; see [New].
type Sensor struct {
	env  sensor.Env
	only []string
	scan func(index int) ([]accessPoint, error)
}

// New returns a driver for the named radios, or for each when none is named.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sensor{env: env, only: slices.Clone(c.Interfaces), scan: scanResults}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "wifi", Needs: []sensor.Need{sensor.NeedNetlink, sensor.NeedSysfs}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyPoll, Delay: fresh, MaxSilence: maxSilence,
	}
}

// radios are the interfaces that are read.
func (s *Sensor) radios() []string {
	if len(s.only) > 0 {
		return s.only
	}
	var names []string
	found, _ := filepath.Glob(s.env.Path("sys/class/net/*/phy80211")) // the pattern is right
	for _, path := range found {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	return names
}

// Probe implements [sensor.Sensor].
func (s *Sensor) Probe() sensor.Presence {
	if len(s.radios()) == 0 {
		return sensor.Skipped("this machine has no Wi-Fi radio")
	}
	return sensor.Present()
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	radios := s.radios()
	emit(sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]any{"kind": "radios", "interfaces": radios, "scans": false}),
	})
	for {
		for _, name := range radios {
			s.look(name, emit)
		}
		emit(sensor.Reading{Kind: sensor.Beat})
		select {
		case <-ctx.Done():
			return nil
		case <-s.env.Clock.After(lookEvery):
		}
	}
}

// look tells what one radio heard. One that heard nothing for long hears nothing:
// it is off, or nobody has it scan.
func (s *Sensor) look(name string, emit func(sensor.Reading)) {
	all, err := s.results(name)
	all = slices.DeleteFunc(all, func(ap accessPoint) bool { return ap.seen > fresh })
	why := ""
	switch {
	case err != nil:
		why = err.Error()
	case len(all) == 0:
		why = fmt.Sprintf("no scan of the last %s heard anything: is the radio on, and does a supplicant scan?", fresh)
	}
	if why != "" {
		emit(sensor.Reading{Kind: sensor.Broken, Point: sensor.Text(name), Fields: sensor.Fields(map[string]any{"why": sensor.Text(why)})})
		return
	}
	emit(sensor.Reading{Kind: sensor.Measure, Point: sensor.Text(name), Value: float64(len(all)), Unit: sensor.UnitNone})
	for _, ap := range all {
		emit(ap.sighting(sensor.Text(name)))
	}
}

func (s *Sensor) results(name string) ([]accessPoint, error) {
	text, err := os.ReadFile(s.env.Path("sys/class/net", name, "ifindex"))
	if err != nil {
		return nil, fmt.Errorf("no interface %s: %w", name, err)
	}
	index, err := strconv.Atoi(string(slices.DeleteFunc(text, func(b byte) bool { return b == '\n' })))
	if err != nil {
		return nil, err
	}
	return s.scan(index)
}

func (ap accessPoint) sighting(place string) sensor.Reading {
	about := map[string]string{"host": ap.ssid, "via": "wifi", "mhz": strconv.FormatUint(uint64(ap.mhz), 10), "dbm": strconv.Itoa(ap.signal)}
	return sensor.Reading{
		Kind: sensor.Sighting, Point: place, Parts: []sensor.Part{{Class: "access-point", Place: place, Identity: ap.mac, About: about}},
	}
}
