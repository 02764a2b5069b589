package monitor

import (
	"cmp"
	"crypto/sha256"
	"iter"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// input is what the core knows of one sensor.
type input struct {
	arming      *core.Arming // the core's
	spec        Spec
	running     bool
	seen        bool   // it has read at least once
	fault       string // why it is a fault, "" when it is none
	stale       string
	skipped     string
	simulated   bool
	bypasses    []Bypassed
	retired     map[string]bool                    // judges that panicked
	mindFaults  []string                           // what is wrong with them
	unreadable  map[string]string                  // learners without their memory, and why
	inventory   map[string][sha256.Size]byte       // as last told
	ailing      map[core.SensorID]core.SensorState // of a fusion's sensors
	fusedBy     []*input                           // fusions that look at it
	introduced  bool                               // a fusion that has told what it fuses
	proven      time.Time                          // when it last showed that it works
	failures    int
	lastSeen    time.Time
	sample      uint64
	sampled     bool
	sampleMoved time.Time
	cutAt       time.Time // when its driver was last cut for silence
	alarmed     time.Time // when a pulse last alarmed without a latch, zero once that was ended
	points      map[string]*point
	list        []*point // the same, in order of appearance
	touched     bool     // something about it may have changed since the fusions were told
	staleDue    bool     // and since due was reckoned
	due         time.Time
	readings    budget
	lifecycle   budget
}

// point is one input of a sensor.
type point struct {
	name        string
	told        bool // a level was read
	active      bool // after debounce
	pending     *change
	last        sensor.Reading
	latch       *Latch
	types       []string // of alarm, told since it was set
	activity    tally    // since the latch was set
	bounces     int
	bounceStart time.Time
	value       *Value // its last number
	stream      stream
	broken      string // why its driver can't read it
	denied      string // why its judge does not believe it
}

// change is a level that has not yet held long enough.
type change struct {
	reading sensor.Reading
	since   time.Time
}

func newInput(s Spec, arming *core.Arming) *input {
	return &input{spec: s, arming: arming, points: map[string]*point{}, touched: true, staleDue: true}
}

// armed says whether what the sensor notices counts as an attack.
func (in *input) armed() bool { return in.spec.Caps.Always || *in.arming == core.Armed }

// touch says that something about the sensor may have changed. Whoever changes
// anything calls it: a device with nothing going on reckons nothing.
func (in *input) touch() { in.touched, in.staleDue = true, true }

// nextDue is when something about the sensor is due, the zero time for never.
func (in *input) nextDue(debounce, window time.Duration) time.Time {
	if !in.staleDue {
		return in.due
	}
	in.staleDue, in.due = false, time.Time{}
	in.deadlines(debounce, window, func(t time.Time) {
		if !t.IsZero() && (in.due.IsZero() || t.Before(in.due)) {
			in.due = t
		}
	})
	return in.due
}

func (in *input) point(name string) *point {
	if p, ok := in.points[name]; ok {
		return p
	}
	if len(in.points) >= maxPoints {
		if p, ok := in.points[overflow]; ok {
			return p
		}
		name = overflow
	}
	p := &point{name: name}
	in.points[name] = p
	in.list = append(in.list, p)
	return p
}

// quietSince is when the sensor last gave a sign of life.
func (in *input) quietSince() time.Time {
	if in.spec.Caps.Lively && in.sampleMoved.Before(in.lastSeen) {
		return in.sampleMoved
	}
	return in.lastSeen
}

// restore puts back a latch. Its point has room whatever the bound says: no latch
// takes another one's place.
func (in *input) restore(l Latch) {
	in.touch()
	p := in.points[l.Point]
	if p == nil {
		p = &point{name: l.Point}
		in.points[l.Point] = p
		in.list = append(in.list, p)
	}
	p.latch, p.types = &l, []string{l.Type}
	in.simulated = in.simulated || l.Simulated
}

// settle drops what was about to change: after a failure the driver tells the
// levels anew.
func (in *input) settle() {
	for _, p := range in.list {
		p.pending = nil
	}
}

func (in *input) fail() int {
	in.failures++
	return in.failures
}

func (in *input) latches() []Latch {
	var all []Latch
	for _, p := range in.list {
		if l := p.latch; l != nil {
			all = append(all, *l)
		}
	}
	return all
}

// minds are the judges of a sensor and its fusion, by name.
func (in *input) minds() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, j := range in.spec.Judges {
			if !yield(j.Name, j.Judge) {
				return
			}
		}
		if in.spec.Fusion != nil {
			yield(in.spec.Caps.Kind, in.spec.Fusion)
		}
	}
}

func (in *input) retire(name, why string) {
	if in.retired == nil {
		in.retired = map[string]bool{}
	}
	in.retired[name] = true
	in.mindFaults = append(in.mindFaults, why)
}

// amiss notes that a learner has no memory to judge by.
func (in *input) amiss(name, why string) {
	if in.unreadable == nil {
		in.unreadable = map[string]string{}
	}
	in.unreadable[name] = why
}

// start begins a run of the driver: every silence is counted from here.
func (in *input) start(now time.Time) {
	in.touch()
	in.running, in.lastSeen, in.sampleMoved, in.sampled = true, now, now, false
	in.grace(now)
}

// grace gives each point its time anew: while the driver said nothing, no point
// could.
func (in *input) grace(now time.Time) {
	for _, p := range in.list {
		p.stream.saw, p.stream.moved = now, now
	}
}

func (in *input) activePoints() []string {
	return in.pointsWhere(func(p *point) bool { return p.active })
}

func (in *input) pointsWhere(is func(p *point) bool) []string {
	var all []string
	for _, p := range in.list {
		if is(p) {
			all = append(all, p.name)
		}
	}
	return all
}

// alarming returns the points that are active with what counts as an attack now:
// what the sensor is there to notice, armed, read and in service. What a fusion
// owns is the fusion's alarm.
func (in *input) alarming() []string {
	if !in.armed() {
		return nil
	}
	return in.pointsWhere(func(p *point) bool {
		return p.active && p.last.Alarm && p.broken == "" && !in.bypassed(p.name) && in.owner(p.last) == nil
	})
}

// troubles are why the sensor is a fault and why it is stale.
func (in *input) troubles() (fault, stale string) {
	fault, stale = in.fault, in.stale
	for _, why := range in.mindFaults {
		fault = cmp.Or(fault, why)
	}
	for _, j := range in.spec.Judges {
		fault = cmp.Or(fault, in.unreadable[j.Name])
	}
	for _, p := range in.list {
		if why := cmp.Or(p.broken, p.denied); why != "" {
			fault = cmp.Or(fault, pointed(p.name, why))
		}
		if p.stream.stale != "" {
			stale = cmp.Or(stale, pointed(p.name, p.stream.stale))
		}
	}
	return fault, stale
}

func pointed(point, why string) string {
	if point == "" {
		return why
	}
	return point + ": " + why
}

// state ranks what can be true at once: a latch outshines everything, and
// nothing that is not known reads as ok. What a driver said before it failed is
// not known any more; what it says beside a broken point is.
func (in *input) state() core.SensorState {
	switch {
	case len(in.latches()) > 0:
		return core.SensorAlarm
	case in.whollyBypassed():
		return core.SensorBypassed
	case in.fault != "":
		return core.SensorFault
	case in.stale != "":
		return core.SensorStale
	case len(in.alarming()) > 0:
		return core.SensorAlarm
	}
	return in.health()
}

// deadlines hands over each instant at which the sensor has to be looked at.
// Whatever the core does by time alone stands here.
func (in *input) deadlines(debounce, window time.Duration, due func(time.Time)) {
	for _, b := range in.bypasses {
		if !b.Begun {
			due(b.From)
		}
		due(b.Until)
	}
	if in.running {
		quiet := in.quietSince()
		if in.cutAt.After(quiet) {
			quiet = in.cutAt
		}
		due(quiet.Add(in.spec.Caps.MaxSilence + 1))
	}
	if !in.alarmed.IsZero() {
		due(in.alarmed.Add(window))
	}
	for name, mind := range in.minds() {
		if !in.retired[name] {
			due(nextOf(mind))
		}
	}
	for _, p := range in.list {
		if p.broken == "" {
			due(p.stream.next(in))
		}
		if p.pending != nil {
			due(p.pending.since.Add(debounce))
		}
		if p.activity.count > 0 {
			due(p.activity.first.Add(window))
		}
	}
	for _, b := range []*budget{&in.readings, &in.lifecycle} {
		if len(b.over) > 0 {
			due(b.since.Add(window))
		}
	}
}
