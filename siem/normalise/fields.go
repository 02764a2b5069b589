package normalise

import (
	"bytes"
	"encoding/json"
	"strings"
)

// logLine is what a collector's record says about one line of a log.
type logLine struct {
	program, pid, message string
	transport             string // by which way the journal got it
}

// readLog finds program and message in the flat shape that the file and syslog
// collectors write, or in a journald object.
func readLog(fields []byte) logLine {
	var l logLine
	var comm, uid string
	topLevel(fields, func(key string, val []byte) {
		switch key {
		case "program", "SYSLOG_IDENTIFIER":
			l.program = text(val)
		case "_COMM":
			comm = text(val)
		case "_UID":
			uid = text(val)
		case "_TRANSPORT":
			l.transport = text(val)
		case "pid", "_PID":
			l.pid = text(val)
		case "SYSLOG_PID":
			if l.pid == "" {
				l.pid = text(val)
			}
		case "message", "MESSAGE":
			l.message = text(val)
		}
	})
	// journald itself sets what begins with an underscore; the identifier is
	// what the program claims. Nobody but root's sshd speaks for sshd.
	if l.program == "" || isSSHD(l.program) && comm != "" && !isSSHD(comm) {
		l.program = comm
	}
	if isSSHD(l.program) && uid != "" && uid != "0" {
		l.program = "not-" + l.program
	}
	return l
}

// topLevel calls fn with each key and raw value of a JSON object. Events come
// from our own collectors through a strict decoder, so what is not an object
// simply has no fields.
func topLevel(object []byte, fn func(key string, val []byte)) {
	b := skipSpace(object)
	if len(b) == 0 || b[0] != '{' {
		return
	}
	for b = skipSpace(b[1:]); len(b) > 0 && b[0] == '"'; {
		end := valueEnd(b)
		key := text(b[:end])
		b = skipSpace(b[end:])
		if len(b) == 0 || b[0] != ':' {
			return
		}
		b = skipSpace(b[1:])
		end = valueEnd(b)
		fn(key, b[:end])
		b = skipSpace(b[end:])
		if len(b) == 0 || b[0] != ',' {
			return
		}
		b = skipSpace(b[1:])
	}
}

func skipSpace(b []byte) []byte { return bytes.TrimLeft(b, " \t\r\n") }

// valueEnd is the length of the JSON value at the beginning of b.
func valueEnd(b []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return i + 1
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c == ':' || c == ' ' || c == '\n' || c == '\t' || c == '\r'):
			return i
		}
	}
	return len(b)
}

// text is a scalar as text. journald writes text that is not UTF-8 as an array
// of byte values.
func text(val []byte) string {
	if len(val) == 0 {
		return ""
	}
	switch val[0] {
	case '"':
		if bytes.IndexByte(val, '\\') < 0 && len(val) >= 2 {
			return string(val[1 : len(val)-1])
		}
		var s string
		if json.Unmarshal(val, &s) == nil {
			return s
		}
		return ""
	case '[':
		var codes []uint8AsNumber
		if json.Unmarshal(val, &codes) != nil {
			return ""
		}
		var out strings.Builder
		for _, c := range codes {
			out.WriteByte(byte(c))
		}
		return out.String()
	case '{', 'n':
		return ""
	}
	return string(val)
}

// uint8AsNumber keeps encoding/json from reading an array of bytes as base64.
type uint8AsNumber uint8
