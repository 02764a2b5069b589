package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/platform/config"
)

// TestNothingPrintsThePassword of the database, however it is written.
func TestNothingPrintsThePassword(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"postgres://interlock:hunter2@db/interlock":    "postgres://interlock:xxxxx@db/interlock",
		"postgres://interlock@db/interlock":            "postgres://interlock@db/interlock",
		"postgres:///interlock?host=/run/postgresql":   "postgres:///interlock?host=/run/postgresql",
		"postgres://db/i?user=u&password=hunter2":      "postgres://db/i?password=xxxxx&user=u",
		"postgresql://db/i?sslpassword=hunter2":        "postgresql://db/i?sslpassword=xxxxx",
		"postgres://a:hunter2@[::1/x":                  "xxxxx",
		"postgres://a:hun%zzter2@db/x":                 "xxxxx", // interlock:allow, made up
		"host=db user=i password=hunter2 dbname=i":     "host=db user=i password=xxxxx dbname=i",
		"host=db PASSWORD = 'hunter2 \\' more' port=1": "host=db PASSWORD=xxxxx port=1",
		"password='hunter2":                            "password=xxxxx", // interlock:allow, made up
		"password=hunter2\\ 3 host=db":                 "password=xxxxx host=db",
	} {
		cfg := Default(0)
		cfg.Store = Store{Driver: "postgres", DSN: DSN(text)}
		var yaml bytes.Buffer
		if err := config.Print(&yaml, &cfg); err != nil {
			t.Fatal(err)
		}
		asJSON, err := json.Marshal(cfg.Store.DSN)
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range []string{cfg.Store.DSN.String(), yaml.String(), string(asJSON), fmt.Sprintf("%v %s %+v", cfg.Store, cfg.Store.DSN, cfg)} {
			if strings.Contains(shown, "hunter2") || strings.Contains(shown, "ter2") {
				t.Errorf("%q is shown as %s", text, shown)
			}
		}
		if got := cfg.Store.DSN.String(); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
		again := Default(0)
		if err := config.Parse(yaml.Bytes(), &again); text != "" && (err != nil || string(again.Store.DSN) != want) {
			t.Errorf("%q: what was printed reads as %q, %v", text, string(again.Store.DSN), err)
		}
	}
}
