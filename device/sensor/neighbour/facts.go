package neighbour

import (
	"net/netip"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// facts is what is believed of one segment, and what contradicts it. It is pure:
// time comes in with each call.
type facts struct {
	place string
	// servers are the DHCP servers and routers the routers that may be there, by
	// configuration or because they were the first to be heard.
	servers   map[netip.Addr]bool
	routers   map[string]bool
	pinned    bool // servers are the configuration's
	pinnedRA  bool
	gateways  map[netip.Addr]string // address to MAC, "" until it is heard
	fixed     map[netip.Addr]string // by configuration
	mine      map[netip.Addr]bool   // this machine's own addresses
	claims    map[netip.Addr]*claim
	oldClaims map[netip.Addr]*claim
	told      map[string]map[string]time.Time // by event
}

// claim is who has an address, and who had it before.
type claim struct {
	mac, before string
	at          time.Time // mac's last word

	beforeAt time.Time // before's last word
}

const (
	// maxClaims bounds what is remembered of one segment: two generations of it.
	maxClaims = 2048
	// conflictWithin is how long an address may go back and forth before that is
	// two machines with one address and no machine that got another one's.
	conflictWithin = 10 * time.Minute
	// tellAgain is how long something that goes on is not told anew.
	tellAgain = 10 * time.Minute
	maxTold   = 256
)

func newFacts(place string, c Config) *facts {
	f := &facts{
		place: place, servers: map[netip.Addr]bool{}, routers: map[string]bool{}, gateways: map[netip.Addr]string{}, fixed: map[netip.Addr]string{},
		mine: map[netip.Addr]bool{}, claims: map[netip.Addr]*claim{}, told: map[string]map[string]time.Time{},
		pinned: len(c.DHCPServers) > 0, pinnedRA: len(c.Routers) > 0,
	}
	for _, s := range c.DHCPServers {
		f.servers[netip.MustParseAddr(s)] = true // Validate parsed it
	}
	for _, r := range c.Routers {
		mac, _ := parseMAC(r)
		f.routers[mac] = true
	}
	for ip, text := range c.Gateways {
		mac, _ := parseMAC(text)
		f.fixed[netip.MustParseAddr(ip)] = mac
	}
	return f
}

// gateway sets the addresses by which this machine leaves the segment. What was
// heard of one stays.
func (f *facts) gateway(all []netip.Addr) {
	for ip := range f.gateways {
		if !slices.Contains(all, ip) && f.fixed[ip] == "" {
			delete(f.gateways, ip)
		}
	}
	for _, ip := range all {
		if _, known := f.gateways[ip]; !known {
			f.gateways[ip] = f.fixed[ip]
		}
	}
	for ip, mac := range f.fixed {
		f.gateways[ip] = mac
	}
}

// own sets this machine's addresses.
func (f *facts) own(all []netip.Addr) {
	clear(f.mine)
	for _, ip := range all {
		f.mine[ip] = true
	}
}

// take draws from one message what contradicts what is believed.
func (f *facts) take(now time.Time, h heard) (said []sensor.Reading) {
	if h.server.IsValid() {
		said = append(said, f.server(now, h)...)
	}
	if h.router {
		said = append(said, f.router(now, h)...)
	}
	if !h.ip.IsValid() {
		return said
	}
	if was, is := f.gateways[h.ip]; is {
		return append(said, f.gatewayClaim(now, h, was)...)
	}
	return append(said, f.claim(now, h)...)
}

// roles are what a message makes its sender beside a station. They are sighted as
// identities of their own, so that the judge, which remembers across restarts,
// knows another gateway when the device starts beside it.
func (f *facts) roles(h heard) []part {
	var all []part
	if h.port != "" {
		all = append(all, part{class: "switch-port", identity: h.port})
	}
	if h.server.IsValid() {
		all = append(all, part{class: "dhcp-server", identity: h.server.String()})
	}
	if h.router {
		all = append(all, part{class: "router", identity: h.mac})
	}
	if _, is := f.gateways[h.ip]; is {
		all = append(all, part{class: "gateway", identity: h.ip.String() + " " + h.owner()})
	}
	return all
}

// server judges a DHCP server that offers, or that a client chose.
func (f *facts) server(now time.Time, h heard) []sensor.Reading {
	if len(f.servers) == 0 && !f.pinned {
		f.servers[h.server] = true
	}
	if f.servers[h.server] {
		return nil
	}
	fields := map[string]any{"server": h.server.String(), "expected": texts(f.servers)}
	if h.offers {
		fields["mac"] = h.mac
	} else {
		fields["client"] = h.mac // who chose it; the server itself was not heard
	}
	return f.tell(now, "dhcp_rogue", h.server.String(), fields)
}

func (f *facts) router(now time.Time, h heard) []sensor.Reading {
	if len(f.routers) == 0 && !f.pinnedRA {
		f.routers[h.mac] = true
	}
	if f.routers[h.mac] {
		return nil
	}
	return f.tell(now, "router_rogue", h.mac, map[string]any{"mac": h.mac, "address": text(h.ip)})
}

// gatewayClaim judges who has the gateway's address. A new one is believed from
// then on, unless the configuration says who it is: it is told once, and so is
// the way back.
func (f *facts) gatewayClaim(now time.Time, h heard, was string) []sensor.Reading {
	mac := h.owner()
	if f.fixed[h.ip] == "" {
		f.gateways[h.ip] = mac
	}
	if was == "" || was == mac {
		return nil
	}
	return f.tell(now, "gateway_changed", h.ip.String()+" "+mac, map[string]any{
		"gateway": h.ip.String(), "was": was, "mac": mac, "via": h.via, "randomised": randomised(mac),
	})
}

// claim judges who has an address. This machine's own address is no one else's;
// another one may pass from one machine to the next, and not back and forth.
func (f *facts) claim(now time.Time, h heard) []sensor.Reading {
	mac := h.owner()
	if f.mine[h.ip] {
		return f.tell(now, "address_conflict", h.ip.String(), map[string]any{"address": h.ip.String(), "mac": mac, "own": true, "via": h.via})
	}
	c := f.remembered(h.ip)
	if c.mac == "" || c.mac == mac {
		c.mac, c.at = mac, now
		return nil
	}
	back := mac == c.before && now.Sub(c.beforeAt) <= conflictWithin && now.Sub(c.at) <= conflictWithin
	c.mac, c.before, c.beforeAt, c.at = mac, c.mac, c.at, now
	if !back {
		return nil
	}
	return f.tell(now, "address_conflict", h.ip.String(), map[string]any{
		"address": h.ip.String(), "mac": mac, "other": c.before, "own": false, "via": h.via,
	})
}

// remembered returns the claim on an address. Of more addresses than are kept,
// those not heard of for longest are forgotten.
func (f *facts) remembered(ip netip.Addr) *claim {
	if c := f.claims[ip]; c != nil {
		return c
	}
	c := f.oldClaims[ip]
	if c == nil {
		c = &claim{}
	}
	if len(f.claims) >= maxClaims {
		f.oldClaims, f.claims = f.claims, map[netip.Addr]*claim{}
	}
	f.claims[ip] = c
	return c
}

// tell makes an event of what was not told for a while. Each kind has room of its
// own: conflicts that somebody makes up must not hide another gateway.
func (f *facts) tell(now time.Time, kind, what string, fields map[string]any) []sensor.Reading {
	told := f.told[kind]
	if told == nil {
		told = map[string]time.Time{}
		f.told[kind] = told
	}
	if at, was := told[what]; was && now.Sub(at) < tellAgain {
		return nil
	}
	if len(told) >= maxTold {
		for k, at := range told {
			if now.Sub(at) >= tellAgain {
				delete(told, k)
			}
		}
	}
	if len(told) >= maxTold {
		return nil // somebody makes them up; the sensor's budget would count them
	}
	told[what] = now
	fields["interface"] = f.place
	return []sensor.Reading{{
		Kind: sensor.Pulse, Point: f.place, Type: kind, Alarm: true, Severity: core.SeverityHigh, Fields: sensor.Fields(fields),
	}}
}

func texts(all map[netip.Addr]bool) []string {
	out := []string{}
	for ip := range all {
		out = append(out, ip.String())
	}
	slices.Sort(out)
	return out
}

func text(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}
