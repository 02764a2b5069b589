package neighbour

import (
	"encoding/binary"
	"encoding/hex"
	"net"

	"github.com/interlock-security/interlock/device/sensor"
)

const (
	tlvEnd     = 0
	tlvChassis = 1
	tlvPort    = 2
	tlvSystem  = 5
	// The subtypes whose value is a MAC.
	chassisMAC = 4
	portMAC    = 3
	// maxTLVs bounds what is read of one message.
	maxTLVs = 32
)

// lldp takes what a switch says of itself and of the port at which this device
// is: a device that was moved to another socket hears another port.
func (h *heard) lldp(b []byte) bool {
	var chassis, port string
	for range maxTLVs {
		if len(b) < 2 {
			break
		}
		head := binary.BigEndian.Uint16(b)
		kind, size := head>>9, int(head&0x1ff)
		if kind == tlvEnd || 2+size > len(b) {
			break
		}
		value := b[2 : 2+size]
		switch kind {
		case tlvChassis:
			chassis = identifier(value, chassisMAC)
		case tlvPort:
			port = identifier(value, portMAC)
		case tlvSystem:
			h.host = sensor.Text(string(value))
		}
		b = b[2+size:]
	}
	if chassis == "" || port == "" {
		return false
	}
	h.via, h.port = viaLLDP, sensor.Text(chassis+" "+port)
	return true
}

// identifier is the text of a subtype and a value; a network address and what is
// no text are shown in hex.
func identifier(b []byte, mac byte) string {
	switch {
	case len(b) < 2:
		return ""
	case b[0] == mac && len(b) == 7:
		return net.HardwareAddr(b[1:]).String()
	case sensor.Text(string(b[1:])) != string(b[1:]):
		return hex.EncodeToString(b[1:min(len(b), 65)])
	}
	return string(b[1:])
}
