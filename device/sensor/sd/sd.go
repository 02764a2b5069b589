// Package sd is the driver that watches card slots: SD and MMC cards at a
// controller of the machine's own, by the number that the card's maker gave it
// (CID), and media in card readers and drives, by whether there is one. What was
// there at the start and goes, and whatever is put in, is an alarm that latches:
// a card carries data out and programs in. A card whose CID is listed is told and
// is no alarm; a CID can be forged, so a list is a convenience and no lock.
package sd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/identity"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

const (
	rescanEvery = 10 * time.Second
	maxSilence  = 60 * time.Second
	settle      = 500 * time.Millisecond

	maxSlots = 256
	maxCards = 256
)

// The events.
const (
	typeInserted = "card_inserted"
	typeRemoved  = "card_removed"
	typeWritable = "card_write_protect"
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "sd", Senses: "SD and MMC cards and media in readers that are put in, pulled out or exchanged", Interface: "/sys/bus/mmc, /sys/block, kernel uevents",
	Latency: sensor.LatencyEvent, Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedSimulator},
	Events: append([]sensor.EventDoc{
		{Type: typeInserted, Severity: core.SeverityHigh, Alarm: true, Meaning: "a card or medium was put in; low and no alarm if its CID is listed"},
		{Type: typeRemoved, Severity: core.SeverityHigh, Alarm: true, Meaning: "a card or medium that was there at the start is gone, or another one is in its place; low and no alarm for any other"},
		{Type: typeWritable, Severity: core.SeverityMedium, Alarm: true, Meaning: "the write protection of a card was switched"},
	}, uevent.Doc...),
}

// Config configures the sensor. Its zero value alarms at every card.
type Config struct {
	// Cards are the CIDs of the cards that may be put in, as events tell them.
	Cards []string `yaml:"cards,omitempty"`
}

var cidRE = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Validate says what is wrong with the list.
func (c Config) Validate() error {
	if len(c.Cards) > maxCards {
		return core.E(core.KindTooLarge, "sd.Config", fmt.Sprintf("%d cards, at most %d", len(c.Cards), maxCards))
	}
	for i, cid := range c.Cards {
		if !cidRE.MatchString(cid) {
			return core.E(core.KindInvalid, "sd.Config", fmt.Sprintf("cards[%d]: %q is no CID of 32 hex digits", i, cid)).
				WithHint("copy it from the card_inserted event")
		}
	}
	return nil
}

// card is what is in a slot.
type card struct {
	id  string // what makes it this one
	cid string
	// class is SD, MMC, SDIO or medium.
	class, name, size, readOnly string
}

// Sensor watches card slots; see [New].
type Sensor struct {
	env   sensor.Env
	sysfs string
	cards []string
	open  func() (uevent.Source, error)
	// known and first outlive a run, by slot.
	known map[string]card
	first map[string]string
}

// New returns a driver that reads the environment's sysfs.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sensor{env: env, sysfs: env.Path("sys"), cards: slices.Clone(c.Cards), open: uevent.Open}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "sd", Needs: []sensor.Need{sensor.NeedUevent, sensor.NeedSysfs}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyEvent, MaxSilence: maxSilence, Latches: true,
	}
}

// Probe implements [sensor.Sensor].
func (s *Sensor) Probe() sensor.Presence {
	slots, err := s.slots()
	switch {
	case err != nil:
		return sensor.Skipped("this kernel shows no block devices at " + filepath.Join(s.sysfs, "block"))
	case len(slots) == 0 && s.known == nil:
		return sensor.Skipped("this machine shows no slot for cards and no reader")
	}
	return uevent.Probe(s.open)
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	w := &watch{sensor: s, emit: emit}
	return uevent.Follow(ctx, uevent.Handler{
		Clock: s.env.Clock, Open: s.open, Every: rescanEvery, Settle: settle, Emit: emit, Start: w.start, Event: w.change, Look: w.look,
	})
}

// SelfTest implements [sensor.SelfTester].
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	all := []sensor.Finding{uevent.SelfTest(ctx, s.env, s.open)}
	slots, err := s.slots()
	if err != nil {
		return append(all, sensor.Found("slots", sensor.Fail, err.Error()))
	}
	for _, slot := range slices.Sorted(maps.Keys(slots)) {
		if c := slots[slot]; c.id != "" {
			all = append(all, sensor.Found(slot, sensor.Pass, "its card reads: "+c.id))
			continue
		}
		all = append(all, sensor.Found(slot, sensor.Untried, "it is empty: put a card in to see whether it is noticed"))
	}
	return all
}

// slots lists the places for cards with what is in them; a card without an id is
// none. Slots that have a card are those of the machine's controllers and the
// readers and drives whose media are made to be pulled out.
func (s *Sensor) slots() (map[string]card, error) {
	slots := map[string]card{}
	hosts, err := list(filepath.Join(s.sysfs, "class/mmc_host"))
	if err != nil {
		return nil, err
	}
	for _, host := range hosts {
		slots[host] = card{}
	}
	cards, err := list(filepath.Join(s.sysfs, "bus/mmc/devices"))
	if err != nil {
		return nil, err
	}
	for _, name := range cards {
		host, _, _ := strings.Cut(name, ":")
		slots[host] = s.mmc(name)
	}
	disks, err := os.ReadDir(filepath.Join(s.sysfs, "block"))
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "sd.slots", err)
	}
	for _, d := range disks {
		dir := filepath.Join(s.sysfs, "block", d.Name())
		if attribute(dir, "removable") == "1" && exists(filepath.Join(dir, "device")) && !strings.HasPrefix(d.Name(), "mmcblk") {
			slots[d.Name()] = medium(dir)
		}
	}
	if len(slots) > maxSlots {
		return nil, core.E(core.KindTooLarge, "sd.slots", fmt.Sprintf("more than %d slots", maxSlots))
	}
	return slots, nil
}

// mmc reads a card at a controller.
func (s *Sensor) mmc(name string) card {
	dir := filepath.Join(s.sysfs, "bus/mmc/devices", name)
	c := card{cid: attribute(dir, "cid"), class: attribute(dir, "type"), name: attribute(dir, "name")}
	if c.class == "" {
		c.class = "card"
	}
	c.id = identity.Of("cid", c.cid, "name", c.name, "kind", c.class)
	if blocks, err := list(filepath.Join(dir, "block")); err == nil && len(blocks) > 0 {
		block := filepath.Join(s.sysfs, "block", blocks[0])
		c.size, c.readOnly = attribute(block, "size"), attribute(block, "ro")
	}
	return c
}

// medium reads what is in a reader or drive: nothing has no size. A medium has no
// name of its own, so another one of the same size is the same to us.
func medium(dir string) card {
	size := attribute(dir, "size")
	if size == "" || size == "0" {
		return card{}
	}
	return card{id: identity.Of("sectors", size), class: "medium", name: attribute(dir, "device/model"), size: size, readOnly: attribute(dir, "ro")}
}

// list names what is in a folder; one that is not there is empty: a kernel
// without the driver has no cards.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "sd.slots", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, sensor.Text(e.Name()))
	}
	return names, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// attribute is what a file of sysfs says, "" where there is none.
func attribute(dir, name string) string {
	text, err := sysfs.Read(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return sensor.Text(text)
}
