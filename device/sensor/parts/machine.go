package parts

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/identity"
)

// securityStates are the words for a chassis' state of security.
var securityStates = map[byte]string{1: "other", 2: "unknown", 3: "none", 4: "external interface locked out", 5: "external interface enabled"}

// machine is what the firmware says of the machine: system, board, chassis,
// firmware, memory modules. Boards without SMBIOS have a device tree.
func (s *Sensor) machine() ([]sensor.Part, error) {
	const table = "firmware/dmi/tables/DMI"
	raw, err := s.tree.bytes(table, maxTable+1)
	if errors.Is(err, fs.ErrNotExist) {
		return s.deviceTree()
	}
	if err != nil {
		return nil, err
	}
	all, err := parseTable(raw)
	if err != nil {
		return nil, err
	}
	var parts []sensor.Part
	for _, x := range all {
		parts = append(parts, x.parts()...)
	}
	return parts, nil
}

// parts is what one structure tells of.
func (s structure) parts() []sensor.Part {
	switch s.kind {
	case typeBIOS:
		return []sensor.Part{{
			Class: "firmware", Place: "bios", Identity: orUnknown(identity.Of("vendor", s.text(4))),
			About: about("firmware", s.text(5)+" "+s.text(8)),
		}}
	case typeSystem:
		return []sensor.Part{{
			Class: "system", Place: "system",
			Identity: orUnknown(identity.Of("maker", s.text(4), "product", s.text(5), "serial", s.text(7), "uuid", s.uuid(8))),
			About:    about("version", s.text(6)),
		}}
	case typeBoard:
		return []sensor.Part{{
			Class: "board", Place: placeOr(s.text(0x0a), "mainboard"),
			Identity: orUnknown(identity.Of("maker", s.text(4), "product", s.text(5), "version", s.text(6), "serial", s.text(7))),
			About:    about("asset", s.text(8)),
		}}
	case typeChassis:
		return s.chassis()
	case typeMemory:
		return s.module()
	}
	return nil
}

// chassis is the case, and what the firmware says of its lock.
func (s structure) chassis() []sensor.Part {
	state, known := securityStates[s.byteAt(0x0c)]
	if !known {
		state = "not said"
	}
	return []sensor.Part{{
		Class: "chassis", Place: "chassis",
		Identity: orUnknown(identity.Of("maker", s.text(4), "kind", strconv.Itoa(int(s.byteAt(5)&0x7f)), "serial", s.text(7))),
		About:    about("version", s.text(6), "asset", s.text(8), "firmware", "security "+state),
	}}
}

// module is a memory module; an empty slot is none.
func (s structure) module() []sensor.Part {
	size := s.memorySize()
	if size == 0 {
		return nil
	}
	place := s.text(0x10)
	if bank := s.text(0x11); bank != "" {
		place = bank + " " + place
	}
	return []sensor.Part{{
		Class: "dimm", Place: placeOr(place, "memory slot"),
		Identity: identity.Of("maker", s.text(0x17), "part", s.text(0x1a), "serial", s.text(0x18), "mib", strconv.FormatUint(size>>20, 10)),
		About:    about("asset", s.text(0x19)),
	}}
}

// deviceTree is what a board without SMBIOS says of itself.
func (s *Sensor) deviceTree() ([]sensor.Part, error) {
	const base = "firmware/devicetree/base"
	if !s.tree.has(base) {
		return nil, fmt.Errorf("neither SMBIOS nor a device tree: %w", fs.ErrNotExist)
	}
	id := identity.Of("model", s.tree.text(base+"/model"), "serial", s.tree.text(base+"/serial-number"))
	return []sensor.Part{{Class: "system", Place: "system", Identity: orUnknown(id)}}, nil
}

// about makes what is worth showing of pairs, without what is not there.
func about(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := sensor.Text(trim(pairs[i+1])); v != "" {
			m[pairs[i]] = v
		}
	}
	if len(m) == 0 {
		return nil
	}
	return m
}

// orUnknown is for a part that is there and says nothing of itself: a maker that
// left it all blank is no failure to read.
func orUnknown(id string) string {
	if id == "" {
		return "says nothing of itself"
	}
	return id
}

func placeOr(place, otherwise string) string {
	if place = sensor.Text(trim(place)); place == "" {
		return otherwise
	}
	return place
}
