package sim

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// verb is a word that a statement begins with.
type verb struct {
	name, usage string
	parse       func(w *words) action
}

// verbs are in the order in which the reference page explains them.
var verbs = []verb{
	{"open", "open POINT [as TYPE[/CLEAR]] [severity WORD] [quiet] [settled]", parseOpen(true)},
	{"close", "close POINT [as TYPE[/CLEAR]] [severity WORD] [quiet] [settled]", parseOpen(false)},
	{"pulse", "pulse POINT as TYPE [severity WORD] [quiet]", parsePulse},
	{"attach", "attach usb|interface|disk PLACE [WHAT]", parseAttach},
	{"detach", "detach usb|interface|disk PLACE", parseDetach},
	{"set", "set POINT NUMBER [UNIT] [noise NUMBER] [every TIME]", parseSet},
	{"drift", "drift POINT [from NUMBER] to NUMBER [UNIT] over TIME", parseDrift},
	{"rest", "rest POINT [noise NUMBER mg] [rate NUMBER Hz] [range NUMBER g]", parseRest},
	{"shake", "shake POINT at NUMBER Hz NUMBER g for TIME", parseShake},
	{"knock", "knock POINT NUMBER g", parseKnock},
	{"tilt", "tilt POINT NUMBER deg over TIME", parseTilt},
	{"place", "place POINT at LATITUDE LONGITUDE [error NUMBER m]", parsePlace},
	{"move", "move POINT to LATITUDE LONGITUDE over TIME", parseMove},
	{"lose", "lose POINT", parseLose},
	{"sight", "sight CLASS PLACE IDENTITY", parseSight},
	{"insert", "insert CLASS PLACE IDENTITY", parseInsert},
	{"remove", "remove CLASS PLACE", parseRemove},
	{"freeze", "freeze [POINT]", parseFreeze},
	{"drop", "drop [POINT]", parseDrop},
	{"break", "break POINT [WHY]", parseBreak},
	{"resume", "resume [POINT]", parseResume},
	{"fail", "fail [WHY]", parseFail},
	{"panic", "panic [WHY]", parsePanic},
	{"end", "end", func(w *words) action { w.done(); return func(p *Player) { p.fault = errEnded } }},
}

// point takes a point's name.
func (w *words) point() string {
	name := w.take("the point")
	if len(name) > 64 {
		w.fail("the point's name has %d bytes; at most 64", len(name))
	}
	return name
}

// said takes what a level or a pulse says: its words and how bad it is.
func (w *words) said(r *sensor.Reading) {
	for w.err == nil && len(w.left) > 0 {
		switch word := w.take(""); word {
		case "as":
			r.Type, r.Clear = cutWord(w.take("the type"), r.Clear)
		case "severity":
			w.severity(&r.Severity)
		case "quiet":
			r.Alarm = false
		case "settled":
			r.Settled = true
		default:
			w.fail("%q says nothing here; write as, severity, quiet or settled", word)
		}
	}
	if w.err == nil && (!typeRE.MatchString(r.Type) || (r.Clear != "" && !typeRE.MatchString(r.Clear))) {
		w.fail("%.40q is no event type; write one like case_intrusion or door_open/door_closed", r.Type+"/"+r.Clear)
	}
}

func (w *words) severity(into *core.Severity) {
	word := core.Severity(w.take("the severity"))
	if !slices.Contains(core.Severities, word) {
		w.fail("severity: %.20q; write one of %v", word, core.Severities)
		return
	}
	*into = word
}

func parseOpen(active bool) func(w *words) action {
	return func(w *words) action {
		r := sensor.Reading{Point: w.point(), Type: "case_intrusion", Clear: "case_closed", Severity: core.SeverityCritical, Alarm: true}
		w.said(&r)
		return func(p *Player) { p.level(r, active) }
	}
}

func parsePulse(w *words) action {
	r := sensor.Reading{Kind: sensor.Pulse, Point: w.point(), Severity: core.SeverityHigh, Alarm: true}
	w.said(&r)
	return func(p *Player) { p.emit(r) }
}

// plugged are the events of things that are plugged in and out.
var plugged = map[string][2]string{
	"usb": {"usb_attached", "usb_removed"}, "interface": {"interface_attached", "interface_removed"}, "disk": {"component_added", "component_removed"},
}

func (w *words) class() [2]string {
	class := w.take("what is plugged: usb, interface or disk")
	events, known := plugged[class]
	if !known {
		w.fail("%.20q can't be plugged; write usb, interface or disk", class)
	}
	return events
}

func parseAttach(w *words) action {
	r := sensor.Reading{Kind: sensor.Pulse, Type: w.class()[0], Point: w.point(), Alarm: true, Severity: core.SeverityHigh}
	if what := w.rest(); what != "" {
		r.Fields = sensor.Fields(map[string]string{"looks_like": sensor.Text(what)})
	}
	return func(p *Player) { p.emit(r) }
}

func parseDetach(w *words) action {
	r := sensor.Reading{Kind: sensor.Pulse, Type: w.class()[1], Point: w.point(), Alarm: true, Severity: core.SeverityHigh}
	w.done()
	return func(p *Player) { p.emit(r) }
}

func (w *words) unit() sensor.Unit {
	if word := w.peek(); word == "" || word == "noise" || word == "every" || word == "over" {
		return sensor.UnitNone
	}
	word := sensor.Unit(w.take("the unit"))
	if word == "g" {
		word = sensor.UnitG
	}
	if !slices.Contains(units, word) {
		w.fail("%.20q is no unit; write one of %v", word, units)
	}
	return word
}

var units = []sensor.Unit{
	sensor.UnitVolt, sensor.UnitAmpere, sensor.UnitWatt, sensor.UnitCelsius, sensor.UnitPercent, sensor.UnitLux, sensor.UnitPascal,
	sensor.UnitRPM, sensor.UnitG, sensor.UnitDegSec, sensor.UnitSecond,
}

func parseSet(w *words) action {
	point, value := w.point(), w.number("the value")
	unit := w.unit()
	noise, every := math.NaN(), time.Duration(0)
	if w.has("noise") {
		noise = w.number("the noise")
	}
	if w.has("every") {
		every = w.every()
	}
	w.done()
	return func(p *Player) {
		c := p.measure(point, unit)
		c.value = still(value)
		if !math.IsNaN(noise) {
			c.noise = math.Abs(noise)
		}
		if every > 0 {
			c.every = every
		}
	}
}

// every takes how often something measures.
func (w *words) every() time.Duration {
	d := w.duration("every")
	if w.err == nil && (d < time.Millisecond || d > time.Hour) {
		w.fail("every: %s; allowed are 1ms to 1h", d)
	}
	return d
}

// measure is the channel of a number.
func (p *Player) measure(point string, unit sensor.Unit) *channel {
	c := p.measuring(point, sensor.Measure, func(*channel) {})
	if unit != sensor.UnitNone {
		c.unit = unit
	}
	return c
}

func parseDrift(w *words) action {
	point, from := w.point(), math.NaN()
	if w.has("from") {
		from = w.number("from")
	}
	w.want("to")
	to := w.number("to")
	unit := w.unit()
	w.want("over")
	over := w.duration("over")
	w.done()
	return func(p *Player) {
		c := p.measure(point, unit)
		if !math.IsNaN(from) {
			c.value = still(from)
		}
		c.value = c.value.toward(to, p.now, over)
	}
}

// imu is the channel of an accelerometer: at rest, upright, 100 Hz, 2 g, with the
// noise of a cheap one.
func (p *Player) imu(point string) *channel {
	return p.measuring(point, sensor.Waveform, func(c *channel) { c.rate, c.full, c.noise = 100, 2, 0.002 })
}

func parseRest(w *words) action {
	point := w.point()
	noise, rate, full := math.NaN(), 0.0, 0.0
	for w.err == nil && len(w.left) > 0 {
		switch word := w.take(""); word {
		case "noise":
			noise = math.Abs(w.quantity("the noise", gravity))
		case "rate":
			rate = w.positive("the rate", maxRate, hertz)
		case "range":
			full = w.positive("the range", 1000, gravity)
		default:
			w.fail("%q says nothing here; write noise, rate or range", word)
		}
	}
	return func(p *Player) {
		c := p.imu(point)
		c.shakes, c.tilt = nil, still(c.tilt.at(p.now))
		if !math.IsNaN(noise) {
			c.noise = noise
		}
		if rate > 0 {
			c.rate = rate
		}
		if full > 0 {
			c.full = full
		}
	}
}

// maxShakes bounds the vibrations that a point feels at once.
const maxShakes = 64

func (c *channel) shake(s shake) {
	if len(c.shakes) < maxShakes {
		c.shakes = append(c.shakes, s)
	}
}

func parseShake(w *words) action {
	point := w.point()
	w.want("at")
	hz := w.positive("the frequency", maxRate, hertz)
	g := w.positive("the strength", 1000, gravity)
	w.want("for")
	d := w.duration("for")
	w.done()
	return func(p *Player) { p.imu(point).shake(shake{from: p.now, until: p.now + d, hz: hz, g: g}) }
}

func parseKnock(w *words) action {
	point, g := w.point(), w.positive("the strength", 1000, gravity)
	w.done()
	return func(p *Player) {
		p.imu(point).shake(shake{from: p.now, until: p.now + 300*time.Millisecond, hz: 20, g: g, decay: 40 * time.Millisecond})
	}
}

func parseTilt(w *words) action {
	point, angle := w.point(), w.quantity("the angle", degrees)
	w.want("over")
	over := w.duration("over")
	w.done()
	return func(p *Player) {
		c := p.imu(point)
		c.tilt = c.tilt.toward(c.tilt.at(p.now)+angle, p.now, over)
	}
}

func (w *words) coordinates() (lat, lon float64) {
	lat, lon = w.number("the latitude"), w.number("the longitude")
	if w.err == nil && (math.Abs(lat) > 90 || math.Abs(lon) > 180) {
		w.fail("%v %v is nowhere; write degrees, -90 to 90 and -180 to 180", lat, lon)
	}
	return lat, lon
}

func (p *Player) gps(point string) *channel {
	return p.measuring(point, sensor.Position, func(c *channel) { c.err = 5 })
}

func parsePlace(w *words) action {
	point := w.point()
	w.want("at")
	lat, lon := w.coordinates()
	bad := math.NaN()
	if w.has("error") {
		bad = w.positive("the error", 1e6, metres)
	}
	w.done()
	return func(p *Player) {
		c := p.gps(point)
		c.lat, c.lon, c.lost = still(lat), still(lon), false
		if !math.IsNaN(bad) {
			c.err = bad
		}
	}
}

func parseMove(w *words) action {
	point := w.point()
	w.want("to")
	lat, lon := w.coordinates()
	w.want("over")
	over := w.duration("over")
	w.done()
	return func(p *Player) {
		c := p.gps(point)
		c.lat, c.lon = c.lat.toward(lat, p.now, over), c.lon.toward(lon, p.now, over)
	}
}

func parseLose(w *words) action {
	point := w.point()
	w.done()
	return func(p *Player) { p.gps(point).lost = true }
}

func (w *words) part(identified bool) sensor.Part {
	part := sensor.Part{Class: sensor.Text(w.take("the class: disk, dimm, neighbour")), Place: sensor.Text(w.take("the place"))}
	if !identified {
		w.done()
		return part
	}
	if part.Identity = sensor.Text(w.rest()); part.Identity == "" {
		w.fail("the identity is missing: maker, model, serial")
	}
	return part
}

func parseSight(w *words) action {
	part := w.part(true)
	return func(p *Player) { p.emit(sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{part}}) }
}

// maxParts bounds the inventory of a scenario.
const maxParts = 256

func parseInsert(w *words) action {
	part := w.part(true)
	return func(p *Player) {
		p.without(part)
		if len(p.parts) < maxParts {
			p.parts = append(p.parts, part)
		}
		p.inventory()
	}
}

func (p *Player) without(part sensor.Part) {
	p.parts = slices.DeleteFunc(p.parts, func(x sensor.Part) bool { return x.Class == part.Class && x.Place == part.Place })
}

func parseRemove(w *words) action {
	part := w.part(false)
	return func(p *Player) { p.without(part); p.inventory() }
}

// trouble makes a verb about one point, or about the whole sensor if none is
// named.
func trouble(one func(c *channel), all func(p *Player)) func(w *words) action {
	return func(w *words) action {
		if len(w.left) == 0 {
			return all
		}
		point := w.point()
		w.done()
		return func(p *Player) {
			if c := p.channel(point); c != nil {
				one(c)
			}
		}
	}
}

var (
	parseFreeze = trouble(func(c *channel) { c.frozen = true }, func(p *Player) { p.frozen = true })
	parseDrop   = trouble(func(c *channel) { c.dropped = true }, func(p *Player) { p.silent = true })
	parseResume = trouble(func(c *channel) { c.frozen, c.dropped, c.broken = false, false, "" }, resumeAll)
)

func parseBreak(w *words) action {
	point, why := w.point(), sensor.Text(w.rest())
	if why == "" {
		why = "simulated"
	}
	return func(p *Player) {
		if c := p.channel(point); c != nil {
			c.broken = why
			return
		}
		p.emit(sensor.Reading{Kind: sensor.Broken, Point: point, Fields: sensor.Fields(map[string]string{"why": why})})
	}
}

func parseFail(w *words) action {
	why := w.rest()
	return func(p *Player) { p.fault = failure(why) }
}

func parsePanic(w *words) action {
	why := sensor.Text(w.rest())
	return func(p *Player) { p.panics = fmt.Sprintf("simulated: %s", why) }
}
