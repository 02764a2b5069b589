// Package sensor is the seam between a piece of hardware and the monitor: one
// interface, one small package per driver below it.
//
// A driver says what it is and what it needs ([Capabilities]) before it runs,
// says whether this machine has that ([Sensor.Probe]), then reports what it
// sees until its context ends ([Sensor.Run]). It judges nothing: debounce,
// latches, budgets and states belong to device/monitor, so that every driver
// gets them alike. docs/howto/new-sensor.md shows how to add one.
package sensor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
)

// Need is something of the machine that a driver can't do without.
type Need string

// What drivers need.
const (
	NeedNetlink Need = "netlink" // a NETLINK_ROUTE socket
	NeedUevent  Need = "uevent"  // a NETLINK_KOBJECT_UEVENT socket
	NeedSysfs   Need = "sysfs"   // /sys mounted
	NeedGPIO    Need = "gpio"    // a GPIO chip's device, readable
	NeedRoot    Need = "root"    // an effective uid of 0
	NeedIIO     Need = "iio"     // /sys/bus/iio, and /dev/iio:device* for buffers
	NeedPacket  Need = "packet"  // an AF_PACKET socket (CAP_NET_RAW)
	NeedDevice  Need = "device"  // a device file of its own: a watchdog, a clock
	NeedService Need = "service" // another program's or controller's address: gpsd, a BMC
)

// Latency is how soon after the fact a driver can know of it.
type Latency string

// The latency classes.
const (
	LatencyEvent Latency = "event" // the kernel tells, well below a second
	LatencyPoll  Latency = "poll"  // the driver looks, some seconds
)

// Capabilities is what a driver declares before it runs. The monitor and the
// operator rely on it; nothing in it depends on what the sensor reads.
type Capabilities struct {
	Kind       string          `json:"kind"` // "network-carrier", "usb"
	Needs      []Need          `json:"needs"`
	Provenance core.Provenance `json:"provenance"`
	Latency    Latency         `json:"latency"`
	// Delay is how late at most the driver knows of a fact where the hardware or
	// the kernel's driver keeps what it read for a while, 0 where it does not.
	Delay time.Duration `json:"delay,omitempty"`
	// MaxSilence is the longest time between two readings of a healthy driver;
	// past it the sensor is stale, and stale alarms. Never 0.
	MaxSilence time.Duration `json:"max_silence"`
	// Debounce is how long a level must hold before it counts, 0 for the
	// monitor's default. It never applies to a pulse.
	Debounce time.Duration `json:"debounce,omitempty"`
	// Latches says that an alarm of this sensor stays until an authorised
	// release, whatever the input does afterwards.
	Latches bool `json:"latches"`
	// Always says that arming does not matter: a seal, a mesh, a watchdog.
	Always bool `json:"always,omitempty"`
	// Lively says that Reading.Sample must move: a value that stands still for
	// MaxSilence is a frozen sensor, which counts as stale.
	Lively bool `json:"lively,omitempty"`
	// Simulated marks every reading of this driver, whatever the reading says.
	Simulated bool `json:"simulated,omitempty"`
}

// Presence is the answer of a probe: here, or skipped and why. Skipped is not
// a pass: it is reported and shown.
type Presence struct {
	Present bool   `json:"present"`
	Reason  string `json:"reason,omitempty"`
}

// Present is the presence of a sensor that this machine has.
func Present() Presence { return Presence{Present: true} }

// Skipped is the presence of a sensor that this machine can't have, and why.
func Skipped(reason string) Presence { return Presence{Reason: reason} }

// Sensor is a driver. Run is called by one goroutine at a time, again after it
// has returned: a return while ctx is alive means that the sensor is faulty.
// emit may be called from one goroutine at a time and does not block.
type Sensor interface {
	ID() core.SensorID
	Capabilities() Capabilities
	Probe() Presence
	Run(ctx context.Context, emit func(Reading)) error
}

// MaxText is the longest text from outside that a driver passes on, in bytes.
const MaxText = 256

// Text makes a string that hardware chose fit for an event: valid UTF-8, no
// control characters, at most MaxText bytes. What was changed is visible as
// U+FFFD; it stays data, whatever it says (TRUST F35).
func Text(s string) string {
	if len(s) > MaxText {
		s = s[:MaxText]
	}
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || isBidi(r) {
			r = utf8.RuneError
		}
		out = append(out, r)
	}
	return clip(string(out))
}

// isBidi names the runes that reorder what a person reads.
func isBidi(r rune) bool {
	return r == 0x061c || r == 0x200e || r == 0x200f || (r >= 0x2028 && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069)
}

// clip cuts at a rune boundary: U+FFFD is longer than the byte it stands for.
func clip(s string) string {
	if len(s) <= MaxText {
		return s
	}
	end := MaxText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// Fields marshals the fields of a reading. A value that cannot be marshalled
// becomes a field that says so: a reading is never lost over its details.
func Fields(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil || len(b) == 0 || b[0] != '{' {
		b, _ = json.Marshal(map[string]string{"unreadable": fmt.Sprintf("%T: %v", v, err)})
	}
	return b
}
