// Package parts is the driver that knows what the machine is made of: what its
// firmware tells (system, board, chassis, memory modules), processors, PCI
// functions, disks, network interfaces, built-in USB devices, chips on I2C, cards
// and the TPM. It reads all of it when it starts, after the kernel told of a
// change, and each hour; and it judges nothing: what is expected is the matter of
// device/monitor/component.
//
// A class that this machine does not have is said to be not here. One that is
// here and can't be read is broken and makes the sensor a fault: nothing goes
// missing in silence.
package parts

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/inventory"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

const (
	beatEvery   = 30 * time.Second
	rescanEvery = time.Hour
	maxSilence  = 3 * time.Minute
	// settle is how long the kernel must have said nothing of its devices before
	// they are counted: a card brings a dozen messages, and a machine that starts
	// some hundreds.
	settle = 2 * time.Second
	// A machine that is starting loads drivers one after the other, and each shows
	// parts. Until it has been up for bootTime, the first inventory waits for a
	// longer quiet.
	bootTime  = time.Minute
	bootQuiet = 5 * time.Second
	// maxTries is how often a machine that never looks the same is looked at anew.
	maxTries = 5
	// debounce is how long a finding must hold. A bus that is scanned anew takes
	// its parts away and gives them back within that.
	debounce = 5 * time.Second
)

// Config configures the sensor.
type Config struct {
	// Classes are the parts that are counted; none means all: machine, cpu, pci,
	// disk, nic, usb, i2c, mmc, memory, tpm. Leave out what the agent may not read.
	Classes []string `yaml:"classes,omitempty"`
}

// Validate says which class there is not.
func (c Config) Validate() error {
	seen := map[string]bool{}
	for _, class := range c.Classes {
		if !slices.Contains(classes, class) {
			return core.E(core.KindInvalid, "parts.Config", fmt.Sprintf("classes: %q; known are %s", class, strings.Join(classes, ", ")))
		}
		if seen[class] {
			return core.E(core.KindInvalid, "parts.Config", fmt.Sprintf("classes: %q stands twice", class))
		}
		seen[class] = true
	}
	return nil
}

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "parts", Senses: "what the machine is made of: board, firmware, memory, processors, cards, disks, interfaces, chips, TPM",
	Interface: "/sys, /sys/firmware/dmi, /dev/tpmrm0, kernel uevents", Latency: sensor.LatencyEvent,
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedPeer, sensor.TestedRecorded},
	Events: append([]sensor.EventDoc{
		{Type: "inventory", Severity: core.SeverityInfo, Meaning: "the parts, class by class, and then a summary"},
	}, uevent.Doc...),
}

// Sensor counts the parts of the machine; see [New].
type Sensor struct {
	env     sensor.Env
	tree    tree
	classes []string
	open    func() (uevent.Source, error)
	// permanent and openTPM ask this machine's kernel; a test has others.
	permanent func() (map[string]string, error)
	openTPM   func(path string) (transport.TPMCloser, error)
	// asked is what the TPM said, asking a question that it has not answered yet.
	asked  *answer
	asking chan answer
}

// New returns a driver that reads the environment's /sys, /proc and /dev.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Sensor{
		env: env, tree: tree(env.Path("sys")), classes: classes, open: uevent.Open,
		permanent: permanentAddresses, openTPM: linuxtpm.Open,
	}
	if len(c.Classes) > 0 {
		s.classes = slices.Sorted(slices.Values(c.Classes))
	}
	if env.Root != "" {
		s.permanent = func() (map[string]string, error) { return nil, nil } // recorded files have a recorded address
	}
	return s, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "parts", Needs: []sensor.Need{sensor.NeedSysfs, sensor.NeedUevent, sensor.NeedRoot}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyEvent, MaxSilence: maxSilence, Debounce: debounce, Latches: true,
	}
}

// Probe implements [sensor.Sensor].
func (s *Sensor) Probe() sensor.Presence {
	if !s.tree.has("devices") {
		return sensor.Skipped("this kernel shows no devices at " + s.tree.path("devices"))
	}
	return uevent.Probe(s.open)
}

// Run implements [sensor.Sensor]. Nothing is said before the kernel has been
// quiet for a moment: half a machine is no inventory.
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	s.asked = nil
	w := &watch{sensor: s, emit: emit, stale: true, changed: s.env.Clock.Now()}
	return uevent.Follow(ctx, uevent.Handler{
		Clock: s.env.Clock, Open: s.open, Every: beatEvery, Settle: settle, Emit: emit,
		Start: func() error { return uevent.ErrLook }, Event: w.change, Look: w.look,
	})
}

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	emit   func(sensor.Reading)
	stale  bool // something changed since the last inventory
	// changed is when the kernel last told of a part.
	changed time.Time
	at      time.Time
	last    findings
	tries   int // looks in a row that differed
	teller  inventory.Teller
}

// subsystems are those of the kernel whose messages can mean another part.
var subsystems = []string{"pci", "block", "net", "usb", "memory", "mmc", "mmc_host", "i2c", "nvme", "scsi", "tpm", "tpmrm", "cpu"}

// change takes one message. What has no hardware behind it comes and goes all day
// and is no part.
func (w *watch) change(u uevent.Event) error {
	if !slices.Contains(subsystems, u.Vars["SUBSYSTEM"]) || strings.HasPrefix(u.Path, "/devices/virtual/") && u.Vars["SUBSYSTEM"] != "tpm" {
		return nil
	}
	if strings.HasPrefix(u.Vars["SUBSYSTEM"], "tpm") {
		w.sensor.asked = nil
	}
	w.stale, w.changed = true, w.sensor.env.Clock.Now()
	return uevent.ErrLook
}

// look tells the parts where they may have changed, and in between that it is
// there. why names what was lost.
func (w *watch) look(why string) error {
	if why != "" {
		w.emit(sensor.Reading{
			Kind: sensor.Pulse, Point: "uevent", Type: why, Severity: core.SeverityMedium,
			Fields: sensor.Fields(map[string]any{"action": "full re-scan"}),
		})
	}
	now := w.sensor.env.Clock.Now()
	if w.at.IsZero() && w.sensor.booting() && now.Sub(w.changed) < bootQuiet {
		return uevent.ErrLook
	}
	hour := !w.at.IsZero() && (now.Sub(w.at) >= rescanEvery || now.Before(w.at))
	if hour {
		w.sensor.asked = nil
	}
	if !hour && !w.stale && why == "" && len(w.last.broken) == 0 {
		w.alive()
		return nil
	}
	return w.read(now)
}

// read looks at every part. What differs from the look before is looked at once
// more: a device that is just coming or going is read in halves. Until two looks
// agree there is no first inventory; a later one is told at once, and a finding
// that the next look takes back never holds long enough.
func (w *watch) read(now time.Time) error {
	was := w.last.parts
	w.last = w.sensor.scan()
	w.stale = w.tries < maxTries && !slices.EqualFunc(was, w.last.parts, samePart)
	if w.stale {
		w.tries++
	} else {
		w.tries = 0
	}
	if w.at.IsZero() && w.stale {
		return uevent.ErrLook
	}
	w.at = now
	w.last.tell(&w.teller, w.emit)
	w.alive()
	if w.stale {
		return uevent.ErrLook
	}
	return nil
}

func (w *watch) alive() {
	w.last.count(w.sensor.classes, w.emit)
	w.emit(sensor.Reading{Kind: sensor.Beat})
}

func samePart(a, b sensor.Part) bool {
	return a.Class == b.Class && a.Place == b.Place && a.Identity == b.Identity && a.About["firmware"] == b.About["firmware"]
}

// booting says whether the machine has only just been started.
func (s *Sensor) booting() bool {
	b, err := readSome(s.env.Path("proc/uptime"), maxAttribute)
	if err != nil {
		return false
	}
	text, _, _ := strings.Cut(string(b), " ")
	up, err := strconv.ParseFloat(text, 64)
	return err == nil && up < bootTime.Seconds()
}

// tell emits the inventory.
func (inv findings) tell(t *inventory.Teller, emit func(sensor.Reading)) {
	number := map[string]int{}
	for _, p := range inv.parts {
		number[p.Class]++
	}
	fields := map[string]any{"kind": "parts", "count": len(inv.parts), "classes": number, "not_here": inv.missing}
	if len(inv.broken) > 0 {
		fields["unreadable"] = inv.broken
	}
	t.Tell(emit, inv.parts, fields)
}

// count says for each class how many parts it has, or that it can't be read.
func (inv findings) count(enabled []string, emit func(sensor.Reading)) {
	for _, class := range enabled {
		if why, broken := inv.broken[class]; broken {
			emit(sensor.Reading{Kind: sensor.Broken, Point: class, Severity: core.SeverityHigh, Fields: sensor.Fields(map[string]string{"why": why})})
			continue
		}
		emit(sensor.Reading{Kind: sensor.Measure, Point: class, Value: float64(inv.counts[class]), Unit: sensor.UnitNone})
	}
}

// SelfTest implements [sensor.SelfTester]: each class is read anew, and the
// kernel is asked to say something.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	all := []sensor.Finding{uevent.SelfTest(ctx, s.env, s.open)}
	fresh := &Sensor{env: s.env, tree: s.tree, classes: s.classes, permanent: s.permanent, openTPM: s.openTPM} // Run goes on meanwhile
	inv := fresh.scan()
	for _, class := range s.classes {
		switch {
		case inv.broken[class] != "":
			all = append(all, sensor.Found(class, sensor.Fail, inv.broken[class]))
		case inv.missing[class] != "":
			all = append(all, sensor.Found(class, sensor.Untried, "not here: "+inv.missing[class]))
		default:
			all = append(all, sensor.Found(class, sensor.Pass, fmt.Sprintf("%d counted", inv.counts[class])))
		}
	}
	return all
}

// sortParts puts parts in the one order in which they are told.
func sortParts(parts []sensor.Part) {
	slices.SortStableFunc(parts, func(a, b sensor.Part) int {
		return slices.Compare([]string{a.Class, a.Place, a.Identity, a.About["firmware"]}, []string{b.Class, b.Place, b.Identity, b.About["firmware"]})
	})
}
