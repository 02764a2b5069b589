package sigma

import (
	"net/netip"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma/internal/needle"
	"github.com/interlock-security/interlock/siem/sigma/internal/scan"
)

// Reserved is the prefix of fields that only [View.Set] can fill: what the
// receiver knows of an event, which no source can claim for itself.
const Reserved = "interlock."

// keepBytes is the room for text that a view keeps for the next event at most,
// so that one huge event does not stay in memory for good.
const keepBytes = 256 << 10

// keepValues is as much for the lists of values.
const keepValues = 4096

// largeBytes is the size from which an event is forgotten thoroughly.
const largeBytes = 16 << 10

// form is what has been worked out of one value.
type form struct {
	epoch  uint32
	have   forms
	text   []byte // as a program would read it
	folded []byte // as most questions read it
	addr   netip.Addr
}

type forms uint8

const (
	haveText forms = 1 << iota
	haveFolded
	haveAddr
	isAddr
)

// slot is one field as rules see it: several paths of an event may feed it,
// and it may have several values.
type slot struct {
	turn        uint32
	first, last int32 // links, in the order of the event
	fixed       bool  // filled by Set: the event's own claim is not heard
}

// link is a value's place in a slot.
type link struct{ value, next int32 }

// View is one event laid out for matching. It belongs to one goroutine and is
// reused; after the first few events it allocates nothing for an event that
// matches no rule.
//
// Load only notes where the values are. What they say, and in which slots they
// stand, is worked out by [Engine.Match] for the rules that it asks.
type View struct {
	eng     *Engine
	epoch   uint32 // of the event
	turn    uint32 // of the rules that are asked: of slots, answers and runs
	scan    scan.Scanner
	vals    []scan.Value // what Set and Load have taken
	forms   []form
	objects [][]byte
	buf     []byte
	slots   []slot
	links   []link
	asked   []uint32 // turn in which a predicate was answered
	answer  []bool
	ran     []uint32 // turn in which a rule was taken for evaluation
	rules   []int32  // those taken
	found   needle.Found
	hits    []uint32 // of the program's atoms
	router  router
	cover   coverage
}

// NewView makes a view for events that e will match.
func (e *Engine) NewView() *View {
	v := &View{
		eng: e, epoch: 1, turn: 1,
		slots: make([]slot, e.slotCount), asked: make([]uint32, len(e.preds)),
		answer: make([]bool, len(e.preds)), ran: make([]uint32, len(e.rules)),
	}
	v.router.init(e)
	v.cover.init(e)
	return v
}

// Reset forgets the event.
func (v *View) Reset() {
	if v.epoch++; v.epoch == 0 {
		clear(v.forms[:cap(v.forms)])
		v.epoch = 1
	}
	if v.large() {
		clear(v.scan.Values[:cap(v.scan.Values)])
		clear(v.forms[:cap(v.forms)])
		clear(v.objects)
	}
	if cap(v.scan.Values) > keepValues {
		v.scan.Values, v.forms, v.links = nil, nil, nil
	}
	v.scan.Values, v.vals, v.objects = v.scan.Values[:0], nil, v.objects[:0]
	v.buf = v.buf[:0]
	if cap(v.buf) > keepBytes {
		v.buf = nil
	}
	v.router.reset()
}

// large reports whether the event is one that the lists, which are overwritten
// from the front alone, must not hold on to: each of their places could keep
// another one.
func (v *View) large() bool {
	n := len(v.buf)
	for _, object := range v.objects {
		n += len(object)
	}
	return n > largeBytes
}

// nextTurn forgets what slots and answers were for other rules.
func (v *View) nextTurn() {
	if v.turn++; v.turn == 0 {
		clear(v.slots)
		clear(v.asked)
		clear(v.ran)
		v.turn = 1
	}
	v.links, v.rules = v.links[:0], v.rules[:0]
}

// Set gives a field a value that the receiver or the normaliser vouches for.
// Called before [View.Load], it silences whatever the event itself says in
// that field. Called again for the same field it adds a value.
func (v *View) Set(field, text string) {
	path := v.eng.table.Path(field)
	if path == scan.None {
		return
	}
	n := len(v.buf)
	v.buf = append(v.buf, text...)
	val := scan.Value{Raw: v.buf[n:len(v.buf):len(v.buf)], Path: path, Kind: scan.Text, Flags: scan.Vouched}
	v.scan.Values = append(v.scan.Values, val)
	v.vals = v.scan.Values
}

// Load reads the event's own fields: one JSON object, whose bytes must stay as
// they are until the next Reset. Nested names are joined with dots, every
// element of an array is a value of its field. Of an object that is refused,
// what stands before the fault is taken.
func (v *View) Load(object []byte) error {
	err := v.scan.Scan(object, v.eng.table, v.eng.keywords)
	v.vals, v.objects = v.scan.Values, append(v.objects, object)
	if err != nil {
		return core.E(core.KindInvalid, "sigma.View.Load", "the event's fields must be one JSON object: "+err.Error())
	}
	return nil
}

// First returns the first value of a field that the engine knows.
func (v *View) First(field string) (string, bool) {
	path := v.eng.table.Path(field)
	if path == scan.None {
		return "", false
	}
	for _, id := range v.eng.pathSlots[path] {
		if text, ok := v.slotText(id); ok {
			return text, true
		}
	}
	return "", false
}

// slotText is the first value of a slot, whether or not rules that ask for it
// have been matched.
func (v *View) slotText(id int32) (string, bool) {
	fixed, filled := false, false
	for i := range v.vals {
		val := &v.vals[i]
		if val.Path == scan.None || !v.eng.feedsSlot(val.Path, id) || !v.eng.mayClaim(val) {
			continue
		}
		ours := val.Flags&scan.Vouched != 0
		if filled && ours != fixed {
			continue
		}
		filled, fixed = true, ours
		if val.Kind.Scalar() {
			return string(v.text(int32(i))), true
		}
	}
	return "", false
}

// mayClaim reports whether a value may stand in the field that it names.
func (e *Engine) mayClaim(val *scan.Value) bool {
	return val.Flags&scan.Vouched != 0 || !e.reserved[val.Path]
}

func (v *View) formOf(i int32) *form {
	if int(i) >= len(v.forms) {
		v.forms = append(v.forms, make([]form, len(v.vals)-len(v.forms))...)
	}
	f := &v.forms[i]
	if f.epoch != v.epoch {
		f.epoch, f.have = v.epoch, 0
	}
	return f
}

// text is the value as a program would read it.
func (v *View) text(i int32) []byte {
	val, f := &v.vals[i], v.formOf(i)
	if f.have&haveText == 0 {
		f.have |= haveText
		f.text = val.Raw
		if val.Flags&scan.Escaped != 0 {
			n := len(v.buf)
			v.buf = scan.AppendText(v.buf, val.Raw)
			f.text = v.buf[n:len(v.buf):len(v.buf)]
		}
	}
	return f.text
}

// hasFolded reports whether [View.folded] costs nothing.
func (v *View) hasFolded(i int32) bool { return v.formOf(i).have&haveFolded != 0 }

// folded is the value with case folded away.
func (v *View) folded(i int32) []byte {
	f := v.formOf(i)
	if f.have&haveFolded == 0 {
		f.have |= haveFolded
		n := len(v.buf)
		if val := &v.vals[i]; val.Flags&(scan.Unicode|scan.High|scan.Vouched) == 0 {
			v.buf = scan.AppendFolded(v.buf, val.Raw)
		} else {
			text := v.text(i)
			n = len(v.buf)
			v.buf = appendFolded(v.buf, text)
		}
		f.folded = v.buf[n:len(v.buf):len(v.buf)]
	}
	return f.folded
}

// address is the value as an address, read once.
func (v *View) address(i int32) (netip.Addr, bool) {
	f := v.formOf(i)
	if f.have&haveAddr == 0 {
		f.have |= haveAddr
		if addr, ok := readAddress(v.text(i)); ok {
			f.addr, f.have = addr, f.have|isAddr
		}
	}
	return f.addr, f.have&isAddr != 0
}

// feedsSlot reports whether a path fills a slot.
func (e *Engine) feedsSlot(path, slot int32) bool {
	for _, id := range e.pathSlots[path] {
		if id == slot {
			return true
		}
	}
	return false
}
