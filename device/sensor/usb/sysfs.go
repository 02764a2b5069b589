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

// device is one USB device as sysfs tells of it, and what its descriptors say:
// "descriptors" is their hash, "interfaces" what it may be.
type device map[string]string

// same says whether two looks at a port saw the same device. A serial number
// proves nothing (a device may claim any), but a change of one does. How many
// interfaces it has is known only of a device that is in use.
func (d device) same(o device) bool {
	keys := []string{"idVendor", "idProduct", "bcdDevice", "manufacturer", "product", "serial", "bDeviceClass", "descriptors"}
	if d["descriptors"] == "" {
		keys = append(keys, "bNumInterfaces")
	}
	return !slices.ContainsFunc(keys, func(k string) bool { return d[k] != o[k] })
}

// types says whether a device may type or point. One that does not describe
// itself may be anything.
func (d device) types() bool {
	return d["interfaces"] == "" || slices.ContainsFunc(d.interfaces(), func(i string) bool { return strings.HasPrefix(i, "03:") })
}

// grewOver returns the interfaces for typing that a device has now and did not
// have when it called itself the same before: a stick that became a keyboard.
func (d device) grewOver(was device) []string {
	for _, k := range []string{"idVendor", "idProduct", "serial"} {
		if was == nil || was["interfaces"] == "" || d[k] != was[k] {
			return nil
		}
	}
	var grew []string
	for _, i := range d.interfaces() {
		if strings.HasPrefix(i, "03:") && !slices.Contains(was.interfaces(), i) {
			grew = append(grew, i)
		}
	}
	return grew
}

func (d device) interfaces() []string { return strings.Fields(d["interfaces"]) }

func (s *Sensor) devices() string { return filepath.Join(s.sysfs, "bus/usb/devices") }

// scan lists the devices by port. Root hubs ("usb1") are the machine's own and
// stay out; their names are returned beside.
func (s *Sensor) scan() (found map[string]device, controllers []string, err error) {
	entries, err := os.ReadDir(s.devices())
	if err != nil {
		return nil, nil, core.Wrap(core.KindUnavailable, "usb.scan", fmt.Errorf("list USB devices: %w", err))
	}
	found = map[string]device{}
	for _, e := range entries {
		if isController(e.Name()) {
			controllers = append(controllers, e.Name())
		}
		if !isPort(e.Name()) {
			continue
		}
		if len(found) == maxDevices {
			return nil, nil, core.E(core.KindTooLarge, "usb.scan", fmt.Sprintf("more than %d USB devices", maxDevices))
		}
		found[e.Name()] = read(filepath.Join(s.devices(), e.Name()))
	}
	return found, controllers, nil
}

// isPort tells "1-1.2" from "usb1" and from an interface, "1-1.2:1.0".
func isPort(name string) bool {
	bus, ports, ok := strings.Cut(name, "-")
	return ok && len(name) <= 64 && bus != "" && ports != "" &&
		strings.Trim(bus, "0123456789") == "" && strings.Trim(ports, "0123456789.") == ""
}

// isController says whether a name is a root hub's, "usb1".
func isController(name string) bool {
	n, ok := strings.CutPrefix(name, "usb")
	return ok && n != "" && len(n) < 8 && strings.Trim(n, "0123456789") == ""
}

// read takes what attributes there are: a device that goes away while it is
// read leaves gaps, and the next look mends them.
func read(dir string) device {
	d := device{}
	for _, name := range attributes {
		if text, err := readSmall(filepath.Join(dir, name), 4096); err == nil {
			d[name] = sensor.Text(strings.TrimRight(string(text), "\n"))
		}
	}
	raw, err := readSmall(filepath.Join(dir, "descriptors"), maxDescriptors)
	if err != nil {
		return d
	}
	d["descriptors"] = hashOf(raw)
	list, err := interfacesOf(raw)
	if err != nil {
		d["malformed"] = err.Error()
		return d
	}
	d["interfaces"], d["looks_like"] = strings.Join(list, " "), looksLike(list)
	return d
}

func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return b, nil
}

// setAttribute writes an attribute of a device or a controller. It makes no file.
func (s *Sensor) setAttribute(name, attribute, value string) error {
	f, err := os.OpenFile(filepath.Join(s.devices(), name, attribute), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	return errors.Join(err, f.Close())
}

func (s *Sensor) attribute(name, attribute string) (string, error) {
	b, err := readSmall(filepath.Join(s.devices(), name, attribute), 64)
	return strings.TrimSpace(string(b)), err
}

func ports(m map[string]device) []string {
	names := make([]string, 0, len(m))
	for p := range m {
		names = append(names, p)
	}
	slices.Sort(names)
	return names
}
