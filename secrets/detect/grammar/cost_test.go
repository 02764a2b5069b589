package grammar_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/grammar"
)

// TestRefusalsDoNotAllocate: most keywords stand in ordinary code.
func TestRefusalsDoNotAllocate(t *testing.T) {
	code := []byte(`package main

func (k *Key) Password(token string) (key, secret string) {
	password := os.Getenv("PASSWORD")
	if password == "" || len(key) > maxKey { return "", errors.New("password: none") }
	for key, value := range tokens { fmt.Println("key:", key, value, k.author, passed) }
	u := "https://host:8443/path"; curl -u "$USER:$PASS"; mysql -u root -p
	return auth(password), connect(host, "user", password)
}
`)
	text := detect.Text{Path: "a/b/main.go", Body: code}
	emit := func(h detect.Hit) { t.Errorf("%s: %q", h.Rule, code[h.Start:h.End]) }
	type place struct {
		g     detect.Grammar
		at, n int
	}
	var places []place
	low := bytes.ToLower(code)
	for _, g := range grammar.All() {
		for _, k := range g.Keywords() {
			if i := bytes.Index(low, bytes.ToLower([]byte(k))); i >= 0 {
				places = append(places, place{g, i, len(k)})
			}
		}
	}
	if n := testing.AllocsPerRun(50, func() {
		for _, p := range places {
			p.g.At(text, p.at, p.n, emit)
		}
	}); n != 0 {
		t.Errorf("%d places: %v allocations", len(places), n)
	}
}

// TestHostileLinesAreLinear: a text four times as long costs about four times as
// much, whatever it repeats.
func TestHostileLinesAreLinear(t *testing.T) {
	for _, part := range []string{
		`password=`, `password="`, `"password":"a",`, `key = {`, `secret = "a" + `, `token: `, `://a:b`, `a:b@tcp(`, `curl -u a:b `, `mysql -p`, `password 7 0`,
		`password = ["a","b",`, `login("a",`, `identified by '`, `snmp-server community `, `<password>`, `key = chr(65) . `, `"auth": "QQ`, `\"password\":\"`,
		`password <<EOF `, `name: PASSWORD, `, `net user a b `, `password = {0x41, `, `$6$a$`, `createUser a SHA b `, "password:\n ", "password = \"a\"\npassword += ",
	} {
		cost := func(bytes int) time.Duration {
			text := detect.Text{Path: "x", Body: []byte(strings.Repeat(part, bytes/len(part)))}
			return clocktest.Cost(t, func() { ask(text, func(detect.Hit) {}) })
		}
		short, long := cost(4_000), cost(16_000)
		if long > 12*short+20*time.Millisecond {
			t.Errorf("%q: %v for 4 kB, %v for 16 kB", part, short, long)
		}
	}
}
