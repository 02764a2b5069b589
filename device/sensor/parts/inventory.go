package parts

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/interlock-security/interlock/device/sensor"
)

// maxParts bounds an inventory. What is more is told as one part.
const maxParts = 512

// readers read a class each.
var readers = map[string]func(*Sensor) ([]sensor.Part, error){
	"machine": (*Sensor).machine, "cpu": (*Sensor).cpus, "pci": (*Sensor).pci, "disk": (*Sensor).disks, "nic": (*Sensor).nics,
	"usb": (*Sensor).usb, "i2c": (*Sensor).i2c, "mmc": (*Sensor).mmc, "memory": (*Sensor).memory, "tpm": (*Sensor).tpm,
}

// classes are the names under which the configuration has them.
var classes = slices.Sorted(maps.Keys(readers))

// findings are what one look found.
type findings struct {
	parts   []sensor.Part
	counts  map[string]int    // by class of the configuration
	missing map[string]string // classes that this machine does not have, and why
	broken  map[string]string // classes that can't be read, and why
}

// scan reads every class.
func (s *Sensor) scan() findings {
	inv := findings{counts: map[string]int{}, missing: map[string]string{}, broken: map[string]string{}}
	for _, class := range s.classes {
		found, err := readers[class](s)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			inv.missing[class] = notHere(err)
		case err != nil:
			inv.broken[class] = sensor.Text(err.Error())
			found = unreadable(class, err)
		case len(found) == 0:
			inv.missing[class] = "none is there"
		}
		inv.counts[class] = len(found)
		inv.parts = append(inv.parts, found...)
	}
	for i := range inv.parts {
		inv.parts[i].Identity = sensor.Text(inv.parts[i].Identity)
	}
	sortParts(inv.parts)
	tellApart(inv.parts)
	inv.parts = bounded(inv.parts)
	return inv
}

// notHere says what this machine lacks.
func notHere(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return sensor.Text("this machine has no " + path.Path)
	}
	return sensor.Text(err.Error())
}

// told are the classes of the parts that a reader gives, where that is not one
// of its own name.
var told = map[string][]string{"machine": {"firmware", "system", "board", "chassis", "dimm"}}

// unreadable stands for the parts of a class that is there and can't be read. It
// has no identity: a judge takes none of that class for gone.
func unreadable(class string, err error) []sensor.Part {
	names := told[class]
	if names == nil {
		names = []string{class}
	}
	var parts []sensor.Part
	for _, name := range names {
		parts = append(parts, sensor.Part{Class: name, Place: "*", About: about("unreadable", err.Error())})
	}
	return parts
}

// tellApart numbers parts that sit in the same place, as far as can be told.
func tellApart(sorted []sensor.Part) {
	same := 0
	for i := 1; i < len(sorted); i++ {
		place, _ := cutNumber(sorted[i-1].Place, same)
		if sorted[i].Class != sorted[i-1].Class || sorted[i].Place != place {
			same = 0
			continue
		}
		same++
		sorted[i].Place = numbered(place, same)
	}
}

func numbered(place string, n int) string { return sensor.Text(fmt.Sprintf("%s #%d", place, n+1)) }

// cutNumber takes back what numbered added.
func cutNumber(place string, n int) (string, bool) {
	if n == 0 {
		return place, false
	}
	suffix := fmt.Sprintf(" #%d", n+1)
	return place[:max(0, len(place)-len(suffix))], true
}

// bounded keeps the first parts and tells the others as one, with the hash of
// them all: a change among them is a change of that one.
func bounded(sorted []sensor.Part) []sensor.Part {
	if len(sorted) <= maxParts {
		return sorted
	}
	rest := sorted[maxParts-1:]
	b, err := json.Marshal(rest)
	if err != nil { // strings alone always marshal
		return sorted[:maxParts-1]
	}
	sum := sha256.Sum256(b)
	return append(sorted[:maxParts-1:maxParts-1], sensor.Part{
		Class: "overflow", Place: "*", Identity: fmt.Sprintf("%d parts sha256=%s", len(rest), hex.EncodeToString(sum[:])),
	})
}
