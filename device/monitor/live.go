package monitor

import (
	"crypto/sha256"
	"encoding/json"
	"math"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Value is the last number of a point.
type Value struct {
	Point string      `json:"point"`
	Value float64     `json:"value"`
	Unit  sensor.Unit `json:"unit"`
	At    time.Time   `json:"at"`
}

// stream is what the core knows of a point that measures: it has to go on
// measuring, and where it is lively its value has to move.
type stream struct {
	on     bool
	lively bool
	saw    time.Time // last reading
	moved  time.Time // last reading that differed from the one before
	value  float64
	vector sensor.Sample
	stale  string
}

// quietAt is when the point counts as silent, the zero time for never. A driver
// that says nothing at all is one silence and not one a point.
func (s *stream) quietAt(in *input) time.Time {
	limit := in.spec.Caps.MaxSilence
	if !s.on || !in.running || in.lastSeen.Sub(s.saw) <= limit/2 {
		return time.Time{}
	}
	return s.saw.Add(limit + 1)
}

// frozenAt is when the point counts as standing still, the zero time for never.
func (s *stream) frozenAt(in *input) time.Time {
	limit := in.spec.Caps.MaxSilence
	if !s.on || !s.lively || !in.running || s.saw.Sub(s.moved) <= limit/2 {
		return time.Time{}
	}
	return s.moved.Add(limit + 1)
}

// next is the earlier of the two, for a point that is not told of yet.
func (s *stream) next(in *input) time.Time {
	quiet, frozen := s.quietAt(in), s.frozenAt(in)
	switch {
	case s.stale != "" || in.stale != "" || in.fault != "":
		return time.Time{}
	case quiet.IsZero() || (!frozen.IsZero() && frozen.Before(quiet)):
		return frozen
	}
	return quiet
}

// observe notes that a driver read a point, or could not.
func (c *Core) observe(now time.Time, in *input, r sensor.Reading) {
	switch r.Kind {
	case sensor.Beat, sensor.Inventory, sensor.Sighting:
		return
	case sensor.Broken:
		c.broke(now, in, in.point(r.Point), why(r.Fields))
		return
	case sensor.Measure:
		if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
			c.broke(now, in, in.point(r.Point), "what it reads is no number")
			return
		}
	case sensor.Level, sensor.Pulse, sensor.Waveform, sensor.Position:
	}
	p := in.point(r.Point)
	if r.Kind == sensor.Measure || r.Kind == sensor.Waveform || r.Kind == sensor.Position {
		in.flow(now, p, r)
	}
	c.wellAgain(now, in, p)
}

// flow notes a reading of a point that measures.
func (in *input) flow(now time.Time, p *point, r sensor.Reading) {
	s := &p.stream
	if !s.on || s.differs(r) {
		if s.on && r.Lively {
			in.proven = now
		}
		s.moved = now
	}
	s.on, s.lively, s.saw = true, r.Lively, now
}

// differs compares with what the point said last, and remembers. A run of
// acceleration moves if any two neighbours in it differ.
func (s *stream) differs(r sensor.Reading) (moved bool) {
	switch {
	case r.Kind == sensor.Measure:
		moved, s.value = r.Value != s.value, r.Value
	case r.Wave != nil:
		for _, v := range r.Wave.Samples {
			v.At = 0
			moved, s.vector = moved || v != s.vector, v
		}
	default:
		moved = true
	}
	return moved
}

// broke makes one point a fault. The others go on.
func (c *Core) broke(now time.Time, in *input, p *point, why string) {
	p.pending = nil // told anew once it reads
	if p.broken != "" {
		p.broken = why
		return
	}
	p.broken = why
	c.lifecycle(now, in, "sensor_lost", core.SeverityHigh, map[string]any{"why": why, "point": p.name, "failures": in.fail()})
}

// judged notes that a judge finds a point impossible, or possible again.
func (c *Core) judged(now time.Time, in *input, r sensor.Reading) {
	p, known := in.points[r.Point]
	if r.Kind != sensor.Broken {
		if known && p.denied != "" && (r.Kind == sensor.Level || r.Kind == sensor.Pulse || r.Kind == sensor.Measure) {
			was := p.denied
			p.denied = ""
			c.lifecycle(now, in, "sensor_back", core.SeverityInfo, map[string]any{"was": was, "point": p.name})
		}
		return
	}
	p = in.point(r.Point)
	told := p.denied != ""
	if p.denied = why(r.Fields); !told {
		c.lifecycle(now, in, "sensor_lost", core.SeverityHigh, map[string]any{"why": p.denied, "point": p.name, "failures": in.fail()})
	}
}

// wellAgain ends what was wrong with a point that reads. One that stands still
// reads on and is not well.
func (c *Core) wellAgain(now time.Time, in *input, p *point) {
	s := &p.stream
	if s.lively && now.Sub(s.moved) > in.spec.Caps.MaxSilence {
		return
	}
	was := p.broken + s.stale
	if was == "" {
		return
	}
	p.broken, s.stale = "", ""
	c.lifecycle(now, in, "sensor_back", core.SeverityInfo, map[string]any{"was": was, "point": p.name})
}

// quietPoints tells of the points that fell silent or stand still while their
// driver goes on.
func (c *Core) quietPoints(now time.Time, in *input) {
	for _, p := range in.list {
		s := &p.stream
		if next := s.next(in); p.broken != "" || next.IsZero() || now.Before(next) {
			continue
		}
		s.stale = "silent for more than " + in.spec.Caps.MaxSilence.String()
		if quiet := s.quietAt(in); quiet.IsZero() || now.Before(quiet) {
			s.stale = "its value stands still for more than " + in.spec.Caps.MaxSilence.String()
		}
		c.lifecycle(now, in, "sensor_lost", core.SeverityHigh, map[string]any{"why": s.stale, "point": p.name})
	}
}

// measure shows a number.
func (c *Core) measure(now time.Time, in *input, r sensor.Reading) {
	if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
		return // told as broken
	}
	p := in.point(r.Point)
	p.value = &Value{Point: p.name, Value: r.Value, Unit: r.Unit, At: now}
}

// inventory tells what is there, unless that was told.
func (c *Core) inventory(now time.Time, in *input, r sensor.Reading) {
	sum := inventorySum(r)
	if in.inventory[r.Point] == sum {
		return
	}
	if in.inventory == nil {
		in.inventory = map[string][sha256.Size]byte{}
	}
	if _, known := in.inventory[r.Point]; known || len(in.inventory) < maxPoints {
		in.inventory[r.Point] = sum
	}
	if len(r.Parts) > 0 {
		r.Fields = with(r.Fields, map[string]any{"parts": r.Parts})
	}
	c.say(now, in, r.Point, r, core.ClassInventory)
}

func inventorySum(r sensor.Reading) [sha256.Size]byte {
	b, _ := json.Marshal([]any{r.Type, r.Fields, r.Parts}) // strings and raw objects always marshal
	return sha256.Sum256(b)
}

// why is what a driver says of a point that it can't read.
func why(fields json.RawMessage) string {
	var f struct{ Why, Error string }
	_ = json.Unmarshal(fields, &f) // nothing said is said below
	for _, text := range []string{f.Why, f.Error} {
		if text != "" {
			return sensor.Text(text)
		}
	}
	return "can't be read"
}
