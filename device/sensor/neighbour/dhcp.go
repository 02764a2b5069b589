package neighbour

import (
	"encoding/binary"
	"net/netip"

	"github.com/interlock-security/interlock/device/sensor"
)

const (
	dhcpFixed = 236
	dhcpMagic = 0x63825363

	optionPad    = 0
	optionHost   = 12
	optionWanted = 50
	optionType   = 53
	optionServer = 54
	optionVendor = 60
	optionEnd    = 255

	bootRequest = 1
	bootReply   = 2
)

// dhcp takes a DHCP message. Clients ask by broadcast, so who asks, what it
// calls itself and which server it chose is heard; the answers of servers mostly
// go to the client alone, and are not.
func (h *heard) dhcp(b []byte, source netip.Addr) bool {
	if len(b) < dhcpFixed+4 || binary.BigEndian.Uint32(b[dhcpFixed:]) != dhcpMagic || b[1] != 1 || b[2] != 6 {
		return false
	}
	h.via = viaDHCP
	options := dhcpOptions(b[dhcpFixed+4:])
	if ip, ok := addr4(options[optionServer]); ok {
		h.server = ip
	}
	switch b[0] {
	case bootRequest:
		h.host, h.vendor = sensor.Text(string(options[optionHost])), sensor.Text(string(options[optionVendor]))
		// What it has already, in a renewal. What it only wishes for (option 50) is
		// nobody's yet.
		if ip, ok := addr4(b[12:16]); ok {
			h.ip = ip
		}
	case bootReply:
		h.offers = h.server.IsValid()
		// A relay speaks for a server elsewhere.
		if relayed := binary.BigEndian.Uint32(b[24:]) != 0; !relayed && source == h.server {
			h.ip = source
		}
	default:
		return false
	}
	return true
}

// maxOptions bounds what is read of one message.
const maxOptions = 64

// dhcpOptions reads the options that are used here; the first of a kind counts.
func dhcpOptions(b []byte) map[byte][]byte {
	options := map[byte][]byte{}
	for range maxOptions {
		for len(b) > 0 && b[0] == optionPad {
			b = b[1:]
		}
		if len(b) < 2 || b[0] == optionEnd || 2+int(b[1]) > len(b) {
			return options
		}
		switch kind := b[0]; kind {
		case optionHost, optionType, optionServer, optionVendor, optionWanted:
			if options[kind] == nil {
				options[kind] = b[2 : 2+int(b[1])]
			}
		}
		b = b[2+int(b[1]):]
	}
	return options
}

func addr4(b []byte) (netip.Addr, bool) {
	if len(b) != 4 {
		return netip.Addr{}, false
	}
	ip := netip.AddrFrom4([4]byte(b))
	return ip, unicast(ip)
}
