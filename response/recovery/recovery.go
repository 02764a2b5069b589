// Package recovery says whether a device is whole again. Each check reads what
// the device itself said, in batches that it signed, and answers pass, fail or
// incomplete; only a pass in every one closes an incident. What cannot be known
// (a device that the registry does not have, that is silent, or that has not
// spoken since its release) is incomplete.
//
// It stands between fleet, whose picture of a device it reads, and
// response/playbook, whose last step it is.
package recovery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/response/incident"
)

// Fresh is how old a device's last word may be.
const Fresh = 2 * time.Minute

// Fleet is what the checks read; fleet.Registry is the real one.
type Fleet interface {
	Get(ctx context.Context, tenant core.TenantID, id core.DeviceID) (fleet.Device, error)
	Sensors(ctx context.Context, tenant core.TenantID, id core.DeviceID) ([]fleet.Sensor, error)
	Latches(ctx context.Context, tenant core.TenantID, id core.DeviceID, openOnly bool) ([]fleet.Latch, error)
}

// Log tells whether the audit log takes everything; audit.Log is the real one.
type Log interface {
	Mode() (audit.Mode, string)
}

// Verifier runs checks for incidents.
type Verifier struct {
	fleet Fleet
	log   Log
	clock core.Clock
}

// NewVerifier returns a verifier.
func NewVerifier(f Fleet, log Log, clock core.Clock) *Verifier { return &Verifier{f, log, clock} }

type question func(ctx context.Context, c check) (core.Verdict, error)

// questions are the checks by the name that playbooks write.
var questions = map[string]question{
	"latches-clear":      latchesClear,
	"sensors-ok":         sensorsOK,
	"quarantine-removed": quarantineRemoved,
	"events-fresh":       eventsFresh,
	"audit-known":        auditKnown,
}

// Known reports whether there is a check of that name.
func Known(name string) bool { return questions[name] != nil }

// Names lists the checks.
func Names() []string { return slices.Sorted(maps.Keys(questions)) }

// check is one question about one incident.
type check struct {
	id    string
	ask   question
	v     *Verifier
	in    incident.Incident
	since time.Time
}

// ID implements core.Check.
func (c check) ID() string { return c.id }

// Run implements core.Check.
func (c check) Run(ctx context.Context) (core.Verdict, error) { return c.ask(ctx, c) }

// device reads the device; one that is not known can't be whole.
func (c check) device(ctx context.Context) (fleet.Device, error) {
	return c.v.fleet.Get(ctx, c.in.Tenant, c.in.Device)
}

// Check returns a check by name; an unknown one is an error. What the device
// said before since does not count as its word on its recovery.
func (v *Verifier) Check(name string, in incident.Incident, since time.Time) (core.Check, error) {
	ask, ok := questions[name]
	if !ok {
		return nil, core.E(core.KindInvalid, "recovery.Check", fmt.Sprintf("there is no check %q", name))
	}
	return check{name, ask, v, in, since}, nil
}

// Verify runs the checks. One that could not be run is incomplete, never a
// pass.
func (v *Verifier) Verify(ctx context.Context, in incident.Incident, since time.Time, names []string) (map[string]core.Verdict, error) {
	verdicts := make(map[string]core.Verdict, len(names))
	for _, name := range names {
		c, err := v.Check(name, in, since)
		if err != nil {
			return nil, err
		}
		if verdicts[name], err = c.Run(ctx); err != nil {
			verdicts[name] = core.VerdictIncomplete
		}
	}
	return verdicts, nil
}

func latchesClear(ctx context.Context, c check) (core.Verdict, error) {
	if _, err := c.device(ctx); err != nil {
		return core.VerdictIncomplete, err
	}
	open, err := c.v.fleet.Latches(ctx, c.in.Tenant, c.in.Device, true)
	switch {
	case err != nil:
		return core.VerdictIncomplete, err
	case len(open) > 0:
		return core.VerdictFail, nil
	}
	return core.VerdictPass, nil
}

// sensorsOK wants every sensor ok. A simulated one counts only for an incident
// that is itself simulated (TRUST F25).
func sensorsOK(ctx context.Context, c check) (core.Verdict, error) {
	sensors, err := c.v.fleet.Sensors(ctx, c.in.Tenant, c.in.Device)
	if err != nil || len(sensors) == 0 {
		return core.VerdictIncomplete, err
	}
	verdict := core.VerdictPass
	for _, s := range sensors {
		switch {
		case s.State == core.SensorAlarm || s.State == core.SensorFault || s.State == core.SensorStale:
			return core.VerdictFail, nil
		case s.State != core.SensorOK || s.Simulated && !c.in.Simulated:
			verdict = core.VerdictIncomplete
		}
	}
	return verdict, nil
}

func quarantineRemoved(ctx context.Context, c check) (core.Verdict, error) {
	d, err := c.device(ctx)
	switch {
	case err != nil:
		return core.VerdictIncomplete, err
	case d.Contained:
		return core.VerdictFail, nil
	}
	return core.VerdictPass, nil
}

// eventsFresh wants a batch of the device that is younger than [Fresh] and came
// after since: what else holds the device, it tells in its next batch.
func eventsFresh(ctx context.Context, c check) (core.Verdict, error) {
	d, err := c.device(ctx)
	seen := d.Known.LastSeen
	if err != nil || seen.IsZero() || seen.Before(c.since) || c.v.clock.Now().Sub(seen) > Fresh {
		return core.VerdictIncomplete, err
	}
	return core.VerdictPass, nil
}

func auditKnown(_ context.Context, c check) (core.Verdict, error) {
	if mode, _ := c.v.log.Mode(); mode != audit.ModeNormal {
		return core.VerdictFail, nil
	}
	return core.VerdictPass, nil
}
