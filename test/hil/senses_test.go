package hil

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/test/hil/control"
)

// sense is a sensor of the device: its id, and what stands below it in the
// agent's configuration.
type sense struct{ id, config string }

// guard are the sensors with which the device is enrolled.
var guard = []sense{
	{"case", fmt.Sprintf(`driver: gpio
lines:
  - {name: lid, chip: interlock-case, offset: %d, debounce: %s}
  - {name: seal, chip: interlock-case, offset: %d, debounce: %s}`, lineLid, lidDebounce, lineSeal, sealDebounce)},
	{"board", `driver: hwmon
chips: [adm9240]`},
	{"carrier", `driver: carrier
interfaces: [eth0]
latch: true`},
	{"disks", `driver: disk`},
	{"usb", `driver: usb
policy: enforce
allow:
  - {id: "0627:0001", interfaces: ["03:00:00"]}  # QEMU's pointer`},
}

// others come to them for the second half of the story.
var others = []sense{
	{"panel", fmt.Sprintf(`driver: gpio
lines:
  - {name: panel, chip: interlock-case, offset: %d}`, linePanel)},
	{"hatch", fmt.Sprintf(`driver: gpio
lines:
  - {name: hatch, chip: interlock-case, offset: %d}`, lineHatch)},
	{"boards", `driver: hwmon
chips: [w83792d, w83793]`},
	{"clock", `driver: clock
latch: false`},
	{"watchdog", fmt.Sprintf(`driver: watchdog
timeout: %s`, bite)},
	{"tpm", `driver: tpm`},
	{"parts", `driver: parts
judges:
  component: {}`},
	{"ports", `driver: serial`},
	{"cards", `driver: sd`},
	{"power", `driver: power
judges:
  power: {}`},
	{"bmc", `driver: ipmi
poll: 2s`},
	{"enclosure", `driver: enclosure
of: [boards, bmc]`},
	{"rails", `driver: hwmon
chips: [adm9240]
measures: [in, fan, temp]
switch: false
judges:
  environment: {}
  power:
    rails:
      - {point: in3, nominal: 5}`},
	{"imu", `driver: iio
device: mma8452
trigger: interlock
judges:
  motion: {}
  orientation: {}`},
	{"imu2", `driver: iio
device: bmc150_accel
channels: [accel]
rate: 5
max_silence: 5s`},
	{"imu3", `driver: iio
device: kxcjk1013
rate: 5
latch: false`},
	{"loop", `driver: iio
device: ads1015
channels: [voltage0]
lively: true
latch: true
judges:
  loop:
    loops:
      - {name: lid, point: voltage0, supply: 2, pullup: 1000, eol: 1000, alarm: 1000}`},
	{"room", `driver: iio
device: bme280
judges:
  environment: {}`},
	{"light", `driver: iio
device: tsl2560
channels: [illuminance]
judges:
  environment:
    rules:
      - {point: illuminance0, kind: light}`},
}

// Two lines with the debounce that nobody configured, 30 ms: one bounces, one is
// opened.
const (
	linePanel = 3
	lineHatch = 4
)

// bite is how long after the last petting the hardware resets the machine. It is
// much longer than a busy host keeps the guest from petting.
const bite = 15 * time.Second

// sensing puts every chip on the bus and has the agent watch all of it.
func (l *loop) sensing(ctx context.Context) (string, error) {
	var shown control.Listing
	err := inTurn(
		func() error { return l.m.do(ctx, "agent.kill", nil, nil) },
		func() error {
			return l.m.do(ctx, "chip.make", control.Listing{Names: []string{"w83792d", "w83793", "mma8452", "bmc150_accel", "kxcjk1013", "ads1015", "bme280", "tsl2560"}}, &shown)
		},
		func() error { return l.m.do(ctx, "trigger.make", control.Trigger{Name: "interlock", Hz: 50}, nil) },
		func() error { return l.configure(ctx, slices.Concat(guard, others)) },
		func() error { return l.m.do(ctx, "agent.start", control.Start{}, nil) },
		func() error { return l.watching(ctx) },
	)
	if err != nil {
		return "", err
	}
	_, err = l.awaitDevice(ctx, func(d api.Device) error { return l.allOK(d.Sensors) })
	return fmt.Sprintf("%d chips, %d sensors, the server has each as ok", len(shown.Names)+1, len(l.sensors)), err
}

// allOK wants every sensor that is configured to be ok.
func (l *loop) allOK(states map[string]string) error {
	for _, id := range l.sensors {
		if states[id] != string(core.SensorOK) {
			return fmt.Errorf("%s is %q; all: %v", id, states[id], states)
		}
	}
	return nil
}

// ofSensor are the events of one sensor, newer than the present check, that say
// more than that all is well again, what is there, or that a latched input goes on.
func (l *loop) ofSensor(ctx context.Context, sensor string) ([]core.Event, error) {
	list, err := l.s.events(ctx)
	return slices.DeleteFunc(list, func(e core.Event) bool {
		return e.Sequence <= l.seen || sensorOf(e) != sensor || e.Severity == core.SeverityInfo || e.Type == "latch_activity"
	}), err
}

// told waits until a sensor has told of just these, in this order, and returns
// them: one more, or one of another type, is a fault.
func (l *loop) told(ctx context.Context, sensor string, types ...string) ([]core.Event, error) {
	var list []core.Event
	err := await(ctx, func() (err error) {
		if list, err = l.ofSensor(ctx, sensor); err != nil {
			return err
		}
		if got := typesOf(list); !slices.Equal(got, types) {
			return fmt.Errorf("%s told of %v, want %v", sensor, got, types)
		}
		return nil
	})
	for _, e := range list {
		if e.Provenance != core.ProvenanceDevice || e.Simulated {
			err = errors.Join(err, fmt.Errorf("%s is %s, simulated %v", e.Type, e.Provenance, e.Simulated))
		}
	}
	return list, err
}

func typesOf(list []core.Event) []string {
	var types []string
	for _, e := range list {
		types = append(types, e.Type)
	}
	return types
}

// panel: 20 ms are a bounce and 60 ms are an opening, with the debounce that a
// line has of itself. A pulse that the guest made too long, because nobody gave
// it the processor, may count; each of the others must not.
func (l *loop) panel(ctx context.Context) (string, error) {
	const enough = 10
	var short, long int
	for try := 0; short < enough; try++ {
		if try == 10*enough {
			return "", errors.New("the guest's pulses of 20 ms take too long; give this host less to do meanwhile")
		}
		var b control.Bounced
		if err := l.m.do(ctx, "gpio.bounce", control.Bounce{Line: linePanel, Width: 20_000, Times: 1}, &b); err != nil {
			return "", err
		}
		if time.Duration(b.Longest)*time.Microsecond < 28*time.Millisecond {
			short++
		} else {
			long++
		}
	}
	if err := l.linked(ctx); err != nil { // what was to come has come
		return "", err
	}
	before, err := l.ofSensor(ctx, "panel")
	if err != nil || len(before) > 2*long {
		return "", fmt.Errorf("%d bounces, %d longer pulses: it told of %v: %w", short, long, typesOf(before), err)
	}
	if err := l.m.do(ctx, "gpio.bounce", control.Bounce{Line: lineHatch, Width: 60_000, Times: 1}, nil); err != nil {
		return "", err
	}
	var found []core.Event
	err = inTurn(
		func() (err error) { found, err = l.told(ctx, "hatch", "case_intrusion"); return err },
		func() error { return l.linked(ctx) },
		func() (err error) { found, err = l.told(ctx, "hatch", "case_intrusion"); return err },
	)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d bounces of 20 ms: nothing (%d more were longer than asked); 60 ms: event %d, %s, once; the latch stays", short, long, found[0].Sequence, found[0].Severity), l.latched(ctx, "hatch", "case_intrusion")
}

// switches: two chips of another maker feel their cases opened.
func (l *loop) switches(ctx context.Context) (string, error) {
	if err := l.m.do(ctx, "chip.alarm", control.Listing{Names: []string{"w83792d", "w83793"}}, nil); err != nil {
		return "", err
	}
	found, err := l.told(ctx, "boards", "case_intrusion", "case_intrusion")
	if err != nil {
		return "", err
	}
	chips := map[string]bool{}
	for _, e := range found {
		var f struct {
			Chip string `json:"chip"`
		}
		if err := json.Unmarshal(e.Fields, &f); err != nil {
			return "", err
		}
		chips[f.Chip] = true
	}
	if !chips["w83792d"] || !chips["w83793"] {
		return "", fmt.Errorf("they name %v", chips)
	}
	return fmt.Sprintf("w83792d and w83793: events %d and %d, each once", found[0].Sequence, found[1].Sequence), nil
}

// clock: whoever sets the clock is told of, backwards worse than forwards.
func (l *loop) clock(ctx context.Context) (string, error) {
	const step = 20 * time.Second
	if err := l.m.do(ctx, "clock.step", control.Step{MS: step.Milliseconds()}, nil); err != nil {
		return "", err
	}
	if _, err := l.told(ctx, "clock", "clock_stepped"); err != nil {
		return "", err
	}
	if err := l.m.do(ctx, "clock.step", control.Step{MS: -step.Milliseconds()}, nil); err != nil {
		return "", err
	}
	found, err := l.told(ctx, "clock", "clock_stepped", "clock_stepped")
	if err != nil {
		return "", err
	}
	if found[0].Severity != core.SeverityMedium || found[1].Severity != core.SeverityHigh {
		return "", fmt.Errorf("their severities are %s, %s", found[0].Severity, found[1].Severity)
	}
	return fmt.Sprintf("%s: %s, then %s: %s", step, found[0].Severity, -step, found[1].Severity), nil
}

// supervised has one wire say four things: a contact that opens, a wire that is
// cut, one that is shorted, and a resistance that nobody built in.
func (l *loop) supervised(ctx context.Context) (string, error) {
	var want []string
	for _, s := range []struct {
		volts float64
		event string
	}{{1.333, "case_intrusion"}, {2, "loop_cut"}, {0, "loop_short"}, {0.6, "loop_tamper"}} {
		want = append(want, s.event)
		err := inTurn(
			func() error { return l.world(ctx, "lid.volts", s.volts) },
			func() error { _, err := l.told(ctx, "loop", want...); return err },
			func() error { return l.world(ctx, "lid.volts", 1) },
			func() error { return l.quiet(ctx, "loop") },
		)
		if err != nil {
			return "", fmt.Errorf("at %g V: %w", s.volts, err)
		}
	}
	return strings.Join(want, ", ") + ": each once, each by its voltage", nil
}

// world sets a quantity that the chips feel.
func (l *loop) world(ctx context.Context, name string, value float64) error {
	return l.felt(ctx, map[string]float64{name: value})
}

func (l *loop) felt(ctx context.Context, values map[string]float64) error {
	return l.m.do(ctx, "world.set", control.Quantities{Values: values}, nil)
}

// quiet waits until no input of a sensor is active.
func (l *loop) quiet(ctx context.Context, sensor string) error {
	return await(ctx, func() error {
		st, err := l.local(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(st.Sensors, func(s localSensor) bool { return s.ID == sensor })
		if i < 0 || len(st.Sensors[i].Active) > 0 {
			return fmt.Errorf("the device says of its sensors: %+v", st.Sensors)
		}
		return nil
	})
}

// air: light falls in, and it gets cold faster than in any weather.
func (l *loop) air(ctx context.Context) (string, error) {
	err := inTurn(
		func() error { return l.world(ctx, "room.light", 4000) },
		func() error { _, err := l.told(ctx, "light", "light_in_case"); return err },
		func() error { return l.world(ctx, "room.temp", 10) },
		func() error { _, err := l.told(ctx, "room", "temperature_falling"); return err },
	)
	return "light in the case; 12 degrees colder at once: temperature_falling", err
}

// frozen: an accelerometer gives the same numbers for ever. They are good ones;
// no accelerometer is as quiet as that.
func (l *loop) frozen(ctx context.Context) (string, error) {
	still := func(noise float64) error {
		return l.m.do(ctx, "world.set", control.Quantities{Noise: map[string]float64{"bmc150.x": noise}}, nil)
	}
	var d api.Device
	err := inTurn(
		func() error { return still(0) },
		func() error { _, err := l.told(ctx, "imu2", "sensor_lost"); return err },
		func() (err error) { d, err = l.only(ctx, "imu2", core.SensorStale); return err },
		func() error { return still(0.003) },
		func() error { return l.back(ctx, "imu2") },
	)
	return fmt.Sprintf("imu2 is %s at the server, the other %d as before; it moves again and is back", d.Sensors["imu2"], len(l.sensors)-1), err
}

// only waits until the server has a sensor in a state, and then wants no other
// one to be a fault or stale.
func (l *loop) only(ctx context.Context, sensor string, state core.SensorState) (api.Device, error) {
	return l.awaitDevice(ctx, func(d api.Device) error {
		if got := d.Sensors[sensor]; got != string(state) {
			return fmt.Errorf("%s is %s, want %s", sensor, got, state)
		}
		for _, id := range l.sensors {
			if s := d.Sensors[id]; id != sensor && s != string(core.SensorOK) && s != string(core.SensorAlarm) {
				return fmt.Errorf("%s is %q", id, s)
			}
		}
		return nil
	})
}

// back waits until a sensor reads again, at the server.
func (l *loop) back(ctx context.Context, sensor string) error {
	_, err := l.awaitDevice(ctx, func(d api.Device) error {
		if s := d.Sensors[sensor]; s != string(core.SensorOK) && s != string(core.SensorAlarm) {
			return fmt.Errorf("%s is %s", sensor, s)
		}
		return nil
	})
	return err
}

// unplugged: a chip is torn from the bus. The sensor does not latch here, so that
// what is left after the alarm can be seen: a fault, until the chip is back.
func (l *loop) unplugged(ctx context.Context) (string, error) {
	chip := control.Listing{Names: []string{"kxcjk1013"}}
	var d api.Device
	err := inTurn(
		func() error { return l.m.do(ctx, "chip.unplug", chip, nil) },
		func() (err error) { d, err = l.only(ctx, "imu3", core.SensorFault); return err },
		func() error { return l.m.do(ctx, "chip.make", chip, nil) },
		func() error { return l.back(ctx, "imu3") },
	)
	if err != nil {
		return "", err
	}
	list, err := l.ofSensor(ctx, "imu3")
	if err != nil || len(list) < 2 || list[0].Type != "sensor_removed" || list[0].Severity != core.SeverityCritical || list[1].Type != "sensor_lost" {
		return "", fmt.Errorf("it told of %v: %w", typesOf(list), err)
	}
	return fmt.Sprintf("event %d, %s, then imu3 is %s at the server, the other %d as before; put back, it reads again", list[0].Sequence, list[0].Severity, d.Sensors["imu3"], len(l.sensors)-1), nil
}
