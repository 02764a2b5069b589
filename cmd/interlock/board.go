package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

// showBoard tells the safety board. Its exit code is that of the status.
func showBoard(e *env) error {
	var b api.Board
	if err := e.client().Get(e.ctx, "/v1/board", nil, &b); err != nil {
		return err
	}
	if err := e.show(b, func(w io.Writer) { tellBoard(w, b) }); err != nil {
		return err
	}
	open := 0
	for _, n := range b.Alerts {
		open += n
	}
	switch {
	case b.Health != core.HealthHealthy || b.Unknown != "":
		return core.E(core.KindUnavailable, "status", "the server is "+string(b.Health)+because(b.Unknown))
	case open > 0 || len(b.Incidents) > 0 || len(b.Stops) > 0 || b.SensorsNotOK > 0 || b.SealsWrong+b.SealsLate > 0 || b.Awaiting > 0 || b.Agreements > 0:
		return errFindings
	}
	return nil
}

func tellBoard(w io.Writer, b api.Board) {
	line := func(label, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%-11s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
	if b.Days != nil {
		_, _ = fmt.Fprintf(w, "%d days without an incident\n\n", *b.Days)
	}
	for _, stop := range b.Stops {
		line("STOP", "%s by %s since %s: %s; %s", stop.Scope, stop.By, stop.Since.Format(time.TimeOnly), stop.Reason, confirmation(stop))
	}
	if len(b.Stops) == 0 {
		line("stops", "none")
	}
	if b.Unknown != "" {
		line("UNKNOWN", "%s", b.Unknown)
	} else {
		line("devices", "%s", counts(b.Devices))
		line("sensors", "%d not ok, %d latches open", b.SensorsNotOK, b.OpenLatches)
		line("seals", "%d violated, %d overdue", b.SealsWrong, b.SealsLate)
		for _, s := range b.Sensors {
			line("", "%s %s is %s since %s", s.Device, s.ID, s.State, s.Since.Format(time.DateTime))
		}
		line("alerts", "%s", bySeverity(b.Alerts))
		line("incidents", "%s", counts(b.Incidents))
		line("orders", "%d wait for signatures", b.Awaiting)
		line("lag", "%s", lag(b.Lag))
	}
	line("agreements", "%d wait for a second person", b.Agreements)
	line("health", "%s%s", b.Health, unwell(b.Parts))
	line("mode", "%s, log %s with %d entries", b.Mode, b.LogMode, b.LogSize)
	for _, warning := range b.Warnings {
		line("warning", "%s", warning)
	}
}

// bySeverity tells counts of alerts, the worst first.
func bySeverity(by map[string]int) string {
	var parts []string
	for i := len(core.Severities) - 1; i >= 0; i-- {
		if n := by[string(core.Severities[i])]; n > 0 {
			parts = append(parts, strconv.Itoa(n)+" "+string(core.Severities[i]))
		}
	}
	if len(parts) == 0 {
		return "none open"
	}
	return strings.Join(parts, ", ")
}

func lag(by map[string]uint64) string {
	n := make(map[string]int, len(by))
	for stage, frames := range by {
		n[stage] = int(frames)
	}
	return counts(n) + " (frames behind)"
}
