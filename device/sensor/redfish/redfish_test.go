package redfish_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/redfish"
	"github.com/interlock-security/interlock/digital/pki/verify"
)

// bmc answers in the shapes that the standard's own examples have. It is no
// controller: none was at hand.
type bmc struct {
	*httptest.Server
	mu    sync.Mutex
	pages map[string]string
	code  int
	asked int
}

const shelf = `{"Id":"Shelf","Name":"Battery","PhysicalSecurity":null}`

func tray(intrusion string) string {
	return `{"@odata.type":"#Chassis.v1_14_0.Chassis","Id":"1U","Name":"Computer System Chassis","ChassisType":"RackMount","Manufacturer":"Contoso",
	"Model":"3500RX","SerialNumber":"437XR1138R2","PowerState":"On","PhysicalSecurity":{"IntrusionSensorNumber":123,"IntrusionSensor":` + intrusion + `,
	"IntrusionSensorReArm":"Manual"},"Thermal":{"@odata.id":"/redfish/v1/Chassis/1U/Thermal"}}`
}

func newBMC(t *testing.T) *bmc {
	t.Helper()
	b := &bmc{pages: map[string]string{
		"/redfish/v1/Chassis":       `{"Members@odata.count":2,"Members":[{"@odata.id":"/redfish/v1/Chassis/1U"},{"@odata.id":"/redfish/v1/Chassis/Shelf"}]}`,
		"/redfish/v1/Chassis/1U":    tray(`"Normal"`),
		"/redfish/v1/Chassis/Shelf": shelf,
		"/redfish/v1/Chassis/1U/Thermal": `{"Temperatures":[{"Name":"Inlet","ReadingCelsius":22.5,"Status":{"State":"Enabled"}},{"Name":"CPU2","ReadingCelsius":null,"Status":{"State":"Absent"}},
		{"Name":"CPU1","ReadingCelsius":null,"Status":{"State":"Enabled"}}],"Fans":[{"Name":"Fan 1","Reading":2100,"ReadingUnits":"RPM","Status":{"State":"Enabled"}}]}`,
	}}
	b.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.asked++
		user, password, _ := r.BasicAuth()
		page, found := b.pages[r.URL.Path]
		switch {
		case r.Method != http.MethodGet || user != "monitor" || password != "hunter2":
			http.Error(w, "no", http.StatusUnauthorized)
		case b.code != 0:
			w.Header().Set("Location", "https://example.invalid/")
			w.WriteHeader(b.code)
		case !found:
			http.NotFound(w, r)
		default:
			w.Header().Set("ETag", `"always the same"`)
			_, _ = w.Write([]byte(page))
		}
	}))
	b.Config.ErrorLog = nil
	t.Cleanup(b.Close)
	return b
}

func (b *bmc) set(path, page string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pages[path] = page
}

func (b *bmc) config(t *testing.T) redfish.Config {
	t.Helper()
	return redfish.Config{URL: b.URL, Credentials: file(t, "monitor\nhunter2\n"), Pin: verify.PinOf(b.Certificate()).String()}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func start(t *testing.T, c redfish.Config) *sensortest.Rig {
	t.Helper()
	return sensortest.Start(t, func(env sensor.Env) (*redfish.Sensor, error) { return redfish.New(env, c) })
}

func level(t *testing.T, all []sensor.Reading) sensor.Reading {
	t.Helper()
	for _, r := range all {
		if r.Kind == sensor.Level {
			return r
		}
	}
	t.Fatalf("no level in %+v", all)
	return sensor.Reading{}
}

func TestTheSwitchIsFollowed(t *testing.T) {
	b := newBMC(t)
	r := start(t, b.config(t))
	first := r.Round()
	if first[0].Kind != sensor.Inventory || len(first[0].Parts) != 2 || first[0].Parts[0].Identity != "Contoso 3500RX 437XR1138R2" {
		t.Errorf("%+v", first[0])
	}
	if l := level(t, first); l.Active || l.Point != "1U" || l.Clear != "case_closed" {
		t.Errorf("%+v", l)
	}
	for _, word := range []string{"HardwareIntrusion", "TamperingDetected"} {
		b.set("/redfish/v1/Chassis/1U", tray(`"`+word+`"`))
		l := level(t, r.Next())
		if !l.Active || !l.Alarm || l.Severity != core.SeverityCritical || l.Type != "case_intrusion" ||
			!strings.Contains(string(l.Fields), word) || !strings.Contains(string(l.Fields), `"rearm":"Manual"`) {
			t.Errorf("%+v %s", l, l.Fields)
		}
	}
	b.set("/redfish/v1/Chassis/1U", tray(`"Normal"`))
	if l := level(t, r.Next()); l.Active {
		t.Errorf("%+v", l)
	}
	r.Stop()
}

func TestWhatIsNoneOfTheThreeWordsIsAFaultAndNotCalm(t *testing.T) {
	b := newBMC(t)
	r := start(t, b.config(t))
	r.Round()
	for _, page := range []string{tray(`null`), tray(`"normal"`), tray(`""`), tray("\"Normal\\u0000\""), `{"Id":"1U"}`, `{"Id":"1U","PhysicalSecurity":{}}`} {
		b.set("/redfish/v1/Chassis/1U", page)
		said := r.Next()
		if len(said) != 1 || said[0].Kind != sensor.Broken || said[0].Point != "1U" {
			t.Errorf("%s: %+v", page, said)
		}
	}
	b.set("/redfish/v1/Chassis", `{"Members":[{"@odata.id":"/redfish/v1/Chassis/Shelf"}]}`)
	if said := r.Next(); len(said) != 1 || said[0].Kind != sensor.Broken || said[0].Point != "1U" {
		t.Errorf("the chassis is gone: %+v", said)
	}
}

func TestAControllerThatCantBeAskedIsAFault(t *testing.T) {
	for name, spoil := range map[string]func(b *bmc, c *redfish.Config){
		"another key":           func(_ *bmc, c *redfish.Config) { c.Pin = strings.Repeat("ab", 32) },
		"nobody vouches for it": func(_ *bmc, c *redfish.Config) { c.Pin = "" },
		"another CA":            func(_ *bmc, c *redfish.Config) { c.Pin, c.CA = "", "/etc/hostname" },
		"another password":      func(_ *bmc, c *redfish.Config) { c.Credentials = file(t, "monitor\nhunter3\n") },
		"no credentials":        func(_ *bmc, c *redfish.Config) { c.Credentials = "/nowhere" },
		"no answer":             func(b *bmc, _ *redfish.Config) { b.Close() },
		"an error":              func(b *bmc, _ *redfish.Config) { b.code = http.StatusInternalServerError },
		"sent elsewhere":        func(b *bmc, _ *redfish.Config) { b.code = http.StatusFound },
		"not modified":          func(b *bmc, _ *redfish.Config) { b.code = http.StatusNotModified },
		"no JSON":               func(b *bmc, _ *redfish.Config) { b.pages["/redfish/v1/Chassis/1U"] = "<html>" },
		"too much":              func(b *bmc, _ *redfish.Config) { b.pages["/redfish/v1/Chassis/1U"] = strings.Repeat(" ", 2<<20) },
		"a path out of it": func(b *bmc, _ *redfish.Config) {
			b.pages["/redfish/v1/Chassis"] = `{"Members":[{"@odata.id":"/redfish/v1/../../etc"}]}`
		},
		"no switch at all": func(b *bmc, _ *redfish.Config) { b.pages["/redfish/v1/Chassis"] = `{"Members":[]}` },
		"no such chassis":  func(_ *bmc, c *redfish.Config) { c.Chassis = []string{"2U"} },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBMC(t)
			c := b.config(t)
			spoil(b, &c)
			err := start(t, c).End()
			if err == nil || core.KindOf(err) == core.KindInternal || strings.Contains(err.Error(), "hunter") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestACertificateThatSomebodyVouchesForIsBelieved(t *testing.T) {
	b := newBMC(t)
	c := b.config(t)
	c.Pin, c.CA = "", file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Certificate().Raw})))
	c.Chassis = []string{"1U"}
	if l := level(t, start(t, c).Round()); l.Active {
		t.Errorf("%+v", l)
	}
}

func TestMeasuresAreReadBesideTheSwitch(t *testing.T) {
	b := newBMC(t)
	c := b.config(t)
	c.Measures = true
	r := start(t, c)
	got := map[string]string{}
	for _, x := range r.Round() {
		switch x.Kind {
		case sensor.Measure:
			got[x.Point] = fmt.Sprint(x.Value, x.Unit)
		case sensor.Broken:
			got[x.Point] = "broken"
		}
	}
	for point, want := range map[string]string{"1U/Inlet": "22.5Cel", "1U/Fan 1": "2100/min", "1U/CPU1": "broken", "1U/CPU2": ""} {
		if got[point] != want {
			t.Errorf("%s: %q, want %q", point, got[point], want)
		}
	}
	b.set("/redfish/v1/Chassis/1U/Thermal", "no JSON")
	if l := level(t, r.Next()); l.Active {
		t.Errorf("%+v", l)
	}
}

func TestTheSelfTestClaimsNothingThatItDidNotTry(t *testing.T) {
	b := newBMC(t)
	s, err := redfish.New(sensor.Env{ID: core.MustID[core.SensorID]("bmc"), Clock: core.SystemClock{}}, b.config(t))
	if err != nil {
		t.Fatal(err)
	}
	got := s.SelfTest(context.Background())
	if len(got) != 2 || got[0].Result != sensor.Pass || got[1].Result != sensor.Untried {
		t.Errorf("%+v", got)
	}
	b.Close()
	if got := s.SelfTest(context.Background()); len(got) != 1 || got[0].Result != sensor.Fail {
		t.Errorf("%+v", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := redfish.Config{URL: "https://192.0.2.5/", Credentials: "/etc/interlock/bmc"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(c *redfish.Config){
		"plain":       func(c *redfish.Config) { c.URL = "http://192.0.2.5" },
		"password":    func(c *redfish.Config) { c.URL = "https://monitor:hunter2@192.0.2.5" },
		"path":        func(c *redfish.Config) { c.URL = "https://192.0.2.5/redfish" },
		"empty":       func(c *redfish.Config) { c.URL = "" },
		"pin":         func(c *redfish.Config) { c.Pin = "abcd" },
		"both":        func(c *redfish.Config) { c.Pin, c.CA = strings.Repeat("ab", 32), "/etc/ca.pem" },
		"ca":          func(c *redfish.Config) { c.CA = "ca.pem" },
		"poll":        func(c *redfish.Config) { c.Poll = time.Millisecond },
		"chassis":     func(c *redfish.Config) { c.Chassis = []string{"../Systems"} },
		"credentials": func(c *redfish.Config) { c.Credentials = "" },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); core.KindOf(err) != core.KindInvalid || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
