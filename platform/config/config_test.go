package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/config"
)

type inner struct {
	Listen string `yaml:"listen"`
}

type example struct {
	Name  string `yaml:"name"`
	Fleet inner  `yaml:"fleet"`
}

func (e *example) Validate() error {
	if e.Fleet.Listen == "" {
		return errors.New("fleet.listen is empty")
	}
	return nil
}

func TestParse(t *testing.T) {
	for name, row := range map[string]struct {
		text string
		want []string // parts of the error, none for success
	}{
		"defaults stay":   {"name: a\n", nil},
		"empty file":      {"", nil},
		"only a comment":  {"# name: a\n", nil},
		"unknown key":     {"name: a\nfleet:\n  lisen: x\n", []string{"[3:3]", "lisen"}},
		"duplicate key":   {"name: a\nname: b\n", []string{"[2:1]", "name"}},
		"wrong type":      {"fleet: 3\n", []string{"[1:8]"}},
		"case":            {"Name: a\n", []string{"[1:1]", "Name"}},
		"not YAML":        {"name: [\n", []string{"[1:7]"}},
		"fails its check": {"fleet:\n  listen: ''\n", []string{"fleet.listen is empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &example{Fleet: inner{Listen: "127.0.0.1:1"}}
			err := config.Parse([]byte(row.text), cfg)
			if len(row.want) == 0 {
				if err != nil || cfg.Fleet.Listen != "127.0.0.1:1" {
					t.Errorf("%v, %+v", err, cfg)
				}
				return
			}
			if core.KindOf(err) != core.KindInvalid {
				t.Fatalf("error %v of kind %v", err, core.KindOf(err))
			}
			for _, w := range row.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	cfg := &example{Fleet: inner{Listen: "x"}}
	missing := filepath.Join(t.TempDir(), "none.yaml")
	if err := config.Load(missing, cfg); core.KindOf(err) != core.KindNotFound || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing: %v", err)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("nombre: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := config.Load(bad, cfg); err == nil || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "[1:1]") {
		t.Errorf("bad: %v", err)
	}
}

func TestPrintReadsBack(t *testing.T) {
	var out strings.Builder
	if err := config.Print(&out, &example{Name: "n", Fleet: inner{Listen: "l"}}); err != nil {
		t.Fatal(err)
	}
	back := &example{}
	if err := config.Parse([]byte(out.String()), back); err != nil || back.Name != "n" || back.Fleet.Listen != "l" {
		t.Errorf("%+v, %v from\n%s", back, err, out.String())
	}
}
