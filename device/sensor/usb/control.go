package usb

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// matches says whether everything that the entry says is true of the device.
// A device without readable descriptors matches nothing.
func (r Rule) matches(port string, d device) bool {
	has := d.interfaces()
	switch {
	case d["descriptors"] == "" || d["malformed"] != "" || len(has) == 0:
		return false
	case d["idVendor"]+":"+d["idProduct"] != r.ID,
		r.Serial != "" && d["serial"] != r.Serial,
		r.Port != "" && port != r.Port,
		r.Descriptors != "" && d["descriptors"] != r.Descriptors:
		return false
	}
	return len(r.Interfaces) == 0 || !slices.ContainsFunc(has, func(i string) bool { return !slices.Contains(r.Interfaces, i) })
}

// allowed says whether the list has the device.
func (s *Sensor) allowed(port string, d device) bool {
	return slices.ContainsFunc(s.allow, func(r Rule) bool { return r.matches(port, d) })
}

// entryOf writes the entry of the list that would allow a device. A serial
// number that is not plain stays out: people will copy this line.
func entryOf(port string, d device) string {
	serial := ""
	if s := d["serial"]; s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") == "" {
		serial = ", serial: " + strconv.Quote(s)
	}
	return fmt.Sprintf(`{id: "%s:%s", port: "%s"%s, descriptors: "%s"}`, hexWord(d["idVendor"]), hexWord(d["idProduct"]), port, serial, d["descriptors"])
}

// hexWord keeps four hex digits; sysfs shows nothing else there.
func hexWord(s string) string {
	if len(s) != 4 || strings.Trim(s, "0123456789abcdef") != "" {
		return "????"
	}
	return s
}

// judge enforces the list on one device. It returns what was done: "" where
// nothing is enforced.
func (w *watch) judge(port string, d device) (done string, err error) {
	if w.sensor.policy != PolicyEnforce {
		return "", nil
	}
	if !w.sensor.allowed(port, d) {
		return "blocked", w.block(port, d)
	}
	if d["authorized"] == "1" {
		return "allowed", nil
	}
	if err := w.sensor.setAttribute(port, "authorized", "1"); err != nil {
		return "not authorised", err
	}
	// What we judged may have been changed for something else meanwhile.
	if now := read(w.sensor.devices() + "/" + port); !now.same(d) || !w.sensor.allowed(port, now) {
		return "blocked", w.block(port, now)
	}
	d["authorized"] = "1"
	return "allowed", nil
}

func (w *watch) block(port string, d device) error {
	if d["authorized"] == "0" {
		return nil
	}
	if err := w.sensor.setAttribute(port, "authorized", "0"); err != nil {
		return err
	}
	d["authorized"] = "0"
	return nil
}

// hold keeps a device as the list wants it: somebody may have written to sysfs
// behind our back. What went away meanwhile is no failure.
func (w *watch) hold(port string, d device) {
	was := d["authorized"]
	done, err := w.judge(port, d)
	switch {
	case err != nil:
		w.failed(port, d, done, err)
	case done == "blocked" && was == "1":
		w.tell("usb_unblocked", port, d, core.SeverityCritical, map[string]any{"action": "blocked again"})
	}
}

// failed tells that the list could not be enforced on a device.
func (w *watch) failed(port string, d device, what string, err error) {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return
	}
	w.tell("usb_block_failed", port, d, core.SeverityCritical, map[string]any{"action": what, "why": sensor.Text(err.Error())})
}

// tell emits an alarm about a device.
func (w *watch) tell(kind, port string, d device, sev core.Severity, more map[string]any) {
	fields := describe(port, d)
	maps.Copy(fields, more)
	w.emit(sensor.Reading{Kind: sensor.Pulse, Point: port, Type: kind, Alarm: true, Severity: sev, Fields: sensor.Fields(fields)})
}

// closeControllers has the kernel ask before it uses whatever is plugged in
// next: until the list was read, nothing is.
func (w *watch) closeControllers(names []string) {
	if w.sensor.policy != PolicyEnforce {
		return
	}
	for _, name := range names {
		was, err := w.sensor.attribute(name, "authorized_default")
		if err == nil && was == "0" {
			w.closed[name] = true
			continue
		}
		if err == nil {
			err = w.sensor.setAttribute(name, "authorized_default", "0")
		}
		switch {
		case err != nil:
			w.failed(name, device{}, "blocked", err)
		case w.closed[name]:
			w.tell("usb_unblocked", name, device{}, core.SeverityCritical, map[string]any{"authorized_default": sensor.Text(was), "action": "blocked again"})
		}
		w.closed[name] = err == nil
	}
}
