// Package replay shows recordings to the judges of motion that the agent runs:
// the same code, fed in the runs of samples that a driver would send. What the
// judges say is put together into one line an event.
package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/motion"
	"github.com/interlock-security/interlock/device/monitor/orientation"
	"github.com/interlock-security/interlock/device/monitor/vibration"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace"
)

// Line is one event.
type Line struct {
	File     string        `json:"file"`
	T        float64       `json:"t"`
	Class    string        `json:"class"`
	Score    float64       `json:"score"`
	Why      string        `json:"why"`
	End      float64       `json:"end"`
	Duration float64       `json:"duration"`
	Alarm    bool          `json:"alarm"`
	Severity core.Severity `json:"severity"`
	Type     string        `json:"type"`
	Judge    string        `json:"judge"`
	// Fleet is "ask" where only the neighbours can tell what it was.
	Fleet string `json:"fleet,omitempty"`

	event int
}

// Result is what one recording gave.
type Result struct {
	Lines []Line
	Notes trace.Notes
	// Seconds is how long the recording is.
	Seconds float64
	// Compared says that the vibration was held against a baseline; Short that it
	// could not be, the recording being too short.
	Compared, Short bool
}

// Alarm says whether something in it would have been an alarm.
func (r Result) Alarm() bool {
	return slices.ContainsFunc(r.Lines, func(l Line) bool { return l.Alarm })
}

// Baseline is what the judges learned from a recording of normal running.
type Baseline struct{ vibration, motion []byte }

// chunk is how many samples a driver sends at once, at most.
const chunk = 32

// source is where samples come from: io.EOF ends it.
type source func() (sensor.Sample, error)

// feed shows samples to the judges, run by run, and returns the time of the last.
func feed(next source, show func(now time.Time, w sensor.Reading)) (time.Duration, error) {
	var last time.Duration
	n := 0
	buf := make([]sensor.Sample, 0, chunk)
	flush := func() {
		if len(buf) > 0 {
			show(epoch.Add(last), sensor.Reading{Kind: sensor.Waveform, Wave: &sensor.Wave{Samples: buf}})
			buf = make([]sensor.Sample, 0, chunk)
		}
	}
	for ; ; n++ {
		s, err := next()
		if errors.Is(err, io.EOF) {
			flush()
			break
		}
		if err != nil {
			return last, err
		}
		last = max(last, s.At)
		if buf = append(buf, s); len(buf) == chunk {
			flush()
		}
	}
	if n == 0 {
		return 0, core.E(core.KindInvalid, "replay", "there is no sample in it").WithHint(`a line is {"t":seconds,"ax":g,"ay":g,"az":g}`)
	}
	return last, nil
}

// list is a source of samples that are there already.
func list(samples []sensor.Sample) source {
	i := 0
	return func() (sensor.Sample, error) {
		if i == len(samples) {
			return sensor.Sample{}, io.EOF
		}
		i++
		return samples[i-1], nil
	}
}

// epoch is when recordings begin, for judges that want a time of day.
var epoch = time.Unix(0, 0).UTC()

// Learn makes a baseline of a recording.
func Learn(r io.Reader) (*Baseline, error) {
	from, err := trace.NewReader(r)
	if err != nil {
		return nil, err
	}
	return learn(from.Next)
}

// LearnSamples makes a baseline of samples.
func LearnSamples(samples []sensor.Sample) (*Baseline, error) { return learn(list(samples)) }

func learn(from source) (*Baseline, error) {
	vib, err := vibration.New(vibration.Config{Learn: 7 * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	mot, err := motion.New(motion.Config{})
	if err != nil {
		return nil, err
	}
	_, err = feed(from, func(now time.Time, w sensor.Reading) {
		vib.Judge(now, w)
		mot.Judge(now, w)
	})
	if err != nil {
		return nil, err
	}
	b := &Baseline{}
	if b.vibration = vib.Present(); b.vibration == nil {
		return nil, core.E(core.KindInvalid, "replay.Learn", "the baseline is too short to learn from").WithHint("some ten seconds of normal running will do")
	}
	b.motion = mot.Present()
	return b, nil
}

// Run shows one recording to fresh judges; base may be nil.
func Run(name string, r io.Reader, base *Baseline) (Result, error) {
	from, err := trace.NewReader(r)
	if err != nil {
		return Result{}, err
	}
	res, err := judgeAll(name, from.Next, base)
	res.Notes = from.Notes()
	return res, err
}

// Samples shows samples to fresh judges; base may be nil.
func Samples(name string, samples []sensor.Sample, base *Baseline) (Result, error) {
	res, err := judgeAll(name, list(samples), base)
	res.Notes = trace.Notes{Samples: len(samples)}
	return res, err
}

func judgeAll(name string, from source, base *Baseline) (Result, error) {
	p, err := newPanel(name, base)
	if err != nil {
		return Result{}, err
	}
	last, err := feed(from, p.show)
	if err != nil {
		return Result{}, err
	}
	p.silence(epoch.Add(last))
	p.stood()
	return p.result(last), nil
}

// judge is what all three have in common.
type judge interface {
	Judge(now time.Time, r sensor.Reading) []sensor.Reading
	Tick(now time.Time) []sensor.Reading
}

type named struct {
	name string
	judge
}

// panel is the judges of one recording and what they said.
type panel struct {
	file   string
	judges []named
	lines  []Line
	latest map[string]int // where each judge's latest event is
	vib    *vibration.Judge
	frozen frozen
	based  bool
}

func newPanel(file string, base *Baseline) (*panel, error) {
	mot, err := motion.New(motion.Config{})
	if err != nil {
		return nil, err
	}
	ori, err := orientation.New(orientation.Config{})
	if err != nil {
		return nil, err
	}
	p := &panel{file: file, latest: map[string]int{}, judges: []named{{"motion", mot}, {"orientation", ori}}}
	if base == nil {
		return p, nil
	}
	if err := mot.Recall(base.motion); err != nil {
		return nil, err
	}
	p.based = true
	if p.vib, err = vibration.New(vibration.Config{}); err != nil {
		return nil, err
	}
	p.judges = append(p.judges, named{"vibration", p.vib})
	return p, p.vib.Recall(base.vibration)
}

func (p *panel) show(now time.Time, w sensor.Reading) {
	p.frozen.watch(w.Wave.Samples)
	for _, j := range p.judges {
		p.hear(j.name, now, j.Judge(now, w))
	}
}

// silence lets the time pass after which the judges take it that nothing more
// comes.
func (p *panel) silence(last time.Time) {
	now := last.Add(time.Minute)
	for _, j := range p.judges {
		p.hear(j.name, last, j.Tick(now))
	}
}

// fields are those of a judge's event that a line shows.
type fields struct {
	Event int     `json:"event"`
	Class string  `json:"class"`
	Score float64 `json:"score"`
	Why   string  `json:"why"`
	Start float64 `json:"start"`
	End   float64 `json:"end"`
	Fleet string  `json:"fleet"`
}

func (p *panel) hear(who string, now time.Time, said []sensor.Reading) {
	for _, r := range said {
		if r.Kind != sensor.Pulse && r.Kind != sensor.Level && r.Kind != sensor.Broken {
			continue
		}
		var f fields
		if err := json.Unmarshal(r.Fields, &f); err != nil {
			continue // the judges are ours and write one object
		}
		l := Line{
			File: p.file, T: f.Start, Class: f.Class, Score: f.Score, Why: f.Why, End: max(f.End, f.Start),
			Alarm: r.Alarm, Severity: r.Severity, Type: r.Type, Judge: who, Fleet: f.Fleet, event: f.Event,
		}
		switch {
		case r.Kind == sensor.Broken:
			l.Class, l.Type, l.Alarm, l.Score = fault, "sensor_lost", true, 1
		case r.Kind == sensor.Level && !r.Active:
			p.end(who, now)
			continue
		case r.Kind == sensor.Level:
			l.End = -1
		}
		p.put(l)
	}
}

// end closes the line of a level that ended.
func (p *panel) end(who string, now time.Time) {
	for i := range p.lines {
		if p.lines[i].Judge == who && p.lines[i].End < 0 {
			p.lines[i].End = now.Sub(epoch).Seconds()
		}
	}
}

// put adds a line, or brings the line of the same event up to date. A device
// that is lifted is turned as well: that is one event.
func (p *panel) put(l Line) {
	if at, has := p.latest[l.Judge]; has && l.event > 0 && p.lines[at].event == l.event {
		was := &p.lines[at]
		if was.Alarm && !l.Alarm {
			l.Alarm, l.Type, l.Severity = true, was.Type, was.Severity // it ended
		}
		*was = l
		return
	}
	if l.event > 0 {
		p.latest[l.Judge] = len(p.lines)
	}
	p.lines = append(p.lines, l)
}

func (p *panel) result(last time.Duration) Result {
	res := Result{Seconds: last.Seconds(), Compared: p.based}
	for i := range p.lines {
		l := &p.lines[i]
		if l.End < 0 {
			l.End = last.Seconds()
		}
		l.T, l.End, l.Duration = milli(l.T), milli(l.End), milli(l.End-l.T)
	}
	res.Lines = slices.DeleteFunc(p.lines, p.told)
	slices.SortStableFunc(res.Lines, func(a, b Line) int {
		switch {
		case a.T < b.T:
			return -1
		case a.T > b.T:
			return 1
		}
		return 0
	})
	if p.vib != nil && !p.vib.Heard() {
		res.Compared, res.Short = false, true
	}
	return res
}

func milli(seconds float64) float64 { return math.Round(seconds*1000) / 1000 }

// told says that another judge's event tells the same and more: the motion's of
// a device that was turned, the vibration's where there is a baseline.
func (p *panel) told(l Line) bool {
	by := ""
	switch {
	case l.Judge == "orientation":
		by = "motion"
	case l.Class == string(motion.ClassDrill):
		by = "vibration"
	}
	return by != "" && slices.ContainsFunc(p.lines, func(m Line) bool {
		return m.Judge == by && m.Alarm && m.T <= l.End+slack && m.End+slack >= l.T
	})
}

// fault is the class of a sensor that does not measure.
const fault = "fault"

// slack is by how much two judges may differ about when it was, in seconds.
const slack = 6

// String tells a line to a person.
func (l Line) String() string {
	mark := "  "
	if l.Alarm {
		mark = "! "
	}
	return fmt.Sprintf("%s%8.2f s  %-11s %4.2f  %s", mark, l.T, l.Class, l.Score, l.Why)
}
