package grammar

import (
	"bytes"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

const (
	ruleDevice     = "device-password"
	ruleDeviceHash = "device-password-hash"
	ruleReversible = "device-reversible-password"
	ruleCommunity  = "snmp-community"
)

// gear finds the secrets in configurations of switches, routers, firewalls,
// access points and the daemons that speak their protocols: a line of words in
// which a noun, maybe the type of an encoding, and the secret follow each other.
type gear struct{}

// Rules implements [detect.Grammar].
func (gear) Rules() []detect.Rule {
	return []detect.Rule{
		{ID: ruleDevice, Title: "password in a device's configuration", Kind: detect.KindPassword, Severity: core.SeverityHigh},
		{ID: ruleDeviceHash, Title: "password's hash in a device's configuration", Kind: detect.KindHash, Severity: core.SeverityMedium},
		{ID: ruleReversible, Title: "reversibly encoded password in a device's configuration", Kind: detect.KindPassword, Severity: core.SeverityHigh},
		{ID: ruleCommunity, Title: "SNMP community", Kind: detect.KindPassword, Severity: core.SeverityMedium},
	}
}

// Keywords implements [detect.Grammar].
func (gear) Keywords() []string {
	return []string{
		"password ", "secret ", "key ", "key-string ", "community ", "psk ", "ascii-text ", "passphrase ", "passwd ", "psksecret ", "-key ", "-password ", "-psk ",
		"md5 ", "plain-text-password-value ", "plaintext-password ", "encrypted-password ", "phash ", "pre-shared-key ", "keystring ", "authpriv ", "createuser ",
		"auth-password ", "priv-password ", "auth sha", "auth md5", "auth-trap ", "passcode ", "local-authentication ", "simple ", "cipher ", "authentication text ", "auth-pass ", "password-hash ",
		"secret\t", "password\t", "community\t", "key\t", "-value ", "sha512 ", "nt-encrypted ", "version 2c ", "version 1 ", "com2sec ", "mgmt-user ", "rootpw ", "auth_pass ", "community-name ", "shared-secret ", "priv aes", "priv des",
	}
}

// Wants implements [detect.Grammar].
func (gear) Wants(path string) bool {
	return strings.HasSuffix(path, "chap-secrets") || strings.HasSuffix(path, "pap-secrets") || strings.HasSuffix(path, "sasl_passwd")
}

// All reads pppd's secrets: client, server, secret, addresses.
func (g gear) All(t detect.Text, emit func(detect.Hit)) {
	b := t.Body
	for i := 0; i < len(b); {
		j := bytes.IndexByte(b[i:], '\n')
		if j < 0 {
			j = len(b) - i
		}
		w := words{b: b, i: i, limit: i + j}
		i += j + 1
		if !w.next() || b[w.from] == '#' {
			continue
		}
		if strings.HasSuffix(t.Path, "sasl_passwd") {
			mailLogin(t, &w, emit)
			continue
		}
		if w.skip(1) && w.next() && judgeDevice(t, b[w.from:w.to]) {
			emit(detect.Hit{Rule: ruleDevice, Start: w.from, End: w.to, MatchStart: w.from, MatchEnd: w.to})
		}
	}
}

// mailLogin reads Postfix's lines: host user:password.
func mailLogin(t detect.Text, w *words, emit func(detect.Hit)) {
	b := t.Body
	if b[w.from] == '[' || !w.next() {
		for w.i < w.limit && !isBlank(b[w.i]) {
			w.i++
		}
		if !w.next() {
			return
		}
	}
	i := bytes.IndexByte(b[w.from:w.to], ':')
	if i <= 0 {
		return
	}
	if from := w.from + i + 1; from < w.to && judgeDevice(t, b[from:w.to]) {
		emit(detect.Hit{Rule: ruleDevice, Start: from, End: w.to, MatchStart: w.from, MatchEnd: w.to})
	}
}

// starters begin the lines of such configurations.
var starters = set(`enable username user snmp-server snmp-agent snmp radius-server radius tacacs-server tacacs crypto neighbor ip ipv6 ntp ntp-service key key-string aaa
	line server-key wpa-psk wlan set local-user super ppp standby vrrp isis area ospf bgp tunnel-group pre-shared-key ikev1 ikev2 passwd password secret
	community rocommunity rwcommunity rocommunity6 rwcommunity6 createuser com2sec trapcommunity option server authentication authentication-mode
	encrypted-password encryption message-digest-key peer add hostname security wireless ssid psk no-password hsrp glbp nhrp eigrp rip
	ldap-server ldap ftp ftp-server ssh cable vpdn dialer pppoe-client interface mpls pim bfd lacp domain-password area-password
	config edit phash tacplus_key host group peers proposal simple key-chain keychain keyring pre-shared-keys isakmp
	authpriv rouser rwuser defsecurity trap2sink trapsink informsink auth_pass auth-pass userpassword masterpass
	wpa-passphrase wpa_passphrase mgmt-user d-i rootpw passphrase psksecret auth-password auth-pwd priv-pwd shared-secret trap-community v3 address acl undo authentication-key
	login-password management mgmt admin manager operator telnet cipher hwtacacs domain scheme sysname port-security dot1x wep mode
	requirepass masterauth machine default account login rootpw replication ha failover peer-link stack cli remote-server logging fabric endpoint uci monitor`)

// encodings are words between the noun and the secret.
var encodings = set(`simple cipher ascii ascii-text plain plaintext plain-text encrypted unencrypted cleartext clear clear-text hex sha sha1 sha256 sha512 md5
	irreversible-cipher value text pbkdf2 scrypt aes aes128 aes256 aes-128 aes-256 des 3des 128 192 256 hmac-sha-256 hmac-sha256 hmac-md5 hmac-sha-1 hashed auth priv sha-512 ENC
	local remote level key-string password secret key community plaintext-password encrypted-password plain-text-password-value authentication-key pre-shared-key wpa-psk phash string des56 noauth nopriv read write readonly readwrite notconfiguser --plaintext --iscrypted --lock sha2-256 sha-256 sha384 ro rw 0 RO`)

// At implements [detect.Grammar].
func (gear) At(t detect.Text, at, n int, emit func(detect.Hit)) {
	b := t.Body
	if at+n >= len(b) || isSpace(b[at+n]) && b[at+n] != ' ' || at > 0 && (isAlnum(b[at-1]) || b[at-1] == '_') && !hasPrefixFold(b[at:], "community") {
		return
	}
	k := kindOf(t.Path)
	if k == kindCode || k == kindJSON || k == kindXML || k == kindYAML {
		return
	}
	start := lineStart(b, at)
	if (k == kindDoc || k == kindUnknown) && (hasPrefixFold(b[at:], "simple") || hasPrefixFold(b[at:], "cipher")) {
		return
	}
	if k == kindDoc && (start == at || !isLetter(b[start]) && !isBlank(b[start])) {
		return
	}
	if !startsDevice(b[start:at], b[at:at+n]) {
		return
	}
	l := deviceLine{t: t, doc: k == kindDoc || k == kindShell || k == kindUnknown, start: start, emit: emit, noun: b[at : at+n]}
	l.words = words{b: b, i: at + n, limit: min(len(b), at+n+512)}
	l.read()
}

// startsDevice reports whether the line's first word begins a directive. The
// noun itself may be that word.
func startsDevice(line, noun []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	if bytes.HasPrefix(line, []byte("//")) || bytes.HasPrefix(line, []byte("#")) || bytes.HasPrefix(line, []byte("!")) {
		return false
	}
	line = bytes.TrimLeft(line, "/")
	if i := bytes.IndexByte(line, '#'); i > 0 && i < 40 && i+1 < len(line) && bytes.IndexByte(line[:i], ' ') < 0 {
		line = bytes.TrimLeft(line[i+1:], " ") // a prompt
	}
	i := 0
	for i < len(line) && !isBlank(line[i]) {
		i++
	}
	if i == len(line) {
		// Nothing but (a part of) a word before: the noun begins the line.
		return len(line) < 24 && bytes.IndexByte(line, '/') < 0
	}
	var buf [24]byte
	word := fold(line[:i], buf[:])
	return starters[string(word)] || string(word) == "no" || isDigit(word[0])
}

// deviceLine is one directive that is being read behind its noun.
type deviceLine struct {
	t     detect.Text
	start int
	noun  []byte
	words words
	emit  func(detect.Hit)
	kind  byte // the digit that names the encoding, or zero
	enc   bool // a word said that the value is encoded
	doc   bool // the text isn't a configuration, but may quote one
}

func (l *deviceLine) read() {
	b := l.t.Body
	if hasPrefixFold(l.noun, "createuser") {
		l.createUser()
		return
	}
	if l.named() && !l.words.skip(2) {
		return
	}
	for n := 0; n < 6 && l.words.next(); n++ {
		w := b[l.words.from:l.words.to]
		more := l.words
		last := !more.next()
		if !l.words.quoted && !last && l.encoding(w) {
			continue
		}
		if !last && string(b[more.from:more.to]) == "7" {
			l.kind = '7'
		}
		if !last && equalFold(b[more.from:more.to], "encrypted") {
			l.enc = true
		}
		l.judge(w)
		return
	}
}

// named reports whether two names stand before the secret.
func (l *deviceLine) named() bool {
	return hasPrefixFold(l.noun, "com2sec") || hasPrefixFold(l.noun, "mgmt-user")
}

// encoding reports whether w says how the value that follows is written.
func (l *deviceLine) encoding(w []byte) bool {
	if len(w) <= 3 && isDigit(w[0]) && isDigit(w[len(w)-1]) {
		if len(w) == 1 {
			l.kind = w[0]
		}
		return true
	}
	var buf [32]byte
	if string(w) == "ENC" || equalFold(w, "cipher") || equalFold(w, "irreversible-cipher") || equalFold(w, "encrypted") || equalFold(w, "hashed") || equalFold(w, "hash") {
		l.enc = true
		return true
	}
	return encodings[string(fold(w, buf[:]))]
}

func (l *deviceLine) found(rule string, verdict detect.Verdict) {
	l.emit(detect.Hit{Rule: rule, Start: l.words.from, End: l.words.to, MatchStart: l.start, MatchEnd: l.words.to, Verdict: verdict})
}

func (l *deviceLine) judge(w []byte) {
	var buf [128]byte
	if _, ok := nine(w, &buf); ok {
		l.found(ruleReversible, detect.Valid)
		return
	}
	if l.kind == '7' {
		if _, ok := type7(w, &buf); ok {
			l.found(ruleReversible, detect.Valid)
		}
		return
	}
	if isHash(w) || l.kind == '5' && bytes.HasPrefix(w, []byte("$1$")) {
		if !demonstrates(l.t.Path) {
			l.found(ruleDeviceHash, detect.Unknown)
		}
		return
	}
	if hasPrefixFold(l.noun, "mgmt-user") {
		l.enc = true
	}
	if l.enc {
		if s := measure(w); s.n >= 8 && s.digit > 0 && s.classes() >= 2 && !isPlaceholder(w, &s) && w[0] != '<' && w[0] != '$' && s.distinct > 5 {
			l.found(ruleDeviceHash, detect.Unknown)
		}
		return
	}
	if hasPrefixFold(l.noun, "comm") || hasPrefixFold(l.noun, "version") || hasPrefixFold(l.noun, "com2sec") {
		if judgeCommunity(w) && l.isSNMP() && !(l.doc && bytes.ContainsAny(w, "()[]`,")) {
			l.found(ruleCommunity, detect.Unknown)
		}
		return
	}
	if l.doc && !l.words.quoted && (bytes.ContainsAny(w, "(){}[],=`;|<>$") || indexFold(l.t.Body[l.start:l.words.from], " the ") >= 0) {
		return
	}
	if judgeDevice(l.t, w) {
		l.found(ruleDevice, detect.Unknown)
	}
}

// isSNMP refuses the communities of BGP.
func (l *deviceLine) isSNMP() bool {
	line := l.t.Body[l.start:l.words.from]
	return (indexFold(line, "snmp") >= 0 || indexFold(line, "rocommunity") >= 0 || indexFold(line, "com2sec") >= 0 || indexFold(line, "rwcommunity") >= 0 || indexFold(line, "trap") >= 0 || indexFold(line, "set name") >= 0) &&
		indexFold(line, "send-community") < 0
}

// judgeDevice judges what stands where only a secret can stand, or a word of the
// directive's own language.
func judgeDevice(t detect.Text, v []byte) bool {
	if len(v) < 5 || checksummed(v) || v[0] == '-' && v[1] == '-' {
		return false
	}
	s := measure(v)
	var buf [32]byte
	if common[string(fold(v, buf[:]))] {
		return !demonstrates(t.Path)
	}
	if s.digit == 0 && s.symbol == s.plain && s.wordlike() && (s.upper <= 1 || s.plain > 0) {
		return false // a word of the grammar, or a name
	}
	if s.hex && s.letters() == 0 && s.n < 6 {
		return false
	}
	e := evidence{sense: sense{noun: nounPassword, qualified: true}, quoted: true, explicit: true, neighbour: true, kind: kindConfig, demo: demonstrates(t.Path)}
	return e.judge(v) != refused
}

// createUser reads net-snmp's createUser NAME SHA PASSWORD AES PASSWORD.
func (l *deviceLine) createUser() {
	b := l.t.Body
	if !l.words.next() {
		return
	}
	for n := 0; n < 6 && l.words.next(); n++ {
		w := b[l.words.from:l.words.to]
		var buf [16]byte
		if !encodings[string(fold(w, buf[:]))] && len(w) >= 8 && judgeDevice(l.t, w) {
			l.found(ruleDevice, detect.Unknown)
		}
	}
}
