// Package access watches named doors, panels and ports: who may open them when.
// It is a fusion ([monitor.Fusion]) of the contacts at the doors and of whatever
// says that somebody asked to pass, and stands below device/monitor.
//
// A door may be opened within its schedule, and where it has requests, only
// shortly after one. Outside of the schedule an opening is access_denied_window,
// without a request it is access_forced, too long it is access_held_open, and a
// door that is still open when its window ends counts as opened then. A schedule
// takes trusted time: a device that can't prove what time it is permits nothing
// (TRUST F18). A window for one job is a bypass of the door's point that names
// the ticket; what happens meanwhile is reported with that ticket.
package access

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
)

// Config names the doors.
type Config struct {
	// Doors are the doors, panels and ports with hours.
	Doors []Door `yaml:"doors"`
}

// Door is a door, a panel or a port.
type Door struct {
	// Name is what events call it, and the point to bypass: "front". Each once.
	Name string `yaml:"name"`
	// Kind is door, panel or port; door if left out.
	Kind string `yaml:"kind,omitempty"`
	// Input is the contact, as sensor/point. Active is open.
	Input string `yaml:"input"`
	// Schedule is when it may be opened. Without one it may never be.
	Schedule schedule.Config `yaml:"schedule,omitempty"`
	// Requests are the inputs that ask to pass, as sensor/point: a badge reader,
	// a button inside. Where there are any, an opening needs one.
	Requests []string `yaml:"requests,omitempty"`
	// Grace is how long after a request it may be opened, 10 s if left out.
	Grace time.Duration `yaml:"grace,omitempty"`
	// Held is how long it may stay open: one minute for a door and never counted
	// for panels and ports if left out.
	Held time.Duration `yaml:"held,omitempty"`
	// Latch false lets an alarm of this door end when it is closed.
	Latch *bool `yaml:"latch,omitempty"`
}

// The kinds of door.
const (
	KindDoor  = "door"
	KindPanel = "panel"
	KindPort  = "port"
)

const (
	maxDoors     = 32
	maxRequests  = 16
	maxWait      = 24 * time.Hour
	defaultGrace = 10 * time.Second
	defaultHeld  = time.Minute
)

var nameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,31}$`)

// Validate says what is wrong with the doors, and where.
func (c Config) Validate() error {
	if len(c.Doors) == 0 || len(c.Doors) > maxDoors {
		return invalid("doors: %d; allowed are 1 to %d", len(c.Doors), maxDoors)
	}
	seen := map[string]bool{}
	for i, d := range c.Doors {
		if err := d.validate(); err != nil {
			return invalid("doors[%d].%v", i, err)
		}
		if seen[d.Name] || seen["input "+d.Input] {
			return invalid("doors[%d]: %s or its input %s stands twice", i, d.Name, d.Input)
		}
		seen[d.Name], seen["input "+d.Input] = true, true
	}
	return nil
}

func (d Door) validate() error {
	switch {
	case !nameRE.MatchString(d.Name):
		return fmt.Errorf("name: %.40q; small letters, digits, '.', '_', '-', at most 32", d.Name)
	case d.Kind != "" && d.Kind != KindDoor && d.Kind != KindPanel && d.Kind != KindPort:
		return fmt.Errorf("kind: %.40q; known are door, panel, port", d.Kind)
	case len(d.Requests) > maxRequests:
		return fmt.Errorf("requests: %d; at most %d", len(d.Requests), maxRequests)
	case d.Grace < 0 || d.Grace > maxWait || d.Held < 0 || d.Held > maxWait:
		return fmt.Errorf("grace, held: %s, %s; allowed are 0 to %s", d.Grace, d.Held, maxWait)
	}
	for _, in := range append([]string{d.Input}, d.Requests...) {
		if _, err := parseInput(in); err != nil {
			return err
		}
	}
	if err := d.Schedule.Validate(); err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	return nil
}

func (d Door) withDefaults() Door {
	d.Kind, d.Grace = cmp.Or(d.Kind, KindDoor), cmp.Or(d.Grace, defaultGrace)
	if d.Kind == KindDoor {
		d.Held = cmp.Or(d.Held, defaultHeld)
	}
	return d
}

// input is a point of a sensor.
type input struct{ sensor, point string }

func parseInput(text string) (input, error) {
	id, point, ok := strings.Cut(text, "/")
	if _, err := core.ParseID[core.SensorID](id); !ok || err != nil || point == "" {
		return input{}, fmt.Errorf("input: %.80q; write sensor/point", text)
	}
	return input{id, point}, nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "access.New", fmt.Sprintf(format, args...))
}

// What the fusion says.
const (
	TypeOpened = "access_opened"
	TypeClosed = "access_closed"
	TypeDenied = "access_denied_window"
	TypeForced = "access_forced"
	TypeHeld   = "access_held_open"
)

// Doc describes the fusion.
var Doc = sensor.Doc{
	Name: "access", Senses: "named doors, panels and ports: opened outside of their hours, forced, held open", Interface: "its sensors",
	Latency: sensor.LatencyEvent, Tested: []sensor.Tested{sensor.TestedSimulator},
	Events: []sensor.EventDoc{
		{Type: TypeOpened, Severity: core.SeverityInfo, Meaning: "opened as its schedule permits"},
		{Type: TypeClosed, Severity: core.SeverityInfo, Meaning: "closed again"},
		{Type: TypeDenied, Severity: core.SeverityHigh, Alarm: true, Meaning: "opened, or still open, outside of its schedule; or nothing proves the time"},
		{Type: TypeForced, Severity: core.SeverityCritical, Alarm: true, Meaning: "opened although nobody had asked to pass"},
		{Type: TypeHeld, Severity: core.SeverityMedium, Alarm: true, Meaning: "open for longer than it may be"},
	},
}
