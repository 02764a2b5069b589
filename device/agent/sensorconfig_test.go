package agent_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/sensor/gpio"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/config"
)

const everySensor = `
data_dir: /var/lib/interlock-agent
run_dir: /run/interlock-agent
sensors:
  - id: case
    driver: gpio
    lines:
      - {name: lid, chip: gpio-sim.0-node0, offset: 0, contact: nc, active: low, bias: up, debounce: 30ms, severity: critical}
      - {name: door, chip: /dev/gpiochip1, offset: 4, contact: no, active: high, latch: false, severity: medium}
    reflex: [quarantine, stop]
  - id: chassis
    driver: hwmon
    chips: [adm9240]
  - id: usb
    driver: usb
    policy: enforce
    allow:
      - {id: "0627:0001", serial: "68284-1-1", port: "1-1", interfaces: ["03:01:01"]}
      - {id: "46f4:0001", descriptors: "` + hash + `"}
  - id: disks
    driver: disk
  - id: net
    driver: carrier
    interfaces: [eth0]
`

const hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestEveryDriverIsConfiguredFromAFile(t *testing.T) {
	cfg := agent.Default()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(everySensor), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := config.Load(path, &cfg); err != nil {
		t.Fatal(err)
	}
	lines := cfg.Sensors[0].Config.(gpio.Config).Lines
	if len(cfg.Sensors) != 5 || len(lines) != 2 || *lines[1].Latch || len(*cfg.Sensors[0].Reflex) != 2 {
		t.Errorf("sensors %+v", cfg.Sensors)
	}
	var printed, again strings.Builder
	if err := config.Print(&printed, &cfg); err != nil {
		t.Fatal(err)
	}
	back := agent.Default()
	if err := config.Parse([]byte(printed.String()), &back); err != nil {
		t.Fatalf("what is printed does not read back: %v\n%s", err, printed.String())
	}
	if err := config.Print(&again, &back); err != nil || again.String() != printed.String() || !reflect.DeepEqual(back.Sensors, cfg.Sensors) {
		t.Errorf("%v\n%s\n%s", err, printed.String(), again.String())
	}
}

// A key that nobody reads looks like something that is watched.
func TestAKeyOfAnotherDriverAndABadOneAreRefused(t *testing.T) {
	for _, row := range []struct{ was, is, want string }{
		{"driver: disk", "driver: disk\n    chips: [x]", "[22:5]"},
		{"driver: carrier", "driver: carrier\n    policy: observe", `[24:5] unknown field "policy"`},
		{"chips: [adm9240]", "lines: [{name: lid, chip: x}]", "[13:5]"},
		{"offset: 4,", "ofset: 4,", "[9:44]"},
		{"driver: disk", "driver: disk\n    of: [case]", "only a fusion"},
		{"driver: disk", "driver: disk\n    judges: {clairvoyance: {}}", "[22:14]"},
		{"driver: disk", "driver: disk\n    always: maybe", "[22:13]"},
		{"policy: enforce", "policy: trust", "policy"},
		{`, interfaces: ["03:01:01"]`, "", "neither interfaces nor descriptors"},
		{"contact: nc", "contact: maybe", "contact"},
		{"name: door", "name: lid", "stands twice"},
		{"driver: gpio", "driver: gpoi", "[6:13]"},
		{"[quarantine, stop]", "[siren]", "reflex"},
		{"id: disks", "id: agent", "taken"},
	} {
		cfg := agent.Default()
		err := config.Parse([]byte(strings.Replace(everySensor, row.was, row.is, 1)), &cfg)
		if core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", row.is, err)
		}
	}
}

// A name means one thing: what the file calls driver is a driver or a fusion.
func TestEveryPartOfTheRegistryDescribesItself(t *testing.T) {
	type name struct {
		of    string
		judge bool
	}
	seen := map[name]bool{}
	for _, p := range agent.Parts() {
		n := name{p.Doc.Name, p.Role == agent.RoleJudge}
		if seen[n] || p.Doc.Name == "" || p.Doc.Senses == "" || p.Config == nil {
			t.Errorf("%s %q: the name is taken, or it says nothing of itself", p.Role, p.Doc.Name)
		}
		seen[n] = true
	}
	if len(agent.Docs()) != len(agent.Parts()) || !slices.Contains(agent.Drivers(), agent.DriverGPIO) {
		t.Errorf("drivers %v", agent.Drivers())
	}
}

// The blocks of the page that tells how to do it are taken as they stand.
func TestThePageAboutSensorsIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../docs/howto/sensors.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```yaml\n")[1:]
	if len(blocks) < 2 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, b := range blocks {
		text, _, _ := strings.Cut(b, "```")
		if strings.HasPrefix(text, "  - ") {
			text = "sensors:\n" + text
		}
		cfg := agent.Default()
		if err := config.Parse([]byte(text), &cfg); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
}

// Whoever is root can take a sensor out of the file, and not unseen.
func TestAStartWithLessThanBeforeIsTold(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) {
		c.Sensors = append(c.Sensors, agent.SensorConfig{ID: "net", Driver: agent.DriverCarrier})
	}).start()
	s.event("agent_started")
	m.settled()
	m.stop()
	m.start()
	s.event("agent_started", `"new_boot":false`)
	m.settled()
	m.stop()
	s.mu.Lock()
	if e := s.find("config_changed"); e != nil {
		t.Errorf("nothing was changed, and it says %s", e.Fields)
	}
	s.mu.Unlock()
	m.cfg.Sensors = m.cfg.Sensors[:1]
	m.cfg.Sensors[0].Reflex = &[]string{}
	m.start()
	e := s.event("config_changed", `"removed":["sensor/net"]`, `"changed":["sensor/case"]`, `"added":[]`)
	if e.Severity != core.SeverityHigh {
		t.Errorf("severity %s", e.Severity)
	}
	m.settled()
	m.stop()
	m.cfg.Sensors[0].Judges = agent.Judges{{Name: "anomaly"}}
	m.start()
	s.event("config_changed", `"added":["judge/case/anomaly"]`, `"changed":[]`)
	m.settled()
	m.stop()
	m.cfg.Sensors[0].Judges, m.cfg.Schedule = nil, alwaysOpen
	m.start()
	if e := s.event("config_changed", `"removed":["judge/case/anomaly"]`, `"changed":["schedule"]`); e.Severity != core.SeverityHigh {
		t.Errorf("severity %s", e.Severity)
	}
	m.settled()
	m.stop()
	m.cfg.Outputs = append(m.cfg.Outputs, agent.OutputConfig{ID: "lamp", Driver: "file", Path: filepath.Join(t.TempDir(), "lamp")})
	m.start()
	if e := s.event("config_changed", "output/lamp"); e.Severity != core.SeverityMedium {
		t.Errorf("severity %s", e.Severity)
	}
}
