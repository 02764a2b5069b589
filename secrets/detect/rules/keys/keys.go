// Package keys finds private keys of every format: PEM and OpenSSH, PGP, PuTTY,
// ssh.com, JSON web keys, minisign and signify, OpenVPN. A key that a password
// guards is of low severity; public keys and certificates are no find.
//
// It stands beside the other readers of secrets/detect/rules.
package keys

import (
	"bytes"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/internal/look"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

// Grammars returns the readers.
func Grammars() []detect.Grammar {
	return []detect.Grammar{
		reader{keyword: "-----begin ", at: armored, rules: []detect.Rule{
			rule("private-key", "private key", core.SeverityCritical),
			rule("encrypted-private-key", "private key under a password", core.SeverityLow),
			rule("openvpn-static-key", "OpenVPN static key", core.SeverityHigh),
		}},
		reader{keyword: "putty-user-key-file-", at: putty, rules: []detect.Rule{
			rule("putty-private-key", "PuTTY private key", core.SeverityCritical),
			rule("encrypted-putty-private-key", "PuTTY private key under a password", core.SeverityLow),
		}},
		reader{keyword: "---- begin ssh2 ", at: sshCom, rules: []detect.Rule{
			rule("ssh-com-private-key", "ssh.com private key", core.SeverityCritical),
			rule("encrypted-ssh-com-private-key", "ssh.com private key under a password", core.SeverityLow),
		}},
		reader{keyword: `"kty`, at: webKey, rules: []detect.Rule{
			rule("jwk-private-key", "JSON web key, private or symmetric", core.SeverityCritical),
		}},
		reader{keyword: "untrusted comment:", at: signer, rules: []detect.Rule{
			rule("minisign-secret-key", "minisign or signify secret key", core.SeverityCritical),
			rule("encrypted-minisign-secret-key", "minisign or signify secret key under a password", core.SeverityLow),
		}},
	}
}

func rule(id, title string, severity core.Severity) detect.Rule {
	return detect.Rule{ID: id, Title: title, Kind: detect.KindPrivateKey, Severity: severity, Tags: []string{"key"}}
}

// reader calls at where a format begins.
type reader struct {
	keyword string
	at      func(body []byte, at int, emit func(detect.Hit))
	rules   []detect.Rule
}

func (r reader) Rules() []detect.Rule              { return r.rules }
func (r reader) Keywords() []string                { return []string{r.keyword} }
func (r reader) Wants(string) bool                 { return false }
func (r reader) All(detect.Text, func(detect.Hit)) {}

// At implements detect.Grammar.
func (r reader) At(t detect.Text, at, _ int, emit func(detect.Hit)) {
	if at >= 0 && at < len(t.Body) {
		r.at(t.Body, at, emit)
	}
}

// leastTruncated is how much of a key must be there when its end is not: two
// lines. Documentation breaks off earlier.
const leastTruncated = 90

func armored(body []byte, at int, emit func(detect.Hit)) {
	a, n := verify.ReadArmor(body[at:])
	if n == 0 || a.Type == "OpenVPN Static key V1" {
		openVPN(body, at, emit)
		return
	}
	private := bytes.HasSuffix([]byte(a.Type), []byte("PRIVATE KEY")) || a.Type == "PGP PRIVATE KEY BLOCK"
	if !private || a.Truncated && len(a.DER) < leastTruncated || !a.Plausible() {
		return
	}
	if look.Example(body[at : at+n]) {
		return
	}
	hit := detect.Hit{Rule: "private-key", Start: at, End: at + n}
	if a.Encrypted {
		hit.Rule = "encrypted-private-key"
	} else if _, err := a.Key(); err == nil {
		hit.Verdict = detect.Valid
	}
	emit(hit)
}

// openVPN reads a static key: sixteen lines of hex, or what is left of them.
func openVPN(body []byte, at int, emit func(detect.Hit)) {
	const begin, last = "-----BEGIN OpenVPN Static key V1-----", "-----END OpenVPN Static key V1-----"
	rest := body[at:min(len(body), at+2048)]
	end := bytes.Index(rest, []byte(last))
	if !bytes.HasPrefix(rest, []byte(begin)) || end < 0 {
		return
	}
	digits := 0
	for _, c := range rest[len(begin):end] {
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' {
			digits++
		}
	}
	if digits >= 128 {
		emit(detect.Hit{Rule: "openvpn-static-key", Start: at, End: at + end + len(last)})
	}
}
