package parts

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/identity"
)

// each reads one part of each entry of a folder; read answers no for what is
// none, or is another driver's matter.
func (s *Sensor) each(dir string, read func(path, name string) (sensor.Part, bool)) ([]sensor.Part, error) {
	names, err := s.tree.list(dir)
	if err != nil {
		return nil, err
	}
	var parts []sensor.Part
	for _, name := range names {
		if p, ok := read(filepath.Join(dir, name), name); ok {
			parts = append(parts, p)
		}
	}
	return parts, nil
}

// pci are the functions on the PCI buses. What a card can be split into
// (virtual functions) is software's and stays out; so does the driver.
func (s *Sensor) pci() ([]sensor.Part, error) {
	return s.each("bus/pci/devices", func(path, name string) (sensor.Part, bool) {
		vendor := s.tree.text(path, "vendor")
		if vendor == "" || s.tree.has(path+"/physfn") {
			return sensor.Part{}, false
		}
		return sensor.Part{
			Class: "pci", Place: s.tree.place(s.tree.device(path)),
			Identity: identity.Of(
				"id", hex4(vendor)+":"+hex4(s.tree.text(path, "device")), "class", hex4(s.tree.text(path, "class")),
				"subsystem", hex4(s.tree.text(path, "subsystem_vendor"))+":"+hex4(s.tree.text(path, "subsystem_device")),
				"revision", hex4(s.tree.text(path, "revision")), "serial", s.pciSerial(path),
			),
			About: about("address", name),
		}, true
	})
}

func hex4(s string) string { return strings.TrimPrefix(s, "0x") }

// pciSerial is the number that some cards carry in an extended capability of
// their configuration space (PCIe 7.9.3). Only root may read that far.
func (s *Sensor) pciSerial(path string) string {
	const (
		size, extended, serialNumber = 4096, 0x100, 0x0003
		maxHops                      = (size - extended) / 8
	)
	b, err := s.tree.bytes(path+"/config", size)
	if err != nil || len(b) < size {
		return ""
	}
	for at, hops := extended, 0; at >= extended && at+12 <= size && hops < maxHops; hops++ {
		header := binary.LittleEndian.Uint32(b[at:])
		if header&0xffff == serialNumber {
			return fmt.Sprintf("%016x", binary.LittleEndian.Uint64(b[at+4:]))
		}
		at = int(header>>20) &^ 3
	}
	return ""
}

// usb are the devices that are built in: the mainboard's firmware says so.
// Whatever can be plugged in is the matter of the usb driver.
func (s *Sensor) usb() ([]sensor.Part, error) {
	return s.each("bus/usb/devices", func(path, name string) (sensor.Part, bool) {
		vendor := s.tree.text(path, "idVendor")
		if vendor == "" || strings.HasPrefix(name, "usb") || s.tree.text(path, "removable") != "fixed" {
			return sensor.Part{}, false
		}
		described := ""
		if raw, err := s.tree.bytes(path+"/descriptors", 64<<10); err == nil {
			sum := sha256.Sum256(raw)
			described = hex.EncodeToString(sum[:16])
		}
		return sensor.Part{
			Class: "usb", Place: s.tree.place(s.tree.device(path)),
			Identity: identity.Of("id", vendor+":"+s.tree.text(path, "idProduct"), "descriptors", described, "serial", s.tree.text(path, "serial")),
			About:    about("maker", s.tree.text(path, "manufacturer"), "product", s.tree.text(path, "product"), "firmware", s.tree.text(path, "bcdDevice")),
		}, true
	})
}

// i2c are the chips on the mainboard's small buses, by the name of their bus and
// their address there.
func (s *Sensor) i2c() ([]sensor.Part, error) {
	const dir = "bus/i2c/devices"
	return s.each(dir, func(path, name string) (sensor.Part, bool) {
		bus, address, ok := strings.Cut(name, "-")
		if !ok || bus == "i2c" && !strings.Contains(address, ":") {
			return sensor.Part{}, false // a bus itself
		}
		adapter := s.tree.text(path, "../name")
		if real := filepath.Dir(s.tree.device(path)); s.tree.has("devices/" + real + "/name") {
			adapter = s.tree.text("devices", real, "name")
		}
		return sensor.Part{
			Class: "i2c", Place: sensor.Text(adapter + " " + address),
			Identity: orUnknown(identity.Of("chip", s.tree.text(path, "name"))),
		}, true
	})
}

// mmc are cards and soldered memory; their number (CID) comes from the maker.
func (s *Sensor) mmc() ([]sensor.Part, error) {
	return s.each("bus/mmc/devices", func(path, name string) (sensor.Part, bool) {
		return sensor.Part{
			Class: "mmc", Place: s.tree.place(filepath.Dir(s.tree.device(path))),
			Identity: orUnknown(identity.Of("cid", s.tree.text(path, "cid"), "name", s.tree.text(path, "name"))),
			About:    about("kind", s.tree.text(path, "type"), "name", name, "firmware", s.tree.text(path, "fwrev")),
		}, true
	})
}

// disks are what is fixed and holds data. Media that are made to be pulled out
// are the matter of the disk driver, cards are told as mmc.
func (s *Sensor) disks() ([]sensor.Part, error) {
	return s.each("block", func(path, name string) (sensor.Part, bool) {
		if !s.tree.has(path+"/device") || s.tree.text(path, "removable") == "1" || s.tree.text(path, "hidden") == "1" || strings.HasPrefix(name, "mmcblk") {
			return sensor.Part{}, false
		}
		first := func(names ...string) string {
			for _, n := range names {
				if v := s.tree.text(path, n); v != "" {
					return v
				}
			}
			return ""
		}
		serial, wwid, size := first("serial", "device/serial"), first("wwid", "device/wwid"), ""
		if serial == "" {
			serial = s.serialPage(path)
		}
		if serial == "" && wwid == "" {
			size = first("size") // all there is
		}
		on := s.tree.device(path)
		return sensor.Part{
			Class: "disk", Place: s.tree.place(on),
			Identity: orUnknown(identity.Of("model", first("device/model"), "vendor", first("device/vendor"), "serial", serial, "wwid", wwid, "sectors", size)),
			About:    about("name", name, "sectors", first("size"), "firmware", first("device/firmware_rev", "device/rev"), "on", s.upstream(on)),
		}, true
	})
}

// serialPage is the serial number of a SCSI disk: four bytes of header, then text.
func (s *Sensor) serialPage(path string) string {
	const header = 4
	b, err := s.tree.bytes(path+"/device/vpd_pg80", maxAttribute)
	if err != nil || len(b) <= header {
		return ""
	}
	return trim(string(b[header:]))
}

// upstream names the PCI function that a device hangs on, as that is placed: with
// the card goes what is on it.
func (s *Sensor) upstream(device string) string {
	names := strings.Split(device, "/")
	for n := len(names) - 1; n > 0; n-- {
		if pciRE.MatchString(names[n]) {
			return "pci " + s.tree.place(strings.Join(names[:n+1], "/"))
		}
	}
	return ""
}

// memory is how much memory the kernel sees, in one part: a module that is put
// into a running machine is in no table of the firmware.
func (s *Sensor) memory() ([]sensor.Part, error) {
	const dir = "devices/system/memory"
	names, err := s.tree.list(dir)
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseUint(s.tree.text(dir, "block_size_bytes"), 16, 64)
	if err != nil {
		return nil, core.E(core.KindDamaged, "parts.memory", "block_size_bytes is no number")
	}
	blocks := uint64(0)
	for _, n := range names {
		if i, ok := strings.CutPrefix(n, "memory"); ok && i != "" && strings.Trim(i, "0123456789") == "" {
			blocks++
		}
	}
	return []sensor.Part{{Class: "memory", Place: "memory", Identity: identity.Of("mib", strconv.FormatUint(blocks*size>>20, 10))}}, nil
}
