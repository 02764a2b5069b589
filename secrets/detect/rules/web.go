package rules

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/internal/look"
)

// web are credentials in HTTP headers.
func web() []detect.Rule {
	return []detect.Rule{
		checked(raw("http-basic-auth", "user and password of an HTTP header", high,
			`(?i:authorization)["'\]]{0,3}[ \t]{0,4}(?:=>|[:=,])[ \t]{0,4}["'\x60]{0,2}(?i:basic)[ \t]+([A-Za-z0-9+/]{8,400}={0,2})(?:[^A-Za-z0-9+/=]|\z)`, "authorization"), basic),
		checked(raw("http-bearer-token", "bearer token of an HTTP header", high,
			`(?i:authorization)["'\]]{0,3}[ \t]{0,4}(?:=>|[:=,])[ \t]{0,4}["'\x60]{0,2}(?i:bearer|token)[ \t]+([\w\-.~+/]{16,1000}={0,2})(?:[^\w\-.~+/=]|\z)`, "authorization"), opaque),
		checked(raw("http-api-key-header", "API key of an HTTP header", high,
			`(?i:\bx-(?:(?:[a-z]+-)?(?:api-?key|auth-?token|access-?token|auth-?key)|token))["'\]]{0,2}[ \t]{0,4}[:=,][ \t]{0,4}["'\x60]{0,2}([\w\-.~+/]{16,400}={0,2})(?:[^\w\-.~+/=]|\z)`, "api-key", "apikey", "auth-token", "authtoken", "access-token", "accesstoken", "auth-key", "authkey", "x-token"), opaque),
	}
}

// basic asks that the base64 is a user, a colon and a password that is one.
func basic(secret []byte) detect.Verdict {
	if look.Example(secret) {
		return detect.Invalid
	}
	b, err := base64.RawStdEncoding.DecodeString(string(bytes.TrimRight(secret, "=")))
	user, pass, found := bytes.Cut(b, []byte(":"))
	if err != nil || !found || !utf8.Valid(b) || len(user)+len(pass) < 5 || look.Standin(pass) && len(pass) > 0 {
		return detect.Invalid
	}
	return detect.Unknown
}

// opaque asks that a bearer's value is random.
func opaque(token []byte) detect.Verdict {
	if look.Standin(token) || bytes.Contains(token, []byte("...")) || bytes.HasPrefix(token, []byte("ey")) && bytes.Count(token, []byte(".")) == 2 {
		return detect.Invalid
	}
	if len(token) >= 40 && bytes.IndexByte(token, '.') < 0 {
		return genuine(token)
	}
	return scrambled(token)
}
