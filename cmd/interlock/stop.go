package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/safety/stop"
)

type stopCmd struct {
	Trip   stopTripCmd   `cmd:"" help:"Request a stop, now." default:"withargs"`
	Status stopStatusCmd `cmd:"" help:"The stops in force, and who has not confirmed."`
}

// Help implements kong's long help.
func (stopCmd) Help() string {
	return `A stop request and a control lock, in addition to, never instead of, a hard-wired emergency stop and physical lockout. It takes
effect first and is recorded after, over a socket of its own that needs neither database nor audit log nor keys process. A
stop stays in force until persons reset it: interlock device reset

Exit code 0 when every machine confirmed with its signature, 1 when one did not (each is named), 2 when the stop could not be
requested.

Example:
  interlock stop --device press-7 --reason "guard open"
  interlock stop --site hall-2
  interlock stop status`
}

type stopTripCmd struct {
	Device string        `help:"Stop this device." xor:"device"`
	Site   string        `help:"Stop every device of this site. With --device: where it stands, if the server does not know it yet." xor:"site"`
	Fleet  bool          `help:"Stop every device of all your sites." xor:"device,site"`
	Reason string        `help:"Why. It can also be given afterwards; a stop never waits for it." short:"r"`
	Wait   time.Duration `help:"How long to wait for the machines' confirmations; the stop is in force before that." default:"5s"`
}

// Help implements kong's long help.
func (stopTripCmd) Help() string { return stopCmd{}.Help() }

// Run trips, then waits for confirmations.
func (c *stopTripCmd) Run(e *env) error {
	scope, err := c.scope()
	if err != nil {
		return err
	}
	var answer stop.TripAnswer
	if err := e.stopClient().post(e.ctx, "/stop/v1/trip", stop.TripRequest{V: 1, Scope: scope, Reason: c.Reason}, &answer); err != nil {
		return stopFailed(err)
	}
	if !e.global.JSON {
		_, _ = fmt.Fprintf(e.out, "stop requested: %s\n", printable(scope.String()))
	}
	answer.Stops = awaitConfirmed(e, answer.Trip, answer.Stops, c.Wait)
	if err := e.show(answer, func(w io.Writer) { tellTrip(w, answer) }); err != nil {
		return err
	}
	return unconfirmed(answer.Stops)
}

func (c *stopTripCmd) scope() (s stop.Scope, err error) {
	if c.Site != "" {
		s.Kind = stop.ScopeSite
		if s.Site, err = core.ParseID[core.SiteID](c.Site); err != nil {
			return s, fmt.Errorf("--site: %w", err)
		}
	}
	if c.Device != "" {
		s.Kind = stop.ScopeDevice
		if s.Device, err = core.ParseID[core.DeviceID](c.Device); err != nil {
			return s, fmt.Errorf("--device: %w", err)
		}
	}
	if c.Fleet {
		s.Kind = stop.ScopeFleet
	}
	if s.Kind == "" {
		return s, core.E(core.KindInvalid, "stop", "what should stop?").WithHint("name one: --device D, --site S or --fleet")
	}
	return s, nil
}

// stopFailed leaves no doubt about what is in doubt.
func stopFailed(err error) error {
	what := "NO STOP WAS REQUESTED"
	if kind := core.KindOf(err); kind == core.KindUncertain || kind == core.KindInternal {
		what = "NOBODY KNOWS WHETHER THE STOP WAS REQUESTED"
	}
	return &core.Error{
		Kind: core.KindOf(err), Op: "stop", Msg: what, Err: err,
		Hint: "use the emergency stop on the machine; then: " + hintOr(err, "interlock stop status"),
	}
}

func hintOr(err error, other string) string {
	if h := core.HintOf(err); h != "" {
		return h
	}
	return other
}

// awaitConfirmed asks for the stops of a trip until each machine has confirmed
// or the wait is over.
func awaitConfirmed(e *env, trip core.UUID, stops []stop.State, wait time.Duration) []stop.State {
	ctx, cancel := context.WithTimeout(e.ctx, wait)
	defer cancel()
	for unconfirmed(stops) != nil {
		select {
		case <-ctx.Done():
			return stops
		case <-time.After(100 * time.Millisecond):
		}
		var now stop.StatusAnswer
		if err := e.stopClient().get(ctx, "/stop/v1/status", &now); err != nil {
			return stops // what was known stands: not confirmed
		}
		stops = ofTrip(stops, now.Stops, trip)
	}
	return stops
}

// ofTrip takes over the newer states of a trip's stops. A stop that is not there
// any more was reset meanwhile; it keeps its last state.
func ofTrip(stops, now []stop.State, trip core.UUID) []stop.State {
	out := append([]stop.State(nil), stops...)
	for i := range out {
		for _, n := range now {
			if n.ID == out[i].ID && n.Trip == trip {
				out[i] = n
			}
		}
	}
	return out
}

// unconfirmed is a finding where a machine has not confirmed, or where nobody
// is there who could.
func unconfirmed(stops []stop.State) error {
	for _, s := range stops {
		if len(s.NotConfirmed) > 0 || len(s.Confirmed) == 0 {
			return errFindings
		}
	}
	return nil
}

func tellTrip(w io.Writer, answer stop.TripAnswer) {
	tellStops(w, answer.Stops)
	if !answer.Recorded {
		_, _ = fmt.Fprintln(w, "WARNING: the stop is in effect, but not even the ring could record it")
	}
	if unconfirmed(answer.Stops) != nil {
		_, _ = fmt.Fprintln(w, "A machine that has not confirmed may still run. Use the emergency stop there.")
	}
}

func tellStops(w io.Writer, stops []stop.State) {
	for _, s := range stops {
		line := func(format string, args ...any) { _, _ = fmt.Fprintln(w, printable(fmt.Sprintf(format, args...))) }
		line("%s, by %s at %s%s", s.Scope, s.By, s.At.Format(time.TimeOnly), because(s.Reason))
		switch {
		case len(s.Confirmed)+len(s.NotConfirmed)+len(s.Reset) == 0:
			line("  no device is known in this scope; whatever connects later is stopped")
		case len(s.Confirmed) > 0:
			line("  confirmed: %d (%s)", len(s.Confirmed), names(s.Confirmed))
		}
		if n := len(s.NotConfirmed); n > 0 {
			line("  NOT CONFIRMED: %d (%s)", n, names(s.NotConfirmed))
		}
		if n := len(s.Reset); n > 0 {
			line("  reset by persons: %d (%s)", n, names(s.Reset))
		}
	}
}

func names(list []core.DeviceID) string {
	out := make([]string, len(list))
	for i, d := range list {
		out[i] = d.String()
	}
	return strings.Join(out, ", ")
}

type stopStatusCmd struct{}

// Help implements kong's long help.
func (stopStatusCmd) Help() string {
	return `Exit code 0 when no stop is in force, 1 when one is.

Example:
  interlock stop status
  interlock stop status --json`
}

// Run lists the stops in force.
func (stopStatusCmd) Run(e *env) error {
	var s stop.StatusAnswer
	if err := e.stopClient().get(e.ctx, "/stop/v1/status", &s); err != nil {
		return err
	}
	if err := e.show(s, func(w io.Writer) { tellStopStatus(w, s) }); err != nil {
		return err
	}
	if len(s.Stops) > 0 {
		return errFindings
	}
	return nil
}

func tellStopStatus(w io.Writer, s stop.StatusAnswer) {
	if len(s.Stops) == 0 {
		_, _ = fmt.Fprintln(w, "no stop is in force")
	}
	tellStops(w, s.Stops)
	if !s.Ring.OnDisk {
		_, _ = fmt.Fprintln(w, "WARNING: stops are remembered in memory only")
	}
	if s.Ring.Lost > 0 {
		_, _ = fmt.Fprintf(w, "WARNING: %d records of stops were lost\n", s.Ring.Lost)
	}
}
