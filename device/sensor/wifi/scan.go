package wifi

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/device/sensor"
)

// What of nl80211 is used here (linux/nl80211.h).
const (
	commandGetScan = 32
	attrInterface  = 3
	attrBSS        = 47

	bssID        = 1
	bssFrequency = 2
	bssElements  = 6
	bssSignal    = 7 // hundredths of a dBm
	bssSeen      = 10
	bssBeacon    = 11

	elementSSID = 0
	genlHeader  = 4
	attrHeader  = 4
)

// accessPoint is one of the kernel's last scan.
type accessPoint struct {
	mac    string
	ssid   string
	mhz    uint32
	signal int // dBm, 0 where unknown
	seen   time.Duration
}

// scanResults asks the kernel for what the last scan heard. It has nothing
// scanned: whoever manages the network does that.
func scanResults(index int) ([]accessPoint, error) {
	family, err := netlink.GenlFamilyGet("nl80211")
	if err != nil {
		return nil, err
	}
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_DUMP)
	req.AddData(&nl.Genlmsg{Command: commandGetScan, Version: 1})
	req.AddData(nl.NewRtAttr(attrInterface, binary.NativeEndian.AppendUint32(nil, uint32(index))))
	messages, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return nil, err
	}
	var all []accessPoint
	for _, m := range messages {
		if ap, ok := parseScan(m); ok && len(all) < maxPoints {
			all = append(all, ap)
		}
	}
	return all, nil
}

// parseScan reads one message of a scan's results. The kernel made its frame; the
// names in it are the access points' own.
func parseScan(m []byte) (accessPoint, bool) {
	if len(m) < genlHeader {
		return accessPoint{}, false
	}
	bss := attributes(m[genlHeader:])[attrBSS]
	if bss == nil {
		return accessPoint{}, false
	}
	a := attributes(bss)
	mac := a[bssID]
	if len(mac) != 6 || mac[0]&1 != 0 {
		return accessPoint{}, false
	}
	ap := accessPoint{mac: net.HardwareAddr(mac).String(), mhz: number(a[bssFrequency]), signal: int(int32(number(a[bssSignal]))) / 100}
	ap.seen = time.Duration(number(a[bssSeen])) * time.Millisecond
	if ap.ssid = ssid(a[bssElements]); ap.ssid == "" {
		ap.ssid = ssid(a[bssBeacon])
	}
	return ap, true
}

func number(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// attributes takes netlink attributes apart; the last of a kind counts.
func attributes(b []byte) map[uint16][]byte {
	all := map[uint16][]byte{}
	for len(b) >= attrHeader {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)
		if size < attrHeader || size > len(b) {
			return all
		}
		all[kind] = b[attrHeader:size]
		b = b[min((size+3)&^3, len(b)):]
	}
	return all
}

// ssid is the name in an access point's information elements.
func ssid(b []byte) string {
	for len(b) >= 2 {
		size := int(b[1])
		if 2+size > len(b) {
			return ""
		}
		if b[0] == elementSSID {
			return sensor.Text(string(b[2 : 2+size]))
		}
		b = b[2+size:]
	}
	return ""
}
