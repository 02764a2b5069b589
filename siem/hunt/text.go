package hunt

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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

// encoded are fields that auditd writes in hexadecimal where they hold anything
// that could be mistaken for something else.
var encoded = map[string]bool{
	"proctitle": true, "comm": true, "exe": true, "name": true, "cwd": true, "cmd": true, "path": true, "dir": true,
	"key": true, "acct": true, "data": true, "file": true, "vm": true, "old-disk": true, "new-disk": true, "ocomm": true,
}

// auditLine is one record of auditd.
type auditLine struct {
	at  time.Time
	out []byte
	cmd []byte // the words of an EXECVE
}

// read appends the record as a JSON object to dst: its fields by their names,
// quotes and hexadecimal taken off, those within msg='...' too.
func (a *auditLine) read(dst []byte, line string) []byte {
	a.out, a.cmd, a.at = append(dst, '{'), a.cmd[:0], time.Time{}
	a.fields(line, 0)
	if len(a.cmd) > 0 {
		a.member("CommandLine", string(a.cmd))
	}
	if n := len(a.out); a.out[n-1] == ',' {
		a.out = a.out[:n-1]
	}
	return append(a.out, '}')
}

func (a *auditLine) member(name, val string) {
	a.out = append(appendMember(a.out, name, val), ',')
}

func (a *auditLine) fields(s string, depth int) {
	words := false
	for s != "" {
		s = strings.TrimLeft(s, " \t\x1d")
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return
		}
		if i := strings.LastIndexAny(name, " \t\x1d"); i >= 0 {
			name = name[i+1:] // words without a value
		}
		val, after, quoted := cutValue(rest)
		s = after
		switch {
		case name == "msg" && strings.HasPrefix(val, "audit("):
			a.stamp(val)
		case name == "msg" && quoted && depth == 0:
			a.fields(val, 1)
		default:
			if !quoted && (encoded[name] || isArgument(name)) {
				val = unhex(val)
			}
			words = words || name == "type" && val == "EXECVE"
			if words && isArgument(name) {
				a.word(val)
			}
			a.member(name, val)
		}
	}
}

func (a *auditLine) word(s string) {
	if len(a.cmd) > 0 {
		a.cmd = append(a.cmd, ' ')
	}
	a.cmd = append(a.cmd, s...)
}

// stamp reads audit(seconds.thousandths:serial):
func (a *auditLine) stamp(s string) {
	s = strings.TrimRight(strings.TrimPrefix(s, "audit("), "):")
	at, serial, _ := strings.Cut(s, ":")
	if t, ok := number(at); ok {
		a.at = t
	}
	a.member("serial", serial)
}

// cutValue takes a value that is bare, "quoted" or 'quoted'.
func cutValue(s string) (val, rest string, quoted bool) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		if i := strings.IndexByte(s[1:], s[0]); i >= 0 {
			return s[1 : 1+i], s[2+i:], true
		}
	}
	if i := strings.IndexAny(s, " \t\x1d"); i >= 0 {
		return s[:i], s[i+1:], false
	}
	return s, "", false
}

// isArgument reports a0, a1, ... and the parts of one, a2[1].
func isArgument(name string) bool {
	if len(name) < 2 || name[0] != 'a' {
		return false
	}
	name, _, _ = strings.Cut(name, "[")
	_, err := strconv.ParseUint(name[1:], 10, 16)
	return err == nil
}

// unhex decodes what auditd encoded; NULs separate the words of a proctitle.
func unhex(s string) string {
	if len(s) < 2 || len(s)%2 != 0 {
		return s
	}
	b, err := hex.DecodeString(s)
	if err != nil || !utf8.Valid(b) {
		return s
	}
	return strings.TrimRight(string(bytes.ReplaceAll(b, []byte{0}, []byte{' '})), " ")
}
