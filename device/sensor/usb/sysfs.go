package usb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// attribute files of a USB device in sysfs. The strings were chosen by whoever
// built the device.
var attributes = []string{
	"idVendor", "idProduct", "bcdDevice", "manufacturer", "product", "serial",
	"bDeviceClass", "bNumInterfaces", "speed", "authorized", "removable",
}

// maxDevices bounds an inventory; a bus tree holds 127 devices.
const maxDevices = 512

// device is one USB device as sysfs tells of it.
type device map[string]string

// same says whether two looks at a port saw the same device. A serial number
// proves nothing (a device may claim any), but a change of one does.
func (d device) same(o device) bool {
	for _, k := range []string{"idVendor", "idProduct", "bcdDevice", "manufacturer", "product", "serial", "bDeviceClass", "bNumInterfaces"} {
		if d[k] != o[k] {
			return false
		}
	}
	return true
}

// scan lists the devices by port. Root hubs ("usb1") are the machine's own and
// stay out.
func scan(root string) (map[string]device, error) {
	dir := filepath.Join(root, "bus/usb/devices")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "usb.scan", fmt.Errorf("list USB devices: %w", err))
	}
	found := map[string]device{}
	for _, e := range entries {
		if !isPort(e.Name()) {
			continue
		}
		if len(found) == maxDevices {
			return nil, core.E(core.KindTooLarge, "usb.scan", fmt.Sprintf("more than %d USB devices", maxDevices))
		}
		found[e.Name()] = read(filepath.Join(dir, e.Name()))
	}
	return found, nil
}

// isPort tells "1-1.2" from "usb1" and from an interface, "1-1.2:1.0".
func isPort(name string) bool {
	bus, ports, ok := strings.Cut(name, "-")
	return ok && len(name) <= 64 && bus != "" && ports != "" &&
		strings.Trim(bus, "0123456789") == "" && strings.Trim(ports, "0123456789.") == ""
}

// read takes what attributes there are: a device that goes away while it is
// read leaves gaps, and the next look mends them.
func read(dir string) device {
	d := device{}
	for _, name := range attributes {
		if text, err := readSmall(filepath.Join(dir, name)); err == nil {
			d[name] = sensor.Text(text)
		}
	}
	return d
}

func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), "\n"), nil
}

func ports(m map[string]device) []string {
	names := make([]string, 0, len(m))
	for p := range m {
		names = append(names, p)
	}
	slices.Sort(names)
	return names
}
