package sarif

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// level is SARIF's word for a severity.
func level(s core.Severity) string {
	switch s {
	case core.SeverityCritical, core.SeverityHigh:
		return "error"
	case core.SeverityMedium:
		return "warning"
	case core.SeverityLow, core.SeverityInfo:
		return "note"
	}
	return "warning"
}

// bands are the lowest and the usual score of each severity, in GitHub's and
// CVSS's bands, worst first.
var bands = []struct {
	severity    core.Severity
	from, usual float64
}{
	{core.SeverityCritical, 9, 9.5},
	{core.SeverityHigh, 7, 8},
	{core.SeverityMedium, 4, 5.5},
	{core.SeverityLow, 0.1, 2},
	{core.SeverityInfo, 0, 0},
}

// severityNumber is the finding's CVSS score where that says the same as its
// severity, else its severity's usual number: who was raised because it is being
// exploited must not be shown low again.
func severityNumber(f *scanning.Finding) float64 {
	for _, b := range bands {
		if b.severity == f.Severity {
			if f.Risk.Score > 0 && severityOf(f.Risk.Score) == f.Severity {
				return f.Risk.Score
			}
			return b.usual
		}
	}
	return 0
}

func severityOf(score float64) core.Severity {
	for _, b := range bands {
		if score >= b.from {
			return b.severity
		}
	}
	return core.SeverityInfo
}

// fromLevel is the severity of a result whose tool gives no number.
func fromLevel(level string) core.Severity {
	switch level {
	case "error":
		return core.SeverityHigh
	case "note":
		return core.SeverityLow
	case "none":
		return core.SeverityInfo
	}
	return core.SeverityMedium
}

// clean makes a text from outside fit for JSON: valid UTF-8.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// text is clean for a message. "[a](b)" in a message is a link, so brackets of
// scanned text are escaped wherever they would make one.
func text(s string) string {
	s = clean(s)
	if !strings.Contains(s, "](") {
		return s
	}
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`).Replace(s)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// properties makes a bag; values that cannot be marshalled do not occur.
func properties(m map[string]any) bag {
	out := bag{}
	for k, v := range m {
		if b, err := marshal(v); err == nil && string(b) != "{}\n" {
			out[k] = b
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// omitEmpty drops empty members, so that a log has no noise.
func omitEmpty(m map[string]any) map[string]any {
	for k, v := range m {
		if b, err := json.Marshal(v); err != nil || len(b) <= 2 || string(b) == "null" {
			delete(m, k)
		}
	}
	return m
}
