package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

// writer is where a verb shows its outcome.
type writer = io.Writer

func devicePath(id, what string) string { return "/v1/devices/" + url.PathEscape(id) + "/" + what }

type deviceSensorsCmd struct {
	ID string `arg:"" help:"The device."`
}

// Help implements kong's long help.
func (deviceSensorsCmd) Help() string {
	return `What the device last said of its sensors, and how old that is. Exit code 1 when a sensor is not ok.

Example:
  interlock device sensors press-7`
}

// Run shows a device's sensors.
func (c *deviceSensorsCmd) Run(e *env) error {
	var page api.Page[api.Sensor]
	if err := e.client().Get(e.ctx, devicePath(c.ID, "sensors"), nil, &page); err != nil {
		return err
	}
	err := e.show(page.Items, func(w writer) { tellSensors(w, page.Items) })
	for _, s := range page.Items {
		if err == nil && s.State != core.SensorOK {
			return errFindings
		}
	}
	return err
}

func tellSensors(w writer, list []api.Sensor) {
	if len(list) == 0 {
		none(w, "sensors: the device has not said which it has")
		return
	}
	now := time.Now()
	rows := make([][]string, 0, len(list))
	for _, s := range list {
		proven := "-"
		if !s.Proven.IsZero() {
			proven = ago(s.Proven, now)
		}
		why := s.Why
		if !s.BypassUntil.IsZero() {
			why = strings.TrimPrefix(why+"; until "+s.BypassUntil.Format(time.DateTime), "; ")
		}
		rows = append(rows, []string{s.ID, string(s.State), ago(s.Since, now), proven, valuesOf(s.Values), why})
	}
	table(w, "SENSOR STATE SINCE PROVEN VALUES WHY", rows)
}

// valuesOf writes the first few numbers of a sensor.
func valuesOf(values []api.Value) string {
	var parts []string
	for _, v := range values[:min(len(values), 4)] {
		parts = append(parts, v.Point+" "+strconv.FormatFloat(v.Value, 'g', 4, 64)+" "+strings.Trim(v.Unit, "[]"))
	}
	if len(values) > 4 {
		parts = append(parts, fmt.Sprintf("and %d more", len(values)-4))
	}
	return strings.Join(parts, ", ")
}

type deviceWalktestCmd struct {
	Show deviceWalktestShowCmd `cmd:"" help:"The last walk test: what was set off, and what was not." default:"withargs"`
	Sign deviceWalktestSignCmd `cmd:"" help:"Put your name under exactly this report."`
}

type deviceWalktestShowCmd struct {
	ID string `arg:"" help:"The device."`
}

// Help implements kong's long help.
func (deviceWalktestShowCmd) Help() string {
	return `Exit code 1 while nobody has signed the last one off.

Example:
  interlock device walktest press-7`
}

// Run shows the last walk test.
func (c *deviceWalktestShowCmd) Run(e *env) error {
	var page api.Page[api.WalkTest]
	if err := e.client().Get(e.ctx, devicePath(c.ID, "walk-tests"), nil, &page); err != nil {
		return err
	}
	if len(page.Items) == 0 {
		err := e.show(page.Items, func(w writer) {
			_, _ = fmt.Fprintf(w, "%s has reported no walk test; at the machine: interlock agent walk-test\n", c.ID)
		})
		if err == nil {
			err = errFindings
		}
		return err
	}
	last := page.Items[0]
	if err := e.show(last, func(w writer) { tellWalkTest(w, c.ID, last) }); err != nil || !last.Signed.IsZero() {
		return err
	}
	return errFindings
}

func tellWalkTest(w writer, id string, t api.WalkTest) {
	_, _ = fmt.Fprintf(w, "walk test of %s, %s, by %s\n", id, t.At.Format(time.DateTime), printable(t.By))
	if t.Simulated {
		_, _ = io.WriteString(w, "SIMULATED: not every sensor that was set off is a real one\n")
	}
	_, _ = fmt.Fprintf(w, "set off      %d: %s\n", len(t.Triggered), items(t.Triggered))
	_, _ = fmt.Fprintf(w, "NOT set off  %d: %s\n", len(t.Missing), items(t.Missing))
	_, _ = fmt.Fprintf(w, "report       %s\n", t.Hash)
	if t.Signed.IsZero() {
		_, _ = fmt.Fprintf(w, "signed       by nobody; sign it off with: interlock device walktest sign %s --report %s\n", id, t.Hash)
		return
	}
	_, _ = fmt.Fprintf(w, "signed       %s by %s%s\n", t.Signed.Format(time.DateTime), t.SignedBy, because(t.Note))
}

func items(list []api.WalkItem) string {
	names := make([]string, 0, len(list))
	for _, i := range list {
		names = append(names, strings.TrimSpace(i.Sensor+" "+i.Point))
	}
	return printable(strings.Join(names, ", "))
}

type deviceWalktestSignCmd struct {
	ID     string `arg:"" help:"The device."`
	Report string `help:"SHA-256 of the report that you read, as walktest shows it." required:"" placeholder:"SHA256"`
	Note   string `help:"What is to be said of what was not set off."`
}

// Help implements kong's long help.
func (deviceWalktestSignCmd) Help() string {
	return `Signs off the report that you read and no other: if the device has reported another one since, nothing is signed.

Example:
  interlock device walktest sign press-7 --report 9f2c --note "rear door is welded shut"`
}

// Run signs a walk test off.
func (c *deviceWalktestSignCmd) Run(e *env) error {
	var t api.WalkTest
	in := api.SignWalkTest{Hash: strings.ToLower(strings.TrimSpace(c.Report)), Note: c.Note}
	if err := e.client().Post(e.ctx, devicePath(c.ID, "walk-tests/sign"), in, &t); err != nil {
		return err
	}
	return e.show(t, func(w writer) { tellWalkTest(w, c.ID, t) })
}

type deviceRiskCmd struct {
	Limit int    `help:"At most this many." short:"n" default:"50"`
	Site  string `help:"Only devices of this site."`
}

// Help implements kong's long help.
func (deviceRiskCmd) Help() string {
	return `What is open about a device and how exposed it is, times how much depends on it, 0 to 100. It decides nothing.

Example:
  interlock device risk -n 10
  interlock device risk --json | jq '.[] | select(.score > 60)'`
}

// Run lists devices by risk.
func (c *deviceRiskCmd) Run(e *env) error {
	q := filter("site", c.Site)
	q.Set("limit", strconv.Itoa(c.Limit))
	var page api.Page[api.DeviceRisk]
	if err := e.client().Get(e.ctx, "/v1/risks", q, &page); err != nil {
		return err
	}
	return e.show(page.Items, func(w writer) {
		if len(page.Items) == 0 {
			none(w, "devices")
			return
		}
		rows := make([][]string, 0, len(page.Items))
		for _, r := range page.Items {
			why := "-"
			if len(r.Factors) > 0 {
				why = r.Factors[0].What
			}
			if more := len(r.Factors) - 1; more > 0 {
				why += fmt.Sprintf(", and %d more", more)
			}
			rows = append(rows, []string{r.Device.String(), strconv.FormatFloat(r.Score, 'f', 1, 64), r.Criticality, why})
		}
		table(w, "DEVICE RISK CRITICALITY WHY", rows)
	})
}
