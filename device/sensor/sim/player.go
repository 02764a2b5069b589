package sim

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// entry is one statement at its time.
type entry struct {
	at time.Duration
	do action
}

// action is what a statement does.
type action func(p *Player)

// Player plays a scenario in a time of its own: it knows no clock and no
// goroutine, and the same scenario gives the same readings, noise and all.
type Player struct {
	todo     []entry // by time
	now      time.Duration
	channels []*channel
	parts    []sensor.Part
	out      []sensor.Reading
	rng      *rand.Rand
	pace     time.Duration
	nextBeat time.Duration
	sample   uint64
	silent   bool
	frozen   bool
	fault    error
	panics   string
}

// Moment is what happens at one instant of a scenario.
type Moment struct {
	// At is when, since the beginning.
	At       time.Duration
	Readings []sensor.Reading
	// Fault ends the run as a driver's error does, Panic as a driver's panic.
	Fault error
	Panic string
}

// Play returns a player at the beginning of the scenario.
func (s Scenario) Play() *Player {
	p := &Player{todo: slices.Clone(s.entries), rng: rand.New(rand.NewPCG(s.seed, 0x1e7e1)), pace: s.pace}
	if p.pace == 0 {
		p.pace = defaultPace
	}
	p.emit(sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]any{"kind": "simulator", "steps": len(s.entries)}),
	})
	p.beat()
	p.nextBeat = p.pace
	return p
}

// Next is when something happens next, since the beginning.
func (p *Player) Next() time.Duration {
	if len(p.out) > 0 {
		return p.now
	}
	next := p.nextBeat
	if len(p.todo) > 0 {
		next = min(next, p.todo[0].at)
	}
	for _, c := range p.channels {
		next = min(next, c.due)
	}
	return max(next, p.now)
}

// Step plays what happens next.
func (p *Player) Step() Moment {
	p.now = p.Next()
	for len(p.todo) > 0 && p.todo[0].at <= p.now && p.fault == nil && p.panics == "" {
		do := p.todo[0].do
		p.todo = p.todo[1:]
		do(p)
	}
	for _, c := range p.channels {
		if c.due <= p.now && !p.silent {
			for _, r := range c.read(p.now, p.rng) {
				p.emit(r)
			}
		}
		for c.due <= p.now {
			c.due += c.every
		}
	}
	if p.nextBeat <= p.now {
		p.nextBeat += p.pace
		p.beat()
	}
	m := Moment{At: p.now, Readings: p.out, Fault: p.fault, Panic: p.panics}
	p.out = nil
	return m
}

// feed puts statements into the player's time, from now on.
func (p *Player) feed(now time.Duration, s Scenario) {
	now = max(now, p.now)
	for _, e := range s.entries {
		e.at += now
		p.todo = append(p.todo, e)
	}
	slices.SortStableFunc(p.todo, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
}

// emit says something. Whatever is said carries the live value of the driver and
// the mark.
func (p *Player) emit(r sensor.Reading) {
	r.Point, r.Sample, r.Simulated = sensor.Text(r.Point), p.sample, true
	p.out = append(p.out, r)
}

// beat is the sign of life, with a live value that moves unless it is frozen.
func (p *Player) beat() {
	if p.silent {
		return
	}
	if !p.frozen {
		p.sample++
	}
	p.emit(sensor.Reading{Kind: sensor.Beat})
}

// channel finds a point that measures.
func (p *Player) channel(point string) *channel {
	if i := slices.IndexFunc(p.channels, func(c *channel) bool { return c.point == point }); i >= 0 {
		return p.channels[i]
	}
	return nil
}

// maxChannels bounds what one scenario can measure at once.
const maxChannels = 64

// measuring finds a point that measures this kind of thing, and begins it if it
// does not.
func (p *Player) measuring(point string, kind sensor.Kind, begin func(c *channel)) *channel {
	c := p.channel(point)
	if c == nil && len(p.channels) >= maxChannels {
		c = p.channels[maxChannels-1]
	}
	if c == nil {
		c = &channel{point: point, due: p.now}
		p.channels = append(p.channels, c)
	}
	if c.kind != kind || c.every == 0 {
		*c = channel{point: point, kind: kind, every: time.Second, due: p.now}
		begin(c)
	}
	return c
}

// level says the level of a point.
func (p *Player) level(r sensor.Reading, active bool) {
	if !p.frozen {
		p.sample++
	}
	r.Kind, r.Active = sensor.Level, active
	p.emit(r)
}

// inventory says what is there.
func (p *Player) inventory() {
	p.emit(sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo, Parts: slices.Clone(p.parts),
		Fields: sensor.Fields(map[string]any{"kind": "simulator", "count": len(p.parts)}),
	})
}
