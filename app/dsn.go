package app

import (
	"net/url"
	"regexp"
	"strings"
)

// DSN is PostgreSQL's connection string. It may hold a password, so what prints
// it prints it without.
type DSN string

// hidden stands where a password stood.
const hidden = "xxxxx"

// words are the settings of a connection string that are secrets.
var words = regexp.MustCompile(`(?i)\b((?:ssl)?password)\s*=\s*('(?:[^'\\]|\\.)*'?|(?:[^\s\\]|\\.)*)`)

// String returns the connection string without its secrets. One that is not
// understood is not shown at all.
func (d DSN) String() string {
	text := string(d)
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return words.ReplaceAllString(text, "$1="+hidden)
	}
	u, err := url.Parse(text)
	if err != nil {
		return hidden
	}
	if _, set := u.User.Password(); set {
		u.User = url.UserPassword(u.User.Username(), hidden)
	}
	q := u.Query()
	for name := range q {
		if lower := strings.ToLower(name); lower == "password" || lower == "sslpassword" {
			q.Set(name, hidden)
			u.RawQuery = q.Encode()
		}
	}
	return u.String()
}

// MarshalText implements [encoding.TextMarshaler] without the secrets.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// MarshalYAML is MarshalText for the configuration file.
func (d DSN) MarshalYAML() (any, error) { return d.String(), nil }
