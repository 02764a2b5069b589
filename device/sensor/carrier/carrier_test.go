package carrier_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/carrier"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
)

// lab is a network namespace of its own with a veth pair in it: eth0 is what
// the driver watches, peer is the switch at the other end of the cable.
type lab struct {
	*sensortest.Rig
	ns netns.NsHandle
	nl *netlink.Handle
}

func newDriver(t *testing.T, clock core.Clock, interfaces ...string) *carrier.Sensor {
	t.Helper()
	env := sensor.Env{ID: core.MustID[core.SensorID]("carrier"), Clock: clock}
	s, err := carrier.New(env, carrier.Config{Interfaces: interfaces})
	if err != nil {
		t.Error(err)
	}
	return s
}

func newLab(t *testing.T, interfaces ...string) *lab {
	t.Helper()
	devicetest.NeedsRoot(t, "a network namespace")
	l := &lab{Rig: sensortest.New(t)}
	built := make(chan error, 1)
	sensortest.OnThread(func() { built <- l.build() })
	l.Must(<-built)
	t.Cleanup(func() {
		l.nl.Close()
		_ = l.ns.Close()
	})
	t.Cleanup(l.Run(sensortest.Inside{Sensor: newDriver(t, l.Clock, interfaces...), Namespace: l.ns}))
	return l
}

func (l *lab) build() (err error) {
	if l.ns, err = netns.New(); err != nil {
		return err
	}
	if l.nl, err = netlink.NewHandleAt(l.ns); err != nil {
		return err
	}
	if err := l.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "peer"}); err != nil {
		return err
	}
	if err := l.set("eth0", true); err != nil {
		return err
	}
	return l.set("peer", true)
}

func (l *lab) set(name string, up bool) error {
	link, err := l.nl.LinkByName(name)
	if err != nil {
		return err
	}
	if up {
		return l.nl.LinkSetUp(link)
	}
	return l.nl.LinkSetDown(link)
}

func TestASparePortIsCalmUntilItHasBeenUsed(t *testing.T) {
	l := newLab(t)
	l.AwaitLevelAt("eth0", false) // eth0 is up
	l.Must(l.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "spare"}, PeerName: "socket"}))
	l.Await("the port appears", func(r sensor.Reading) bool {
		if r.Kind == sensor.Level && r.Point == "spare" {
			t.Fatalf("a port that was never used reads as %+v", r)
		}
		if r.Kind == sensor.Pulse && r.Alarm {
			t.Error("what software made counts as somebody's hand at the machine")
		}
		return r.Kind == sensor.Pulse && r.Point == "spare"
	})
	l.Must(l.set("spare", true))
	l.Must(l.set("socket", true))
	l.AwaitLevelAt("spare", false) // the port is used
	l.Must(l.set("socket", false))
	l.AwaitLevelAt("spare", true) // its cable is pulled
}

func TestPullingTheCableIsSeenAndSoIsPuttingItBack(t *testing.T) {
	l := newLab(t)
	inv := l.AwaitKind(sensor.Inventory)
	if !strings.Contains(string(inv.Fields), `"interface":"eth0"`) || strings.Contains(string(inv.Fields), `"interface":"lo"`) {
		t.Errorf("inventory %s", inv.Fields)
	}
	l.AwaitLevelAt("eth0", false) // carrier at start
	for range 3 {
		l.Must(l.set("peer", false)) // the other end loses power
		down := l.AwaitLevelAt("eth0", true)
		if down.Type != "carrier_down" || !down.Alarm || !json.Valid(down.Fields) {
			t.Errorf("reading %+v", down)
		}
		l.Must(l.set("peer", true))
		l.AwaitLevelAt("eth0", false) // carrier back
	}
}

func TestAnInterfaceThatComesAndGoesIsReported(t *testing.T) {
	l := newLab(t, "eth0", "eth1")
	l.AwaitLevelAt("eth1", true) // a named link that is missing has no carrier
	l.Must(l.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth1"}, PeerName: "peer1"}))
	if r := l.Await("attached", func(r sensor.Reading) bool { return r.Type == "interface_attached" && r.Point == "eth1" }); !r.Alarm {
		t.Error("an interface that the site named appears and that is no alarm")
	}
	link, err := l.nl.LinkByName("eth1")
	l.Must(err)
	l.Must(l.nl.LinkDel(link))
	l.Await("removed", func(r sensor.Reading) bool { return r.Type == "interface_removed" && r.Point == "eth1" })
	l.AwaitLevelAt("eth1", true) // a removed link that is watched by name has no carrier
}

func TestProbeSaysWhatIsMissing(t *testing.T) {
	devicetest.NeedsRoot(t, "a network namespace")
	answer := make(chan sensor.Presence, 1)
	sensortest.OnThread(func() {
		if _, err := netns.New(); err != nil {
			answer <- sensor.Skipped(err.Error())
			return
		}
		answer <- newDriver(t, core.SystemClock{}).Probe()
	})
	if p := <-answer; p.Present || !strings.Contains(p.Reason, "no network interface") {
		t.Errorf("a namespace with loopback alone: %+v", p)
	}
}

func TestTheInventorySaysWhatEachInterfaceIsAndWhenItLastChanged(t *testing.T) {
	l := newLab(t, "eth0")
	first := l.AwaitKind(sensor.Inventory)
	if len(first.Parts) != 1 || first.Parts[0].Place != "eth0" || len(first.Parts[0].Identity) != len("00:00:00:00:00:00") {
		t.Errorf("parts %+v", first.Parts)
	}
	if strings.Contains(string(first.Fields), "changed") {
		t.Errorf("nothing changed since the start, and the inventory says %s", first.Fields)
	}
	l.AwaitLevelAt("eth0", false) // eth0 is up
	l.Must(l.set("peer", false))
	l.AwaitLevelAt("eth0", true) // carrier lost
	changed := l.Clock.Now().UTC().Format(time.RFC3339)
	l.Clock.Advance(time.Minute)
	again := l.AwaitKind(sensor.Inventory)
	if !strings.Contains(string(again.Fields), `"changed":"`+changed+`"`) || !strings.Contains(string(again.Fields), `"carrier":false`) {
		t.Errorf("inventory %s, want the change of %s", again.Fields, changed)
	}
}

func TestANameThatNoInterfaceCanHaveIsRefused(t *testing.T) {
	for _, name := range []string{"", "an-interface-name-too-long", "eth0\n"} {
		if err := (carrier.Config{Interfaces: []string{name}}).Validate(); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestTheSelfTestClaimsNothingThatItDidNotTry(t *testing.T) {
	l := newLab(t, "eth0")
	l.AwaitLevelAt("eth0", false) // eth0 is up
	found := make(chan []sensor.Finding, 1)
	sensortest.OnThread(func() {
		if err := netns.Set(l.ns); err != nil {
			found <- []sensor.Finding{sensor.Found("namespace", sensor.Fail, err.Error())}
			return
		}
		found <- newDriver(t, core.SystemClock{}, "eth0", "eth7").SelfTest(context.Background())
	})
	got := map[string]sensor.Result{}
	for _, f := range <-found {
		got[f.Check] = f.Result
	}
	if got["links"] != sensor.Pass || got["eth0"] != sensor.Untried || got["eth7"] != sensor.Fail {
		t.Errorf("%v", got)
	}
}
