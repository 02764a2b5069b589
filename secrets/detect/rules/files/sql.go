package files

import (
	"bytes"
	"regexp"
	"strings"
)

// What a dump holds of passwords stands in the rows of an INSERT whose columns
// are named, by the statement or by the table's definition.
var (
	createTable = regexp.MustCompile("(?i)create[ \\t]+table[ \\t]+(?:if[ \\t]+not[ \\t]+exists[ \\t]+)?([\\w.\\x60\"\\[\\]]+)[ \\t\\r\\n]*\\(")
	insertInto  = regexp.MustCompile("(?i)(?:insert[ \\t]+(?:ignore[ \\t]+)?into|replace[ \\t]+into)[ \\t]+([\\w.\\x60\"\\[\\]]+)[ \\t\\r\\n]*(?:\\(([^()]+)\\))?[ \\t\\r\\n]*values?[ \\t\\r\\n]*")
	copyFrom    = regexp.MustCompile(`(?i)copy[ \t]+([\w."]+)[ \t]*\(([^()]+)\)[ \t]+from[ \t]+stdin[^\n]*\n`)
	secretWords = regexp.MustCompile(`(?i)^(?:\w*_)?(?:user_?)?(?:pass(?:w(?:or)?d)?(?:_?hash|_?digest)?|passphrase|pwd|secret|token|api_?key|access_?token|refresh_?token|auth_?token|hashed_password|encrypted_password|crypted_password|password_hash|user_pass|mot_de_passe|kennwort|clave|contrasena|senha|totp_secret|otp_secret)$`)
)

// maxRows bounds what is read of one statement.
const maxRows = 100_000

func sqlRows(body []byte, emit func(start, end int)) {
	tables := definitions(body)
	for _, m := range insertInto.FindAllSubmatchIndex(body, -1) {
		columns := tables[tableName(body[m[2]:m[3]])]
		if m[4] >= 0 {
			columns = columnList(body[m[4]:m[5]])
		}
		if wanted := secretColumns(columns); len(wanted) > 0 {
			tuples(body, m[1], wanted, emit)
		}
	}
	for _, m := range copyFrom.FindAllSubmatchIndex(body, -1) {
		if wanted := secretColumns(columnList(body[m[4]:m[5]])); len(wanted) > 0 {
			copied(body, m[1], wanted, emit)
		}
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

// definitions reads the columns of every CREATE TABLE.
func definitions(body []byte) map[string][]string {
	tables := map[string][]string{}
	for _, m := range createTable.FindAllSubmatchIndex(body, -1) {
		if len(tables) > 10_000 {
			break
		}
		tables[tableName(body[m[2]:m[3]])] = defined(body[m[1]:min(len(body), m[1]+64<<10)])
	}
	return tables
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
func tuples(body []byte, at int, wanted map[int]bool, emit func(start, end int)) {
	for range maxRows {
		for at < len(body) && strings.IndexByte(" \t\r\n,", body[at]) >= 0 {
			at++
		}
		if at >= len(body) || body[at] != '(' {
			return
		}
		next := tuple(body, at+1, wanted, emit)
		if next < 0 {
			return
		}
		at = next
	}
}

// tuple reads one row and returns what follows its parenthesis, or -1.
func tuple(body []byte, at int, wanted map[int]bool, emit func(start, end int)) int {
	const longest = 1 << 20
	limit := min(len(body), at+longest)
	from, column, depth := at, 0, 0
	for at < limit {
		switch c := body[at]; {
		case c == '\'' || c == '"':
			at = quoted(body, at, limit)
			continue
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ',' && depth == 0, c == ')':
			if wanted[column] {
				value(body, from, at, emit)
			}
			column, from = column+1, at+1
			if c == ')' {
				return at + 1
			}
		}
		at++
	}
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
func copied(body []byte, at int, wanted map[int]bool, emit func(start, end int)) {
	for range maxRows {
		end := bytes.IndexByte(body[at:], '\n')
		if end < 0 || bytes.HasPrefix(body[at:], []byte(`\.`)) {
			return
		}
		from := at
		for column, field := range bytes.Split(body[at:at+end], []byte("\t")) {
			if wanted[column] && !bytes.Equal(field, []byte(`\N`)) {
				emit(from, from+len(field))
			}
			from += len(field) + 1
		}
		at += end + 1
	}
}
