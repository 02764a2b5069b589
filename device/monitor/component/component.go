// Package component is the judge that knows which parts belong to a device. It
// learns them from the first whole inventory of its sensor, remembers them across
// restarts, and holds every later inventory against them: a part that is missing,
// new or another one, and firmware that is not what it was, is a finding of its
// own, which names the part. It works on any sensor whose inventory has parts:
// parts, usb, disk.
//
// Parts are known by what they are and only then by where they are: a bus that
// numbers its devices otherwise changes nothing. What people approve is exactly
// one inventory, named by its SHA-256; see [Judge.Accept].
package component

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	// maxParts bounds a baseline. A driver tells at most 512.
	maxParts = 4096
	// maxPoints bounds the findings that have a level and a latch of their own.
	// The others share one.
	maxPoints = 40
	// maxWith is how many names one event holds.
	maxWith = 20
	// maxLearn is how long a machine may take to be set up.
	maxLearn = 30 * 24 * time.Hour
	// more is the point of what is beyond that.
	more = "more components"
)

// The events.
const (
	TypeRemoved    = "component_removed"
	TypeAdded      = "component_added"
	TypeSwapped    = "component_swapped"
	TypeFirmware   = "firmware_changed"
	TypeUnlisted   = "firmware_not_allowed"
	TypeIncomplete = "baseline_incomplete"
	TypeMany       = "components_changed"
	TypeRestored   = "component_restored"
	TypeLearned    = "baseline_learned"
	TypeAccepted   = "baseline_accepted"
)

// Doc describes the judge.
var Doc = sensor.Doc{
	Name: "component", Senses: "parts that are missing, new or another one, and firmware that changed, against a learned baseline",
	Interface: "the inventories of parts, usb, disk", Latency: sensor.LatencyEvent,
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedSimulator},
	Events: []sensor.EventDoc{
		{Type: TypeRemoved, Severity: core.SeverityHigh, Alarm: true, Meaning: "a part of the baseline is not there"},
		{Type: TypeAdded, Severity: core.SeverityHigh, Alarm: true, Meaning: "a part is there that is not in the baseline"},
		{Type: TypeSwapped, Severity: core.SeverityHigh, Alarm: true, Meaning: "another part is in the place of one of the baseline"},
		{Type: TypeFirmware, Severity: core.SeverityHigh, Alarm: true, Meaning: "the firmware of a part is not what it was; medium and no alarm if the version is allowed"},
		{Type: TypeUnlisted, Severity: core.SeverityHigh, Alarm: true, Meaning: "a part has firmware that the configuration does not allow"},
		{Type: TypeMany, Severity: core.SeverityHigh, Alarm: true, Meaning: "more parts differ than are told one by one"},
		{Type: TypeIncomplete, Severity: core.SeverityMedium, Meaning: "parts can be read that could not be when the baseline was learned; they are in no baseline"},
		{Type: TypeRestored, Severity: core.SeverityInfo, Meaning: "it is as the baseline has it again; a latch stays"},
		{Type: TypeLearned, Severity: core.SeverityMedium, Meaning: "the first inventory is the baseline from now on"},
		{Type: TypeAccepted, Severity: core.SeverityMedium, Meaning: "an order made an inventory the baseline"},
	},
}

// Config configures the judge.
type Config struct {
	// Learn is for how long after the first inventory parts that come along still
	// enter the baseline: a machine that is being set up. 0 means that the first
	// inventory is all of it. What comes later needs an order.
	Learn time.Duration `yaml:"learn,omitempty"`
	// Optional are classes whose known parts may be away: usb, mmc. One that is not
	// known is a finding all the same.
	Optional []string `yaml:"optional,omitempty"`
	// Firmware are the versions that parts may have. A class that is not listed
	// may have any, as long as it does not change.
	Firmware []Firmware `yaml:"firmware,omitempty"`
}

// Firmware is the list of versions for a class of parts.
type Firmware struct {
	// Class is that of the parts as inventories have it: firmware (the BIOS), cpu
	// (microcode), disk, tpm, usb.
	Class string `yaml:"class"`
	// Identity narrows it to parts whose identity has this text in it.
	Identity string `yaml:"identity,omitempty"`
	// Versions are whole versions, as inventories have them.
	Versions []string `yaml:"versions"`
}

// Validate says what is wrong with the lists.
func (c Config) Validate() error {
	if c.Learn < 0 || c.Learn > maxLearn {
		return core.E(core.KindInvalid, "component.Config", fmt.Sprintf("learn: %s is not between 0 and %s", c.Learn, maxLearn))
	}
	for i, f := range c.Firmware {
		if f.Class == "" || len(f.Versions) == 0 || slices.Contains(f.Versions, "") {
			return core.E(core.KindInvalid, "component.Config", fmt.Sprintf("firmware[%d]: a class and its versions are needed", i)).
				WithHint("copy both from an inventory event")
		}
	}
	return nil
}

// Judge holds inventories against a baseline; see [New].
type Judge struct {
	config  Config
	base    []sensor.Part // nil for none
	damaged bool          // a baseline was kept and can't be read: none is learned
	changed bool
	window  window                   // in which the baseline still grows
	pages   map[string][]sensor.Part // of an inventory that is not whole yet
	now     []sensor.Part            // the last whole inventory, nil for none
	told    map[string]finding       // every point that was ever used, with its last finding
}

// New returns a judge that has learned nothing.
func New(c Config) (*Judge, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Judge{config: c, pages: map[string][]sensor.Part{}, told: map[string]finding{}}, nil
}

// Judge implements monitor.Judge. An inventory may come in pages, each with a
// point; the one without a point makes it whole.
func (j *Judge) Judge(now time.Time, r sensor.Reading) []sensor.Reading {
	if r.Kind != sensor.Inventory {
		return nil
	}
	if r.Point != "" {
		if _, again := j.pages[r.Point]; again {
			clear(j.pages) // the driver began anew
		}
		j.pages[r.Point] = r.Parts
		return nil
	}
	if r.Parts == nil && len(j.pages) == 0 {
		return []sensor.Reading{{
			Kind: sensor.Broken, Point: "component", Severity: core.SeverityHigh,
			Fields: sensor.Fields(map[string]string{"why": "this sensor's inventory has no parts that could be compared"}),
		}}
	}
	j.now = j.whole(r.Parts)
	if j.base == nil && !j.damaged {
		return j.learn(now)
	}
	return append(j.grow(now), j.compare()...)
}

// whole puts the pages of an inventory together.
func (j *Judge) whole(last []sensor.Part) []sensor.Part {
	all := slices.Clone(last)
	for _, page := range j.pages {
		all = append(all, page...)
	}
	clear(j.pages)
	for i, p := range all {
		all[i].Class, all[i].Place, all[i].Identity = sensor.Text(p.Class), sensor.Text(p.Place), sensor.Text(p.Identity)
	}
	all = sorted(all)
	return all[:min(len(all), maxParts)]
}

func (j *Judge) pulse(kind string, more map[string]any) sensor.Reading {
	more["sha256"], more["count"] = Digest(j.base), len(j.base)
	number := map[string]int{}
	for _, p := range j.base {
		number[p.Class]++
	}
	more["classes"] = number
	return sensor.Reading{Kind: sensor.Pulse, Point: "baseline", Type: kind, Severity: core.SeverityMedium, Fields: sensor.Fields(more)}
}

// compare says of every point whether something differs there. It says so with
// each inventory: the monitor forgets what had not held yet when a driver fails.
func (j *Judge) compare() []sensor.Reading {
	if j.base == nil {
		return nil
	}
	found := j.pointed(j.judge(diff(j.base, j.now)))
	digest, blind := Digest(j.now), blindClasses(j.now)
	var said []sensor.Reading
	for _, point := range slices.Sorted(maps.Keys(j.told)) {
		if f := j.told[point]; found[point] || !blind[f.part().Class] { // what can't be seen is not restored
			said = append(said, f.level(point, digest, found[point]))
		}
	}
	return said
}

// judge adds what the configuration says of firmware, and leaves out what may be
// away.
func (j *Judge) judge(all []finding) []finding {
	all = slices.DeleteFunc(all, func(f finding) bool {
		return f.kind == TypeRemoved && f.to.Class == "" && slices.Contains(j.config.Optional, f.from.Class)
	})
	differ := map[string]bool{}
	for i, f := range all {
		if f.kind == TypeFirmware {
			listed, allowed := j.listed(f.to)
			all[i].allowed = listed && allowed
			differ[key(f.to)] = true
		}
	}
	for _, p := range j.now {
		if listed, allowed := j.listed(p); listed && !allowed && !differ[key(p)] {
			all = append(all, finding{kind: TypeUnlisted, to: p})
		}
	}
	return all
}

// listed says whether there is a list for a part, and whether its firmware is on
// it. A part that doesn't tell its version has none that is allowed.
func (j *Judge) listed(p sensor.Part) (listed, allowed bool) {
	for _, f := range j.config.Firmware {
		if f.Class == p.Class && strings.Contains(p.Identity, f.Identity) && p.Identity != "" {
			listed, allowed = true, allowed || slices.Contains(f.Versions, firmware(p))
		}
	}
	return listed, allowed
}

// pointed gives each finding its point. A device that is wholly another one must
// not use up all that the monitor can remember.
func (j *Judge) pointed(all []finding) map[string]bool {
	found := map[string]bool{}
	rest := finding{kind: TypeMany}
	for _, f := range all {
		point := f.point()
		if _, known := j.told[point]; !known && len(j.told) >= maxPoints {
			rest.with = append(rest.with, point)
			continue
		}
		j.told[point], found[point] = f, true
	}
	if len(rest.with) > 0 {
		j.told[more], found[more] = rest, true
	}
	return found
}

// Accept implements monitor.Learner: the inventory with this SHA-256 is expected
// from now on, if it is the one that is there. One with parts that can't be read
// is not: it would take them out of the baseline for good.
func (j *Judge) Accept(_ time.Time, sha256 string) ([]sensor.Reading, error) {
	const op = "component.Accept"
	if j.now == nil {
		return nil, core.E(core.KindConflict, op, "there is no inventory yet").WithHint("wait for the sensor's first inventory event")
	}
	if is := Digest(j.now); is != sha256 {
		return nil, core.E(core.KindConflict, op, fmt.Sprintf("the inventory has the SHA-256 %s now, not %.64q", is, sha256)).
			WithHint("look at what is there now, and approve that")
	}
	if blind := unreadable(j.now); len(blind) > 0 {
		return nil, core.E(core.KindConflict, op, "parts can't be read: "+strings.Join(blind, ", ")).
			WithHint("mend that first; else nobody would notice that they are gone")
	}
	was := ""
	if j.base != nil {
		was = Digest(j.base)
	}
	j.base, j.damaged, j.changed, j.window = j.now, false, true, window{}
	said := []sensor.Reading{j.pulse(TypeAccepted, map[string]any{"was": was})}
	return append(said, j.compare()...), nil
}
