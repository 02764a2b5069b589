package parts

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	maxAttribute = 4 << 10
	// maxEntries bounds a folder of one bus.
	maxEntries = 4096
)

// tree is the kernel's /sys, or a recorded one.
type tree string

func (t tree) path(elem ...string) string {
	return filepath.Join(append([]string{string(t)}, elem...)...)
}

func (t tree) has(path string) bool {
	_, err := os.Stat(t.path(path))
	return err == nil
}

// list returns what is in a folder, in order.
func (t tree) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(t.path(dir))
	if err != nil {
		return nil, err
	}
	if len(entries) > maxEntries {
		return nil, core.E(core.KindTooLarge, "parts.list", fmt.Sprintf("more than %d entries in %s", maxEntries, dir))
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// bytes reads a file, at most limit bytes of it.
func (t tree) bytes(path string, limit int64) ([]byte, error) {
	return readSome(t.path(path), limit)
}

func readSome(path string, limit int64) ([]byte, error) {
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

// text is what an attribute says, "" where it is not there: a device that goes
// away while it is read leaves gaps, and the message of its going has everything
// read again.
func (t tree) text(path ...string) string {
	b, err := t.bytes(filepath.Join(path...), maxAttribute)
	if err != nil {
		return ""
	}
	return trim(string(b))
}

func trim(s string) string { return strings.Trim(s, " \t\r\n\x00") }

// device is where a link of a bus or a class leads, below /devices; the path
// itself where it is no link.
func (t tree) device(link string) string {
	target, err := filepath.EvalSymlinks(t.path(link))
	if err != nil {
		return link
	}
	root, err := filepath.EvalSymlinks(t.path("devices"))
	if err != nil {
		return link
	}
	rel, err := filepath.Rel(root, target)
	if err != nil || strings.HasPrefix(rel, "..") {
		return link
	}
	return rel
}

// The names in a device's path that the kernel numbers in the order of
// appearance, and what stays of them.
var (
	pciRE    = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:([0-9a-f]{2}\.[0-7])$`)
	scsiRE   = regexp.MustCompile(`^\d+:(\d+:\d+:\d+)$`)
	usbRE    = regexp.MustCompile(`^\d+-(\d+(?:\.\d+)*)$`)
	numberRE = regexp.MustCompile(`^(?:host\d+|target\d+:.*|nvme|nvme\d+|mmc_host|mmc\d+:.*|\d+-[\d.]+:\d+\.\d+|usb\d+|virtio\d+|ata_port)$`)
	ataRE    = regexp.MustCompile(`^ata\d+$`)
	nvmeRE   = regexp.MustCompile(`^nvme\d+(?:c\d+)?(n\d+)$`)
	mmcRE    = regexp.MustCompile(`^mmc\d+$`)
)

// place is where on the machine a device sits: its path without the numbers that
// the kernel gives anew each time, so that a bus that is numbered otherwise after
// a card was put in moves nothing.
func (t tree) place(device string) string {
	var kept []string
	for path, rest := "devices", strings.Split(device, "/"); len(rest) > 0; rest = rest[1:] {
		name := rest[0]
		path = filepath.Join(path, name)
		port := usbRE.FindStringSubmatch(name)
		switch {
		case name == "block" || name == "net" || name == "tpm":
			return sensor.Text(strings.Join(kept, "/"))
		case pciRE.MatchString(name):
			kept = append(kept, pciRE.FindStringSubmatch(name)[1])
		case scsiRE.MatchString(name):
			kept = append(kept, scsiRE.FindStringSubmatch(name)[1])
		case port != nil:
			kept = append(dropPort(kept), "usb-"+port[1])
		case ataRE.MatchString(name):
			kept = append(kept, "ata"+t.text(path, "ata_port", name, "port_no"))
		case nvmeRE.MatchString(name):
			kept = append(kept, nvmeRE.FindStringSubmatch(name)[1])
		case mmcRE.MatchString(name):
			kept = append(kept, "mmc")
		case !numberRE.MatchString(name):
			kept = append(kept, name)
		}
	}
	return sensor.Text(strings.Join(kept, "/"))
}

// dropPort drops the hub before a port: the port's name begins with it.
func dropPort(kept []string) []string {
	if n := len(kept); n > 0 && strings.HasPrefix(kept[n-1], "usb-") {
		return kept[:n-1]
	}
	return kept
}
