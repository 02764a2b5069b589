package syslog

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	gosyslog "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc3164"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/collect"
	"github.com/interlock-security/interlock/siem/normalise"
)

// yearless is the year of stamps that have none, until the time of arrival gives
// them one. A leap year keeps the 29th of February.
const yearless = 1904

// parser reads both forms. It belongs to one goroutine.
type parser struct {
	loc *time.Location
	new gosyslog.Machine
	old gosyslog.Machine
}

func newParser(loc *time.Location) *parser {
	return &parser{
		loc: loc,
		new: rfc5424.NewMachine(rfc5424.WithBestEffort()),
		old: rfc3164.NewMachine(rfc3164.WithBestEffort(), rfc3164.WithYear(rfc3164.Year{YYYY: yearless}), rfc3164.WithLocaleTimezone(loc), rfc3164.WithRFC3339(), rfc3164.WithLenientDay(), rfc3164.WithEmbeddedNewlines()),
	}
}

// severities maps syslog's eight levels to the one scale.
var severities = []core.Severity{
	core.SeverityHigh, core.SeverityHigh, core.SeverityHigh, core.SeverityMedium,
	core.SeverityLow, core.SeverityInfo, core.SeverityInfo, core.SeverityInfo,
}

// parsed is what a message says of itself. All of it is a claim.
type parsed struct {
	collect.Line
	at       time.Time
	severity core.Severity
	ok       bool
}

func (p *parser) read(b []byte, received time.Time) parsed {
	out := parsed{at: received, severity: core.SeverityInfo}
	out.SetLine(b)
	text := []byte(strings.TrimRight(string(b), "\r\n\x00"))
	out.Message = string(text)
	if !hasPriority(text) {
		return out
	}
	msg, err := p.new.Parse(text)
	if m, ok := msg.(*rfc5424.SyslogMessage); ok && err == nil && m.Valid() {
		out.take(&m.Base)
		out.stamp(m.Timestamp, received, p.loc, false)
		if m.StructuredData != nil {
			out.Structured = *m.StructuredData
		}
		return out
	}
	msg, _ = p.old.Parse(text) // best effort: a message without a tag is one too
	if m, ok := msg.(*rfc3164.SyslogMessage); ok && m.Valid() {
		out.take(&m.Base)
		out.stamp(m.Timestamp, received, p.loc, m.Timestamp != nil && m.Timestamp.Year() == yearless)
	}
	return out
}

// hasPriority checks "<0>" to "<191>", which the parser underneath wraps.
func hasPriority(b []byte) bool {
	end := bytes.IndexByte(b, '>')
	if end < 2 || end > 4 || b[0] != '<' {
		return false
	}
	n, err := strconv.ParseUint(string(b[1:end]), 10, 8)
	return err == nil && n <= 191
}

func (p *parsed) take(m *gosyslog.Base) {
	set := func(dst *string, src *string) {
		if src != nil {
			*dst = *src
		}
	}
	set(&p.Host, m.Hostname)
	set(&p.Program, m.Appname)
	set(&p.PID, m.ProcID)
	set(&p.Message, m.Message)
	set(&p.Facility, m.FacilityLevel())
	set(&p.Level, m.SeverityLevel())
	if m.Severity != nil && int(*m.Severity) < len(severities) {
		p.severity = severities[*m.Severity]
	}
	p.ok = true
}

// stamp takes the time that the message claims; one without a year gets the
// latest that does not lie in the future.
func (p *parsed) stamp(t *time.Time, received time.Time, loc *time.Location, yearless bool) {
	switch {
	case t == nil:
	case yearless:
		p.at = normalise.NearestYear(*t, received, loc)
	default:
		p.at = t.UTC()
	}
}

// record makes an event of a message.
func (s *Collector) record(m message) ([]byte, error) {
	p := s.parse.read(m.bytes, m.received)
	p.Cut = m.cut
	if m.cut {
		s.cut.Add(1)
	}
	if !p.ok {
		s.unparsed.Add(1)
	}
	s.count(m.origin.Source, func(c *SourceCounts) {
		c.Records++
		if !p.ok {
			c.Unparsed++
		}
	})
	return m.origin.Event(core.NewUUID(m.received), p.at, m.received, collect.TypeOf(p.Program), p.severity, p.Line)
}
