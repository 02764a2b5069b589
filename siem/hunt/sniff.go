package hunt

import (
	"bytes"
	"errors"

	"github.com/interlock-security/interlock/siem/hunt/evtx"
)

// form is how a file is cut into records, and how those are read.
type form uint8

const (
	formNone    form = iota
	formLines        // one JSON object a line
	formDocs         // JSON that does not go by lines
	formWrapped      // objects that hold the array of events: {"Records":[...]}
	formEvtx         // chunks of an event log
	formAudit        // lines of auditd
	formText         // any other lines
)

// dialect is what events are besides being JSON.
type dialect uint8

const (
	plainJSON dialect = iota
	journald          // or one of our collectors: the normaliser knows it
)

// Containers that are no logs themselves.
var others = []struct {
	at    int
	magic string
	what  string
}{
	{0, "PK\x03\x04", "is a zip archive; unpack it and hunt in the folder"},
	{0, "\x28\xb5\x2f\xfd", "is compressed with zstd; unpack it first"},
	{0, "\xfd7zXZ\x00", "is compressed with xz; unpack it first"},
	{0, "BZh", "is compressed with bzip2; unpack it first"},
	{0, "7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it and hunt in the folder"},
	{0, "\x1f\x8b", "is compressed twice; unpack it first"},
	{257, "ustar", "is a tar archive; unpack it and hunt in the folder"},
	{0, "\x7fELF", "is a program"},
	{0, "MZ", "is a program of Windows"},
	{0, "SQLite format 3\x00", "is a database"},
	{0, "regf", "is a hive of the registry"},
	{0, "LPKSHHRH", "is a journal of systemd; export it with: journalctl --file NAME -o json"},
}

// sniff tells what a file holds by how it begins. Nothing at all is no lines.
func sniff(head []byte, whole bool) (form, dialect, error) {
	switch {
	case evtx.IsFile(head), evtx.IsChunk(head), len(head) > evtx.HeaderSize && evtx.IsChunk(head[evtx.HeaderSize:]):
		return formEvtx, plainJSON, nil
	}
	for _, o := range others {
		if len(head) > o.at && bytes.HasPrefix(head[o.at:], []byte(o.magic)) {
			return formNone, plainJSON, errors.New(o.what)
		}
	}
	if f := jsonForm(head, whole); f != formNone {
		return f, dialectOf(head), nil
	}
	if f := lineForm(head); f != formNone {
		return f, plainJSON, nil
	}
	return formNone, plainJSON, errors.New("is not a log in a form that is known (binary content)")
}

// jsonForm looks at the first lines: one that is a whole object makes a file go
// by lines, even if the lines before it are broken.
func jsonForm(head []byte, whole bool) form {
	first := bytes.TrimLeft(head, " \t\r\n")
	if len(first) == 0 || first[0] != '{' && first[0] != '[' {
		return otherLines(head)
	}
	if first[0] == '{' && wrapperOf(first) != "" {
		return formWrapped
	}
	line, rest, ended := bytes.Cut(first, []byte("\n"))
	switch n := balanced(line); {
	case first[0] == '[':
		return formDocs
	case n > 0 && len(bytes.TrimSpace(line[n:])) > 0:
		return formDocs // objects one after the other
	case n > 0:
		return formLines
	case !ended && whole, opensMore(line):
		return formDocs
	}
	if otherLines(rest) == formLines {
		return formLines
	}
	return formDocs
}

// otherLines reports whether some of the first lines are whole objects.
func otherLines(b []byte) form {
	for range 64 {
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] == '{' && balanced(line) == len(line) {
			return formLines
		}
		if !ended {
			break
		}
		b = rest
	}
	return formNone
}

// opensMore reports whether a line of JSON is one that goes on in the next.
func opensMore(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && bytes.IndexByte([]byte("{[,:"), line[len(line)-1]) >= 0
}

// balanced is the length of the object or array at the beginning of b, 0 if it
// does not end in b.
func balanced(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		}
	}
	return 0
}

// dialectOf looks at the first record.
func dialectOf(head []byte) dialect {
	line := head[:min(len(head), 16<<10)]
	has := func(s string) bool { return bytes.Contains(line, []byte(s)) }
	switch {
	case has(`"__REALTIME_TIMESTAMP"`), has(`"SYSLOG_IDENTIFIER"`), has(`"_SYSTEMD_UNIT"`), has(`"program"`) && has(`"message"`):
		return journald
	}
	return plainJSON
}

// lineForm tells text from other bytes.
func lineForm(head []byte) form {
	if bytes.IndexByte(head, 0) >= 0 && !mostlyText(head) {
		return formNone
	}
	for b, n := head, 0; n < 16; n++ {
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		if isAudit(line) {
			return formAudit
		}
		if !ended {
			break
		}
		b = rest
	}
	return formText
}

// mostlyText forgives some zeros, as crashes leave them in logs.
func mostlyText(b []byte) bool {
	odd := 0
	for _, c := range b {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != 0x1b {
			odd++
		}
	}
	return odd*20 < len(b)
}
