package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Step is a statement as programs write it: one JSON object on a line of its own,
// also among the statements that people write.
//
//	{"do":"level","point":"lid","active":true,"type":"case_opened","clear":"case_closed","severity":"critical"}
//	{"do":"pulse","point":"mesh","type":"mesh_cut","alarm":true,"severity":"critical"}
//	{"do":"flap","point":"lid","type":"case_opened","clear":"case_closed","times":100,"ms":1}
//	{"do":"wait","ms":250}
//	{"do":"beat"}  {"do":"silence"}  {"do":"frozen"}  {"do":"error","why":"bus gone"}  {"do":"panic","why":"index"}  {"do":"end"}
type Step struct {
	Do       string        `json:"do"`
	Point    string        `json:"point,omitempty"`
	Type     string        `json:"type,omitempty"`
	Clear    string        `json:"clear,omitempty"`
	Active   bool          `json:"active,omitempty"`
	Alarm    bool          `json:"alarm,omitempty"`
	Severity core.Severity `json:"severity,omitempty"`
	Times    int           `json:"times,omitempty"`
	MS       int64         `json:"ms,omitempty"`
	Why      string        `json:"why,omitempty"`
}

var stepVerbs = []string{"level", "pulse", "flap", "wait", "beat", "silence", "frozen", "error", "panic", "end"}

// ParseStep reads one line.
func ParseStep(line []byte) (Step, error) {
	if len(line) > maxLine {
		return Step{}, core.E(core.KindTooLarge, "sim.ParseStep", fmt.Sprintf("line of %d bytes, at most %d are read", len(line), maxLine))
	}
	var s Step
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Step{}, core.Wrap(core.KindInvalid, "sim.ParseStep", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Step{}, core.E(core.KindInvalid, "sim.ParseStep", "something follows the object on this line")
	}
	return s, s.validate()
}

func (s *Step) validate() error {
	if s.Severity == "" {
		s.Severity = core.SeverityHigh
	}
	named := s.Do == "level" || s.Do == "pulse" || s.Do == "flap"
	switch {
	case !slices.Contains(stepVerbs, s.Do):
		return core.E(core.KindInvalid, "sim.ParseStep", fmt.Sprintf("%.40q is nothing to do; known are %v", s.Do, stepVerbs))
	case named && (s.Point == "" || s.Type == ""):
		return core.E(core.KindInvalid, "sim.ParseStep", s.Do+" needs a point and a type")
	case named && s.Do != "pulse" && s.Clear == "":
		return core.E(core.KindInvalid, "sim.ParseStep", s.Do+" needs a clear type, the word for the way back")
	case s.Times < 0 || s.Times > maxEntries:
		return core.E(core.KindInvalid, "sim.ParseStep", fmt.Sprintf("times is %d, allowed are 0 to %d", s.Times, maxEntries))
	case s.MS < 0 || s.MS > (24*time.Hour).Milliseconds():
		return core.E(core.KindInvalid, "sim.ParseStep", fmt.Sprintf("ms is %d, allowed are 0 to %d", s.MS, (24*time.Hour).Milliseconds()))
	}
	return nil
}

// entries places a step in time, and says how much time it takes.
func (s Step) entries() (all []entry, takes time.Duration) {
	each := time.Duration(s.MS) * time.Millisecond
	switch s.Do {
	case "wait":
		return nil, each
	case "flap":
		for i := range s.Times {
			all = append(all, entry{time.Duration(i) * each, func(p *Player) { p.level(s.reading(), i%2 == 0) }})
		}
		return all, time.Duration(s.Times) * each
	}
	return []entry{{do: s.action()}}, 0
}

func (s Step) reading() sensor.Reading {
	return sensor.Reading{Point: s.Point, Alarm: true, Type: s.Type, Clear: s.Clear, Severity: s.Severity}
}

func (s Step) action() action {
	switch s.Do {
	case "level":
		return func(p *Player) { p.level(s.reading(), s.Active) }
	case "pulse":
		return func(p *Player) {
			p.emit(sensor.Reading{Kind: sensor.Pulse, Point: s.Point, Type: s.Type, Alarm: s.Alarm, Severity: s.Severity})
		}
	case "silence":
		return func(p *Player) { p.silent = true }
	case "frozen":
		return func(p *Player) { p.frozen = true }
	case "error":
		return func(p *Player) { p.fault = failure(s.Why) }
	case "panic":
		return func(p *Player) { p.panics = "simulated: " + s.Why }
	case "end":
		return func(p *Player) { p.fault = errEnded }
	}
	return resumeAll // beat
}

func failure(why string) error {
	return core.E(core.KindUnavailable, "sim.play", "simulated failure: "+sensor.Text(why))
}

// errEnded is a driver that just stops; the monitor takes that for a fault.
var errEnded = core.E(core.KindUnavailable, "sim.play", "the simulated sensor stopped")

// resumeAll makes a silent or frozen sensor go on.
func resumeAll(p *Player) {
	p.silent, p.frozen = false, false
	for _, c := range p.channels {
		c.frozen, c.dropped, c.broken = false, false, ""
	}
	p.beat()
}
