package hil

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/test/hil/control"
)

// The serial number of the keyboard is what an attacker would have it be: it
// must come through as text.
const hostileSerial = "<img src=x>\x1b[2J1"

// pointer plugs in a device that the list has: the way that must stay open.
func (l *loop) pointer(ctx context.Context) (string, error) {
	var closed control.File
	if err := l.m.do(ctx, "read", control.File{Path: "/sys/bus/usb/devices/usb1/authorized_default"}, &closed); err != nil {
		return "", err
	}
	if strings.TrimSpace(closed.Text) != "0" {
		return "", fmt.Errorf("the controller authorises what is plugged in: authorized_default is %q", closed.Text)
	}
	if err := l.m.monitor(ctx, "device_add", map[string]any{"driver": "usb-tablet", "id": "pointer", "bus": "usb0.0", "port": "2"}); err != nil {
		return "", err
	}
	found, err := l.awaitEvents(ctx, "usb_attached")
	if err != nil {
		return "", err
	}
	f, err := fieldsOf(found[0])
	if err != nil {
		return "", err
	}
	if f.Action != "allowed" || found[0].Severity != core.SeverityLow {
		return "", fmt.Errorf("%s: %s", found[0].Severity, found[0].Fields)
	}
	var inputs []string
	err = await(ctx, func() (err error) {
		if inputs, err = l.list(ctx, "/dev/input/event*"); err == nil && len(inputs) == 0 {
			err = errors.New("no input device")
		}
		return err
	})
	return fmt.Sprintf("event %d, %s, authorised by the list, %s", found[0].Sequence, found[0].Severity, strings.Join(inputs, ", ")), err
}

// keyboard plugs in a keyboard with the vendor and product of the listed
// pointer. It stays without a driver.
func (l *loop) keyboard(ctx context.Context) (string, error) {
	var before, after, interfaces []string
	var found []core.Event
	var f fields
	var authorized control.File
	err := inTurn(
		func() (err error) { before, err = l.list(ctx, "/dev/input/event*"); return err },
		func() error {
			return l.m.monitor(ctx, "device_add", map[string]any{"driver": "usb-kbd", "id": "keyboard", "bus": "usb0.0", "port": "3", "serial": hostileSerial})
		},
		func() (err error) { found, err = l.awaitEvents(ctx, "usb_attached"); return err },
		func() (err error) { f, err = fieldsOf(found[0]); return err },
		func() error {
			return l.m.do(ctx, "read", control.File{Path: "/sys/bus/usb/devices/" + f.Port + "/authorized"}, &authorized)
		},
		func() (err error) { interfaces, err = l.list(ctx, "/sys/bus/usb/devices/"+f.Port+":*"); return err },
		func() (err error) { after, err = l.list(ctx, "/dev/input/event*"); return err },
	)
	if err != nil {
		return "", err
	}
	if f.Action != "blocked" || f.State != string(core.SensorAlarm) || !strings.Contains(f.Serial, "<img src=x>") || strings.Contains(f.Serial, "\x1b") {
		return "", fmt.Errorf("%s", found[0].Fields)
	}
	if strings.TrimSpace(authorized.Text) != "0" || len(interfaces) > 0 || !slices.Equal(before, after) {
		return "", fmt.Errorf("authorized is %q, interfaces %v, input devices were %v and are %v", authorized.Text, interfaces, before, after)
	}
	return fmt.Sprintf("event %d, %s, authorized=0, no input device; its serial %q is text", found[0].Sequence, found[0].Severity, f.Serial), nil
}

// bites kills the agent, as somebody does who wants to be alone with the machine:
// nobody pets the watchdog any more. Until then it had no reason to bite.
func (l *loop) bites(ctx context.Context) (string, error) {
	if n := l.m.heard[watchdogBit]; n > 0 {
		return "", fmt.Errorf("it bit %d times although an agent ran", n)
	}
	l.unwatched = l.seen
	err := inTurn(
		func() error { return l.m.do(ctx, "agent.kill", nil, nil) },
		func() error { return l.swapDisk(ctx) }, // which the agent will find
		func() error { return l.m.awaitEvent(ctx, watchdogBit) },
	)
	return fmt.Sprintf("QEMU tells of %s; what it would do, reset the machine, is switched off here", watchdogBit), err
}

// watchdogBit is the event of QEMU's monitor.
const watchdogBit = "WATCHDOG"

// behind plugs a keyboard in while no agent runs: the controller stays closed,
// and the agent that starts afterwards tells of it.
func (l *loop) behind(ctx context.Context) (string, error) {
	const port = "/sys/bus/usb/devices/1-4/authorized"
	var before, after []string
	var found []core.Event
	var authorized control.File
	err := inTurn(
		func() (err error) { before, err = l.list(ctx, "/dev/input/event*"); return err },
		func() error {
			return l.m.monitor(ctx, "device_add", map[string]any{"driver": "usb-kbd", "id": "second", "bus": "usb0.0", "port": "4", "serial": "second"})
		},
		func() error {
			return await(ctx, func() error { return l.m.do(ctx, "read", control.File{Path: port}, nil) })
		},
		func() error { return l.m.do(ctx, "agent.start", control.Start{}, nil) },
		func() (err error) { found, err = l.blocked(ctx, "second"); return err },
		func() error { return l.watching(ctx) },
		func() error { return l.m.do(ctx, "read", control.File{Path: port}, &authorized) },
		func() (err error) { after, err = l.list(ctx, "/dev/input/event*"); return err },
	)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(authorized.Text) != "0" || !slices.Equal(before, after) {
		return "", fmt.Errorf("authorized is %q, input devices were %v and are %v", authorized.Text, before, after)
	}
	return fmt.Sprintf("event %d, %s, authorized=0, no input device", found[0].Sequence, found[0].Severity), nil
}

// blocked waits until the agent that starts tells of one device that it blocked,
// once. Of what was blocked before it tells again, as of what it found.
func (l *loop) blocked(ctx context.Context, serial string) ([]core.Event, error) {
	var found []core.Event
	err := await(ctx, func() error {
		list, err := l.ofSensor(ctx, "usb")
		found = slices.DeleteFunc(list, func(e core.Event) bool {
			f, err := fieldsOf(e)
			return err != nil || e.Type != "usb_blocked" || f.Serial != serial
		})
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("%d events of %s", len(found), serial)
		}
		return err
	})
	return found, err
}

// disk takes a disk out.
func (l *loop) disk(ctx context.Context) (string, error) {
	if err := l.m.monitor(ctx, "device_del", map[string]any{"id": "disk0"}); err != nil {
		return "", err
	}
	found, err := l.awaitEvents(ctx, "component_removed")
	if err != nil {
		return "", err
	}
	f, err := fieldsOf(found[0])
	if err != nil {
		return "", err
	}
	if f.Serial != "CASEDISK1" || sensorOf(found[0]) != "disks" {
		return "", fmt.Errorf("%s", found[0].Fields)
	}
	return fmt.Sprintf("event %d, %s, serial %s", found[0].Sequence, found[0].Severity, f.Serial), nil
}

// cut pulls the network cable, has two things happen while nobody can hear of
// them, and puts it back: everything arrives, in order, without a gap.
func (l *loop) cut(ctx context.Context) (string, error) {
	var back time.Time
	err := inTurn(
		func() error { return l.carrier(ctx, false) },
		func() error { return l.latched(ctx, "carrier", "carrier_down") },
		func() error { return l.m.do(ctx, "chip.alarm", control.Listing{Names: []string{"adm9240"}}, nil) },
		func() error { return l.latched(ctx, "board", "case_intrusion") },
		func() error { return l.m.do(ctx, "gpio.remove", nil, nil) },
		func() error { return l.latched(ctx, "case", "chip_removed") },
		func() error { back = time.Now(); return l.carrier(ctx, true) },
	)
	if err != nil {
		return "", err
	}
	types := []string{"carrier_down", "case_intrusion", "chip_removed"}
	found, err := l.awaitEvents(ctx, types...)
	if err != nil {
		return "", err
	}
	for _, e := range found {
		if e.Received.Before(back) {
			return "", fmt.Errorf("%s was received at %s, the cable was back at %s", e.Type, e.Received, back)
		}
	}
	return fmt.Sprintf("%s happened meanwhile and arrived afterwards, in order and without a gap", strings.Join(types, ", ")), l.gapless(ctx)
}

// inTurn does one step after another and ends with the first that fails.
func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// carrier pulls the network cable or puts it back.
func (l *loop) carrier(ctx context.Context, up bool) error {
	return l.m.monitor(ctx, "set_link", map[string]any{"name": "nic0", "up": up})
}

// latched waits until the device itself says that a sensor has a latch of a
// type.
func (l *loop) latched(ctx context.Context, sensor, kind string) error {
	return await(ctx, func() error {
		st, err := l.local(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(st.Latches, func(x localLatch) bool { return x.Sensor == sensor && x.Type == kind }) {
			return fmt.Errorf("no latch %s of %s; the device has %+v", kind, sensor, st.Latches)
		}
		return nil
	})
}

// gapless wants every number of the device's events exactly once, in order.
func (l *loop) gapless(ctx context.Context) error {
	list, err := l.s.events(ctx)
	if err != nil {
		return err
	}
	for i, e := range list {
		if e.Sequence != list[0].Sequence+uint64(i) {
			return fmt.Errorf("event %d stands where %d belongs", e.Sequence, list[0].Sequence+uint64(i))
		}
	}
	return nil
}

// fields are those of an event that the checks look at.
type fields struct {
	State  string `json:"state"`
	Action string `json:"action"`
	Port   string `json:"port"`
	Serial string `json:"serial"`
}

func fieldsOf(e core.Event) (f fields, err error) { return f, json.Unmarshal(e.Fields, &f) }

func (l *loop) list(ctx context.Context, pattern string) ([]string, error) {
	var found control.Listing
	err := l.m.do(ctx, "list", control.File{Path: pattern}, &found)
	return found.Names, err
}
