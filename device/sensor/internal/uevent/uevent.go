// Package uevent hears what the kernel says of its devices: one that appears,
// one that goes. It is for the drivers that watch a bus.
//
// Messages can be lost (the kernel says so, [ErrOverrun]) and be forged by a
// process with the right capability ([ErrForeign]). A driver therefore takes a
// message as a reason to look, and looks by the clock as well.
package uevent

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

// Event is one message of the kernel about a device.
type Event struct {
	Action string
	Path   string // below /sys, begins with /devices/
	Vars   map[string]string
}

// Parse reads one kernel message: "action@devpath\0KEY=value\0...". The bytes
// come from the kernel, but the kernel repeats what a device said, so nothing
// in it is trusted: sizes are bounded, a path can't leave /sys/devices, a
// repeated key is refused.
func Parse(msg []byte) (Event, error) {
	if len(msg) > maxMessage {
		return Event{}, core.E(core.KindTooLarge, "uevent.Parse", fmt.Sprintf("uevent of %d bytes, at most %d are read", len(msg), maxMessage))
	}
	parts := bytes.Split(bytes.TrimSuffix(msg, []byte{0}), []byte{0})
	action, devpath, ok := strings.Cut(string(parts[0]), "@")
	if !ok || !isWord(action) || !isDevpath(devpath) {
		return Event{}, core.E(core.KindInvalid, "uevent.Parse", fmt.Sprintf("uevent header %.80q is not action@/devices/...", parts[0]))
	}
	vars, err := parseVars(parts[1:])
	if err != nil {
		return Event{}, err
	}
	if vars["ACTION"] != action || vars["DEVPATH"] != devpath {
		return Event{}, core.E(core.KindInvalid, "uevent.Parse", fmt.Sprintf("uevent header %.80q and its ACTION and DEVPATH differ", parts[0]))
	}
	return Event{Action: action, Path: devpath, Vars: vars}, nil
}

func parseVars(parts [][]byte) (map[string]string, error) {
	if len(parts) > maxVars {
		return nil, core.E(core.KindTooLarge, "uevent.Parse", fmt.Sprintf("uevent with %d variables, at most %d are read", len(parts), maxVars))
	}
	vars := make(map[string]string, len(parts))
	for _, p := range parts {
		key, value, ok := strings.Cut(string(p), "=")
		if !ok || !isKey(key) {
			return nil, core.E(core.KindInvalid, "uevent.Parse", fmt.Sprintf("uevent variable %.80q is not KEY=value", p))
		}
		if _, twice := vars[key]; twice {
			return nil, core.E(core.KindInvalid, "uevent.Parse", fmt.Sprintf("uevent variable %s stands twice", key))
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

// Is says whether the message is about a whole device of a subsystem; parts of
// it (interfaces, partitions) have messages of their own.
func (e Event) Is(subsystem, devtype string) bool {
	return e.Vars["SUBSYSTEM"] == subsystem && e.Vars["DEVTYPE"] == devtype
}

// Name is the last part of the device's path: "1-1.2", "sda".
func (e Event) Name() string { return path.Base(e.Path) }
