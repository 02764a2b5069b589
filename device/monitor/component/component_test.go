package component

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

var _ monitor.Learner = (*Judge)(nil)

var noon = time.Unix(1_700_000_000, 0)

// machine is a small computer.
func machine() []sensor.Part {
	return []sensor.Part{
		{Class: "firmware", Place: "bios", Identity: "vendor=SeaBIOS", About: map[string]string{"firmware": "1.16.2 04/01/2014"}},
		{Class: "system", Place: "system", Identity: "maker=Acme serial=4711"},
		{Class: "dimm", Place: "DIMM 0", Identity: "part=M1 serial=A"},
		{Class: "dimm", Place: "DIMM 1", Identity: "part=M1 serial=B"},
		{Class: "memory", Place: "memory", Identity: "mib=2048"},
		{Class: "pci", Place: "pci0000:00/02.0", Identity: "id=8086:10d3"},
		{Class: "pci", Place: "pci0000:00/03.0", Identity: "id=1af4:1042"},
		{Class: "pci", Place: "pci0000:00/04.0", Identity: "id=1af4:1042"}, // two cards that are alike
		{Class: "nic", Place: "pci0000:00/02.0", Identity: "mac=02:00:00:00:00:01", About: map[string]string{"on": "pci pci0000:00/02.0"}},
		{Class: "disk", Place: "pci0000:00/03.0", Identity: "serial=D1", About: map[string]string{"firmware": "1.0", "name": "vda", "on": "pci pci0000:00/03.0"}},
		{Class: "disk", Place: "pci0000:00/04.0", Identity: "serial=D2", About: map[string]string{"firmware": "1.0", "name": "vdb", "on": "pci pci0000:00/04.0"}},
		{Class: "tpm", Place: "tpm0", Identity: "ek=p256:00ff"},
	}
}

func inventory(parts []sensor.Part) sensor.Reading {
	return sensor.Reading{Kind: sensor.Inventory, Type: "inventory", Parts: parts}
}

// learned is a judge that has a baseline.
func learned(t *testing.T, parts []sensor.Part) *Judge {
	t.Helper()
	j, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if said := j.Judge(noon, inventory(parts)); len(said) != 1 || said[0].Type != TypeLearned || said[0].Alarm {
		t.Fatalf("the first inventory said %s", show(said))
	}
	return j
}

func fields(t *testing.T, r sensor.Reading) map[string]any {
	t.Helper()
	f := map[string]any{}
	if err := json.Unmarshal(r.Fields, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// active are the readings that say that something differs.
func active(said []sensor.Reading) (on []sensor.Reading) {
	for _, r := range said {
		if r.Kind == sensor.Level && r.Active {
			on = append(on, r)
		}
	}
	return on
}

// show writes readings one a line, without the fields that a failure would drown in.
func show(said []sensor.Reading) string {
	var b strings.Builder
	for _, r := range said {
		fmt.Fprintf(&b, "\n  %s at %q active %v alarm %v %.300s", r.Type, r.Point, r.Active, r.Alarm, r.Fields)
	}
	return b.String()
}

// change returns a copy of parts with the one of a class and place changed.
func change(parts []sensor.Part, class, place string, f func(*sensor.Part)) []sensor.Part {
	all := slices.Clone(parts)
	for i := range all {
		if all[i].Class == class && all[i].Place == place {
			about := map[string]string{}
			for k, v := range all[i].About {
				about[k] = v
			}
			all[i].About = about
			f(&all[i])
		}
	}
	return all
}

func without(parts []sensor.Part, class, place string) []sensor.Part {
	return slices.DeleteFunc(slices.Clone(parts), func(p sensor.Part) bool { return p.Class == class && p.Place == place })
}

func TestEachChangeIsOneFindingThatNamesThePart(t *testing.T) {
	m := machine()
	rows := map[string]struct {
		now         []sensor.Part
		kind, point string
		has         map[string]string
	}{
		"a module is pulled":    {without(m, "dimm", "DIMM 1"), TypeRemoved, "removed dimm DIMM 1", map[string]string{"from": "part=M1 serial=B"}},
		"a module is swapped":   {change(m, "dimm", "DIMM 1", func(p *sensor.Part) { p.Identity = "part=M1 serial=C" }), TypeSwapped, "swapped dimm DIMM 1", map[string]string{"from": "part=M1 serial=B", "to": "part=M1 serial=C"}},
		"a module is put in":    {append(machine(), sensor.Part{Class: "dimm", Place: "DIMM 2", Identity: "part=M1 serial=C"}), TypeAdded, "added dimm DIMM 2", map[string]string{"to": "part=M1 serial=C"}},
		"one of two like cards": {without(without(m, "pci", "pci0000:00/04.0"), "disk", "pci0000:00/04.0"), TypeRemoved, "removed pci pci0000:00/04.0", nil},
		"memory grows":          {change(m, "memory", "memory", func(p *sensor.Part) { p.Identity = "mib=4096" }), TypeAdded, "added memory memory", map[string]string{"from": "mib=2048", "to": "mib=4096"}},
		"memory shrinks":        {change(m, "memory", "memory", func(p *sensor.Part) { p.Identity = "mib=1024" }), TypeRemoved, "removed memory memory", nil},
		"another BIOS":          {change(m, "firmware", "bios", func(p *sensor.Part) { p.About["firmware"] = "2.0" }), TypeFirmware, "firmware firmware bios", map[string]string{"firmware_from": "1.16.2 04/01/2014", "firmware_to": "2.0"}},
		"another disk firmware": {change(m, "disk", "pci0000:00/03.0", func(p *sensor.Part) { p.About["firmware"] = "1.1" }), TypeFirmware, "firmware disk pci0000:00/03.0", nil},
		"another TPM":           {change(m, "tpm", "tpm0", func(p *sensor.Part) { p.Identity = "ek=p256:ff00" }), TypeSwapped, "swapped tpm tpm0", nil},
		"no TPM":                {without(m, "tpm", "tpm0"), TypeRemoved, "removed tpm tpm0", nil},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			j := learned(t, m)
			said := j.Judge(noon, inventory(row.now))
			if len(said) != 1 || said[0].Kind != sensor.Level || !said[0].Active || !said[0].Alarm || said[0].Type != row.kind || said[0].Point != row.point || said[0].Severity != core.SeverityHigh {
				t.Fatalf("said %s", show(said))
			}
			f := fields(t, said[0])
			for k, want := range row.has {
				if f[k] != want {
					t.Errorf("%s is %v, want %q", k, f[k], want)
				}
			}
			if f["sha256"] != Digest(row.now) {
				t.Errorf("it names %v to approve", f["sha256"])
			}
			back := j.Judge(noon, inventory(m))
			if len(back) != 1 || back[0].Active || back[0].Point != row.point || back[0].Clear != TypeRestored {
				t.Errorf("putting it back said %+v", back)
			}
			if again := active(j.Judge(noon, inventory(m))); len(again) != 0 {
				t.Errorf("then it said %+v", again)
			}
		})
	}
}

func TestWhatSitsOnACardGoesWithIt(t *testing.T) {
	j := learned(t, machine())
	now := without(without(machine(), "pci", "pci0000:00/02.0"), "nic", "pci0000:00/02.0")
	said := j.Judge(noon, inventory(now))
	if len(said) != 1 || said[0].Point != "removed pci pci0000:00/02.0" {
		t.Fatalf("said %s", show(said))
	}
	if f := fmt.Sprint(fields(t, said[0])["with"]); !strings.Contains(f, "mac=02:00:00:00:00:01") {
		t.Errorf("with %s", f)
	}
	// Only its port is dead: that is the port's finding.
	if said := active(j.Judge(noon, inventory(without(machine(), "nic", "pci0000:00/02.0")))); len(said) != 1 || said[0].Point != "removed nic pci0000:00/02.0" {
		t.Errorf("said %s", show(said))
	}
}

func TestABaselineOutlivesTheAgent(t *testing.T) {
	first := learned(t, machine())
	kept, changed := first.Memory()
	if !changed {
		t.Fatal("what was learned is not kept")
	}
	if _, again := first.Memory(); again {
		t.Error("it is kept twice")
	}
	second, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Recall(kept); err != nil {
		t.Fatal(err)
	}
	// The disk was pulled while nobody ran.
	said := second.Judge(noon, inventory(without(machine(), "disk", "pci0000:00/03.0")))
	if len(said) != 1 || said[0].Type != TypeRemoved || fields(t, said[0])["from"] != "serial=D1" {
		t.Errorf("said %s", show(said))
	}
	if _, changed := second.Memory(); changed {
		t.Error("a difference changed what is expected")
	}
}

func TestWhatSitsOnACardIsRememberedWithIt(t *testing.T) {
	kept, _ := learned(t, machine()).Memory()
	j := recalled(t, Config{}, kept)
	said := active(j.Judge(noon, inventory(without(without(machine(), "pci", "pci0000:00/02.0"), "nic", "pci0000:00/02.0"))))
	if len(said) != 1 || fields(t, said[0])["with_count"] != 1.0 {
		t.Errorf("said %s", show(said))
	}
}

// recalled is a judge after a restart.
func recalled(t *testing.T, c Config, kept []byte) *Judge {
	t.Helper()
	j, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Recall(kept); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestAMachineThatIsBeingSetUpLearnsForAWhileAndNoLonger(t *testing.T) {
	c := Config{Learn: time.Hour}
	j, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	m := machine()
	j.Judge(noon, inventory(m[:6]))
	if said := active(j.Judge(noon.Add(time.Minute), inventory(m))); len(said) != 0 {
		t.Errorf("a part that came while learning: %s", show(said))
	}
	kept, changed := j.Memory()
	if !changed {
		t.Fatal("what was learned is not kept")
	}
	j = recalled(t, c, kept) // the set-up restarts the machine
	if next := j.Next(); !next.Equal(noon.Add(time.Hour)) {
		t.Errorf("it learns until %s", next)
	}
	swapped := change(m, "dimm", "DIMM 1", func(p *sensor.Part) { p.Identity = "other" })
	if said := active(j.Judge(noon.Add(2*time.Minute), inventory(swapped))); len(said) != 1 || said[0].Type != TypeSwapped {
		t.Errorf("a swap while learning: %s", show(said))
	}
	end := j.Tick(noon.Add(time.Hour))
	if len(end) != 1 || end[0].Type != TypeLearned || fields(t, end[0])["sha256"] != Digest(m) || fields(t, end[0])["learning"] != false || !j.Next().IsZero() {
		t.Errorf("at the end it said %s", show(end))
	}
	late := append(slices.Clone(m), sensor.Part{Class: "pci", Place: "x", Identity: "late"})
	if said := active(j.Judge(noon.Add(61*time.Minute), inventory(late))); len(said) != 1 || said[0].Type != TypeAdded {
		t.Errorf("a part that came too late: %s", show(said))
	}
}

func TestAClockThatIsSetBackGivesNoTimeToLearn(t *testing.T) {
	j, err := New(Config{Learn: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	j.Judge(noon, inventory(machine()))
	late := append(machine(), sensor.Part{Class: "pci", Place: "x", Identity: "late"})
	if said := active(j.Judge(noon.Add(-24*time.Hour), inventory(late))); len(said) != 1 {
		t.Errorf("said %s", show(said))
	}
	for _, bad := range []time.Duration{-1, maxLearn + 1} {
		if err := (Config{Learn: bad}).Validate(); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestWhatMayBeAwayIsMissedByNobodyAndWhatIsUnknownByAll(t *testing.T) {
	kept, _ := learned(t, machine()).Memory()
	j := recalled(t, Config{Optional: []string{"disk", "memory"}}, kept)
	if said := active(j.Judge(noon, inventory(without(machine(), "disk", "pci0000:00/03.0")))); len(said) != 0 {
		t.Errorf("said %s", show(said))
	}
	other := change(machine(), "disk", "pci0000:00/03.0", func(p *sensor.Part) { p.Identity = "serial=D9" })
	if said := active(j.Judge(noon, inventory(other))); len(said) != 1 || said[0].Type != TypeSwapped {
		t.Errorf("said %s", show(said))
	}
	less := change(machine(), "memory", "memory", func(p *sensor.Part) { p.Identity = "mib=1" })
	if said := active(j.Judge(noon, inventory(less))); len(said) != 1 {
		t.Errorf("half of it is not away: %s", show(said))
	}
}

func TestADamagedBaselineIsNotLearnedAnew(t *testing.T) {
	kept, _ := learned(t, machine()).Memory()
	for name, bad := range map[string][]byte{
		"cut":          kept[:len(kept)/2],
		"a part less":  []byte(strings.Replace(string(kept), "serial=D1", "serial=XX", 1)),
		"no baseline":  []byte(`{"v":1}`),
		"another year": []byte(strings.Replace(string(kept), `"v":1`, `"v":2`, 1)),
		"empty":        {},
	} {
		t.Run(name, func(t *testing.T) {
			j, err := New(Config{})
			if err != nil {
				t.Fatal(err)
			}
			if err := j.Recall(bad); err == nil {
				t.Fatal("it was believed")
			}
			if said := j.Judge(noon, inventory(machine())); len(said) != 0 {
				t.Errorf("said %s", show(said))
			}
			if _, changed := j.Memory(); changed {
				t.Error("it learned anew")
			}
			if _, err := j.Accept(noon, Digest(machine())); err != nil {
				t.Errorf("an order does not mend it: %v", err)
			}
		})
	}
}

func TestAnOrderAcceptsTheInventoryThatPeopleSawAndNoOther(t *testing.T) {
	j := learned(t, machine())
	if _, err := j.Accept(noon, Digest(machine()[1:])); core.KindOf(err) != core.KindConflict {
		t.Errorf("another inventory: %v", err)
	}
	seen := without(machine(), "disk", "pci0000:00/04.0")
	j.Judge(noon, inventory(seen))
	// Meanwhile somebody adds a card.
	j.Judge(noon, inventory(append(slices.Clone(seen), sensor.Part{Class: "pci", Place: "x", Identity: "id=dead:beef"})))
	if _, err := j.Accept(noon, Digest(seen)); core.KindOf(err) != core.KindConflict {
		t.Errorf("what was seen before: %v", err)
	}
	j.Judge(noon, inventory(seen))
	said, err := j.Accept(noon, Digest(seen))
	if err != nil {
		t.Fatal(err)
	}
	if len(said) != 3 || said[0].Type != TypeAccepted || fields(t, said[0])["was"] != Digest(machine()) || len(active(said)) != 0 {
		t.Errorf("said %s", show(said))
	}
	if _, changed := j.Memory(); !changed {
		t.Error("it is not kept")
	}
	if said := active(j.Judge(noon, inventory(machine()))); len(said) != 1 || said[0].Type != TypeAdded {
		t.Errorf("the old disk: %+v", said)
	}
}

func TestWhatCannotBeReadIsNeitherGoneNorAccepted(t *testing.T) {
	blind := append(without(machine(), "tpm", "tpm0"), sensor.Part{Class: "tpm", Place: "*"})
	j := learned(t, machine())
	if said := j.Judge(noon, inventory(blind)); len(said) != 0 {
		t.Errorf("said %s", show(said))
	}
	if _, err := j.Accept(noon, Digest(blind)); core.KindOf(err) != core.KindConflict {
		t.Errorf("Accept: %v", err)
	}
	// Nor is what was gone restored by nobody seeing it.
	j.Judge(noon, inventory(without(machine(), "tpm", "tpm0")))
	if said := j.Judge(noon, inventory(blind)); len(said) != 0 {
		t.Errorf("blind, it said %s", show(said))
	}
	// Learned blind, it says so once it sees.
	j, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	said := j.Judge(noon, inventory(blind))
	if len(said) != 1 || !strings.Contains(string(said[0].Fields), `"unreadable":["tpm"]`) {
		t.Errorf("said %+v %s", said, said[0].Fields)
	}
	said = j.Judge(noon, inventory(machine()))
	if len(said) != 1 || said[0].Type != TypeIncomplete || said[0].Alarm {
		t.Errorf("said %s", show(said))
	}
}

func TestFirmwareThatIsAllowed(t *testing.T) {
	j, err := New(Config{Firmware: []Firmware{{Class: "firmware", Versions: []string{"1.16.2 04/01/2014", "1.16.3"}}, {Class: "disk", Identity: "D2", Versions: []string{"2.0"}}}})
	if err != nil {
		t.Fatal(err)
	}
	said := active(j.Judge(noon, inventory(machine())))
	if len(said) != 1 || said[0].Type != TypeUnlisted || said[0].Point != "unlisted disk pci0000:00/04.0" || !said[0].Alarm {
		t.Fatalf("said %s", show(said))
	}
	for version, alarm := range map[string]bool{"1.16.3": false, "6.6.6": true} {
		now := change(machine(), "firmware", "bios", func(p *sensor.Part) { p.About["firmware"] = version })
		said := active(j.Judge(noon, inventory(now)))
		if len(said) != 2 || said[0].Type != TypeFirmware || said[0].Alarm != alarm {
			t.Errorf("%s: %+v", version, said)
		}
	}
	for _, bad := range []Config{{Firmware: []Firmware{{Class: "cpu"}}}, {Firmware: []Firmware{{Versions: []string{"1"}}}}} {
		if _, err := New(bad); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestAnInventoryInPages(t *testing.T) {
	j := learned(t, machine())
	page := func(name string, parts []sensor.Part) sensor.Reading {
		return sensor.Reading{Kind: sensor.Inventory, Point: name, Parts: parts}
	}
	m := machine()
	for range 2 { // the driver is started anew in the middle
		for _, r := range []sensor.Reading{page("a", m[:3]), page("b", m[3:6])} {
			if said := j.Judge(noon, r); len(said) != 0 {
				t.Errorf("half an inventory said %s", show(said))
			}
		}
	}
	j.Judge(noon, page("c", m[6:]))
	if said := j.Judge(noon, sensor.Reading{Kind: sensor.Inventory}); len(said) != 0 {
		t.Errorf("the whole said %s", show(said))
	}
}

func TestASensorWithoutPartsIsAFault(t *testing.T) {
	j, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if said := j.Judge(noon, sensor.Reading{Kind: sensor.Inventory}); len(said) != 1 || said[0].Kind != sensor.Broken {
		t.Errorf("said %s", show(said))
	}
	if said := j.Judge(noon, inventory([]sensor.Part{})); len(said) != 1 || said[0].Type != TypeLearned {
		t.Errorf("a bus with nothing on it: %+v", said)
	}
}

// A wholly other machine is told in full, and not more than the monitor can hold.
func TestAStormOfFindingsIsBounded(t *testing.T) {
	var base, now []sensor.Part
	for i := range 300 {
		base = append(base, sensor.Part{Class: "pci", Place: fmt.Sprintf("slot %03d", i), Identity: fmt.Sprintf("old %d", i)})
		now = append(now, sensor.Part{Class: "pci", Place: fmt.Sprintf("slot %03d", i), Identity: fmt.Sprintf("new %d", i)})
	}
	j := learned(t, base)
	said := j.Judge(noon, inventory(now))
	if len(said) != maxPoints+1 {
		t.Fatalf("%d readings", len(said))
	}
	for _, r := range said {
		if r.Type == TypeMany && fields(t, r)["with_count"] != float64(300-maxPoints) || len(r.Fields) > 12<<10 {
			t.Errorf("%s: %s", r.Point, r.Fields)
		}
	}
	if said := j.Judge(noon, inventory(base)); len(said) != maxPoints+1 || len(active(said)) != 0 {
		t.Errorf("back: %d readings", len(said))
	}
}
