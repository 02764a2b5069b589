package neighbour

import (
	"encoding/binary"
	"strings"

	"github.com/interlock-security/interlock/device/sensor"
)

const (
	dnsHeader  = 12
	dnsAnswer  = 0x8000
	recordA    = 1
	recordAAAA = 28
	// maxRecords bounds what is read of one message, maxLabels one name.
	maxRecords = 64
	maxLabels  = 32
	maxName    = 255
)

// mdns takes a multicast DNS message. An answer names the host that gives it.
func (h *heard) mdns(b []byte) bool {
	if len(b) < dnsHeader {
		return false
	}
	h.via = viaMDNS
	if binary.BigEndian.Uint16(b[2:])&dnsAnswer == 0 {
		return true // a question
	}
	h.host = hostOf(b)
	return true
}

// hostOf returns the owner of the first address record of an answer, "" where it
// has none.
func hostOf(b []byte) string {
	at := dnsHeader
	questions := int(binary.BigEndian.Uint16(b[4:]))
	records := int(binary.BigEndian.Uint16(b[6:])) + int(binary.BigEndian.Uint16(b[8:])) + int(binary.BigEndian.Uint16(b[10:]))
	for range min(questions, maxRecords) {
		end, ok := skipName(b, at)
		if !ok || end+4 > len(b) {
			return ""
		}
		at = end + 4
	}
	for range min(records, maxRecords) {
		end, ok := skipName(b, at)
		if !ok || end+10 > len(b) {
			return ""
		}
		kind, size := binary.BigEndian.Uint16(b[end:]), int(binary.BigEndian.Uint16(b[end+8:]))
		if end+10+size > len(b) {
			return ""
		}
		if kind == recordA || kind == recordAAAA {
			return sensor.Text(nameAt(b, at))
		}
		at = end + 10 + size
	}
	return ""
}

// skipName returns where the name at a place ends.
func skipName(b []byte, at int) (end int, ok bool) {
	for range maxLabels {
		switch {
		case at >= len(b):
			return 0, false
		case b[at] == 0:
			return at + 1, true
		case b[at]&0xc0 == 0xc0:
			return at + 2, at+2 <= len(b)
		case b[at]&0xc0 != 0:
			return 0, false
		}
		at += 1 + int(b[at])
	}
	return 0, false
}

// nameAt returns the name at a place, following pointers, which may only point
// back: so it ends.
func nameAt(b []byte, at int) string {
	var labels []string
	length, before := 0, at
	for range maxLabels {
		if at >= len(b) || b[at] == 0 {
			break
		}
		if b[at]&0xc0 == 0xc0 {
			if at+2 > len(b) {
				break
			}
			to := int(binary.BigEndian.Uint16(b[at:]) & 0x3fff)
			if to >= before {
				break
			}
			at, before = to, to
			continue
		}
		size := int(b[at])
		if b[at]&0xc0 != 0 || at+1+size > len(b) || length+1+size > maxName {
			break
		}
		labels, length = append(labels, string(b[at+1:at+1+size])), length+1+size
		at += 1 + size
	}
	return strings.Join(labels, ".")
}
