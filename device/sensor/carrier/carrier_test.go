package carrier_test

import (
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/carrier"
)

// lab is a network namespace of its own with a veth pair in it: eth0 is what
// the driver watches, peer is the switch at the other end of the cable.
type lab struct {
	t        *testing.T
	readings chan sensor.Reading
	ns       netns.NsHandle
	nl       *netlink.Handle
	clock    *clocktest.Clock
}

func (l *lab) driver(interfaces []string) *carrier.Sensor {
	l.t.Helper()
	return newDriver(l.t, l.clock, interfaces...)
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

// newLab runs the driver on a thread that lives in a fresh namespace; the
// thread is never unlocked, so the runtime throws it away with the goroutine.
func newLab(t *testing.T, interfaces ...string) *lab {
	t.Helper()
	devicetest.NeedsRoot(t, "a network namespace")
	l := &lab{t: t, readings: make(chan sensor.Reading, 1024), clock: clocktest.New(time.Unix(1_800_000_000, 0))}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		ready <- l.build()
		ended <- l.driver(interfaces).Run(ctx, func(r sensor.Reading) { l.readings <- r })
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		l.nl.Close()
		_ = l.ns.Close()
	})
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

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// await returns the first reading that fits; the deadline only bounds a failure.
func (l *lab) await(what string, fits func(sensor.Reading) bool) sensor.Reading {
	l.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case r := <-l.readings:
			if fits(r) {
				return r
			}
		case <-deadline:
			l.t.Fatalf("no reading: %s", what)
		}
	}
}

func isLevel(point string, active bool) func(sensor.Reading) bool {
	return func(r sensor.Reading) bool { return r.Kind == sensor.Level && r.Point == point && r.Active == active }
}

func TestASparePortIsCalmUntilItHasBeenUsed(t *testing.T) {
	l := newLab(t)
	l.await("eth0 is up", isLevel("eth0", false))
	l.must(l.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "spare"}, PeerName: "socket"}))
	l.await("the port appears", func(r sensor.Reading) bool {
		if r.Kind == sensor.Level && r.Point == "spare" {
			t.Fatalf("a port that was never used reads as %+v", r)
		}
		if r.Kind == sensor.Pulse && r.Alarm {
			t.Error("what software made counts as somebody's hand at the machine")
		}
		return r.Kind == sensor.Pulse && r.Point == "spare"
	})
	l.must(l.set("spare", true))
	l.must(l.set("socket", true))
	l.await("the port is used", isLevel("spare", false))
	l.must(l.set("socket", false))
	l.await("its cable is pulled", isLevel("spare", true))
}

func TestPullingTheCableIsSeenAndSoIsPuttingItBack(t *testing.T) {
	l := newLab(t)
	inv := l.await("inventory", func(r sensor.Reading) bool { return r.Kind == sensor.Inventory })
	if !strings.Contains(string(inv.Fields), `"interface":"eth0"`) || strings.Contains(string(inv.Fields), `"interface":"lo"`) {
		t.Errorf("inventory %s", inv.Fields)
	}
	l.await("carrier at start", isLevel("eth0", false))
	for range 3 {
		l.must(l.set("peer", false)) // the other end loses power
		down := l.await("carrier lost", isLevel("eth0", true))
		if down.Type != "carrier_down" || !down.Alarm || !json.Valid(down.Fields) {
			t.Errorf("reading %+v", down)
		}
		l.must(l.set("peer", true))
		l.await("carrier back", isLevel("eth0", false))
	}
}

func TestAnInterfaceThatComesAndGoesIsReported(t *testing.T) {
	l := newLab(t, "eth0", "eth1")
	l.await("a named link that is missing has no carrier", isLevel("eth1", true))
	l.must(l.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth1"}, PeerName: "peer1"}))
	if r := l.await("attached", func(r sensor.Reading) bool { return r.Type == "interface_attached" && r.Point == "eth1" }); !r.Alarm {
		t.Error("an interface that the site named appears and that is no alarm")
	}
	link, err := l.nl.LinkByName("eth1")
	l.must(err)
	l.must(l.nl.LinkDel(link))
	l.await("removed", func(r sensor.Reading) bool { return r.Type == "interface_removed" && r.Point == "eth1" })
	l.await("a removed link that is watched by name has no carrier", isLevel("eth1", true))
}

func TestProbeSaysWhatIsMissing(t *testing.T) {
	devicetest.NeedsRoot(t, "a network namespace")
	answer := make(chan sensor.Presence, 1)
	go func() {
		runtime.LockOSThread()
		if _, err := netns.New(); err != nil {
			answer <- sensor.Skipped(err.Error())
			return
		}
		answer <- newDriver(t, core.SystemClock{}).Probe()
	}()
	if p := <-answer; p.Present || !strings.Contains(p.Reason, "no network interface") {
		t.Errorf("a namespace with loopback alone: %+v", p)
	}
}

func TestTheInventorySaysWhatEachInterfaceIsAndWhenItLastChanged(t *testing.T) {
	l := newLab(t, "eth0")
	isInventory := func(r sensor.Reading) bool { return r.Kind == sensor.Inventory }
	first := l.await("inventory", isInventory)
	if len(first.Parts) != 1 || first.Parts[0].Place != "eth0" || len(first.Parts[0].Identity) != len("00:00:00:00:00:00") {
		t.Errorf("parts %+v", first.Parts)
	}
	if strings.Contains(string(first.Fields), "changed") {
		t.Errorf("nothing changed since the start, and the inventory says %s", first.Fields)
	}
	l.await("eth0 is up", isLevel("eth0", false))
	l.must(l.set("peer", false))
	l.await("carrier lost", isLevel("eth0", true))
	changed := l.clock.Now().UTC().Format(time.RFC3339)
	l.clock.Advance(time.Minute)
	again := l.await("inventory after a change", isInventory)
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
	l.await("eth0 is up", isLevel("eth0", false))
	found := make(chan []sensor.Finding, 1)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(l.ns); err != nil {
			found <- []sensor.Finding{sensor.Found("namespace", sensor.Fail, err.Error())}
			return
		}
		found <- newDriver(t, core.SystemClock{}, "eth0", "eth7").SelfTest(context.Background())
	}()
	got := map[string]sensor.Result{}
	for _, f := range <-found {
		got[f.Check] = f.Result
	}
	if got["links"] != sensor.Pass || got["eth0"] != sensor.Untried || got["eth7"] != sensor.Fail {
		t.Errorf("%v", got)
	}
}
