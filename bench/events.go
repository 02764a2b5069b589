package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/collect"
	"github.com/interlock-security/interlock/siem/normalise"
)

// recorded is the log of a real OpenSSH server that a real client attacked.
//
//go:embed testdata/sshd.log
var recorded string

var (
	benchTenant = core.MustID[core.TenantID]("main")
	logTime     = time.Date(2026, 11, 21, 20, 46, 17, 0, time.UTC)
	place       = regexp.MustCompile(`127\.0\.0\.1 port \d+`)
)

// logOrigin is the collector that the records come from.
var logOrigin = collect.Origin{Tenant: benchTenant, Source: "file/auth.log", Provenance: core.ProvenanceLocal}

// records makes journal records of n log lines, exactly as the file collector
// does, about 530 bytes each. The lines are the recorded ones; addresses, ports
// and times are those of an attack from many places, and no two sets with
// different salts are alike.
func records(n, salt int) ([][]byte, error) {
	lines := strings.Split(strings.TrimSuffix(recorded, "\n"), "\n")
	out := make([][]byte, n)
	for i := range out {
		serial := salt*n + i
		from := fmt.Sprintf("198.51.%d.%d port %d", serial/7%256, serial*31%256, 1024+serial*7907%60000)
		b, err := record(place.ReplaceAllString(lines[i%len(lines)], from), serial)
		if err != nil {
			return nil, err
		}
		out[i] = b
	}
	return out, nil
}

func record(text string, serial int) ([]byte, error) {
	received := logTime.Add(time.Duration(serial) * 137 * time.Microsecond)
	h, ok := normalise.ParseLine(text, received, time.UTC)
	if !ok {
		return nil, fmt.Errorf("testdata/sshd.log: no line of a log: %q", text)
	}
	l := collect.Line{Path: "/var/log/auth.log", Host: h.Host, Program: h.Program, PID: h.PID, Message: h.Message}
	l.SetLine([]byte(text))
	id := collect.EventID(h.Time, fmt.Sprint(serial))
	return logOrigin.Event(id, h.Time, received, collect.TypeOf(h.Program), core.SeverityInfo, l)
}
