package usb

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// The kernel's own limits are 2 KiB and 64 variables (lib/kobject_uevent.c);
// twice that is room for a later kernel and still small.
const (
	maxMessage = 4 << 10
	maxVars    = 128
)

// uevent is one message of the kernel about a device.
type uevent struct {
	action string
	path   string // below /sys, begins with /devices/
	vars   map[string]string
}

// parse reads one kernel message: "action@devpath\0KEY=value\0...". The bytes
// come from the kernel, but the kernel repeats what a device said, so nothing
// in it is trusted: sizes are bounded, a path can't leave /sys/devices, a
// repeated key is refused.
func parse(msg []byte) (uevent, error) {
	if len(msg) > maxMessage {
		return uevent{}, core.E(core.KindTooLarge, "usb.parse", fmt.Sprintf("uevent of %d bytes, at most %d are read", len(msg), maxMessage))
	}
	parts := bytes.Split(bytes.TrimSuffix(msg, []byte{0}), []byte{0})
	action, devpath, ok := strings.Cut(string(parts[0]), "@")
	if !ok || !isWord(action) || !isDevpath(devpath) {
		return uevent{}, core.E(core.KindInvalid, "usb.parse", fmt.Sprintf("uevent header %.80q is not action@/devices/...", parts[0]))
	}
	vars, err := parseVars(parts[1:])
	if err != nil {
		return uevent{}, err
	}
	if vars["ACTION"] != action || vars["DEVPATH"] != devpath {
		return uevent{}, core.E(core.KindInvalid, "usb.parse", fmt.Sprintf("uevent header %.80q and its ACTION and DEVPATH differ", parts[0]))
	}
	return uevent{action: action, path: devpath, vars: vars}, nil
}

func parseVars(parts [][]byte) (map[string]string, error) {
	if len(parts) > maxVars {
		return nil, core.E(core.KindTooLarge, "usb.parse", fmt.Sprintf("uevent with %d variables, at most %d are read", len(parts), maxVars))
	}
	vars := make(map[string]string, len(parts))
	for _, p := range parts {
		key, value, ok := strings.Cut(string(p), "=")
		if !ok || !isKey(key) {
			return nil, core.E(core.KindInvalid, "usb.parse", fmt.Sprintf("uevent variable %.80q is not KEY=value", p))
		}
		if _, twice := vars[key]; twice {
			return nil, core.E(core.KindInvalid, "usb.parse", fmt.Sprintf("uevent variable %s stands twice", key))
		}
		vars[key] = value
	}
	return vars, nil
}

func isWord(s string) bool {
	return s != "" && len(s) <= 16 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

func isKey(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

func isDevpath(s string) bool {
	return strings.HasPrefix(s, "/devices/") && path.Clean(s) == s && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

// isUSBDevice says whether the message is about a whole USB device; its
// interfaces have messages of their own.
func (u uevent) isUSBDevice() bool {
	return u.vars["SUBSYSTEM"] == "usb" && u.vars["DEVTYPE"] == "usb_device"
}

// port is the device's place on the bus, "1-1.2": the same for whatever is
// plugged in there.
func (u uevent) port() string { return path.Base(u.path) }
