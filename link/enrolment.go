package link

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"github.com/interlock-security/interlock/core"
)

const (
	enrolmentPrefix = "interlock-enrol:v1:"
	maxEnrolment    = 2 << 10
	minSecret       = 22 // 128 bits in base64
	maxSecret       = 128
)

// Enrolment is the one string that brings a device to its server (TRUST F21).
// It is a bearer secret, so by itself it grants a place in the queue; it also
// carries what the device pins: the CA and the trust root.
type Enrolment struct {
	URL    string      // https://host:port of the agent listener
	CA     string      // SHA-256 of the CA's SPKI, hex
	Root   string      // SHA-256 of the trust root's payload, hex
	ID     string      // the token's name, no secret
	Secret core.Secret // used once
	Fact   string      // SHA-256 of the agent's public key (SPKI), hex; "" for none
}

// enrolmentWire is the JSON inside the string.
type enrolmentWire struct {
	URL    string `json:"url"`
	CA     string `json:"ca"`
	Root   string `json:"root"`
	ID     string `json:"id"`
	Secret string `json:"secret"`
	Fact   string `json:"fact"`
}

func enrolError(format string, args ...any) error {
	return core.E(core.KindInvalid, "link.ParseEnrolment", fmt.Sprintf(format, args...)).WithHint("copy the whole string that `interlock token create` printed")
}

// Encode makes the string. It holds the secret; print it once.
func (e Enrolment) Encode() (string, error) {
	b, err := Encode(enrolmentWire{e.URL, e.CA, e.Root, e.ID, string(e.Secret.Reveal()), e.Fact})
	if err != nil {
		return "", err
	}
	s := enrolmentPrefix + base64.RawURLEncoding.EncodeToString(b)
	if _, err := ParseEnrolment(s); err != nil {
		return "", err
	}
	return s, nil
}

// ParseEnrolment reads the string, which has one spelling. No error repeats a
// byte of it: it would be the secret.
func ParseEnrolment(s string) (*Enrolment, error) {
	text, ok := strings.CutPrefix(s, enrolmentPrefix)
	if !ok || len(s) > maxEnrolment {
		return nil, enrolError("not an enrolment string of version 1")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, enrolError("the part after %q is damaged", enrolmentPrefix)
	}
	var w enrolmentWire
	if DecodeStrict(b, &w) != nil {
		return nil, enrolError("the content is damaged or of another version")
	}
	if again, err := Encode(w); err != nil || !bytes.Equal(again, b) {
		return nil, enrolError("the content is not spelt as it was made")
	}
	e := &Enrolment{URL: w.URL, CA: w.CA, Root: w.Root, ID: w.ID, Secret: core.NewSecret([]byte(w.Secret)), Fact: w.Fact}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Enrolment) check() error {
	u, err := url.Parse(e.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" || u.String() != e.URL:
		return enrolError("url is not of the form https://host:port")
	case !isHex(e.CA, sha256.Size):
		return enrolError("ca is not a SHA-256 in lower-case hex")
	case !isHex(e.Root, sha256.Size):
		return enrolError("root is not a SHA-256 in lower-case hex")
	case e.Fact != "" && !isHex(e.Fact, sha256.Size):
		return enrolError("fact is not a SHA-256 in lower-case hex")
	}
	if _, err := core.ParseID[core.ServiceID](e.ID); err != nil {
		return enrolError("id is malformed")
	}
	secret := string(e.Secret.Reveal())
	if len(secret) < minSecret || len(secret) > maxSecret || strings.Trim(secret, base64URL) != "" {
		return enrolError("the secret has no %d to %d characters of base64url", minSecret, maxSecret)
	}
	return nil
}

const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// crockford leaves out what people misread: I, L, O, U.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// ShortCode is what two people compare aloud, for a public key (SPKI) or the
// payload of a trust root: 60 bits of a hash, in three groups of four. The
// device shows it and so does the approval page (F21).
func ShortCode(b []byte) string {
	sum := sha256.Sum256(append([]byte("interlock-short-code:v1\n"), b...))
	s := crockford.EncodeToString(sum[:8])[:12]
	return s[:4] + "-" + s[4:8] + "-" + s[8:]
}
