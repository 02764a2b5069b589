package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/gpio"
	"github.com/interlock-security/interlock/link"
)

func resultsOf(r *agent.Report, subject, check string) (all []sensor.Result) {
	for _, c := range r.Checks {
		if c.Subject == subject && strings.Contains(c.Finding.Check, check) {
			all = append(all, c.Result)
		}
	}
	return all
}

func wantResult(t *testing.T, r *agent.Report, subject, check string, want sensor.Result) {
	t.Helper()
	if got := resultsOf(r, subject, check); len(got) != 1 || got[0] != want {
		t.Errorf("%s, %s: %v, want %s\n%+v", subject, check, got, want, r.Checks)
	}
}

// What a running agent can't test it does not call a pass, and the server hears of
// it in a signed batch.
func TestTheDoctorOfARunningAgentClaimsNothingItDidNotTest(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) {
		c.Sensors = append(c.Sensors, agent.SensorConfig{
			ID: "lid", Driver: agent.DriverGPIO, Config: gpio.Config{Lines: []gpio.Line{{Name: "lid", Chip: "no-such-chip"}}},
		})
	}).start()
	s.event("sensor_lost", "no-such-chip")
	s.await("the case reads", func() bool {
		st, err := agent.Ask(t.Context(), m.cfg.SocketPath())
		return err == nil && st.Sensors[0].State == core.SensorOK
	})
	r, err := agent.Doctor(t.Context(), m.cfg.SocketPath())
	if err != nil {
		t.Fatal(err)
	}
	wantResult(t, r, "case", "reads", sensor.Warning) // it is simulated
	wantResult(t, r, "lid", "reads", sensor.Fail)
	wantResult(t, r, "lid", "lines", sensor.Fail)
	wantResult(t, r, "lid", "last proven good", sensor.Untried)
	wantResult(t, r, "key", "protection", sensor.Warning)
	wantResult(t, r, "quarantine", "firewall answers", sensor.Pass)
	wantResult(t, r, "watchdog", "configured", sensor.Untried)
	wantResult(t, r, "clock", "bounds", sensor.Warning)
	if got := resultsOf(r, "-", "configured"); len(got) != 2 || got[0] != sensor.Untried || got[1] != sensor.Untried {
		t.Errorf("nothing watches supplies and temperature: %v", got)
	}
	if !r.Running || r.Code() != 1 || r.Device.String() != "press-7" {
		t.Errorf("%+v", r)
	}
	e := s.event("doctor_report", `"by":"local"`, `"code":1`, `"result":"fail"`)
	if len(e.Fields) > 14<<10 {
		t.Errorf("%d bytes", len(e.Fields))
	}
	if e := s.event("self_test_failed", "no-such-chip"); e.Sensor != "lid" || e.Severity != core.SeverityHigh || e.State != core.SensorFault {
		t.Errorf("%+v", e)
	}
}

func TestWithoutAnAgentTheConfigurationIsTestedAsFarAsItGoes(t *testing.T) {
	dir := t.TempDir()
	temp := filepath.Join(dir, "root/sys/class/hwmon/hwmon0")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"name": "adm9240\n", "intrusion0_alarm": "0\n"} {
		if err := os.WriteFile(filepath.Join(temp, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := agent.Default()
	cfg.DataDir, cfg.RunDir, cfg.Root = filepath.Join(dir, "data"), filepath.Join(dir, "run"), filepath.Join(dir, "root")
	cfg.Sensors = []agent.SensorConfig{
		{ID: "dog", Driver: "watchdog"},
		{ID: "lid", Driver: agent.DriverGPIO, Config: gpio.Config{Lines: []gpio.Line{{Name: "lid", Chip: "no-such-chip"}}}},
	}
	r, err := agent.Examine(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := resultsOf(r, "dog", ""); len(got) != 1 || got[0] != sensor.Untried {
		t.Errorf("a watchdog was started by a test, or passed: %v", got)
	}
	if got := resultsOf(r, "lid", "reads"); len(got) != 1 || got[0] != sensor.Fail {
		t.Errorf("%+v", r.Checks)
	}
	wantResult(t, r, "agent", "running", sensor.Untried)
	wantResult(t, r, "quarantine", "enforced", sensor.Warning)
	if r.Running || r.Code() != 1 {
		t.Errorf("%+v", r)
	}
	cfg.Sensors = nil
	if r, err = agent.Examine(t.Context(), cfg); err != nil || r.Code() != 2 {
		t.Errorf("nothing to test passes: %v, %+v", err, r)
	}
	if _, err := os.Stat(cfg.DataDir); err == nil {
		t.Error("a look made files")
	}
}

// hurried is a clock on which an hour is over at once.
type hurried struct{ core.SystemClock }

func (c hurried) After(d time.Duration) <-chan time.Time {
	if d > 9*time.Minute && d <= time.Hour {
		d = 20 * time.Millisecond
	}
	return c.SystemClock.After(d)
}

func TestTheAgentTestsItselfByItself(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	newMachine(t, s, func(c *agent.Config) { c.Clock = hurried{} }).start()
	s.event("doctor_report", `"by":"schedule"`)
}
