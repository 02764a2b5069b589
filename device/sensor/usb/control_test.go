package usb

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// What QEMU's keyboard, tablet and stick describe themselves as.
var (
	keyboardDescriptors = unhex("12010002000000402706010000000103" + "0401" + "09022200010108a032" + "090400000103010100" + "09211101000122" + "3f00" + "0705810308000a")
	stickDescriptors    = unhex("120100020000004046f4010000000102" + "0301" + "09022000010100c000" + "0904000002080650" + "00" + "0705810240000" + "0" + "0705020240000" + "0")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// described is a device with descriptors, as sysfs shows one.
func described(id string, descriptors []byte, authorized string) map[string]string {
	return map[string]string{"idVendor": id[:4], "idProduct": id[5:], "serial": "68284-1-1", "descriptors": string(descriptors), "authorized": authorized}
}

// plugRaw is plug without the newline that would be part of the descriptors.
func (b *bus) plugRaw(port string, attrs map[string]string) {
	b.plug(port, attrs)
	b.set(port, "descriptors", attrs["descriptors"])
}

func (b *bus) set(name, attribute, value string) {
	b.WriteRaw(onBus+name+"/"+attribute, value)
}

func (b *bus) get(name, attribute string) string {
	v, err := b.sensor.attribute(name, attribute)
	b.Must(err)
	return v
}

// controlled is a bus with a controller and a driver that enforces a list.
func controlled(t *testing.T, policy Policy, allow ...Rule) *bus {
	t.Helper()
	b := newBus(t)
	b.use(Config{Policy: policy, Allow: allow})
	b.plug("usb1", map[string]string{"authorized_default": "1"})
	return b
}

func fieldsOf(t *testing.T, r sensor.Reading) map[string]any {
	t.Helper()
	fields := map[string]any{}
	if err := json.Unmarshal(r.Fields, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

func TestAKeyboardThatIsNotListedStaysOffTheBus(t *testing.T) {
	b := controlled(t, PolicyEnforce)
	defer b.start()()
	b.await(beat)
	if got := b.get("usb1", "authorized_default"); got != "0" {
		t.Errorf("the controller uses what is plugged in: %q", got)
	}
	b.plugRaw("1-1", described("0627:0001", keyboardDescriptors, "0"))
	b.record("good-add-keyboard")
	r := b.await("usb_attached")
	f := fieldsOf(t, r)
	if !r.Alarm || r.Severity != core.SeverityHigh || f["looks_like"] != "keyboard" || f["interfaces"] != "03:01:01" || f["action"] != "blocked" || b.get("1-1", "authorized") != "0" {
		t.Errorf("reading %+v fields %v", r, f)
	}
}

// A kernel that was not told to wait has authorised it before we look.
func TestADeviceThatTheKernelLetInIsTakenOffAgain(t *testing.T) {
	b := controlled(t, PolicyEnforce)
	b.plugRaw("1-2", described("46f4:0001", stickDescriptors, "1")) // there at the start
	defer b.start()()
	r := b.await("usb_blocked")
	if f := fieldsOf(t, r); !r.Alarm || f["looks_like"] != "storage" || b.get("1-2", "authorized") != "0" {
		t.Errorf("reading %+v fields %v", r, f)
	}
	b.await(beat)
	b.plugRaw("1-1", described("0627:0001", keyboardDescriptors, "1"))
	b.record("good-add-keyboard")
	b.await("usb_attached")
	if got := b.get("1-1", "authorized"); got != "0" {
		t.Errorf("authorized %q", got)
	}
}

func TestAListedDeviceIsLetInByWhatItIsAndNotByItsName(t *testing.T) {
	keyboard := described("0627:0001", keyboardDescriptors, "0")
	impostor := described("46f4:0001", keyboardDescriptors, "0") // a stick's name, a keyboard's interface
	stick := described("46f4:0001", stickDescriptors, "0")
	broken := described("0627:0001", keyboardDescriptors[:len(keyboardDescriptors)-1], "0")
	for name, row := range map[string]struct {
		rule Rule
		dev  map[string]string
		in   bool
	}{
		"by its interfaces":       {Rule{ID: "46f4:0001", Interfaces: []string{"08:06:50"}}, stick, true},
		"by its descriptors":      {Rule{ID: "0627:0001", Descriptors: hashOf(keyboardDescriptors)}, keyboard, true},
		"and port and serial":     {Rule{ID: "0627:0001", Descriptors: hashOf(keyboardDescriptors), Port: "1-1", Serial: "68284-1-1"}, keyboard, true},
		"in another port":         {Rule{ID: "0627:0001", Descriptors: hashOf(keyboardDescriptors), Port: "1-2"}, keyboard, false},
		"with another serial":     {Rule{ID: "0627:0001", Descriptors: hashOf(keyboardDescriptors), Serial: "1"}, keyboard, false},
		"an impostor":             {Rule{ID: "46f4:0001", Interfaces: []string{"08:06:50"}}, impostor, false},
		"another's descriptors":   {Rule{ID: "46f4:0001", Descriptors: hashOf(stickDescriptors)}, impostor, false},
		"with half a description": {Rule{ID: "0627:0001", Descriptors: hashOf(keyboardDescriptors[:len(keyboardDescriptors)-1])}, broken, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := controlled(t, PolicyEnforce, row.rule)
			defer b.start()()
			b.await(beat)
			b.plugRaw("1-1", row.dev)
			b.record("good-add-keyboard")
			r := b.await("usb_attached")
			if in := b.get("1-1", "authorized") == "1"; in != row.in || r.Alarm == row.in {
				t.Errorf("let in %v, alarm %v, fields %s", in, r.Alarm, r.Fields)
			}
		})
	}
}

func TestWhoeverAuthorisesBehindOurBackIsNoticedAndUndone(t *testing.T) {
	b := controlled(t, PolicyEnforce)
	defer b.start()()
	b.await(beat)
	b.plugRaw("1-1", described("0627:0001", keyboardDescriptors, "0"))
	b.record("good-add-keyboard")
	b.await("usb_attached")
	b.set("1-1", "authorized", "1")
	b.set("usb1", "authorized_default", "1")
	b.overrun() // or the next look by the clock
	points := map[string]bool{}
	for range 2 {
		r := b.await("usb_unblocked")
		if !r.Alarm || r.Severity != core.SeverityCritical {
			t.Errorf("reading %+v", r)
		}
		points[r.Point] = true
	}
	if !points["1-1"] || !points["usb1"] || b.get("1-1", "authorized") != "0" || b.get("usb1", "authorized_default") != "0" {
		t.Errorf("told of %v", points)
	}
}

func TestAControllerThatComesLaterIsClosedToo(t *testing.T) {
	b := controlled(t, PolicyEnforce)
	defer b.start()()
	b.await(beat)
	b.plug("usb2", map[string]string{"authorized_default": "1"})
	b.Kernel.Tell("add", "usb", "/devices/pci0000:00/0000:00:05.0/usb2", "DEVTYPE=usb_device")
	b.overrun() // its message has been taken when this has
	b.await("uevents_lost")
	if got := b.get("usb2", "authorized_default"); got != "0" {
		t.Errorf("authorized_default %q", got)
	}
}

func TestABusThatDoesNotObeyIsAnAlarm(t *testing.T) {
	b := controlled(t, PolicyEnforce)
	const attribute = onBus + "usb1/authorized_default"
	b.Remove(attribute)
	b.Folder(attribute) // it can be opened and neither read nor written
	defer b.start()()
	if r := b.await("usb_block_failed"); !r.Alarm || r.Point != "usb1" || r.Severity != core.SeverityCritical {
		t.Errorf("reading %+v", r)
	}
}

func TestObservingAndLearningLeaveTheBusAlone(t *testing.T) {
	for _, policy := range []Policy{"", PolicyObserve, PolicyLearn} {
		b := controlled(t, policy, Rule{ID: "46f4:0001", Interfaces: []string{"08:06:50"}})
		stop := b.start()
		b.await(beat)
		b.plugRaw("1-1", described("0627:0001", keyboardDescriptors, "1"))
		b.record("good-add-keyboard")
		r := b.await("usb_attached")
		entry, _ := fieldsOf(t, r)["entry"].(string)
		if learn := policy == PolicyLearn; !r.Alarm || (entry != "") != learn { // what types alarms while learning too
			t.Errorf("%s: alarm %v, entry %q", policy, r.Alarm, entry)
		}
		if b.get("1-1", "authorized") != "1" || b.get("usb1", "authorized_default") != "1" {
			t.Errorf("%s touched the bus", policy)
		}
		b.unplug("1-1")
		b.record("good-remove-keyboard")
		b.await("usb_removed")
		b.plugRaw("1-1", described("46f4:0001", stickDescriptors, "1"))
		b.record("good-add-keyboard")
		if r := b.await("usb_attached"); r.Alarm || r.Severity != core.SeverityLow {
			t.Errorf("%s: a listed device alarms: %+v", policy, r)
		}
		stop()
	}
}

func TestWhatCannotTypeIsLearnedInCalm(t *testing.T) {
	b := controlled(t, PolicyLearn)
	defer b.start()()
	b.await(beat)
	b.plugRaw("1-1", described("46f4:0001", stickDescriptors, "1"))
	b.record("good-add-keyboard")
	r := b.await("usb_attached")
	if entry, _ := fieldsOf(t, r)["entry"].(string); r.Alarm || entry == "" {
		t.Errorf("reading %+v %s", r, r.Fields)
	}
}

// The same stick, by its own words, comes back and can type.
func TestAStickThatGrowsAKeyboardIsCriticalUnderEveryPolicy(t *testing.T) {
	grown := append(append([]byte{}, stickDescriptors...), keyboardDescriptors[27:36]...)
	for _, policy := range []Policy{PolicyObserve, PolicyLearn, PolicyEnforce} {
		b := controlled(t, policy, Rule{ID: "46f4:0001", Interfaces: []string{"08:06:50"}})
		b.plugRaw("1-1", described("46f4:0001", stickDescriptors, "1"))
		stop := b.start()
		b.await(beat)
		b.unplug("1-1")
		b.record("good-remove-keyboard")
		b.await("usb_removed")
		b.plugRaw("1-1", described("46f4:0001", grown, "1"))
		b.record("good-add-keyboard")
		r := b.await("usb_attached")
		if f := fieldsOf(t, r); !r.Alarm || r.Severity != core.SeverityCritical || f["grew"] == nil {
			t.Errorf("%s: %+v %s", policy, r, r.Fields)
		}
		if in := b.get("1-1", "authorized") == "1"; in == (policy == PolicyEnforce) {
			t.Errorf("%s: let in %v", policy, in)
		}
		stop()
	}
}

// A device that is bound anew in place, without leaving the bus.
func TestADeviceThatChangesInPlaceIsReadAgain(t *testing.T) {
	b := controlled(t, PolicyObserve)
	b.plugRaw("1-1", described("46f4:0001", stickDescriptors, "1"))
	defer b.start()()
	b.await(beat)
	b.set("1-1", "descriptors", string(keyboardDescriptors))
	b.Kernel.Tell("bind", "usb", devices+"/1-1/1-1:1.0", "DEVTYPE=usb_interface")
	if r := b.await("usb_attached"); !r.Alarm || !strings.Contains(string(r.Fields), `"grew":["03:01:01"]`) {
		t.Errorf("reading %+v %s", r, r.Fields)
	}
}

// A device that is read while it goes away has lost some of its attributes.
func TestADeviceThatWasReadInHalvesIsNoOtherOne(t *testing.T) {
	b := controlled(t, PolicyObserve)
	b.plugRaw("1-1", described("46f4:0001", stickDescriptors, "1"))
	var said []sensor.Reading
	w := &watch{sensor: b.sensor, emit: func(r sensor.Reading) { said = append(said, r) }, closed: map[string]bool{}}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	said = nil
	w.attached("1-1", device{"idVendor": "46f4", "idProduct": "0001"})
	b.unplug("1-1")
	w.attached("1-1", device{"idVendor": "46f4"})
	if len(said) != 0 {
		t.Errorf("said %+v", said)
	}
	w.removed("1-1")
	if len(said) != 1 || said[0].Type != "usb_removed" {
		t.Errorf("said %+v", said)
	}
}

func TestTheInventoryHasPartsAndIsToldAnewWhenTheBusIsQuiet(t *testing.T) {
	b := controlled(t, PolicyObserve)
	defer b.start()()
	if inv := b.await("inventory"); inv.Kind != sensor.Inventory || len(inv.Parts) != 0 {
		t.Errorf("inventory %+v", inv)
	}
	b.await(beat)
	b.plugRaw("1-1", described("46f4:0001", stickDescriptors, "1"))
	b.record("good-add-keyboard")
	b.await("usb_attached")
	b.PassWith(2, settle)
	inv := b.await("inventory")
	if len(inv.Parts) != 1 || inv.Parts[0].Place != "1-1" || !strings.Contains(inv.Parts[0].Identity, hashOf(stickDescriptors)) {
		t.Errorf("parts %+v", inv.Parts)
	}
}

func TestTheSelfTestClaimsNoMoreThanItTried(t *testing.T) {
	for _, row := range []struct {
		policy  Policy
		initial string
		want    sensor.Result
	}{{PolicyObserve, "1", sensor.Untried}, {PolicyEnforce, "0", sensor.Pass}, {PolicyEnforce, "1", sensor.Fail}} {
		b := controlled(t, row.policy)
		b.set("usb1", "authorized_default", row.initial)
		found := b.sensor.SelfTest(t.Context())
		if len(found) != 2 || found[1].Result != row.want || (found[1].Result != sensor.Pass && found[1].Why == "") {
			t.Errorf("%+v: %+v", row, found)
		}
		if found[0].Result == sensor.Pass {
			t.Errorf("a kernel that can't be asked passed: %+v", found[0])
		}
	}
}

func TestTheEntryThatPeopleCopyHoldsNoHostileText(t *testing.T) {
	d := device{"idVendor": "0627", "idProduct": "0001", "serial": "x\"}, {id: \"ffff:ffff\"", "descriptors": hashOf(nil)}
	if e := entryOf("1-1", d); strings.Contains(e, "ffff") {
		t.Errorf("entry %s", e)
	}
	d["serial"], d["idVendor"] = "68284-1-1", "\"}: "
	if e := entryOf("1-1", d); !strings.Contains(e, `serial: "68284-1-1"`) || strings.Contains(e, `"}:`) {
		t.Errorf("entry %s", e)
	}
}

func TestBadListsAreRefused(t *testing.T) {
	for name, r := range map[string]Rule{
		"no id":                      {Interfaces: []string{"03:01:01"}},
		"an id alone":                {ID: "0627:0001"},
		"a name and a place":         {ID: "0627:0001", Serial: "1", Port: "1-1"},
		"a port that is a path":      {ID: "0627:0001", Port: "../1-1", Interfaces: []string{"03:01:01"}},
		"interfaces with a wildcard": {ID: "0627:0001", Interfaces: []string{"03:*:*"}},
		"half a hash":                {ID: "0627:0001", Descriptors: "abcd"},
	} {
		if err := (Config{Policy: PolicyEnforce, Allow: []Rule{r}}).Validate(); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Config{Policy: "allow-all"}).Validate(); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a policy that is none: %v", err)
	}
}

func FuzzInterfacesOf(f *testing.F) {
	f.Add(keyboardDescriptors)
	f.Add(stickDescriptors)
	f.Add([]byte{18, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := interfacesOf(b)
		if err != nil && list != nil || len(list) > maxInterfaces {
			t.Errorf("%d interfaces, %v", len(list), err)
		}
		_ = looksLike(list)
	})
}
