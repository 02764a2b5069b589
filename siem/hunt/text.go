package hunt

import (
	"bytes"
	"strings"
	"time"

	"github.com/interlock-security/interlock/siem/normalise"
)

// logLine is a line of a log as an event: the names are those that our own
// collectors give.
type logLine struct {
	normalise.Header
	known bool
}

// readLine takes a line apart: a priority in front as a receiver of syslog
// keeps it, then RFC 5424, or a stamp of either kind, host and program.
func readLine(line string, now time.Time, zone *time.Location) logLine {
	if strings.HasPrefix(line, "<") {
		if end := strings.IndexByte(line, '>'); end > 1 && end < 5 {
			line = line[end+1:]
			if rest, ok := strings.CutPrefix(line, "1 "); ok {
				if h, ok := readNew(rest); ok {
					return logLine{h, true}
				}
			}
		}
	}
	h, ok := normalise.ParseLine(line, now, zone)
	if !ok {
		h = normalise.Header{Message: line}
	}
	return logLine{h, ok}
}

// readNew reads what stands after the version of RFC 5424.
func readNew(s string) (h normalise.Header, ok bool) {
	var part [5]string // time, host, program, pid, message id
	for i := range part {
		if part[i], s, ok = strings.Cut(s, " "); !ok {
			return h, false
		}
		if part[i] == "-" {
			part[i] = ""
		}
	}
	if part[0] != "" {
		t, err := time.Parse(time.RFC3339Nano, part[0])
		if err != nil {
			return h, false
		}
		h.Time = t.UTC()
	}
	h.Host, h.Program, h.PID = part[1], part[2], part[3]
	h.Message = strings.TrimPrefix(strings.TrimPrefix(structured(s), " "), "\ufeff")
	return h, true
}

// structured returns what follows the structured data.
func structured(s string) string {
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		return rest
	}
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ']' && !quoted && (i+1 == len(s) || s[i+1] == ' '):
			return s[i+1:]
		}
	}
	return s
}

// appendLog appends the line as a JSON object.
func (l *logLine) appendJSON(dst []byte) []byte {
	dst = appendMember(append(dst, '{'), "message", l.Message)
	for _, m := range [...]struct{ name, val string }{{"host", l.Host}, {"program", l.Program}, {"pid", l.PID}} {
		if m.val != "" {
			dst = appendMember(append(dst, ','), m.name, m.val)
		}
	}
	return append(dst, '}')
}

func appendMember(dst []byte, name, val string) []byte {
	dst = appendString(dst, name)
	return appendString(append(dst, ':'), val)
}

// appendString appends a JSON string. Bytes that are not UTF-8 stay: the engine
// compares them as they are.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

var auditMark = []byte("msg=audit(")

// isAudit reports whether a line is one of auditd's own log.
func isAudit(line []byte) bool {
	i := bytes.Index(line, auditMark)
	return i > 0 && i < 300 && (bytes.HasPrefix(line, []byte("type=")) || bytes.HasPrefix(line, []byte("node=")))
}

// appendAudit writes a record of auditd as a JSON object.
func appendAudit(dst []byte, a *normalise.Audit) []byte {
	dst = append(dst, '{')
	for i, f := range a.Fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, f.Name, f.Value)
	}
	return append(dst, '}')
}
