package main

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
)

type deviceCmd struct {
	List       deviceListCmd       `cmd:"" help:"All devices." default:"withargs"`
	Show       deviceShowCmd       `cmd:"" help:"One device: sensors, latches, orders."`
	Quarantine deviceQuarantineCmd `cmd:"" help:"Contain a device: only its link to this server stays."`
	Local      deviceLocalCmd      `cmd:"" help:"What the agent of the machine in front of you says, without a server."`
	Release    deviceReleaseCmd    `cmd:"" help:"Ask for a release; it takes effect when enough persons approve."`
	Reset      deviceResetCmd      `cmd:"" help:"Ask for the end of a stop; it takes effect when enough persons approve."`
	Arm        deviceArmCmd        `cmd:"" help:"Have a device treat what it senses as an attack."`
	Approve    deviceApproveCmd    `cmd:"" help:"Take in a device that waits, against the code that it shows."`
	Sensors    deviceSensorsCmd    `cmd:"" help:"What a device's sensors last said."`

	Disarm      deviceDisarmCmd      `cmd:"" help:"Ask that a device takes what it senses for no attack, for a time."`
	Transport   deviceTransportCmd   `cmd:"" help:"Ask that a device may be moved, for a time."`
	Maintenance deviceMaintenanceCmd `cmd:"" help:"Ask that a device may be worked on, for a ticket and at most a day."`
	Bypass      deviceBypassCmd      `cmd:"" help:"Ask that one sensor counts for nothing, for a time."`
	Baseline    deviceBaselineCmd    `cmd:"" help:"Ask that what a machine is made of now is what is expected."`
	Walktest    deviceWalktestCmd    `cmd:"" help:"Walk tests: each sensor set off once, signed off by a person."`
	Criticality deviceCriticalityCmd `cmd:"" help:"Say how much depends on a device."`
	Risk        deviceRiskCmd        `cmd:"" help:"The devices that somebody should look at first, and why."`
}

type deviceListCmd struct {
	listing
	State string `help:"Only devices in this state: pending, online, stale, offline, quarantined, maintenance or retired."`
	Site  string `help:"Only devices of this site."`
	Query string `help:"Only devices whose name holds this text." short:"q"`
}

// Help implements kong's long help.
func (deviceListCmd) Help() string {
	return `Example:
  interlock device list --state quarantined
  interlock device list --json | jq '.[] | select(.contained)'`
}

// Run lists the registry.
func (c *deviceListCmd) Run(e *env) error {
	list, err := fetch[api.Device](e, c.listing, "/v1/devices", filter("state", c.State, "site", c.Site, "query", c.Query))
	if err != nil {
		return err
	}
	return e.show(list, func(w io.Writer) {
		if len(list) == 0 {
			_, _ = io.WriteString(w, "no devices; make an enrolment token with: interlock token create --device NAME --site SITE\n")
			return
		}
		rows := make([][]string, 0, len(list))
		now := time.Now()
		for _, d := range list {
			rows = append(rows, []string{d.ID.String(), d.Site.String(), string(d.State), ago(d.LastSeen, now), d.Protection, strconv.Itoa(d.OpenLatches), strconv.Itoa(d.SensorsNotOK)})
		}
		table(w, "DEVICE SITE STATE SEEN PROTECTION LATCHES NOT-OK", rows)
	})
}

type deviceShowCmd struct {
	ID string `arg:"" help:"The device."`
}

// Help implements kong's long help.
func (deviceShowCmd) Help() string {
	return `Example:
  interlock device show press-7`
}

// Run shows one device.
func (c *deviceShowCmd) Run(e *env) error {
	var d api.Device
	if err := e.client().Get(e.ctx, "/v1/devices/"+url.PathEscape(c.ID), nil, &d); err != nil {
		return err
	}
	return e.show(d, func(w io.Writer) { tellDevice(w, d) })
}

func tellDevice(w io.Writer, d api.Device) {
	trust := ""
	if d.FirstUse {
		trust = ", enrolled on first use: nobody compared the trust root"
	}
	_, _ = fmt.Fprintf(w, "%s at %s: %s, seen %s, protection %s, code %s%s\n", d.ID, d.Site, d.State, ago(d.LastSeen, time.Now()), d.Protection, d.ShortCode, trust)
	tellArming(w, d)
	rows := [][]string{}
	for _, name := range slices.Sorted(maps.Keys(d.Sensors)) {
		rows = append(rows, []string{name, d.Sensors[name]})
	}
	table(w, "\nSENSOR STATE", rows)
	rows = rows[:0]
	for _, l := range d.Latches {
		rows = append(rows, []string{l.ID, l.Sensor, l.Type, l.Since.Format(time.DateTime)})
	}
	table(w, "\nLATCH SENSOR TYPE SINCE", rows)
	rows = rows[:0]
	for _, o := range d.Orders {
		rows = append(rows, []string{o.ID.String(), o.Type, o.State, o.Requester, strings.Join(o.Approvals, ","), o.Detail})
	}
	table(w, "\nORDER TYPE STATE REQUESTER APPROVED DETAIL", rows)
}

// tellArming tells how the device is armed, what counts for nothing, and whether
// anybody signed its walk test off.
func tellArming(w io.Writer, d api.Device) {
	arming := "not said"
	if st := d.Status; st != nil && st.Arming != "" {
		arming = string(st.Arming) + ", by " + st.ArmedBy
		if !st.ArmingUntil.IsZero() {
			arming += " until " + st.ArmingUntil.Format(time.DateTime)
		}
		if st.Ticket != "" {
			arming += ", ticket " + st.Ticket
		}
		for _, b := range st.Bypasses {
			arming += "; " + strings.TrimSpace(b.Sensor+" "+b.Point) + " bypassed until " + b.Until.Format(time.DateTime)
		}
	}
	_, _ = fmt.Fprintf(w, "arming: %s\n", printable(arming))
	walk := "no walk test was signed off"
	for _, t := range d.WalkTests {
		if !t.Signed.IsZero() {
			walk = "walk test signed off " + t.Signed.Format(time.DateOnly) + " by " + t.SignedBy
			break
		}
	}
	_, _ = fmt.Fprintf(w, "%s; criticality %s\n", printable(walk), d.Criticality)
}

// act is what quarantine and release have in common.
type act struct {
	ID       string `arg:"" help:"The device."`
	Reason   string `help:"Why; it stands in the order and in the audit log." required:"" short:"r"`
	Incident string `help:"The incident that this belongs to."`
}

type deviceQuarantineCmd struct{ act }

// Help implements kong's long help.
func (deviceQuarantineCmd) Help() string {
	return `The device keeps reporting. Opening it again takes approvals of persons.

Example:
  interlock device quarantine press-7 --reason "case found open"`
}

// Run asks for a quarantine.
func (c *deviceQuarantineCmd) Run(e *env) error {
	return c.order(e, "quarantine", api.ActRequest{Reason: c.Reason, Incident: c.Incident})
}

type deviceReleaseCmd struct {
	act
	Presence string `help:"The code that the device shows on its local socket (single-operator sites)."`
}

// Help implements kong's long help.
func (deviceReleaseCmd) Help() string {
	return `Makes an order that names the device's latches. The device itself checks the persons' signatures; the server can't make them.
Sign it with: interlock approve ORDER

Example:
  interlock device release press-7 --reason "technician found a loose screw"`
}

// Run asks for a release.
func (c *deviceReleaseCmd) Run(e *env) error {
	return c.order(e, "release", api.ActRequest{Reason: c.Reason, Incident: c.Incident, Presence: c.Presence})
}

type deviceResetCmd struct {
	act
	Presence string `help:"The code that the device shows on its local socket (single-operator sites)."`
}

// Help implements kong's long help.
func (deviceResetCmd) Help() string {
	return `Asks for the end of a stop on one device: its outputs may be switched on again, and nothing is started. The device itself checks
the persons' signatures; the server can't make them. Look at the machine before you ask.
Sign it with: interlock approve ORDER

Example:
  interlock device reset press-7 --reason "guard closed, nobody inside"`
}

// Run asks for a reset.
func (c *deviceResetCmd) Run(e *env) error {
	return c.order(e, "reset", api.ActRequest{Reason: c.Reason, Incident: c.Incident, Presence: c.Presence})
}

type deviceArmCmd struct{ act }

// Help implements kong's long help.
func (deviceArmCmd) Help() string {
	return `Arming takes one person; what ends it takes the signatures of several.

Example:
  interlock device arm press-7 --reason "maintenance is over"`
}

// Run asks for arming.
func (c *deviceArmCmd) Run(e *env) error {
	return c.order(e, "arm", api.ActRequest{Reason: c.Reason, Incident: c.Incident})
}

type deviceApproveCmd struct {
	ID   string `arg:"" help:"The device."`
	Code string `help:"The short code, read from the device itself." required:""`
}

// Help implements kong's long help.
func (deviceApproveCmd) Help() string {
	return `A device whose token named no key waits until a person has compared codes. Read the code at the device (interlock-agent --print-key,
or interlock device local); copied from this server it would prove nothing.

Example:
  interlock device approve press-7 --code 27V0-9GBA-EHJ2`
}

// Run takes the device in.
func (c *deviceApproveCmd) Run(e *env) error {
	var d api.Device
	if err := e.client().Post(e.ctx, "/v1/devices/"+url.PathEscape(c.ID)+"/approve", api.ApproveDevice{Code: c.Code}, &d); err != nil {
		return err
	}
	return e.show(d, func(w io.Writer) { tellDevice(w, d) })
}

func (a act) order(e *env, verb string, req api.ActRequest) error {
	var o api.Order
	if err := e.client().Post(e.ctx, "/v1/devices/"+url.PathEscape(a.ID)+"/"+verb, req, &o); err != nil {
		return err
	}
	return e.show(o, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "order %s: %s %s, %s\n", o.ID, o.Type, o.Device, o.State)
		if o.Needed > len(o.Approvals) {
			_, _ = fmt.Fprintf(w, "it needs %d of the release role's persons; each signs with: interlock approve %s\n", o.Needed, o.ID)
		}
	})
}
