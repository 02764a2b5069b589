package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
)

// columns finds passwords in the tables of texts: | system | user | password |.
type columns struct{}

const maxRows = 200

// Rules implements [detect.Grammar].
func (columns) Rules() []detect.Rule { return phrases{}.Rules() }

// Keywords implements [detect.Grammar].
func (columns) Keywords() []string {
	return []string{"password |", "passwd |", "passwort |", "kennwort |", "passphrase |", "contraseña |", "mot de passe |", "wachtwoord |"}
}

// Wants implements [detect.Grammar].
func (columns) Wants(string) bool { return false }

// All implements [detect.Grammar].
func (columns) All(detect.Text, func(detect.Hit)) {}

// At implements [detect.Grammar].
func (columns) At(t detect.Text, at, n int, emit func(detect.Hit)) {
	b := t.Body
	line := lineStart(b, at)
	before := b[line:at]
	name := bytes.TrimRight(before, " *_")
	if kindOf(t.Path) == kindCode || len(name) == 0 || name[len(name)-1] != '|' || bytes.TrimLeft(before, " \t")[0] != '|' {
		return
	}
	column := bytes.Count(before, []byte("|"))
	i := nextRow(b, at+n)
	if ruled := b[i:nextRow(b, i)]; i >= len(b) || !bytes.Contains(ruled, []byte("--")) || len(bytes.Trim(ruled, "|-: \t\r\n")) > 0 {
		return
	}
	p := phrase{t: t, at: at, end: at + n, emit: emit}
	for row := 0; row < maxRows; row++ {
		i = nextRow(b, i)
		from, to, ok := cell(b, i, column)
		if !ok {
			return
		}
		v := b[from:to]
		s := measure(v)
		if s.space == 0 && (s.digit > 0 || s.classes() > 2) && p.judge(nil, v, false) {
			emit(detect.Hit{Rule: ruleStatement, Start: from, End: to, MatchStart: from, MatchEnd: to})
		}
	}
}

func nextRow(b []byte, i int) int {
	j := bytes.IndexByte(b[i:], '\n')
	if j < 0 {
		return len(b)
	}
	return i + j + 1
}

// cell is what stands behind so many bars of the row at i, without marks.
func cell(b []byte, i, column int) (from, to int, ok bool) {
	row := b[i:nextRow(b, i)]
	if len(row) > 4096 || !bytes.HasPrefix(bytes.TrimLeft(row, " \t"), []byte("|")) {
		return 0, 0, false
	}
	at := 0
	for range column {
		j := bytes.IndexByte(row[at:], '|')
		if j < 0 {
			return i, i, true // a short row
		}
		at += j + 1
	}
	end := bytes.IndexByte(row[at:], '|')
	if end < 0 {
		return i, i, true
	}
	v := bytes.Trim(row[at:at+end], " \t*`_")
	from = i + at + bytes.Index(row[at:at+end], v)
	return from, from + len(v), true
}
