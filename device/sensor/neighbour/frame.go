package neighbour

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
)

// The ways in which a neighbour shows itself.
const (
	viaARP    = "arp"
	viaDHCP   = "dhcp"
	viaDHCP6  = "dhcp6"
	viaMDNS   = "mdns"
	viaND     = "nd"
	viaRA     = "ra"
	viaMLD    = "mld"
	viaLLDP   = "lldp"
	viaKernel = "kernel"
)

// heard is what one frame says. All of it is the sender's word.
type heard struct {
	via string
	// mac is the Ethernet source, without which nothing was heard.
	mac string
	// ip is an address that the sender says is its own, the zero Addr for none.
	ip netip.Addr
	// claimed is whom ip is said to belong to, where that is not mac: an ARP
	// message may speak of others than its sender.
	claimed string
	host    string
	vendor  string
	// server is the DHCP server that the message names. offers says that the
	// message is a server's own.
	server netip.Addr
	offers bool
	// router says that the sender offers to be the router of the segment.
	router bool
	// port names the socket that the cable of this device is in, as the switch
	// at its other end says.
	port string
}

// owner is whom the address of a message is said to belong to.
func (h heard) owner() string {
	if h.claimed != "" {
		return h.claimed
	}
	return h.mac
}

const (
	etherHeader = 14
	typeIPv4    = 0x0800
	typeARP     = 0x0806
	typeIPv6    = 0x86dd
	typeLLDP    = 0x88cc

	protoHopByHop = 0
	protoUDP      = 17
	protoICMPv6   = 58

	portDHCPServer  = 67
	portDHCPClient  = 68
	portDHCP6Client = 546
	portDHCP6Server = 547
	portMDNS        = 5353
)

// parse reads an Ethernet frame. What is cut short, or none of what is listened
// for, says nothing; it is no error, for anybody on the segment may send
// anything.
func parse(frame []byte) (heard, bool) {
	if len(frame) < etherHeader {
		return heard{}, false
	}
	mac, ok := station(frame[6:12])
	if !ok {
		return heard{}, false
	}
	h := heard{mac: mac}
	body := frame[etherHeader:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case typeARP:
		return h, h.arp(body)
	case typeIPv4:
		return h, h.ipv4(body)
	case typeIPv6:
		return h, h.ipv6(body)
	case typeLLDP:
		return h, h.lldp(body)
	}
	return heard{}, false
}

// station returns the text of a MAC that one network card can have.
func station(b []byte) (string, bool) {
	if len(b) < 6 || b[0]&1 != 0 || b[0]|b[1]|b[2]|b[3]|b[4]|b[5] == 0 {
		return "", false
	}
	return net.HardwareAddr(b[:6]).String(), true
}

// randomised says that a MAC was not given by a maker: software chose it, as
// telephones and virtual machines do.
func randomised(mac string) bool {
	return len(mac) > 1 && strings.ContainsRune("26ae", rune(mac[1]))
}

const arpLength = 28

// arp takes ARP over Ethernet for IPv4. The address of a probe (sender 0.0.0.0)
// is nobody's yet.
func (h *heard) arp(b []byte) bool {
	if len(b) < arpLength || binary.BigEndian.Uint16(b) != 1 || binary.BigEndian.Uint16(b[2:]) != typeIPv4 || b[4] != 6 || b[5] != 4 {
		return false
	}
	h.via = viaARP
	sender, ok := station(b[8:14])
	if !ok {
		return true
	}
	if ip := netip.AddrFrom4([4]byte(b[14:18])); unicast(ip) {
		h.ip = ip
		if sender != h.mac {
			h.claimed = sender
		}
	}
	return true
}

func unicast(ip netip.Addr) bool {
	return ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLoopback() && ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// ipv4 takes UDP over IPv4. The source of the packet is no claim on the address:
// routers pass on the packets of others.
func (h *heard) ipv4(b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != protoUDP || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return false
	}
	header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || total < header || total > len(b) {
		return false // longer than what was kept of the frame, or cut on the way
	}
	source := netip.AddrFrom4([4]byte(b[12:16]))
	return h.udp(b[header:total], source, b[16]&0xf0 == 0xe0)
}

// udp takes a datagram. One for a group of the segment was passed on by nobody,
// so its source is the sender's own address.
func (h *heard) udp(b []byte, source netip.Addr, group bool) bool {
	if len(b) < 8 {
		return false
	}
	to, length := binary.BigEndian.Uint16(b[2:]), int(binary.BigEndian.Uint16(b[4:]))
	if length < 8 || length > len(b) {
		return false
	}
	body := b[8:length]
	switch to {
	case portDHCPServer, portDHCPClient:
		return source.Is4() && h.dhcp(body, source)
	case portDHCP6Client, portDHCP6Server:
		h.via = viaDHCP6
		return true
	case portMDNS:
		if group && unicast(source) {
			h.ip = source
		}
		return h.mdns(body)
	}
	return false
}

const (
	icmpRouterSolicit   = 133
	icmpRouterAdvert    = 134
	icmpNeighbourAsk    = 135
	icmpNeighbourAnswer = 136
	ipv6Header          = 40
	optionSourceLink    = 1
	optionTargetLink    = 2
)

func (h *heard) ipv6(b []byte) bool {
	if len(b) < ipv6Header || b[0]>>4 != 6 {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if ipv6Header+length > len(b) {
		return false
	}
	source, body := netip.AddrFrom16([16]byte(b[8:24])), b[ipv6Header:ipv6Header+length]
	switch b[6] {
	case protoUDP:
		return h.udp(body, source, b[24] == 0xff)
	case protoICMPv6:
		return b[7] == 255 && h.icmp6(body, source) // one that a router passed on is forged
	case protoHopByHop:
		// A host that joins a group, as each does when it starts: that it is there
		// is all that is taken from it.
		h.via = viaMLD
		return true
	}
	return false
}

// icmp6 takes neighbour discovery.
func (h *heard) icmp6(b []byte, source netip.Addr) bool {
	if len(b) < 8 {
		return false
	}
	h.via = viaND
	switch b[0] {
	case icmpRouterSolicit:
		h.own(source, option(b[8:], optionSourceLink))
		return true
	case icmpRouterAdvert:
		return h.advert(b, source)
	case icmpNeighbourAsk:
		if len(b) < 24 {
			return false
		}
		h.own(source, option(b[24:], optionSourceLink))
		return true
	case icmpNeighbourAnswer:
		if len(b) < 24 {
			return false
		}
		h.own(netip.AddrFrom16([16]byte(b[8:24])), option(b[24:], optionTargetLink))
		return true
	}
	return false
}

// advert takes a router advertisement. A lifetime of 0 says that the sender is
// no default router.
func (h *heard) advert(b []byte, source netip.Addr) bool {
	if len(b) < 16 {
		return false
	}
	h.via = viaRA
	h.router = binary.BigEndian.Uint16(b[6:]) > 0
	h.own(source, option(b[16:], optionSourceLink))
	return true
}

// own notes an address and to whom the message says that it belongs.
func (h *heard) own(ip netip.Addr, link []byte) {
	if !unicast(ip) {
		return
	}
	h.ip = ip
	if mac, ok := station(link); ok && mac != h.mac {
		h.claimed = mac
	}
}

// option returns the link-layer address among the options of a message, nil
// where there is none.
func option(b []byte, kind byte) []byte {
	for len(b) >= 8 {
		size := int(b[1]) * 8
		if size == 0 || size > len(b) {
			return nil
		}
		if b[0] == kind {
			return b[2:8]
		}
		b = b[size:]
	}
	return nil
}
