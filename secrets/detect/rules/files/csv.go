package files

import (
	"bytes"
	"regexp"

	"github.com/interlock-security/interlock/secrets/detect"
)

// tables are exports of password managers, browsers and consoles.
func tables() []format {
	return []format{
		{
			id: "table-password-column", title: "password in a table", kind: detect.KindPassword, severity: high,
			names: []string{"*.csv", "*.tsv"}, read: csvRows, keep: notColumn,
		},
		{
			id: "password-manager-export", title: "password in a password manager's export", kind: detect.KindPassword, severity: critical,
			names:    []string{"*bitwarden*.json", "*lastpass*.json", "*dashlane*.json", "*1password*.json", "*keeper*.json", "*nordpass*.json", "*enpass*.json", "*vault*export*.json"},
			patterns: []string{`(?i)"(?:password|passphrase|totp|pin)"[ \t]*:[ \t]*"((?:[^"\\\n]|\\.)+)"`},
		},
	}
}

var (
	passwordColumn = regexp.MustCompile(`(?i)^(?:\w+[ _\-])*(?:password|passwd|pwd|passphrase|passwort|contraseña|mot de passe|secret[ _\-]?access[ _\-]?key|otpauth)$`)
	tokenColumn    = regexp.MustCompile(`(?i)^(?:\w+[ _\-])*(?:secret|token|api[ _\-]?key|access[ _\-]?key|client[ _\-]?secret|totp)$`)
)

// csvRows reads a table whose first row names its columns. Of columns of tokens
// only what is random counts: other tables have tokens too.
func csvRows(body []byte, emit func(start, end int)) {
	head, _, _ := bytes.Cut(body[:min(len(body), 4096)], []byte("\n"))
	comma := delimiter(head)
	password, token := map[int]bool{}, map[int]bool{}
	column := 0
	first := fields(body, 0, comma, func(start, end int) {
		name := bytes.Trim(body[start:end], " \t\r\"\ufeff")
		password[column] = passwordColumn.Match(name)
		token[column] = tokenColumn.Match(name)
		column++
	})
	if !holdsAny(password) && !holdsAny(token) {
		return
	}
	for at := first; at < len(body); {
		column = 0
		at = fields(body, at, comma, func(start, end int) {
			if password[column] || token[column] && randomLooking(body[start:end]) {
				emit(start, end)
			}
			column++
		})
	}
}

func holdsAny(set map[int]bool) bool {
	for _, on := range set {
		if on {
			return true
		}
	}
	return false
}

func delimiter(head []byte) byte {
	best, most := byte(','), 0
	for _, c := range []byte{',', ';', '\t', '|'} {
		if n := bytes.Count(head, []byte{c}); n > most {
			best, most = c, n
		}
	}
	return best
}

// fields calls do for each field of the row at a place and returns where the next
// row begins. A field in quotes may hold the delimiter, and line ends.
func fields(body []byte, at int, comma byte, do func(start, end int)) int {
	start := at
	for at < len(body) {
		switch c := body[at]; {
		case c == '"' && at == start:
			at = quoted(body, at, len(body))
			continue
		case c == comma:
			do(start, at)
			start = at + 1
		case c == '\n':
			do(start, at)
			return at + 1
		}
		at++
	}
	do(start, at)
	return at
}

func randomLooking(b []byte) bool {
	b = bytes.Trim(b, "\" \r")
	digits := len(b) - len(bytes.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, b))
	return len(b) >= 12 && digits >= 2 && digits < len(b)-3 && bytes.IndexByte(b, ' ') < 0
}
