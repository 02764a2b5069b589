// Package neighbour is the driver that hears who else is on the network segment.
// It listens and never sends: ARP, DHCP, multicast DNS, IPv6 neighbour discovery
// and LLDP as they come to this machine's network cards anyway, and the kernel's
// own neighbour table. The kernel filters, so that traffic costs nothing; no card
// is made promiscuous.
//
// What was heard is each station's own word, a sighting; which of them are known
// the judge says (device/monitor/known). What contradicts itself on the wire is
// said here: a second DHCP server or router, a gateway with another network
// card, one address at two stations.
//
// A switch delivers to this machine what is broadcast, what goes to it, and the
// groups that it was asked for. Two stations that speak only to each other are
// not heard.
package neighbour

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	lookEvery  = 10 * time.Second
	maxSilence = time.Minute
	rcvBuf     = 1 << 20
	// maxInterfaces bounds what is listened to.
	maxInterfaces = 16
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "neighbour", Senses: "who else is on the network segment: stations, DHCP servers, routers, the switch's port",
	Interface: "AF_PACKET with a filter in the kernel (ARP, DHCP, mDNS, IPv6 ND and RA, LLDP), rtnetlink neighbour table; sends nothing",
	Latency:   sensor.LatencyEvent,
	Events: []sensor.EventDoc{
		{Type: "dhcp_rogue", Severity: core.SeverityHigh, Alarm: true, Meaning: "a DHCP server other than the expected one answers, or a client chose it"},
		{Type: "router_rogue", Severity: core.SeverityHigh, Alarm: true, Meaning: "an IPv6 router other than the expected one offers itself"},
		{Type: "gateway_changed", Severity: core.SeverityHigh, Alarm: true, Meaning: "the gateway's address belongs to another network card"},
		{Type: "address_conflict", Severity: core.SeverityHigh, Alarm: true, Meaning: "two stations claim one address, or one claims this machine's"},
		{Type: "frames_lost", Severity: core.SeverityMedium, Meaning: "the segment was louder than the driver could hear"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel},
}

// Config configures the driver.
type Config struct {
	// Interfaces are the network interfaces to listen at, by name. None means
	// each Ethernet card.
	Interfaces []string `yaml:"interfaces,omitempty"`
	// DHCPServers are the addresses of the DHCP servers that belong there. None
	// means that the first that is heard is the right one, which after each start
	// may be the wrong one.
	DHCPServers []string `yaml:"dhcp_servers,omitempty"`
	// Routers are the MACs of the IPv6 routers that belong there; none likewise.
	Routers []string `yaml:"routers,omitempty"`
	// Gateways are the MACs of gateways, by address. One that isn't listed is
	// believed as it is first heard.
	Gateways map[string]string `yaml:"gateways,omitempty"`
	// Scan would ask instead of listen. This driver can't.
	Scan bool `yaml:"scan,omitempty"`
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if c.Scan {
		return invalid("scan: this driver only listens").WithHint("leave it out")
	}
	if len(c.Interfaces) > maxInterfaces {
		return invalid("interfaces: %d of them; %d are the most", len(c.Interfaces), maxInterfaces)
	}
	for i, name := range c.Interfaces {
		if name == "" || len(name) >= unix.IFNAMSIZ || sensor.Text(name) != name {
			return invalid("interfaces[%d]: %q is no interface's name", i, name).WithHint("ip link shows the names")
		}
	}
	for i, s := range c.DHCPServers {
		if ip, err := netip.ParseAddr(s); err != nil || !ip.Is4() {
			return invalid("dhcp_servers[%d]: %q is no IPv4 address", i, s)
		}
	}
	for i, r := range c.Routers {
		if _, ok := parseMAC(r); !ok {
			return invalid("routers[%d]: %q is no MAC address", i, r)
		}
	}
	for ip, mac := range c.Gateways {
		if _, err := netip.ParseAddr(ip); err != nil {
			return invalid("gateways: %q is no address", ip)
		}
		if _, ok := parseMAC(mac); !ok {
			return invalid("gateways: %q is no MAC address", mac)
		}
	}
	return nil
}

func invalid(format string, args ...any) *core.Error {
	return core.E(core.KindInvalid, "neighbour.Config", fmt.Sprintf(format, args...))
}

// parseMAC reads a MAC as people write it and returns it as this driver does.
func parseMAC(s string) (string, bool) {
	mac, err := net.ParseMAC(s)
	if err != nil {
		return "", false
	}
	return station(mac)
}

// Sensor hears neighbours; see [New].
type Sensor struct {
	id    core.SensorID
	clock core.Clock
	cfg   Config
	// segments are what is believed, by interface. They outlive a run: a gateway
	// that changed while the driver was being restarted has changed all the same.
	segments map[string]*facts
}

// New returns a driver for the named interfaces, or for each Ethernet card when
// none is named.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sensor{id: env.ID, clock: env.Clock, cfg: c, segments: map[string]*facts{}}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.id }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "neighbour", Needs: []sensor.Need{sensor.NeedPacket, sensor.NeedNetlink},
		Provenance: core.ProvenanceLocal, Latency: sensor.LatencyEvent, MaxSilence: maxSilence,
	}
}

// Probe implements [sensor.Sensor].
func (s *Sensor) Probe() sensor.Presence {
	if len(s.cfg.Interfaces) > 0 {
		return sensor.Present()
	}
	links, err := netlink.LinkList()
	if err != nil {
		return sensor.Skipped(fmt.Sprintf("no rtnetlink here: %v", err))
	}
	for _, l := range links {
		if s.watches(l) {
			return sensor.Present()
		}
	}
	return sensor.Skipped("this machine has no Ethernet card; name the interfaces to listen at others")
}

// watches says whether an interface is one to listen at. What software makes is
// not, unless it is named.
func (s *Sensor) watches(l netlink.Link) bool {
	a := l.Attrs()
	for _, name := range s.cfg.Interfaces {
		if name == a.Name {
			return true
		}
	}
	return len(s.cfg.Interfaces) == 0 && l.Type() == "device" && a.Flags&net.FlagLoopback == 0 && len(a.HardwareAddr) == 6
}

// facts are what is believed of the segment at an interface.
func (s *Sensor) facts(name string) *facts {
	f := s.segments[name]
	if f == nil {
		f = newFacts(sensor.Text(name), s.cfg)
		s.segments[name] = f
	}
	return f
}
