package usb

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// A device describes itself in one run of descriptors: itself, then each
// configuration with its interfaces (USB 2.0, chapter 9). The kernel passes them
// on as the device sent them, also of a device that it was told not to use.
const (
	typeDevice    = 1
	typeInterface = 4

	sizeDevice    = 18
	sizeInterface = 9

	maxDescriptors = 64 << 10
	maxInterfaces  = 256
)

// interfacesOf lists what a device may be, as class:subclass:protocol, each once
// and in order. A device that does not describe itself in whole descriptors is
// nothing that a list could allow.
func interfacesOf(b []byte) ([]string, error) {
	if len(b) < sizeDevice || b[0] != sizeDevice || b[1] != typeDevice {
		return nil, malformed("%d bytes do not begin with a device descriptor", len(b))
	}
	var all []string
	for rest := b[sizeDevice:]; len(rest) > 0; {
		size := int(rest[0])
		if size < 2 || size > len(rest) {
			return nil, malformed("a descriptor of %d bytes, and %d are left", size, len(rest))
		}
		if rest[1] == typeInterface {
			if size < sizeInterface || len(all) == maxInterfaces {
				return nil, malformed("an interface of %d bytes after %d interfaces", size, len(all))
			}
			all = append(all, fmt.Sprintf("%02x:%02x:%02x", rest[5], rest[6], rest[7]))
		}
		rest = rest[size:]
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func malformed(format string, args ...any) error {
	return core.E(core.KindDamaged, "usb.interfacesOf", fmt.Sprintf(format, args...))
}

func hashOf(descriptors []byte) string {
	sum := sha256.Sum256(descriptors)
	return hex.EncodeToString(sum[:])
}

// classes are the words for what an interface is. Whatever is a human interface
// device may type, also one that does not call itself a keyboard.
var classes = []struct{ prefix, word string }{
	{"03:01:01", "keyboard"},
	{"03:01:02", "mouse"},
	{"03:", "input"},
	{"08:", "storage"},
	{"09:", "hub"},
	{"02:", "network-or-serial"},
	{"0a:", "network-or-serial"},
	{"e0:01:01", "bluetooth"},
	{"e0:", "wireless"},
	{"ef:", "composite"},
	{"07:", "printer"},
	{"0e:", "camera"},
	{"01:", "audio"},
	{"0b:", "card-reader"},
	{"fe:01:", "firmware-update"},
	{"ff:", "vendor-specific"},
}

// looksLike puts interfaces into words, each once.
func looksLike(interfaces []string) string {
	var words []string
	for _, i := range interfaces {
		word := "other"
		for _, c := range classes {
			if strings.HasPrefix(i, c.prefix) {
				word = c.word
				break
			}
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
