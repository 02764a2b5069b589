package ipmi

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

// A controller is a second way to the machine's power, boot order and console.
// Who has an account on it and what it boots next are read as parts, so that the
// judge of components has them in its baseline.

const (
	commandBootOptions = 0x09 // chassis
	commandPrivilege   = 0x3b // app
	commandUserAccess  = 0x44
	commandUserName    = 0x46

	bootFlags     = 5
	thisChannel   = 0x0e
	settingsEvery = time.Minute
	maxAccounts   = 63
	classAccount  = "bmc-account"
	classBoot     = "bmc-boot"
)

// levels are the privilege levels of an account.
var levels = []string{"none", "callback", "user", "operator", "administrator", "oem"}

// settings reads the accounts and the boot order. What the controller refuses is
// a part that can't be read, which no baseline takes in.
func (w *watch) settings(ctx context.Context) ([]sensor.Part, error) {
	accounts, err := w.refusable(classAccount)(askAccounts(ctx, w.controller))
	if err != nil {
		return nil, err
	}
	boot, err := w.refusable(classBoot)(askBoot(ctx, w.controller))
	return append(accounts, boot...), err
}

// refusable turns a refusal into a part that says so.
func (w *watch) refusable(class string) func([]sensor.Part, error) ([]sensor.Part, error) {
	return func(parts []sensor.Part, err error) ([]sensor.Part, error) {
		var no refused
		if errors.As(err, &no) {
			w.broken(class, err.Error())
			return []sensor.Part{{Class: class, Place: "*", About: map[string]string{"unreadable": sensor.Text(err.Error())}}}, nil
		}
		if err == nil {
			w.emit(sensor.Reading{Kind: sensor.Measure, Point: class, Value: float64(len(parts)), Unit: sensor.UnitNone})
		}
		return parts, err
	}
}

// askAccounts reads the accounts that have a name or a right.
func askAccounts(ctx context.Context, c controller) ([]sensor.Part, error) {
	parts := []sensor.Part{}
	for id, last := byte(1), byte(1); id <= last; id++ {
		b, err := c.ask(ctx, netApp, commandUserAccess, thisChannel, id)
		if err != nil {
			return nil, err
		}
		if len(b) < 4 {
			return nil, short("Get User Access", b)
		}
		last = min(b[0]&0x3f, maxAccounts)
		name, err := c.ask(ctx, netApp, commandUserName, id)
		if isRefused(err, codeNoSensor) || isRefused(err, codeInvalid) {
			name, err = nil, nil // it has none
		}
		if err != nil {
			return nil, err
		}
		if text := string(bytes.TrimRight(name, "\x00")); text != "" || b[3]&0x10 != 0 {
			parts = append(parts, accountPart(id, text, b[1], b[3]))
		}
	}
	return parts, nil
}

// accountPart is one account. That it is enabled, and what it may, make it another
// one.
func accountPart(id byte, name string, enabled, access byte) sensor.Part {
	level := "unknown"
	switch l := int(access & 0x0f); {
	case l == 0x0f:
		level = "none"
	case l < len(levels):
		level = levels[l]
	}
	messages := access&0x10 != 0
	return sensor.Part{
		Class: classAccount, Place: fmt.Sprintf("account %d", id),
		Identity: sensor.Text(fmt.Sprintf("%q %s ipmi=%t", name, level, messages)),
		About:    map[string]string{"status": fmt.Sprintf("%#02x", enabled>>6)},
	}
}

// devices are what the machine can be told to boot from.
var devices = map[byte]string{
	0: "no override", 1: "network", 2: "disk", 3: "disk, safe mode", 4: "diagnostics", 5: "CD", 6: "setup", 7: "remote floppy", 8: "remote CD", 9: "remote media",
	11: "remote disk", 15: "floppy",
}

// askBoot reads what the machine boots next. Flags that the controller calls not
// valid are told all the same: some controllers never call them valid.
func askBoot(ctx context.Context, c controller) ([]sensor.Part, error) {
	b, err := c.ask(ctx, netChassis, commandBootOptions, bootFlags, 0, 0)
	if err != nil {
		return nil, err
	}
	if len(b) < 4 {
		return nil, short("Get System Boot Options", b)
	}
	p := sensor.Part{Class: classBoot, Place: "next boot", Identity: devices[0], About: map[string]string{"raw": hex.EncodeToString(b[2:])}}
	if b[2] != 0 || b[3] != 0 {
		device, known := devices[b[3]>>2&0x0f]
		if !known {
			device = fmt.Sprintf("device %#02x", b[3]>>2&0x0f)
		}
		p.Identity = fmt.Sprintf("%s valid=%t always=%t clear-cmos=%t", device, b[2]&0x80 != 0, b[2]&0x40 != 0, b[3]&0x80 != 0)
	}
	return []sensor.Part{p}, nil
}
