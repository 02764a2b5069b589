package neighbour_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/neighbour"
	"github.com/interlock-security/interlock/device/sensor/neighbour/frametest"
)

// lab is a device and a segment: two network namespaces with a cable between
// them. eth0 is the device's card; what the test sends comes out of the cable.
type lab struct {
	*sensortest.Rig
	t       *testing.T
	device  netns.NsHandle
	nl      *netlink.Handle
	segment int // a packet socket at the cable's other end
	own     net.HardwareAddr
}

var (
	own     = netip.MustParseAddr("192.0.2.10")
	gateway = netip.MustParseAddr("192.0.2.1")
	mac1    = net.HardwareAddr{0x00, 0x1b, 0x21, 1, 1, 1}
	mac2    = net.HardwareAddr{0x00, 0x1b, 0x21, 2, 2, 2}
	mac3    = net.HardwareAddr{0x52, 0x54, 0x00, 3, 3, 3} // made up by software
)

func newLab(t *testing.T, c neighbour.Config) *lab {
	t.Helper()
	l := emptyLab(t)
	l.Env.Root = "" // the kernel is a real one
	s, err := neighbour.New(l.Env, c)
	l.Must(err)
	t.Cleanup(l.Run(sensortest.Inside{Sensor: s, Namespace: l.device}))
	l.AwaitKind(sensor.Beat) // it listens
	return l
}

// build makes the segment first; the thread ends in the device's namespace.
func (l *lab) build() error {
	segment, err := netns.New()
	if err != nil {
		return err
	}
	defer segment.Close()
	if l.device, err = netns.New(); err != nil {
		return err
	}
	quiet("/proc/sys/net/ipv6/conf/default/disable_ipv6")
	if l.nl, err = netlink.NewHandleAt(l.device); err != nil {
		return err
	}
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "cable", PeerNamespace: netlink.NsFd(segment)}
	if err := l.nl.LinkAdd(cable); err != nil {
		return err
	}
	eth0, err := l.nl.LinkByName("eth0")
	if err != nil {
		return err
	}
	l.own = eth0.Attrs().HardwareAddr
	if err := l.address(eth0); err != nil {
		return err
	}
	return l.plug(segment)
}

// emptyLab is a lab without a driver in it.
func emptyLab(t *testing.T) *lab {
	t.Helper()
	devicetest.NeedsRoot(t, "a network namespace")
	l := &lab{Rig: sensortest.New(t), t: t}
	ready := make(chan error, 1)
	sensortest.OnThread(func() { ready <- l.build() })
	l.Must(<-ready)
	t.Cleanup(func() {
		_ = unix.Close(l.segment)
		l.nl.Close()
		_ = l.device.Close()
	})
	return l
}

// quiet keeps the device's kernel from speaking IPv6, so that whatever leaves it
// is the driver's.
func quiet(path string) { _ = os.WriteFile(path, []byte("1"), 0o600) }

func (l *lab) address(eth0 netlink.Link) error {
	if err := l.nl.LinkSetUp(eth0); err != nil {
		return err
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: own.AsSlice(), Mask: net.CIDRMask(24, 32)}}
	if err := l.nl.AddrAdd(eth0, addr); err != nil {
		return err
	}
	return l.nl.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: gateway.AsSlice()})
}

// plug opens the socket at the other end of the cable.
func (l *lab) plug(segment netns.NsHandle) error {
	if err := netns.Set(segment); err != nil {
		return err
	}
	defer func() { _ = netns.Set(l.device) }()
	quiet("/proc/sys/net/ipv6/conf/cable/disable_ipv6")
	nl, err := netlink.NewHandleAt(segment)
	if err != nil {
		return err
	}
	defer nl.Close()
	cable, err := nl.LinkByName("cable")
	if err != nil {
		return err
	}
	if err := nl.LinkSetUp(cable); err != nil {
		return err
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	if l.segment, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); err != nil {
		return err
	}
	return unix.Bind(l.segment, &unix.SockaddrLinklayer{Protocol: all, Ifindex: cable.Attrs().Index})
}

// send puts a frame on the wire.
func (l *lab) send(frame []byte) {
	l.t.Helper()
	if _, err := unix.Write(l.segment, frame); err != nil {
		l.t.Fatal(err)
	}
}

func seen(mac net.HardwareAddr) func(sensor.Reading) bool {
	return func(r sensor.Reading) bool {
		return r.Kind == sensor.Sighting && r.Parts[0].Class == "neighbour" && r.Parts[0].Identity == mac.String()
	}
}

func pulse(kind string) func(sensor.Reading) bool {
	return func(r sensor.Reading) bool { return r.Kind == sensor.Pulse && r.Type == kind }
}

func fields(t *testing.T, r sensor.Reading) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal(r.Fields, &m); err != nil {
		t.Fatalf("%s: %v", r.Fields, err)
	}
	return m
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestNeighboursAreHeardInEveryWay(t *testing.T) {
	l := newLab(t, neighbour.Config{Interfaces: []string{"eth0"}})
	for _, c := range []struct {
		via   string
		frame []byte
		mac   net.HardwareAddr
		about map[string]string
	}{
		{"arp", frametest.ARP(mac1, ip("192.0.2.21"), ip("192.0.2.99")), mac1, map[string]string{"ip": "192.0.2.21"}},
		{"dhcp", frametest.DHCPRequest(mac2, "cam-3", "udhcp 1.36", gateway), mac2, map[string]string{"host": "cam-3", "vendor": "udhcp 1.36"}},
		{"mdns", frametest.MDNS(mac3, ip("192.0.2.23"), "laptop.local"), mac3, map[string]string{"host": "laptop.local", "ip": "192.0.2.23", "randomised": "true"}},
		{"nd", frametest.NeighbourAdvert(net.HardwareAddr{0, 1, 2, 3, 4, 5}, ip("fe80::1")), net.HardwareAddr{0, 1, 2, 3, 4, 5}, map[string]string{"ip": "fe80::1"}},
		{"mld", frametest.MLD(net.HardwareAddr{0, 1, 2, 3, 4, 6}), net.HardwareAddr{0, 1, 2, 3, 4, 6}, nil},
		{"ra", frametest.RouterAdvert(net.HardwareAddr{0, 1, 2, 3, 4, 7}, ip("fe80::7"), 1800), net.HardwareAddr{0, 1, 2, 3, 4, 7}, map[string]string{"ip": "fe80::7"}},
	} {
		l.send(c.frame)
		r := l.Await(c.via, seen(c.mac))
		p := r.Parts[0]
		if p.Place != "eth0" || p.About["via"] != c.via {
			t.Errorf("%s: %+v", c.via, p)
		}
		for k, v := range c.about {
			if p.About[k] != v {
				t.Errorf("%s: %s is %q, want %q", c.via, k, p.About[k], v)
			}
		}
	}
}

func TestTheSwitchSaysWhichSocketThisIs(t *testing.T) {
	l := newLab(t, neighbour.Config{Interfaces: []string{"eth0"}})
	l.send(frametest.LLDP(mac1, mac1, "ge-0/0/7", "hall-1-sw"))
	r := l.Await("the port", func(r sensor.Reading) bool {
		return r.Kind == sensor.Sighting && r.Parts[0].Class == "switch-port"
	})
	if p := r.Parts[0]; p.Identity != mac1.String()+" ge-0/0/7" || p.About["host"] != "hall-1-sw" {
		t.Errorf("%+v", p)
	}
}

func TestGatewaysServersAndRoutersAreSightedAsSuch(t *testing.T) {
	l := newLab(t, neighbour.Config{Interfaces: []string{"eth0"}})
	l.send(frametest.ARP(mac1, gateway, own))
	l.send(frametest.DHCPOffer(mac1, gateway, mac2))
	l.send(frametest.RouterAdvert(mac1, ip("fe80::1"), 1800))
	for _, want := range []string{"gateway 192.0.2.1 " + mac1.String(), "dhcp-server 192.0.2.1", "router " + mac1.String()} {
		l.Await(want, func(r sensor.Reading) bool {
			return r.Kind == sensor.Sighting && r.Parts[0].Class+" "+r.Parts[0].Identity == want
		})
	}
}

func TestASecondDHCPServerIsAnAlarm(t *testing.T) {
	for name, c := range map[string]neighbour.Config{
		"the first is believed":      {Interfaces: []string{"eth0"}},
		"the configuration names it": {Interfaces: []string{"eth0"}, DHCPServers: []string{"192.0.2.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, c)
			l.send(frametest.DHCPOffer(mac1, gateway, mac2))
			l.Await("the right one", seen(mac1))
			l.send(frametest.DHCPOffer(mac3, ip("192.0.2.66"), mac2))
			r := l.Await("the second one", pulse("dhcp_rogue"))
			if f := fields(t, r); !r.Alarm || r.Severity != core.SeverityHigh || f["server"] != "192.0.2.66" || f["mac"] != mac3.String() {
				t.Errorf("%+v %s", r, r.Fields)
			}
			l.send(frametest.DHCPRequest(mac2, "cam", "", ip("192.0.2.67")))
			if f := fields(t, l.Await("a client chose a third one", pulse("dhcp_rogue"))); f["client"] != mac2.String() || f["server"] != "192.0.2.67" {
				t.Errorf("%v", f)
			}
		})
	}
}

func TestAnotherNetworkCardWithTheGatewaysAddressIsAnAlarm(t *testing.T) {
	l := newLab(t, neighbour.Config{Interfaces: []string{"eth0"}})
	l.send(frametest.ARP(mac1, gateway, own))
	l.Await("the gateway", seen(mac1))
	l.send(frametest.ARP(mac3, gateway, gateway))
	r := l.Await("the gateway's address moves", pulse("gateway_changed"))
	if f := fields(t, r); !r.Alarm || f["was"] != mac1.String() || f["mac"] != mac3.String() || f["randomised"] != true {
		t.Errorf("%s", r.Fields)
	}
}

func TestTheKernelsOwnTableIsHeard(t *testing.T) {
	l := newLab(t, neighbour.Config{Interfaces: []string{"eth0"}, Gateways: map[string]string{"192.0.2.1": "00-1B-21-01-01-01"}})
	eth0, err := l.nl.LinkByName("eth0")
	l.Must(err)
	l.Must(l.nl.NeighSet(&netlink.Neigh{LinkIndex: eth0.Attrs().Index, State: netlink.NUD_REACHABLE, IP: gateway.AsSlice(), HardwareAddr: mac2}))
	if f := fields(t, l.Await("the kernel's gateway", pulse("gateway_changed"))); f["via"] != "kernel" || f["was"] != mac1.String() {
		t.Errorf("%v", f)
	}
	if r := l.Await("the kernel's neighbour", seen(mac2)); r.Parts[0].About["via"] != "kernel" {
		t.Errorf("%+v", r.Parts[0])
	}
}

func TestWhoClaimsThisMachinesAddressIsAnAlarm(t *testing.T) {
	l := newLab(t, neighbour.Config{Interfaces: []string{"eth0"}})
	l.send(frametest.ARP(mac3, own, own))
	if f := fields(t, l.Await("a conflict", pulse("address_conflict"))); f["own"] != true || f["mac"] != mac3.String() {
		t.Errorf("%v", f)
	}
}

// TestNothingIsSent reads the wire beside the driver: the kernel answers ARP by
// itself, so the device has no address here that anybody asks for.
func TestNothingIsSent(t *testing.T) {
	l := newLab(t, neighbour.Config{Interfaces: []string{"eth0"}})
	for i := range byte(50) {
		mac := net.HardwareAddr{0, 0x1b, 0x21, 9, 9, i}
		l.send(frametest.ARP(mac, netip.AddrFrom4([4]byte{192, 0, 2, 100 + i}), ip("192.0.2.254")))
		l.Await("heard", seen(mac))
	}
	for range 3 {
		l.Pass(10 * time.Second)
		l.Await("a look", func(r sensor.Reading) bool { return r.Kind == sensor.Beat })
	}
	l.Must(unix.SetNonblock(l.segment, true))
	for range l.sent() {
		t.Error("the device sent something")
	}
	// The kernel's own answer shows that the wire is read.
	l.send(frametest.ARP(mac1, ip("192.0.2.21"), own))
	l.Await("a question to the device", seen(mac1))
	if l.sent() != 1 {
		t.Error("the kernel's answer is not on the wire: this test reads nothing")
	}
}

// sent counts the frames that the device has put on the wire.
func (l *lab) sent() (count int) {
	l.t.Helper()
	buf := make([]byte, 2048)
	for {
		n, from, err := unix.Recvfrom(l.segment, buf, 0)
		if err != nil {
			return count // nothing more on the wire
		}
		if out, ok := from.(*unix.SockaddrLinklayer); ok && out.Pkttype == unix.PACKET_OUTGOING {
			continue // the test's own
		}
		if n >= 12 && bytes.Equal(buf[6:12], l.own) {
			l.t.Logf("the device sent %x", buf[:n])
			count++
		}
	}
}

func TestTheKernelFiltersWhatIsNotListenedFor(t *testing.T) {
	l := newLab(t, neighbour.Config{Interfaces: []string{"eth0"}})
	for range 200 {
		l.send(frametest.UDP(mac1, ip("192.0.2.21"), ip("192.0.2.10"), 40000, 9000, []byte("process data")))
	}
	l.send(frametest.VLAN(mac1, ip("192.0.2.21")))
	l.send(frametest.ARP(mac2, ip("192.0.2.22"), own))
	l.Await("the ARP behind it", seen(mac2))
	l.Step = 10 * time.Second // what was heard a moment ago may be counted at the look after the next
	r := l.Await("how much was heard", func(r sensor.Reading) bool { return r.Kind == sensor.Measure && r.Value > 0 })
	if r.Point != "eth0" || r.Value != 1 {
		t.Errorf("%g frames came through at %s, want the one of ARP", r.Value, r.Point)
	}
}

func TestAnInterfaceThatCantBeHeardIsAFault(t *testing.T) {
	l := newLab(t, neighbour.Config{Interfaces: []string{"eth0", "eth7"}})
	broken := func(name string) func(sensor.Reading) bool {
		return func(r sensor.Reading) bool { return r.Kind == sensor.Broken && r.Point == name }
	}
	l.Pass(10 * time.Second)
	if r := l.Await("eth7 is not there", broken("eth7")); !strings.Contains(string(r.Fields), "no such interface") {
		t.Errorf("%s", r.Fields)
	}
	eth0, err := l.nl.LinkByName("eth0")
	l.Must(err)
	l.Must(l.nl.LinkSetDown(eth0))
	l.Pass(10 * time.Second)
	l.Await("eth0 is off", broken("eth0"))
	l.Must(l.nl.LinkSetUp(eth0))
	l.Pass(10 * time.Second)
	l.Await("eth0 is heard again", func(r sensor.Reading) bool { return r.Kind == sensor.Measure && r.Point == "eth0" })
	l.send(frametest.ARP(mac1, ip("192.0.2.21"), own))
	l.Await("a neighbour behind it", seen(mac1))
	l.Must(l.nl.LinkDel(eth0))
	l.Pass(10 * time.Second)
	l.Await("eth0 is gone", broken("eth0"))
}

func TestTheSelfTestHearsAndSaysWhereItHeardNothing(t *testing.T) {
	devicetest.NeedsRoot(t, "a network namespace")
	l := &lab{Rig: sensortest.New(t), t: t}
	ready, found := make(chan error, 1), make(chan []sensor.Finding, 1)
	sensortest.OnThread(func() {
		err := l.build()
		ready <- err
		if err != nil {
			return
		}
		s, err := neighbour.New(sensor.Env{ID: core.MustID[core.SensorID]("net"), Clock: core.SystemClock{}}, neighbour.Config{Interfaces: []string{"eth0", "eth7"}})
		if err != nil {
			found <- nil
			return
		}
		ctx, end := context.WithTimeout(context.Background(), time.Second)
		defer end()
		quiet := s.SelfTest(ctx)
		again, stop := context.WithTimeout(context.Background(), 3*time.Minute)
		defer stop()
		done := make(chan struct{})
		go l.speak(done)
		found <- append(quiet, s.SelfTest(again)...)
		close(done)
	})
	l.Must(<-ready)
	results := map[string][]sensor.Result{}
	for _, f := range <-found {
		results[f.Check] = append(results[f.Check], f.Result)
	}
	if got := results["eth0"]; !slices.Equal(got, []sensor.Result{sensor.Untried, sensor.Pass}) {
		t.Errorf("eth0: %v", got)
	}
	if got := results["eth7"]; !slices.Equal(got, []sensor.Result{sensor.Fail, sensor.Fail}) {
		t.Errorf("eth7: %v", got)
	}
}

// speak has somebody speak again and again.
func (l *lab) speak(done <-chan struct{}) {
	frame := frametest.ARP(mac1, ip("192.0.2.21"), own)
	for {
		_, _ = unix.Write(l.segment, frame)
		select {
		case <-done:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
