package files

import (
	"bytes"
	"regexp"
	"strings"
)

// What a dump holds of passwords stands in the rows of an INSERT whose columns
// are named, by the statement or by the table's definition.
var (
	createTable = regexp.MustCompile("(?i)^create[ \\t]+table[ \\t]+(?:if[ \\t]+not[ \\t]+exists[ \\t]+)?([\\w.\\x60\"\\[\\]]+)[ \\t\\r\\n]*\\(")
	insertInto  = regexp.MustCompile("(?i)^(?:insert[ \\t]+(?:ignore[ \\t]+)?into|replace[ \\t]+into)[ \\t]+([\\w.\\x60\"\\[\\]]+)[ \\t\\r\\n]*(?:\\(([^()]+)\\))?[ \\t\\r\\n]*values?[ \\t\\r\\n]*")
	copyFrom    = regexp.MustCompile(`(?i)^copy[ \t]+([\w."]+)[ \t]*\(([^()]+)\)[ \t]+from[ \t]+stdin[^\n]*\n`)
	secretWords = regexp.MustCompile(`(?i)^(?:\w*_)?(?:user_?)?(?:pass(?:w(?:or)?d)?(?:_?hash|_?digest)?|passphrase|pwd|secret|token|api_?key|access_?token|refresh_?token|auth_?token|hashed_password|encrypted_password|crypted_password|password_hash|user_pass|mot_de_passe|kennwort|clave|contrasena|senha|totp_secret|otp_secret)$`)
)

// statements calls do where a line begins with a statement that can hold a
// password: dumps are large, and most of their lines are rows.
func statements(body []byte, do func(at int)) {
	for at := 0; at < len(body); {
		start := at
		for start < len(body) && strings.IndexByte(" \t(/*!0123456789", body[start]) >= 0 {
			start++
		}
		if opens(body[start:min(len(body), start+8)]) {
			do(start)
		}
		i := bytes.IndexByte(body[start:], '\n')
		if i < 0 {
			return
		}
		at = start + i + 1
	}
}

func opens(word []byte) bool {
	for _, w := range []string{"insert", "replace", "create", "copy", "alter", "grant", "set"} {
		if len(word) > len(w) && bytes.EqualFold(word[:len(w)], []byte(w)) {
			return true
		}
	}
	return false
}

// head is how much of a statement is read for its table and columns.
const head = 16 << 10

// dump reads one file. What it has left of its budget bounds how often bytes are
// read again, which a hostile text could ask for.
type dump struct {
	body   []byte
	tables map[string][]string
	left   int
	emit   func(start, end int)
}

func sqlRows(body []byte, emit func(start, end int)) {
	d := &dump{body: body, tables: map[string][]string{}, left: 8*len(body) + 1<<20, emit: emit}
	statements(body, d.statement)
}

func (d *dump) statement(at int) {
	text := d.body[at:min(len(d.body), at+head)]
	if d.left < 0 {
		return
	}
	switch text[0] | 0x20 {
	case 'c':
		d.create(text)
		d.copy(at, text)
	case 'i', 'r':
		d.insert(at, text)
	}
}

func (d *dump) create(text []byte) {
	if m := createTable.FindSubmatchIndex(text); m != nil && len(d.tables) < 10_000 {
		d.left -= len(text)
		d.tables[tableName(text[m[2]:m[3]])] = defined(text[m[1]:])
	}
}

func (d *dump) insert(at int, text []byte) {
	m := insertInto.FindSubmatchIndex(text)
	if m == nil {
		return
	}
	columns := d.tables[tableName(text[m[2]:m[3]])]
	if m[4] >= 0 {
		columns = columnList(text[m[4]:m[5]])
	}
	if wanted := secretColumns(columns); len(wanted) > 0 {
		d.tuples(at+m[1], wanted)
	}
}

func (d *dump) copy(at int, text []byte) {
	m := copyFrom.FindSubmatchIndex(text)
	if m == nil {
		return
	}
	if wanted := secretColumns(columnList(text[m[4]:m[5]])); len(wanted) > 0 {
		d.copied(at+m[1], wanted)
	}
}

func tableName(b []byte) string {
	s := strings.ToLower(strings.Trim(string(b), "`\"[]"))
	if i := strings.LastIndexByte(s, '.'); i >= 0 {
		s = s[i+1:]
	}
	return strings.Trim(s, "`\"[]")
}

func columnList(b []byte) []string {
	var names []string
	for _, c := range strings.Split(string(b), ",") {
		names = append(names, strings.Trim(strings.TrimSpace(c), "`\"[]"))
	}
	return names
}

func secretColumns(columns []string) map[int]bool {
	wanted := map[int]bool{}
	for i, c := range columns {
		if secretWords.MatchString(c) {
			wanted[i] = true
		}
	}
	return wanted
}

// defined takes the first word of each definition up to the closing parenthesis.
func defined(b []byte) []string {
	var names []string
	depth, from := 0, 0
	for i, c := range b {
		switch {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ',' && depth == 0, c == ')':
			words := bytes.Fields(b[from:i])
			from = i + 1
			if len(words) > 0 && !constraint(words[0]) {
				names = append(names, strings.Trim(string(words[0]), "`\"[]"))
			}
			if c == ')' {
				return names
			}
		}
	}
	return names
}

func constraint(word []byte) bool {
	switch strings.ToUpper(string(word)) {
	case "PRIMARY", "KEY", "UNIQUE", "CONSTRAINT", "FOREIGN", "INDEX", "CHECK", "FULLTEXT":
		return true
	}
	return false
}

// tuples reads (…), (…); and emits the values of the wanted places.
func (d *dump) tuples(at int, wanted map[int]bool) {
	for d.left > 0 {
		for at < len(d.body) && strings.IndexByte(" \t\r\n,", d.body[at]) >= 0 {
			at++
		}
		if at >= len(d.body) || d.body[at] != '(' {
			return
		}
		next := d.tuple(at+1, wanted)
		if next < 0 {
			return
		}
		d.left -= next - at
		at = next
	}
}

// tuple reads one row and returns what follows its parenthesis, or -1.
func (d *dump) tuple(at int, wanted map[int]bool) int {
	const longest = 1 << 20
	limit := min(len(d.body), at+longest)
	begin, from, column, depth := at, at, 0, 0
	for at < limit {
		switch c := d.body[at]; {
		case c == '\'' || c == '"':
			at = quoted(d.body, at, limit)
			continue
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ',' && depth == 0, c == ')':
			if wanted[column] {
				value(d.body, from, at, d.emit)
			}
			column, from = column+1, at+1
			if c == ')' {
				return at + 1
			}
		}
		at++
	}
	d.left -= limit - begin
	return -1
}

// quoted is the place behind a string; a doubled quote belongs to it.
func quoted(body []byte, at, limit int) int {
	q := body[at]
	for at++; at < limit; at++ {
		switch {
		case body[at] == '\\':
			at++
		case body[at] == q && at+1 < limit && body[at+1] == q:
			at++
		case body[at] == q:
			return at + 1
		}
	}
	return limit
}

// value emits a string; what a function makes isn't written there.
func value(body []byte, from, to int, emit func(start, end int)) {
	v := bytes.TrimSpace(body[from:to])
	for _, prefix := range []string{"N'", "E'", "_binary '"} {
		if bytes.HasPrefix(v, []byte(prefix)) {
			v = v[len(prefix)-1:]
		}
	}
	if len(v) < 6 || v[0] != '\'' && v[0] != '"' {
		return
	}
	start := from + bytes.Index(body[from:to], v)
	emit(start, start+len(v))
}

// copied reads the lines of PostgreSQL's COPY.
func (d *dump) copied(at int, wanted map[int]bool) {
	body := d.body
	for d.left > 0 {
		end := bytes.IndexByte(body[at:], '\n')
		if end < 0 || bytes.HasPrefix(body[at:], []byte(`\.`)) {
			return
		}
		from := at
		for column, field := range bytes.Split(body[at:at+end], []byte("\t")) {
			if wanted[column] && !bytes.Equal(field, []byte(`\N`)) {
				d.emit(from, from+len(field))
			}
			from += len(field) + 1
		}
		at += end + 1
		d.left -= end + 1
	}
}
