package neighbour

import (
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/neighbour/frametest"
)

var (
	macA    = net.HardwareAddr{0x00, 0x1b, 0x21, 1, 1, 1}
	macB    = net.HardwareAddr{0x00, 0x1b, 0x21, 2, 2, 2}
	address = netip.MustParseAddr("192.0.2.21")
	start   = time.Unix(1_800_000_000, 0)
)

// samples are one frame of each kind.
func samples() [][]byte {
	return [][]byte{
		frametest.ARP(macA, address, address),
		frametest.DHCPRequest(macA, "cam", "udhcp", address),
		frametest.DHCPOffer(macA, address, macB),
		frametest.MDNS(macA, address, "laptop.local"),
		frametest.NeighbourAdvert(macA, netip.MustParseAddr("fe80::1")),
		frametest.RouterAdvert(macA, netip.MustParseAddr("fe80::1"), 1800),
		frametest.MLD(macA),
		frametest.LLDP(macA, macB, "ge-0/0/7", "sw"),
	}
}

func TestAFrameThatIsCutAnywhereSaysNoMoreThanTheWholeOne(t *testing.T) {
	for _, whole := range samples() {
		want, ok := parse(whole)
		if !ok {
			t.Fatalf("%x says nothing", whole)
		}
		for n := range len(whole) {
			h, ok := parse(whole[:n])
			if ok && (h.mac != want.mac || h.via != want.via) {
				t.Errorf("cut at %d of %d: %+v, whole %+v", n, len(whole), h, want)
			}
		}
	}
}

func TestNoStationIsABroadcastOrNothing(t *testing.T) {
	for _, mac := range []net.HardwareAddr{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {1, 0, 0x5e, 0, 0, 1}, {0, 0, 0, 0, 0, 0}} {
		if h, ok := parse(frametest.ARP(mac, address, address)); ok {
			t.Errorf("%s: %+v", mac, h)
		}
	}
}

func TestAProbeAndAWishAreNoClaims(t *testing.T) {
	probe, ok := parse(frametest.ARP(macA, netip.IPv4Unspecified(), address))
	if !ok || probe.ip.IsValid() {
		t.Errorf("a probe: %+v", probe)
	}
	wish, ok := parse(frametest.DHCPRequest(macA, "cam", "", address))
	if !ok || wish.ip.IsValid() {
		t.Errorf("a request: %+v", wish)
	}
}

func TestAnARPMessageMaySpeakOfOthers(t *testing.T) {
	h, ok := parse(frametest.ARPFor(macA, macB, address, address))
	if !ok || h.mac != macA.String() || h.owner() != macB.String() || h.ip != address {
		t.Errorf("%+v", h)
	}
}

func TestADatagramThatWasPassedOnClaimsNothing(t *testing.T) {
	body := append([]byte{0, 0, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0)
	h, ok := parse(frametest.UDP(macA, netip.MustParseAddr("198.51.100.7"), address, 5353, 5353, body))
	if !ok || h.ip.IsValid() {
		t.Errorf("%+v", h)
	}
}

func TestWhatANeighbourCallsItselfIsData(t *testing.T) {
	h, _ := parse(frametest.DHCPRequest(macA, "\x1b[2Jroot\u202egpj", strings.Repeat("v", 255), address))
	if strings.ContainsAny(h.host, "\x1b\u202e") || !strings.Contains(h.host, "root") || len(h.vendor) > sensor.MaxText {
		t.Errorf("%q %q", h.host, h.vendor)
	}
}

func TestANameThatPointsToItselfEnds(t *testing.T) {
	loop := []byte{0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4}
	if host := hostOf(loop); host != "" {
		t.Errorf("host %q", host)
	}
	twice := []byte{0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 'a', 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4}
	if host := hostOf(twice); strings.Count(host, "a") > maxLabels {
		t.Errorf("host %q", host)
	}
}

func TestWhoseMACItIs(t *testing.T) {
	for mac, want := range map[string]bool{
		"52:54:00:01:02:03": true, "02:42:ac:11:00:02": true, "da:a1:19:00:00:01": true, "fe:00:00:00:00:01": true,
		"00:1b:21:01:02:03": false, "b8:27:eb:01:02:03": false, "d8:3a:dd:01:02:03": false, "": false,
	} {
		if got := randomised(mac); got != want {
			t.Errorf("%q: %v", mac, got)
		}
	}
}

func TestTheFilterLetsThroughWhatItSays(t *testing.T) {
	program := assemble(steps)
	if len(program) != len(steps) || len(steps) > 255 {
		t.Fatalf("%d steps, %d instructions", len(steps), len(program))
	}
	for i, s := range steps {
		for _, label := range []string{s.yes, s.no} {
			if label != "" && !slices.ContainsFunc(steps[i+1:], func(o step) bool { return o.label == label }) {
				t.Errorf("step %d goes to %q, which is not below it", i, label)
			}
		}
	}
}

func heardFrom(mac net.HardwareAddr, ip netip.Addr) heard {
	return heard{via: viaARP, mac: mac.String(), ip: ip}
}

func types(said []sensor.Reading) []string {
	var all []string
	for _, r := range said {
		all = append(all, r.Type)
	}
	return all
}

func TestAnAddressMayPassOnAndNotGoBackAndForth(t *testing.T) {
	f, now := newFacts("eth0", Config{}), start
	for i, c := range []struct {
		after time.Duration
		mac   net.HardwareAddr
		want  []string
	}{
		{0, macA, nil},
		{time.Minute, macA, nil},
		{time.Minute, macB, nil}, // a lease that passed on
		{time.Hour, macA, nil},   // and came back, long after
		{time.Minute, macB, nil}, // it was the other's an hour ago
		{time.Minute, macA, []string{"address_conflict"}},
		{time.Second, macB, nil}, // told a moment ago
		{15 * time.Minute, macA, nil},
	} {
		now = now.Add(c.after)
		if got := types(f.take(now, heardFrom(c.mac, address))); !slices.Equal(got, c.want) {
			t.Errorf("step %d: %v, want %v", i, got, c.want)
		}
	}
}

func TestTheGatewayMayNotMoveUnseen(t *testing.T) {
	f := newFacts("eth0", Config{})
	f.gateway([]netip.Addr{address})
	var got []string
	for _, mac := range []net.HardwareAddr{macA, macA, macB, macB, macA, macB, macA} {
		got = append(got, types(f.take(start, heardFrom(mac, address)))...)
		f.gateway([]netip.Addr{address}) // a look at the routes changes nothing
	}
	if want := []string{"gateway_changed", "gateway_changed"}; !slices.Equal(got, want) {
		t.Errorf("%v, want one each way", got)
	}
}

func TestAConfiguredGatewayIsNotRelearned(t *testing.T) {
	f := newFacts("eth0", Config{Gateways: map[string]string{address.String(): macA.String()}})
	f.gateway(nil)
	for i := range 3 {
		now := start.Add(time.Duration(i) * tellAgain)
		if got := types(f.take(now, heardFrom(macB, address))); !slices.Equal(got, []string{"gateway_changed"}) {
			t.Errorf("time %d: %v", i, got)
		}
	}
	if got := f.take(start, heardFrom(macA, address)); got != nil {
		t.Errorf("the right one: %v", got)
	}
}

func TestASecondRouterIsToldAndOneThatRetiresIsNot(t *testing.T) {
	f := newFacts("eth0", Config{})
	first, _ := parse(frametest.RouterAdvert(macA, netip.MustParseAddr("fe80::1"), 1800))
	second, _ := parse(frametest.RouterAdvert(macB, netip.MustParseAddr("fe80::2"), 1800))
	retired, _ := parse(frametest.RouterAdvert(macB, netip.MustParseAddr("fe80::2"), 0))
	if got := append(types(f.take(start, first)), types(f.take(start, retired))...); got != nil {
		t.Errorf("%v", got)
	}
	if got := types(f.take(start, second)); !slices.Equal(got, []string{"router_rogue"}) {
		t.Errorf("%v", got)
	}
}

func TestAFloodOfClaimsStaysSmallAndLosesNoGateway(t *testing.T) {
	f := newFacts("eth0", Config{})
	f.gateway([]netip.Addr{address})
	f.take(start, heardFrom(macA, address))
	for i := range 5 * maxClaims {
		ip := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		f.take(start, heardFrom(macB, ip))
		f.take(start, heard{via: viaDHCP, mac: macB.String(), server: ip})
	}
	told := 0
	for _, of := range f.told {
		told = max(told, len(of))
	}
	if len(f.claims) > maxClaims || len(f.oldClaims) > maxClaims || told > maxTold || len(f.told) > 4 {
		t.Errorf("%d and %d claims, %d told", len(f.claims), len(f.oldClaims), told)
	}
	if got := types(f.take(start, heardFrom(macB, address))); !slices.Equal(got, []string{"gateway_changed"}) {
		t.Errorf("after the flood: %v", got)
	}
}

func TestValidateSaysWhatIsWrong(t *testing.T) {
	for want, c := range map[string]Config{
		"only listens":              {Scan: true},
		"no interface's name":       {Interfaces: []string{"a/very/long/interface"}},
		"dhcp_servers[0]":           {DHCPServers: []string{"router"}},
		"routers[0]":                {Routers: []string{"ff:ff:ff:ff:ff:ff"}},
		`gateways: "192.0.2"`:       {Gateways: map[string]string{"192.0.2": "00:1b:21:01:01:01"}},
		`gateways: "00:1b:21:01:0`:  {Gateways: map[string]string{"192.0.2.1": "00:1b:21:01:01"}},
		"interfaces: 17 of them; 1": {Interfaces: make([]string, 17)},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", c, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range samples() {
		f.Add(s)
	}
	short, _ := hex.DecodeString("ffffffffffff001b2101010108060001")
	f.Add(short)
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, ok := parse(frame)
		if !ok {
			return
		}
		if h.via == "" || len(h.mac) != 17 {
			t.Errorf("%+v", h)
		}
		for _, s := range []string{h.host, h.vendor, h.port} {
			if len(s) > sensor.MaxText || !utf8.ValidString(s) || sensor.Text(s) != s {
				t.Errorf("%q", s)
			}
		}
		newFacts("eth0", Config{}).take(start, h)
	})
}
