// Package tpm is the driver for the machine's TPM 2.0 as a part that can be
// attacked: pulled from its header, reset behind the system's back so that its
// registers can be filled anew, or wired to another one. It asks the TPM for its
// clock and the boot registers (PCR 0 to 7) and compares with what it said before.
// What the TPM keeps and signs is the keystore's matter, not this driver's.
package tpm

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	defaultDevice = "/dev/tpmrm0"
	lookEvery     = 30 * time.Second
	maxSilence    = 5 * time.Minute
	point         = "tpm"
	bootPCRs      = 8
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "tpm", Senses: "a TPM that is gone, was reset while the system runs, or whose boot registers change",
	Interface: "/dev/tpmrm0: TPM2_ReadClock, TPM2_PCR_Read", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "tpm_removed", Severity: core.SeverityCritical, Alarm: true, Meaning: "the TPM that was there is gone"},
		{Type: "tpm_back", Severity: core.SeverityInfo, Meaning: "it answers again"},
		{Type: "tpm_reset", Severity: core.SeverityCritical, Alarm: true, Meaning: "the TPM was reset while the system ran, or is another one"},
		{Type: "pcr_changed", Severity: core.SeverityHigh, Alarm: true, Meaning: "a boot register (PCR 0 to 7) changed while the system ran"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedPeer},
}

// Config configures the driver.
type Config struct {
	// Device is the TPM's file, /dev/tpmrm0 where it is left out.
	Device string `yaml:"device,omitempty"`
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if c.Device != "" && (!filepath.IsAbs(c.Device) || filepath.Clean(c.Device) != c.Device || strings.ContainsRune(c.Device, 0)) {
		return core.E(core.KindInvalid, "tpm.Config", fmt.Sprintf("device %q is no clean absolute path", c.Device))
	}
	return nil
}

// Sensor watches a TPM; see [New].
type Sensor struct {
	env  sensor.Env
	path string
	open func(path string) (transport.TPMCloser, error)
	// last is what the TPM said last. It outlives a run.
	last *state
}

// state is what a TPM says of itself.
type state struct {
	clock  uint64 // milliseconds
	resets uint32
	pcrs   [bootPCRs][]byte
}

// New returns a driver for one TPM.
func New(env sensor.Env, c Config) (sensor.Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return newSensor(env, c), nil
}

func newSensor(env sensor.Env, c Config) *Sensor {
	if c.Device == "" {
		c.Device = defaultDevice
	}
	return &Sensor{env: env, path: env.Path(c.Device), open: linuxtpm.Open}
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "tpm", Needs: []sensor.Need{sensor.NeedDevice, sensor.NeedRoot}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyPoll, Delay: lookEvery, MaxSilence: maxSilence, Latches: true, Always: true,
	}
}

// Probe implements [sensor.Sensor]. A TPM that was there before is not skipped:
// it is missing.
func (s *Sensor) Probe() sensor.Presence {
	if s.last != nil {
		return sensor.Present()
	}
	if t, err := s.open(s.path); err == nil {
		_ = t.Close()
	} else if gone(err) {
		return sensor.Skipped("this machine has no TPM at " + s.path)
	}
	return sensor.Present()
}

// gone says whether an error means that there is no such thing, in contrast to
// one that can't be spoken to.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO)
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	if s.last == nil {
		first, err := s.read()
		if err != nil {
			return core.Wrap(core.KindUnavailable, "tpm.Run", err)
		}
		s.last = first
	}
	emit(sensor.Reading{Kind: sensor.Inventory, Type: "inventory", Fields: sensor.Fields(map[string]any{
		"device": s.path, "resets": s.last.resets, "pcrs": s.last.registers(),
	})})
	for {
		s.look(emit)
		select {
		case <-ctx.Done():
			return nil
		case <-s.env.Clock.After(lookEvery):
		}
	}
}

func (s *state) registers() (all []string) {
	for _, v := range s.pcrs {
		all = append(all, hex.EncodeToString(v))
	}
	return all
}

func (s *Sensor) look(emit func(sensor.Reading)) {
	now, err := s.read()
	if err != nil && !gone(err) {
		emit(sensor.Reading{Kind: sensor.Broken, Point: point, Fields: sensor.Fields(map[string]any{"why": sensor.Text(err.Error())})})
		return
	}
	emit(sensor.Reading{
		Kind: sensor.Level, Point: point, Active: err != nil, Settled: true, Alarm: true, Type: "tpm_removed", Clear: "tpm_back",
		Severity: core.SeverityCritical, Fields: sensor.Fields(map[string]any{"device": s.path}),
	})
	if err != nil {
		return
	}
	s.compare(now, emit)
	emit(sensor.Reading{Kind: sensor.Measure, Point: point, Value: float64(now.clock) / 1000, Unit: sensor.UnitSecond, Lively: true})
}

// compare tells what a TPM does not do while a system runs. Its clock never goes
// back, and only the platform's reset line raises the count of resets.
func (s *Sensor) compare(now *state, emit func(sensor.Reading)) {
	was := s.last
	s.last = now
	if now.resets != was.resets || now.clock < was.clock {
		emit(sensor.Reading{
			Kind: sensor.Pulse, Point: point, Type: "tpm_reset", Alarm: true, Severity: core.SeverityCritical,
			Fields: sensor.Fields(map[string]any{"resets": now.resets, "resets_before": was.resets, "clock_ms": now.clock, "clock_ms_before": was.clock}),
		})
	}
	for i := range now.pcrs {
		if !bytes.Equal(now.pcrs[i], was.pcrs[i]) {
			emit(sensor.Reading{
				Kind: sensor.Pulse, Point: fmt.Sprintf("pcr%d", i), Type: "pcr_changed", Alarm: true, Severity: core.SeverityHigh,
				Fields: sensor.Fields(map[string]any{"pcr": i, "from": hex.EncodeToString(was.pcrs[i]), "to": hex.EncodeToString(now.pcrs[i])}),
			})
		}
	}
}

// read asks the TPM. It is opened each time: a TPM that was pulled is found out
// by opening, and nothing is held while nobody asks.
func (s *Sensor) read() (st *state, err error) {
	t, err := s.open(s.path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	clock, err := tpm2.ReadClock{}.Execute(t)
	if err != nil {
		return nil, err
	}
	info := clock.CurrentTime.ClockInfo
	st = &state{clock: info.Clock, resets: info.ResetCount}
	sel := tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{
		Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(0, 1, 2, 3, 4, 5, 6, 7),
	}}}
	read, err := tpm2.PCRRead{PCRSelectionIn: sel}.Execute(t)
	if err != nil {
		return nil, err
	}
	if n := len(read.PCRValues.Digests); n != bootPCRs {
		return nil, core.E(core.KindUnavailable, "tpm.read", fmt.Sprintf("the TPM gave %d boot registers in SHA-256, not %d", n, bootPCRs))
	}
	for i, d := range read.PCRValues.Digests {
		st.pcrs[i] = d.Buffer
	}
	return st, nil
}
