package normalise

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// isSSHD knows OpenSSH's processes: since 9.8 a session has a program of its
// own, since 10.0 authentication too.
func isSSHD(program string) bool {
	return program == "sshd" || program == "sshd-session" || program == "sshd-auth"
}

// login is what one line says about a login.
type login struct {
	user, ip, port, method string
	status                 string // Success, Failure
	echo                   bool
}

// readSSHD reads a line of sshd. A line that speaks of a login and can't be
// read is Unparsed; all other lines of sshd are Plain.
func readSSHD(source string, l logLine, set func(field, text string)) Outcome {
	got, about := parseSSHD(l.message)
	if !about {
		return Plain
	}
	if got == nil {
		return Unparsed
	}
	set(FieldService, "sshd")
	set(FieldActivity, "Logon")
	set(FieldStatus, got.status)
	set(FieldUser, got.user)
	set(FieldIP, got.ip)
	set(FieldPort, got.port)
	set(FieldAttempt, strings.Join([]string{source, l.pid, got.ip, got.port}, "|"))
	if got.method != "" {
		set(FieldMethod, got.method)
	}
	if got.echo {
		set(FieldEcho, "true")
	}
	return Parsed
}

// parseSSHD returns nil and true for a line about a login that it can't read.
func parseSSHD(msg string) (got *login, about bool) {
	msg = strings.TrimRight(unrepeated(msg), " \r\n")
	for _, form := range sshdForms {
		if rest, ok := strings.CutPrefix(msg, form.prefix); ok {
			return form.read(rest), true
		}
	}
	return nil, false
}

// unrepeated opens rsyslog's "message repeated 2 times: [ ... ]".
func unrepeated(msg string) string {
	rest, ok := strings.CutPrefix(msg, "message repeated ")
	if !ok {
		return msg
	}
	if _, inner, ok := strings.Cut(rest, " times: [ "); ok {
		return strings.TrimSuffix(inner, "]")
	}
	return msg
}

// sshdForms are the lines that speak of a login, by how they begin. What
// follows is read from the right.
var sshdForms = []struct {
	prefix string
	read   func(rest string) *login
}{
	{"Failed ", func(s string) *login { return methodLine(s, "Failure") }},
	{"Accepted ", func(s string) *login { return methodLine(s, "Success") }},
	{"Invalid user ", func(s string) *login { return echo(fromLine(s, "")) }},
	{"Connection closed by authenticating user ", closedLine},
	{"Connection closed by invalid user ", closedLine},
	{"Connection reset by authenticating user ", closedLine},
	{"Connection reset by invalid user ", closedLine},
	{"Disconnected from authenticating user ", closedLine},
	{"Disconnected from invalid user ", closedLine},
	{"Disconnecting authenticating user ", tooManyLine},
	{"Disconnecting invalid user ", tooManyLine},
	{"error: maximum authentication attempts exceeded for ", maximumLine},
	{"maximum authentication attempts exceeded for ", maximumLine},
}

func echo(l *login) *login {
	if l != nil {
		l.status, l.echo = "Failure", true
	}
	return l
}

// guesses are the methods of which every failure is a guess of its own; the
// others fail as part of an ordinary login.
var guesses = []string{"password", "keyboard-interactive", "challenge-response"}

// methodLine reads "password for invalid user X from IP port N ssh2[: key]".
func methodLine(s, status string) *login {
	method, rest, ok := strings.Cut(s, " for ")
	if !ok || strings.ContainsAny(method, " \t") {
		return nil
	}
	l := fromLine(withoutKey(rest), " ssh2")
	if l == nil {
		return nil
	}
	l.method, _, _ = strings.Cut(method, "/")
	l.user = strings.TrimPrefix(l.user, "invalid user ")
	l.status = status
	l.echo = status == "Failure" && !slices.Contains(guesses, l.method)
	return l
}

// withoutKey takes the description of the key off the end. A plain key ends in
// a type and a hash, which a stranger can't shape. A certificate's id can hold
// anything: then the address stands between two texts from outside, and the
// line is given up unless only one place can be it.
func withoutKey(s string) string {
	s = strings.TrimSuffix(s, " [preauth]")
	if strings.HasSuffix(s, " ssh2") {
		return s
	}
	i := strings.LastIndex(s, " ssh2: ")
	if i < 0 {
		return s
	}
	if len(strings.Fields(s[i+len(" ssh2: "):])) != 2 && strings.Count(s, " ssh2: ") > 1 {
		return ""
	}
	if strings.Contains(s, "-CERT ") && strings.Count(s, " port ") > 1 {
		return ""
	}
	return s[:i+len(" ssh2")]
}

// maximumLine reads "[invalid user ]X from IP port N ssh2".
func maximumLine(s string) *login {
	l := echo(fromLine(strings.TrimSuffix(s, " [preauth]"), " ssh2"))
	if l != nil {
		l.user = strings.TrimPrefix(l.user, "invalid user ")
	}
	return l
}

// fromLine reads "X from IP port N" + end, from the right.
func fromLine(s, end string) *login {
	s, ok := strings.CutSuffix(s, end)
	if !ok {
		return nil
	}
	s, ip, port, ok := address(s)
	if !ok {
		return nil
	}
	user, ok := strings.CutSuffix(s, " from")
	if !ok {
		if s != "from" { // an empty name whose blank was trimmed away
			return nil
		}
		user = ""
	}
	return &login{user: user, ip: ip, port: port}
}

// closedLine reads "X IP port N [preauth]", from the right.
func closedLine(s string) *login {
	s, ip, port, ok := address(strings.TrimSuffix(s, " [preauth]"))
	if !ok {
		return nil
	}
	return echo(&login{user: s, ip: ip, port: port})
}

// tooManyLine reads "X IP port N: Too many authentication failures [preauth]".
// Other reasons quote the client and are not read.
func tooManyLine(s string) *login {
	s, ok := strings.CutSuffix(strings.TrimSuffix(s, " [preauth]"), ": Too many authentication failures")
	if !ok {
		return nil
	}
	return closedLine(s)
}

// address takes " IP port N" off the end of s. An address that is no address
// is not read.
func address(s string) (rest, ip, port string, ok bool) {
	s, port, ok = cutLast(s)
	if _, err := strconv.ParseUint(port, 10, 16); !ok || err != nil {
		return "", "", "", false
	}
	s, word, ok := cutLast(s)
	if !ok || word != "port" {
		return "", "", "", false
	}
	rest, ip, ok = cutLast(s)
	addr, err := netip.ParseAddr(ip)
	if !ok || err != nil {
		return "", "", "", false
	}
	return rest, addr.Unmap().String(), port, true
}

// cutLast splits off the last word. An empty rest is one too.
func cutLast(s string) (rest, word string, ok bool) {
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return "", s, s != ""
	}
	return s[:i], s[i+1:], true
}
