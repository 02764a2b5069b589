package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

// away is what the orders that loosen have in common.
type away struct {
	act
	Presence string `help:"The code that the device shows on its local socket (single-operator sites)."`
}

func (a away) request() api.ActRequest {
	return api.ActRequest{Reason: a.Reason, Incident: a.Incident, Presence: a.Presence}
}

// span is how long something lasts that ends by itself.
type span struct {
	For   time.Duration `help:"How long from now, like 2h30m." xor:"end" placeholder:"TIME"`
	Until string        `help:"When it ends, like 2026-11-22T18:00:00+01:00." xor:"end" placeholder:"TIME"`
}

// end is when the span is over.
func (s span) end(now time.Time) (time.Time, error) {
	switch {
	case s.Until != "":
		t, err := time.Parse(time.RFC3339, s.Until)
		if err != nil {
			return t, core.E(core.KindInvalid, "device", "--until "+s.Until+" is no time").WithHint("write it like " + now.Add(2*time.Hour).Format(time.RFC3339))
		}
		return t, nil
	case s.For <= 0:
		return time.Time{}, core.E(core.KindInvalid, "device", "it has to end by itself").WithHint("say how long with --for 2h, or when with --until")
	}
	return now.Add(s.For), nil
}

type deviceDisarmCmd struct {
	away
	span
	Ticket string `help:"The work that it is for, as your site counts it."`
}

// Help implements kong's long help.
func (deviceDisarmCmd) Help() string {
	return `Until it ends the device records what it senses and takes it for no attack; sensors that watch around the clock go on.
It ends by itself. The device itself checks the persons' signatures; the server can't make them. Sign it with: interlock approve ORDER

Example:
  interlock device disarm press-7 --for 8h --reason "line is retooled"`
}

// Run asks for a disarming.
func (c *deviceDisarmCmd) Run(e *env) error { return c.ask(e, core.Disarmed) }

func (c *deviceDisarmCmd) ask(e *env, arming core.Arming) error {
	end, err := c.end(time.Now())
	if err != nil {
		return err
	}
	r := c.request()
	r.Arming, r.Until, r.Ticket = arming, end, c.Ticket
	return c.order(e, "disarm", r)
}

type deviceTransportCmd struct{ deviceDisarmCmd }

// Help implements kong's long help.
func (deviceTransportCmd) Help() string {
	return `Until it ends motion and position are expected, and an opened case is not. It ends by itself.
Sign it with: interlock approve ORDER

Example:
  interlock device transport press-7 --for 12h --reason "moves to hall 2" --ticket TR-118`
}

// Run asks for a transport.
func (c *deviceTransportCmd) Run(e *env) error { return c.ask(e, core.Transport) }

type deviceMaintenanceCmd struct{ deviceDisarmCmd }

// Help implements kong's long help.
func (deviceMaintenanceCmd) Help() string {
	return `For work inside the machine: at most 24 hours, for a ticket, by the signatures of as many persons as a release takes. It ends by itself.
Sign it with: interlock approve ORDER

Example:
  interlock device maintenance press-7 --for 3h --ticket MT-4711 --reason "fan is replaced"`
}

// Run asks for a maintenance.
func (c *deviceMaintenanceCmd) Run(e *env) error { return c.ask(e, core.Maintenance) }

type deviceBypassCmd struct {
	ID       string `arg:"" help:"The device."`
	Sensor   string `arg:"" help:"The sensor."`
	Reason   string `help:"Why; it stands in the order and in the audit log." required:"" short:"r"`
	Incident string `help:"The incident that this belongs to."`
	Presence string `help:"The code that the device shows on its local socket (single-operator sites)."`
	Point    string `help:"Only this input of the sensor."`
	From     string `help:"When it begins, like 2026-11-22T18:00:00+01:00; at once if it isn't said." placeholder:"TIME"`
	Ticket   string `help:"The work that it is for, as your site counts it."`
	span
}

// Help implements kong's long help.
func (deviceBypassCmd) Help() string {
	return `One sensor, or one input of it, counts for nothing until a time. Everything else goes on; a sensor that watches around the clock can't be
bypassed. Sign it with: interlock approve ORDER

Example:
  interlock device bypass press-7 door --for 4h --ticket MT-4711 --reason "contact is worn, spare part ordered"
  interlock device bypass press-7 supply --point in3 --for 24h --reason "known sag while line 2 starts"`
}

// Run asks for a bypass.
func (c *deviceBypassCmd) Run(e *env) error {
	now := time.Now()
	r := api.ActRequest{Reason: c.Reason, Incident: c.Incident, Presence: c.Presence, Sensor: c.Sensor, Point: c.Point, Ticket: c.Ticket}
	var err error
	if c.From != "" {
		if r.From, err = time.Parse(time.RFC3339, c.From); err != nil {
			return core.E(core.KindInvalid, "device", "--from "+c.From+" is no time").WithHint("write it like " + now.Format(time.RFC3339))
		}
		if c.For > 0 {
			now = r.From
		}
	}
	if r.Until, err = c.end(now); err != nil {
		return err
	}
	return act{ID: c.ID}.order(e, "bypass", r)
}

type deviceBaselineCmd struct {
	ID       string `arg:"" help:"The device."`
	Sensor   string `arg:"" help:"The sensor whose inventory is accepted."`
	SHA256   string `name:"sha256" help:"SHA-256 of that inventory, as the event that told of the change has it." required:""`
	Reason   string `help:"Why; it stands in the order and in the audit log." required:"" short:"r"`
	Incident string `help:"The incident that this belongs to."`
	Presence string `help:"The code that the device shows on its local socket (single-operator sites)."`
}

// Help implements kong's long help.
func (deviceBaselineCmd) Help() string {
	return `What the machine is made of now becomes what is expected. The device takes it only if its inventory still has this SHA-256 when the
signatures are there. Sign it with: interlock approve ORDER

Example:
  interlock device baseline press-7 parts --sha256 9f2c --reason "memory module replaced, MT-4711"`
}

// Run asks for a baseline.
func (c *deviceBaselineCmd) Run(e *env) error {
	r := api.ActRequest{Reason: c.Reason, Incident: c.Incident, Presence: c.Presence, Sensor: c.Sensor, SHA256: strings.ToLower(strings.TrimSpace(c.SHA256))}
	return act{ID: c.ID}.order(e, "baseline", r)
}

type deviceCriticalityCmd struct {
	ID     string `arg:"" help:"The device."`
	Level  string `arg:"" help:"How much depends on it: ${enum}." enum:"low,medium,high,critical"`
	Reason string `help:"Why; it stands in the audit log." required:"" short:"r"`
}

// Help implements kong's long help.
func (deviceCriticalityCmd) Help() string {
	return `Weighs the device's risk. A device of which nobody said counts as medium.

Example:
  interlock device criticality press-7 critical --reason "line 3 stops without it"`
}

// Run says how much depends on a device.
func (c *deviceCriticalityCmd) Run(e *env) error {
	var d api.Device
	if err := e.client().Post(e.ctx, devicePath(c.ID, "criticality"), api.SetCriticality{Criticality: c.Level, Reason: c.Reason}, &d); err != nil {
		return err
	}
	return e.show(d, func(w writer) { _, _ = fmt.Fprintf(w, "%s: criticality %s\n", d.ID, d.Criticality) })
}
