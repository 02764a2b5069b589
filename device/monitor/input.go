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
	names       []string // keys of points, in order of appearance
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

func newInput(s Spec) *input { return &input{spec: s, points: map[string]*point{}} }

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
	in.names = append(in.names, name)
	return p
}

// quietSince is when the sensor last gave a sign of life.
func (in *input) quietSince() time.Time {
	if in.spec.Caps.Lively && in.sampleMoved.Before(in.lastSeen) {
		return in.sampleMoved
	}
	return in.lastSeen
}

func (in *input) restore(l Latch) {
	p := in.point(l.Point)
	p.latch, p.types = &l, []string{l.Type}
	in.simulated = in.simulated || l.Simulated
}

// settle drops what was about to change: after a failure the driver tells the
// levels anew.
func (in *input) settle() {
	for _, p := range in.points {
		p.pending = nil
	}
}

func (in *input) fail() int {
	in.failures++
	return in.failures
}

func (in *input) latches() []Latch {
	var all []Latch
	for _, name := range in.names {
		if l := in.points[name].latch; l != nil {
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
	in.running, in.lastSeen, in.sampleMoved, in.sampled = true, now, now, false
	in.grace(now)
}

// grace gives each point its time anew: while the driver said nothing, no point
// could.
func (in *input) grace(now time.Time) {
	for _, p := range in.points {
		p.stream.saw, p.stream.moved = now, now
	}
}

func (in *input) activePoints() []string {
	return in.pointsWhere(func(p *point) bool { return p.active })
}

func (in *input) pointsWhere(is func(p *point) bool) []string {
	var all []string
	for _, name := range in.names {
		if is(in.points[name]) {
			all = append(all, name)
		}
	}
	return all
}

// alarming returns the points that are active with what the sensor is there to
// notice, read and in service. What a fusion owns is the fusion's alarm.
func (in *input) alarming() []string {
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
	for _, name := range in.names {
		p := in.points[name]
		if why := cmp.Or(p.broken, p.denied); why != "" {
			fault = cmp.Or(fault, pointed(name, why))
		}
		if p.stream.stale != "" {
			stale = cmp.Or(stale, pointed(name, p.stream.stale))
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

func (in *input) deadlines(debounce, window time.Duration) []time.Time {
	var all []time.Time
	all = in.bypassDeadlines(all)
	if in.running {
		quiet := in.quietSince()
		if in.cutAt.After(quiet) {
			quiet = in.cutAt
		}
		all = append(all, quiet.Add(in.spec.Caps.MaxSilence+1))
	}
	if !in.alarmed.IsZero() {
		all = append(all, in.alarmed.Add(window))
	}
	for name, mind := range in.minds() {
		if next, ok := mind.(interface{ Next() time.Time }); ok && !in.retired[name] {
			all = appendSet(all, next.Next())
		}
	}
	for _, p := range in.points {
		if p.broken == "" {
			all = appendSet(all, p.stream.next(in))
		}
		if p.pending != nil {
			all = append(all, p.pending.since.Add(debounce))
		}
		if p.activity.count > 0 {
			all = append(all, p.activity.first.Add(window))
		}
	}
	for _, b := range []*budget{&in.readings, &in.lifecycle} {
		if len(b.over) > 0 {
			all = append(all, b.since.Add(window))
		}
	}
	return all
}

func appendSet(all []time.Time, t time.Time) []time.Time {
	if t.IsZero() {
		return all
	}
	return append(all, t)
}
