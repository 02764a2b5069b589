package normalise

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// Audit is one record of the Linux audit system. What one system call did comes
// as several records with one serial; each is an event of its own.
type Audit struct {
	Time                 time.Time
	Serial, Type, Node   string
	Fields               []sigma.Field // in the order of the line, type first
	command              strings.Builder
	words, quotedMessage bool
}

// maxAuditFields bounds what one line can make. The kernel writes at most some
// thousands of arguments into one record.
const maxAuditFields = 2048

// ParseAudit reads a line of auditd's log, as auditd or its syslog plugin writes
// it:
//
//	type=EXECVE msg=audit(1364481363.243:24287): argc=2 a0="ls" a1=2D6C
//
// It takes off quotes, and the hexadecimal in which the kernel writes what has
// blanks or quotes in it, so that a name can't pretend to be another field. The
// words of an EXECVE also come joined, as CommandLine. It reports false for
// other lines.
func ParseAudit(line string) (Audit, bool) {
	var a Audit
	rest := line
	if node, after, ok := strings.Cut(rest, " "); ok && strings.HasPrefix(node, "node=") {
		a.Node, rest = node[len("node="):], after
	}
	kind, rest, ok := strings.Cut(rest, " ")
	if !ok || !strings.HasPrefix(kind, "type=") {
		return Audit{}, false
	}
	a.Type = kind[len("type="):]
	head, body, ok := strings.Cut(rest, "): ")
	if !ok {
		head, ok = strings.CutSuffix(strings.TrimRight(rest, " :"), ")")
	}
	if !ok || !a.stamp(strings.TrimPrefix(head, "msg=audit("), head) {
		return Audit{}, false
	}
	a.body(body)
	return a, true
}

// parseAuditMessage reads what the journal keeps as the message of a record:
// the type's name and the fields.
func parseAuditMessage(message string) (Audit, bool) {
	kind, body, ok := strings.Cut(message, " ")
	if !ok || kind == "" || strings.Contains(kind, "=") {
		return Audit{}, false
	}
	a := Audit{Type: kind}
	a.body(body)
	return a, true
}

// stamp reads "1364481363.243:24287".
func (a *Audit) stamp(s, head string) bool {
	at, serial, ok := strings.Cut(s, ":")
	if !ok || s == head {
		return false
	}
	if _, err := strconv.ParseUint(serial, 10, 64); err != nil {
		return false
	}
	seconds, milli, ok := strings.Cut(at, ".")
	sec, err := strconv.ParseInt(seconds, 10, 64)
	ms, err2 := strconv.ParseInt(milli, 10, 64)
	if !ok || err != nil || err2 != nil || ms < 0 || ms > 999 {
		return false
	}
	a.Time, a.Serial = time.Unix(sec, ms*int64(time.Millisecond)).UTC(), serial
	return true
}

func (a *Audit) body(s string) {
	a.Fields = append(a.Fields, sigma.Field{Name: "type", Value: a.Type})
	if a.Serial != "" {
		a.Fields = append(a.Fields, sigma.Field{Name: "serial", Value: a.Serial})
	}
	a.words = a.Type == "EXECVE"
	a.fields(s)
	if a.command.Len() > 0 {
		a.Fields = append(a.Fields, sigma.Field{Name: "CommandLine", Value: a.command.String()})
	}
}

// fields takes name=value pairs. Words without a value ("avc:  denied  { read }
// for") stand between them and are not fields. 0x1d stands before what auditd
// added to the kernel's record (SYSCALL=execve UID="root").
func (a *Audit) fields(s string) {
	for len(a.Fields) < maxAuditFields {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return
		}
		if i := strings.LastIndexAny(name, " \t\x1d"); i >= 0 {
			name = name[i+1:]
		}
		var val string
		var quote byte
		val, quote, s = auditValue(rest)
		// Programs hand their records to auditd as one text: msg='op=login ...'.
		if name == "msg" && quote == '\'' && !a.quotedMessage {
			a.quotedMessage = true
			a.fields(val)
			a.quotedMessage = false
			continue
		}
		if name == "" {
			continue
		}
		if quote == 0 && a.encodes(name) {
			val = unhex(val)
		}
		a.add(name, val)
	}
}

func (a *Audit) add(name, val string) {
	a.Fields = append(a.Fields, sigma.Field{Name: name, Value: val})
	if !a.words {
		return
	}
	// A long argument comes in parts: a1[0]=.. a1[1]=..
	whole, part, inParts := strings.Cut(name, "[")
	if !isArgument(whole) {
		return
	}
	if a.command.Len() > 0 && (!inParts || part == "0]") {
		a.command.WriteByte(' ')
	}
	a.command.WriteString(val)
}

// auditValue takes a value that is bare, "quoted" or 'quoted'.
func auditValue(s string) (val string, quote byte, rest string) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		if i := strings.IndexByte(s[1:], s[0]); i >= 0 {
			return s[1 : 1+i], s[0], s[2+i:]
		}
	}
	if i := strings.IndexAny(s, " \t\x1d"); i >= 0 {
		return s[:i], 0, s[i+1:]
	}
	return s, 0, ""
}

// encodedFields are texts of strangers, which the kernel writes quoted or in
// hexadecimal and never bare.
var encodedFields = map[string]bool{
	"proctitle": true, "comm": true, "ocomm": true, "exe": true, "name": true, "cwd": true, "cmd": true, "path": true, "dir": true, "key": true,
	"acct": true, "data": true, "file": true, "vm": true, "watch": true, "device": true, "old-disk": true, "new-disk": true, "grp": true,
}

// encodes reports whether a bare value may be hexadecimal. a0 is a text in
// EXECVE and a number, which is to stay one, in SYSCALL.
func (a *Audit) encodes(name string) bool {
	whole, _, _ := strings.Cut(name, "[")
	return encodedFields[name] || a.words && isArgument(whole)
}

func isArgument(name string) bool {
	if len(name) < 2 || name[0] != 'a' {
		return false
	}
	_, err := strconv.ParseUint(name[1:], 10, 32)
	return err == nil
}

// unhex decodes what the kernel encoded; NULs separate the words of a
// proctitle. "(null)" and other bare words stay.
func unhex(s string) string {
	if len(s) < 2 || len(s)%2 != 0 {
		return s
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return s
	}
	b = bytes.ReplaceAll(bytes.TrimRight(b, "\x00"), []byte{0}, []byte{' '})
	if !utf8.Valid(b) {
		b = bytes.ToValidUTF8(b, []byte("\uFFFD"))
	}
	return string(b)
}

var auditSource = sigma.Logsource{Product: "linux", Service: "auditd"}

// sources are those of a record: what execve did is a process that was started.
func (a *Audit) sources() []sigma.Logsource {
	out := []sigma.Logsource{auditSource}
	if a.Type == "EXECVE" || a.Type == "PROCTITLE" || a.Type == "SYSCALL" && a.get("success") == "yes" && taxonomy.Executes(a.get("arch"), a.get("syscall")) {
		out = append(out, sigma.Logsource{Product: "linux", Category: "process_creation", Service: "auditd"})
	}
	return out
}

func (a *Audit) get(name string) string {
	for _, f := range a.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// isAuditProgram knows what hands records of the audit system to syslog; a file of
// auditd's own names no program.
func isAuditProgram(name string) bool {
	switch name {
	case "", "audit", "auditd", "audispd", "audisp-syslog":
		return true
	}
	return false
}

// readAudit reads a record of the audit system where the line is one, and where
// it comes from a file of its own, from its plugin or from the kernel: anybody can write such a line with logger(1).
func readAudit(l logLine, set func(field, text string)) ([]sigma.Logsource, bool) {
	a, ok := Audit{}, false
	switch {
	case l.transport == "audit":
		a, ok = parseAuditMessage(l.message)
	case l.transport == "" && isAuditProgram(l.program):
		a, ok = ParseAudit(l.message)
	}
	if !ok {
		return nil, false
	}
	for _, f := range a.Fields {
		set(f.Name, f.Value)
	}
	return a.sources(), true
}
