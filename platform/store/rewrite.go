package store

import "strings"

// rewrite turns $n into ?n. SQLite reads $n as a named parameter and numbers
// it by first appearance, so "SELECT $2, $1" would swap its arguments. Strings,
// quoted identifiers and comments stay untouched.
func rewrite(query string) string {
	if strings.IndexByte(query, '$') < 0 {
		return query
	}
	var b strings.Builder
	b.Grow(len(query))
	for i := 0; i < len(query); {
		end := skipQuoted(query, i)
		switch {
		case end > i:
			b.WriteString(query[i:end])
			i = end
		case isPlaceholder(query, i):
			b.WriteByte('?')
			i++
		default:
			b.WriteByte(query[i])
			i++
		}
	}
	return b.String()
}

// skipQuoted returns the end of the string, quoted identifier or comment that
// begins at i, or i where none begins. What is not closed runs to the end: the
// engine then reports it better than we could.
func skipQuoted(q string, i int) int {
	rest := q[i:]
	switch {
	case q[i] == '\'' || q[i] == '"' || q[i] == '`':
		// A doubled quote inside simply reads as the next quoted part.
		return closing(q, i+1, q[i:i+1])
	case strings.HasPrefix(rest, "--"):
		return closing(q, i+2, "\n")
	case strings.HasPrefix(rest, "/*"):
		return closing(q, i+2, "*/")
	}
	return i
}

func closing(q string, from int, mark string) int {
	if n := strings.Index(q[from:], mark); n >= 0 {
		return from + n + len(mark)
	}
	return len(q)
}

// isPlaceholder reports whether q[i] is a $ that is followed by a digit and
// does not belong to a name.
func isPlaceholder(q string, i int) bool {
	if q[i] != '$' || i+1 >= len(q) || !isDigit(q[i+1]) {
		return false
	}
	return i == 0 || !isNameByte(q[i-1])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z'
}
