package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

const (
	ruleGroupPolicy = "group-policy-password"
	ruleUnattend    = "unattended-setup-password"
	ruleStored      = "stored-login-password"
	ruleCryptHash   = "crypt-password-hash"
)

// stored finds passwords in the notations of programs that store them: encrypted
// with a key that everybody knows, encoded, or hashed.
type stored struct{}

// Rules implements [detect.Grammar].
func (stored) Rules() []detect.Rule {
	return []detect.Rule{
		{ID: ruleGroupPolicy, Title: "password in a group policy, encrypted with a published key", Kind: detect.KindPassword, Severity: core.SeverityCritical},
		{ID: ruleUnattend, Title: "encoded password of an unattended setup", Kind: detect.KindPassword, Severity: core.SeverityHigh},
		{ID: ruleStored, Title: "password that a program stored for its logins", Kind: detect.KindPassword, Severity: core.SeverityMedium},
		{ID: ruleCryptHash, Title: "password's hash, which can be guessed offline", Kind: detect.KindHash, Severity: core.SeverityMedium},
	}
}

// Keywords implements [detect.Grammar].
func (stored) Keywords() []string {
	return []string{
		"cpassword=", "<value>", "password 51:b:", "\"=hex:", "passwd=", "passwd2=",
		"$1$", "$5$", "$6$", "$2a$", "$2b$", "$2y$", "$apr1$", "$y$", "$argon2", "$8$", "$9$", "$pbkdf2-", "pbkdf2_sha256$",
	}
}

// Wants implements [detect.Grammar].
func (stored) Wants(string) bool { return false }

// All implements [detect.Grammar].
func (stored) All(detect.Text, func(detect.Hit)) {}

// At implements [detect.Grammar].
func (stored) At(t detect.Text, at, n int, emit func(detect.Hit)) {
	b, i := t.Body, at+n
	switch lower(b[at]) {
	case '$':
		cryptHash(t, at, emit)
	case 'c':
		if from, to, ok := attribute(b, i); ok && cpassword(b[from:to]) {
			emit(detect.Hit{Rule: ruleGroupPolicy, Start: from, End: to, MatchStart: at, MatchEnd: to, Verdict: detect.Valid})
		}
	case '<':
		if to := bytes.IndexByte(b[i:min(len(b), i+700)], '<'); to > 0 && unattended(b[i:i+to]) {
			emit(detect.Hit{Rule: ruleUnattend, Start: i, End: i + to, MatchStart: at, MatchEnd: i + to, Verdict: detect.Valid})
		}
	case '"':
		registry(t, at, i, emit)
	case 'p':
		if hasPrefixFold(b[at:], "pbkdf2_") {
			cryptHash(t, at, emit)
			return
		}
		hexStored(t, at, i, emit)
	}
}

// attribute returns the content of a quoted attribute.
func attribute(b []byte, i int) (from, to int, ok bool) {
	if i >= len(b) || !isQuote(b[i]) {
		return 0, 0, false
	}
	j := bytes.IndexByte(b[i+1:min(len(b), i+600)], b[i])
	return i + 1, i + 1 + j, j > 0
}

// registry reads "Password"=hex:…, as VNC servers store theirs.
func registry(t detect.Text, at, i int, emit func(detect.Hit)) {
	b := t.Body
	line := lineStart(b, at)
	if indexFold(b[line:at], "passw") < 0 {
		return
	}
	j := i
	for j < len(b) && j-i < 128 && (isHexDigit(b[j]) || b[j] == ',') {
		j++
	}
	if j-i >= 23 && bytes.IndexByte(b[i:j], ',') == 2 && count(b[i:j], "0,") < j-i {
		emit(detect.Hit{Rule: ruleStored, Start: i, End: j, MatchStart: line, MatchEnd: j})
	}
}

// hexStored reads the encrypted passwords of RDP files and of VNC's settings.
func hexStored(t detect.Text, at, i int, emit func(detect.Hit)) {
	b := t.Body
	j := i
	for j < len(b) && j-i < 2048 && isHexDigit(b[j]) {
		j++
	}
	n := j - i
	if at > 0 && b[at-1] != '\n' || n != 16 && n != 18 && n < 64 || n%2 != 0 || j < len(b) && isAlnum(b[j]) {
		return
	}
	if s := measure(b[i:j]); s.distinct > 6 {
		emit(detect.Hit{Rule: ruleStored, Start: i, End: j, MatchStart: at, MatchEnd: j})
	}
}

// cryptHash reads hashes in the notation of crypt(3), which are exact in their
// lengths. In code and in tests they are data of tests.
func cryptHash(t detect.Text, at int, emit func(detect.Hit)) {
	b := t.Body
	if k := kindOf(t.Path); k == kindCode || k == kindDoc || at > 0 && (isAlnum(b[at-1]) || b[at-1] == '$') {
		return
	}
	j := at
	for j < len(b) && j-at < 512 && (isAlnum(b[j]) || b[j] == '$' || b[j] == '.' || b[j] == '/' || b[j] == '=' || b[j] == ',' && b[at+1] == 'a' || b[j] == '+' || b[j] == '_' || b[j] == '-') {
		j++
	}
	if !exactHash(b[at:j]) || demonstrates(t.Path) {
		return
	}
	emit(detect.Hit{Rule: ruleCryptHash, Start: at, End: j, MatchStart: at, MatchEnd: j})
}

// exactHash knows how long the last field of each notation is.
func exactHash(v []byte) bool {
	last := bytes.LastIndexByte(v, '$')
	if last < 3 {
		return false
	}
	n := len(v) - last - 1
	if s := measure(v[last+1:]); s.distinct < 8 {
		return false
	}
	switch id := v[:bytes.IndexByte(v[1:], '$')+1]; string(id) {
	case "$1", "$apr1":
		return n == 22
	case "$5", "$8", "$9":
		return n == 43
	case "$6":
		return n == 86
	case "$2a", "$2b", "$2y":
		return n == 53
	case "$y":
		return n == 43
	case "$argon2id", "$argon2i", "$argon2d":
		return n >= 22
	default:
		return n >= 27 && (bytes.HasPrefix(id, []byte("$pbkdf2")) || bytes.HasPrefix(id, []byte("pbkdf2_")))
	}
}
