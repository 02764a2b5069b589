package ipmi_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/ipmi"
	"github.com/interlock-security/interlock/device/sensor/ipmi/ipmitest"
)

func credentials(t *testing.T, user, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bmc")
	if err := os.WriteFile(path, []byte(user+"\n"+password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func start(t *testing.T, c ipmi.Config) *sensortest.Rig {
	t.Helper()
	return sensortest.Start(t, func(env sensor.Env) (*ipmi.Sensor, error) { return ipmi.New(env, c) })
}

func find(all []sensor.Reading, kind sensor.Kind, word string) (found []sensor.Reading) {
	for _, r := range all {
		if r.Kind == kind && r.Type == word {
			found = append(found, r)
		}
	}
	return found
}

func TestARealControllersLidIsFollowed(t *testing.T) {
	b := ipmitest.Start(t)
	r := start(t, ipmi.Config{Address: b.Address, Credentials: credentials(t, ipmitest.User, ipmitest.Password), Suite: 3})
	first := r.Round()
	if inv := first[0]; inv.Kind != sensor.Inventory || inv.Parts[0].Identity != "001291 0f02" || !strings.Contains(string(inv.Fields), `"name":"Lid"`) {
		t.Errorf("%+v %s", inv, inv.Fields)
	}
	if l := find(first, sensor.Level, "case_intrusion"); len(l) != 1 || l[0].Active || l[0].Point != "sensor-1" {
		t.Errorf("%+v", l)
	}
	b.Lid(true)
	open := r.Next()
	if l := find(open, sensor.Level, "case_intrusion"); len(l) != 1 || !l[0].Active || !l[0].Alarm || l[0].Severity != core.SeverityCritical {
		t.Errorf("%+v", open)
	}
	if e := find(open, sensor.Pulse, "bmc_event"); len(e) != 1 {
		t.Errorf("the log's entry is told %d times", len(e))
	}
	b.Lid(false)
	if l := find(r.Next(), sensor.Level, "case_intrusion"); len(l) != 1 || l[0].Active {
		t.Errorf("%+v", l)
	}
	r.Stop()
}

func lab(t *testing.T) (*ipmitest.BMC, *sensortest.Rig) {
	t.Helper()
	b := ipmitest.Start(t)
	r := start(t, ipmi.Config{Address: b.Address, Credentials: credentials(t, ipmitest.User, ipmitest.Password), Suite: 3})
	r.Round()
	return b, r
}

func TestWhatOpenedAndClosedBetweenTwoLooksIsInTheLogAndToldOnce(t *testing.T) {
	b, r := lab(t)
	b.Lid(true)
	b.Lid(false)
	said := r.Next()
	if p := find(said, sensor.Pulse, "case_intrusion"); len(p) != 1 || !p[0].Alarm || p[0].Point != "sensor-1" || !strings.Contains(string(p[0].Fields), `"where":"chassis"`) {
		t.Errorf("%+v", said)
	}
	if said := r.Next(); len(find(said, sensor.Pulse, "case_intrusion")) != 0 {
		t.Errorf("told again: %+v", said)
	}
	// What is logged while the driver is down is told when it is back.
	r.Stop()
	b.Lid(true)
	b.Lid(false)
	r.Again()
	if p := find(r.Round(), sensor.Pulse, "case_intrusion"); len(p) != 1 {
		t.Errorf("%+v", p)
	}
}

func TestClearingTheLogIsTold(t *testing.T) {
	b, r := lab(t)
	b.Lid(true)
	b.Lid(false)
	r.Next()
	ipmi.ClearLog(t, b.Address, ipmitest.Admin, ipmitest.Password)
	said := r.Next()
	if c := find(said, sensor.Pulse, "bmc_log_cleared"); len(c) != 1 || !c[0].Alarm {
		t.Errorf("%+v", said)
	}
	b.Lid(true)
	b.Lid(false)
	if p := find(r.Next(), sensor.Pulse, "case_intrusion"); len(p) != 1 {
		t.Errorf("after it was cleared: %+v", p)
	}
}

func partsOf(all []sensor.Reading, class string) (text string) {
	for _, r := range all {
		for _, p := range r.Parts {
			if p.Class == class {
				text += p.Place + ": " + p.Identity + p.About["unreadable"] + "; "
			}
		}
	}
	return text
}

func TestAccountsAndTheBootOrderAreParts(t *testing.T) {
	b := ipmitest.Start(t)
	r := start(t, ipmi.Config{Address: b.Address, Credentials: credentials(t, ipmitest.Admin, ipmitest.Password), Suite: 3, Settings: true})
	first := r.Round()
	if got := partsOf(first, "bmc-account"); !strings.Contains(got, `account 2: "monitor" user`) || strings.Contains(got, "mallory") {
		t.Errorf("accounts %s", got)
	}
	if got := partsOf(first, "bmc-boot"); got != "next boot: no override; " {
		t.Errorf("boot %s", got)
	}
	ipmi.BootFromNetwork(t, b.Address, ipmitest.Admin, ipmitest.Password)
	ipmi.AddAccount(t, b.Address, ipmitest.Admin, ipmitest.Password, "mallory")
	then := r.Next()
	if got := partsOf(then, "bmc-boot"); !strings.Contains(got, "network valid=") {
		t.Errorf("boot %s", got)
	}
	if got := partsOf(then, "bmc-account"); !strings.Contains(got, `account 4: "mallory"`) {
		t.Errorf("accounts %s", got)
	}
}

func TestSettingsThatTheControllerDoesNotTellAreAFaultOfTheirOwn(t *testing.T) {
	b := ipmitest.Start(t)
	b.BreakBoot()
	r := start(t, ipmi.Config{Address: b.Address, Credentials: credentials(t, ipmitest.Admin, ipmitest.Password), Suite: 3, Settings: true})
	said := r.Round()
	if got := partsOf(said, "bmc-boot"); !strings.HasPrefix(got, "*: the controller refuses") {
		t.Errorf("boot %s", got)
	}
	if got := partsOf(said, "bmc-account"); !strings.Contains(got, "monitor") {
		t.Errorf("accounts %s", got)
	}
	if l := find(said, sensor.Level, "case_intrusion"); len(l) != 1 {
		t.Errorf("%+v", said)
	}
}

func TestASensorThatTheControllerCantReadIsAFaultOfItsOwn(t *testing.T) {
	b := ipmitest.Start(t)
	r := start(t, ipmi.Config{Address: b.Address, Credentials: credentials(t, ipmitest.User, ipmitest.Password), Suite: 3, Sensors: []int{9, 1}})
	said := r.Round()
	var broken, levels []string
	for _, x := range said {
		switch x.Kind {
		case sensor.Broken:
			broken = append(broken, x.Point)
		case sensor.Level:
			levels = append(levels, x.Point)
		}
	}
	if strings.Join(broken, " ") != "sensor-9" || strings.Join(levels, " ") != "sensor-1" {
		t.Errorf("broken %v, levels %v", broken, levels)
	}
}

func TestAControllerThatIsGoneIsAFault(t *testing.T) {
	b, r := lab(t)
	b.Kill()
	r.Pass(time.Minute)
	if err := r.End(); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("%v", err)
	}
}

func TestWhoHasNotThePasswordGetsNothing(t *testing.T) {
	b := ipmitest.Start(t)
	for user, password := range map[string]string{ipmitest.User: "hunter3", "nobody": ipmitest.Password} {
		err := start(t, ipmi.Config{Address: b.Address, Credentials: credentials(t, user, password), Suite: 3}).End()
		if err == nil || strings.Contains(err.Error(), "hunter") || core.KindOf(err) == core.KindInternal {
			t.Errorf("%s: %v", user, err)
		}
	}
}

func TestTheSelfTestClaimsNothingThatItDidNotTry(t *testing.T) {
	b := ipmitest.Start(t)
	s, err := ipmi.New(sensor.Env{ID: core.MustID[core.SensorID]("bmc"), Clock: core.SystemClock{}},
		ipmi.Config{Address: b.Address, Credentials: credentials(t, ipmitest.User, ipmitest.Password), Suite: 3})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.SelfTest(context.Background()); len(got) != 2 || got[0].Result != sensor.Pass || got[1].Result != sensor.Untried {
		t.Errorf("%+v", got)
	}
	b.Lid(true)
	if got := s.SelfTest(context.Background()); len(got) != 2 || got[1].Result != sensor.Warning {
		t.Errorf("%+v", got)
	}
	b.Kill()
	if got := s.SelfTest(context.Background()); len(got) != 1 || got[0].Result != sensor.Fail {
		t.Errorf("%+v", got)
	}
}

func TestAMachineWithoutAControllerIsSkipped(t *testing.T) {
	s, err := ipmi.New(sensor.Env{ID: core.MustID[core.SensorID]("bmc"), Clock: core.SystemClock{}, Root: t.TempDir()}, ipmi.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if p := s.Probe(); p.Present || !strings.Contains(p.Reason, "ipmi0") {
		t.Errorf("%+v", p)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := ipmi.Config{Address: "192.0.2.5", Credentials: "/etc/interlock/bmc"}
	for _, c := range []ipmi.Config{{}, {Device: 1}, good, {Address: "[2001:db8::5]:623", Credentials: "/etc/interlock/bmc", Suite: 17}} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for name, c := range map[string]ipmi.Config{
		"poll":             {Poll: time.Millisecond},
		"device":           {Device: -1},
		"sensors[0]":       {Sensors: []int{300}},
		"are for an addr":  {Suite: 3},
		"suite 1":          {Address: "a", Credentials: "/b", Suite: 1},
		"credentials \"\"": {Address: "a"},
		"one of them":      {Address: "a", Credentials: "/b", Device: 1},
		"address":          {Address: ":623", Credentials: "/b"},
	} {
		if err := c.Validate(); core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
