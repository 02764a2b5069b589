package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

type statusCmd struct {
	Board bool `help:"The safety board's figures."`
}

// Help implements kong's long help.
func (statusCmd) Help() string {
	return `Exit code 0 when all is healthy and nothing is open, 1 when something is open, 2 when a part is not healthy.

Example:
  interlock status
  interlock status --board
  interlock status --json | jq .audit.size`
}

// Run asks the server and tells it in the order in which it matters.
func (c *statusCmd) Run(e *env) error {
	if c.Board {
		return showBoard(e)
	}
	var s api.Status
	if err := e.client().Get(e.ctx, "/v1/status", nil, &s); err != nil {
		return err
	}
	if err := e.show(s, func(w io.Writer) { tellStatus(w, s) }); err != nil {
		return err
	}
	switch {
	case s.Health != core.HealthHealthy:
		return core.E(core.KindUnavailable, "status", "the server is "+string(s.Health))
	case s.OpenAlerts > 0 || len(s.Incidents) > 0 || len(s.Stops) > 0:
		return errFindings
	}
	return nil
}

func tellStatus(w io.Writer, s api.Status) {
	line := func(label, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%-11s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
	line("health", "%s%s", s.Health, unwell(s.Parts))
	line("mode", "%s, trust root %d (%s), %s", s.Mode, s.RootVersion, short(s.RootHash), witnessed(s.Witnessed))
	for _, stop := range s.Stops {
		line("STOP", "%s by %s since %s: %s; %s", stop.Scope, stop.By, stop.Since.Format(time.TimeOnly), stop.Reason, confirmation(stop))
	}
	if s.Devices == nil {
		line("devices", "NOT KNOWN, nor alerts, incidents and journal")
	} else {
		line("devices", "%s", counts(s.Devices))
		line("alerts", "%d open", s.OpenAlerts)
		line("incidents", "%s", counts(s.Incidents))
		line("journal", "%d frames", s.Journal.Next)
	}
	line("audit", "%d entries, %s%s, log %s", s.Audit.Size, s.Audit.Mode, because(s.Audit.Reason), s.Audit.Origin)
	for _, src := range s.Sources {
		line("source", "%s: %s, %d records, %d lost%s", src.Name, src.State, src.Records, src.Lost, because(src.Detail))
	}
	for _, warning := range s.Warnings {
		line("warning", "%s", warning)
	}
}

func unwell(parts map[string]core.Health) string {
	var bad []string
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if parts[name] != core.HealthHealthy {
			bad = append(bad, name+" "+string(parts[name]))
		}
	}
	if len(bad) == 0 {
		return ""
	}
	return " (" + strings.Join(bad, ", ") + ")"
}

func confirmation(s api.Stop) string {
	if len(s.Waiting) == 0 {
		return fmt.Sprintf("confirmed by %d", len(s.Confirmed))
	}
	return fmt.Sprintf("NOT CONFIRMED: %d (%s)", len(s.Waiting), strings.Join(s.Waiting, ", "))
}

func witnessed(yes bool) string {
	if yes {
		return "witnessed"
	}
	return "unwitnessed"
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func short(hash string) string { return hash[:min(len(hash), 16)] }

func counts(by map[string]int) string {
	if len(by) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%d %s", by[k], k))
	}
	return strings.Join(parts, ", ")
}
