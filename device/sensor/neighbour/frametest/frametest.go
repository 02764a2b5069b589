// Package frametest makes the Ethernet frames that stations of a segment send,
// for the tests of what listens to them. Nothing outside tests imports it.
package frametest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
)

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func ether(to, from net.HardwareAddr, kind uint16, body []byte) []byte {
	frame := append(append([]byte(nil), to...), from...)
	frame = append(binary.BigEndian.AppendUint16(frame, kind), body...)
	for len(frame) < 60 {
		frame = append(frame, 0) // as the card pads it
	}
	return frame
}

// ARP is a request by which a station tells that an address is its own; one that
// asks for its own address is gratuitous.
func ARP(from net.HardwareAddr, own, asked netip.Addr) []byte {
	return ARPFor(from, from, own, asked)
}

// ARPFor is a request that names another sender than the frame does.
func ARPFor(from, sender net.HardwareAddr, own, asked netip.Addr) []byte {
	body := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	body = append(append(body, sender...), own.AsSlice()...)
	body = append(append(body, 0, 0, 0, 0, 0, 0), asked.AsSlice()...)
	return ether(broadcast, from, 0x0806, body)
}

// VLAN is an ARP request in another VLAN.
func VLAN(from net.HardwareAddr, own netip.Addr) []byte {
	plain := ARP(from, own, own)
	tagged := append([]byte(nil), plain[:12]...)
	return append(append(tagged, 0x81, 0, 0, 5), plain[12:]...)
}

// UDP is a datagram over IPv4.
func UDP(from net.HardwareAddr, source, target netip.Addr, sport, dport uint16, body []byte) []byte {
	to := broadcast
	if target.IsMulticast() {
		b := target.As4()
		to = net.HardwareAddr{1, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	p := []byte{0x45, 0}
	p = binary.BigEndian.AppendUint16(p, uint16(28+len(body)))
	p = append(p, 0, 0, 0, 0, 64, 17, 0, 0)
	p = append(append(p, source.AsSlice()...), target.AsSlice()...)
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum&0xffff+sum>>16))
	return ether(to, from, 0x0800, append(p, udp(sport, dport, body)...))
}

func udp(sport, dport uint16, body []byte) []byte {
	p := binary.BigEndian.AppendUint16(nil, sport)
	p = binary.BigEndian.AppendUint16(p, dport)
	p = binary.BigEndian.AppendUint16(p, uint16(8+len(body)))
	return append(append(p, 0, 0), body...)
}

func bootp(op byte, client net.HardwareAddr, options ...[]byte) []byte {
	p := make([]byte, 236)
	p[0], p[1], p[2] = op, 1, 6
	copy(p[28:], client)
	p = append(p, 0x63, 0x82, 0x53, 0x63)
	for _, o := range options {
		p = append(p, o...)
	}
	return append(p, 255)
}

func option(kind byte, value []byte) []byte {
	if len(value) == 0 {
		return nil
	}
	return append([]byte{kind, byte(len(value))}, value...)
}

// DHCPRequest is how a client tells everybody which server it chose.
func DHCPRequest(client net.HardwareAddr, host, vendor string, server netip.Addr) []byte {
	body := bootp(1, client, option(53, []byte{3}), option(12, []byte(host)), option(60, []byte(vendor)), option(54, server.AsSlice()))
	return UDP(client, netip.IPv4Unspecified(), netip.AddrFrom4([4]byte{255, 255, 255, 255}), 68, 67, body)
}

// DHCPOffer is a server's offer, sent to everybody.
func DHCPOffer(from net.HardwareAddr, server netip.Addr, client net.HardwareAddr) []byte {
	body := bootp(2, client, option(53, []byte{2}), option(54, server.AsSlice()))
	return UDP(from, server, netip.AddrFrom4([4]byte{255, 255, 255, 255}), 67, 68, body)
}

// MDNS is the answer by which a host tells its name.
func MDNS(from net.HardwareAddr, own netip.Addr, host string) []byte {
	p := []byte{0, 0, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 0}
	service := name("_ssh._tcp.local")
	p = append(append(p, service...), 0, 12, 0, 1, 0, 0, 0, 120, 0, 2, 0xc0, 12)
	p = append(append(p, name(host)...), 0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4)
	p = append(p, own.AsSlice()...)
	return UDP(from, own, netip.AddrFrom4([4]byte{224, 0, 0, 251}), 5353, 5353, p)
}

func name(s string) []byte {
	var b []byte
	for label := range strings.SplitSeq(s, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

func ipv6(to, from net.HardwareAddr, source, target netip.Addr, next, hops byte, body []byte) []byte {
	p := []byte{0x60, 0, 0, 0}
	p = binary.BigEndian.AppendUint16(p, uint16(len(body)))
	p = append(p, next, hops)
	p = append(append(p, source.AsSlice()...), target.AsSlice()...)
	return ether(to, from, 0x86dd, append(p, body...))
}

var (
	allNodes    = netip.MustParseAddr("ff02::1")
	allNodesMAC = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}
)

// NeighbourAdvert is how a host tells that an address is its own.
func NeighbourAdvert(from net.HardwareAddr, own netip.Addr) []byte {
	body := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, own.AsSlice()...)
	return ipv6(allNodesMAC, from, own, allNodes, 58, 255, append(append(body, 2, 1), from...))
}

// RouterAdvert is how a router offers itself, for so many seconds.
func RouterAdvert(from net.HardwareAddr, own netip.Addr, lifetime uint16) []byte {
	body := []byte{134, 0, 0, 0, 64, 0, byte(lifetime >> 8), byte(lifetime), 0, 0, 0, 0, 0, 0, 0, 0}
	return ipv6(allNodesMAC, from, own, allNodes, 58, 255, append(append(body, 1, 1), from...))
}

// MLD is the report of a host that joins a group.
func MLD(from net.HardwareAddr) []byte {
	body := []byte{58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0, 0}
	return ipv6(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 0x16}, from, netip.IPv6Unspecified(), netip.MustParseAddr("ff02::16"), 0, 1, body)
}

// LLDP is what a switch says at one of its ports.
func LLDP(from, chassis net.HardwareAddr, port, system string) []byte {
	tlv := func(kind uint16, value []byte) []byte {
		return append(binary.BigEndian.AppendUint16(nil, kind<<9|uint16(len(value))), value...)
	}
	body := tlv(1, append([]byte{4}, chassis...))
	body = append(body, tlv(2, append([]byte{5}, port...))...)
	body = append(body, tlv(3, []byte{0, 120})...)
	body = append(body, tlv(5, []byte(system))...)
	return ether(net.HardwareAddr{1, 0x80, 0xc2, 0, 0, 0x0e}, from, 0x88cc, append(body, 0, 0))
}
