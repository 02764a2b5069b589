package iio

import (
	"context"
	"slices"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

// tellBroken is how often a channel that can't be read is told of.
const tellBroken = time.Second

// looking is the state of a run that looks at sysfs.
type looking struct {
	sensor *Sensor
	list   []channel
	emit   func(sensor.Reading)
	full   float64
	wave   []sensor.Sample
	told   map[string]time.Time // broken channels
	beat   time.Time
	due    map[string]time.Time // slow channels beside fast ones
	turns  map[string]*spread   // rates of turn since the last chunk
	files  sysfs.Files          // open for a chunk
}

// slowly is how often a slow channel is read beside a fast one.
const slowly = time.Second

// look reads every channel, at the configured rate, until ctx ends.
func (s *Sensor) look(ctx context.Context, list []channel, emit func(sensor.Reading)) error {
	l := newLooking(s, list, emit)
	defer l.files.Close()
	l.full = s.full(list)
	period := time.Duration(float64(time.Second) / s.cfg.rate(list, false))
	for {
		if err := l.once(s.env.Clock.Now()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.env.Clock.After(period):
		}
	}
}

func newLooking(s *Sensor, list []channel, emit func(sensor.Reading)) *looking {
	return &looking{sensor: s, list: list, emit: emit, told: map[string]time.Time{}, due: map[string]time.Time{}, turns: map[string]*spread{}}
}

// waits says that a channel need not be read now: what is slow does not get
// faster by being looked at as often as acceleration.
func (l *looking) waits(now time.Time, c channel) bool {
	if c.quantity.motion || c.quantity.fast || !slices.ContainsFunc(l.list, func(o channel) bool { return o.quantity.motion }) {
		return false
	}
	if next := l.due[c.name]; now.Before(next) && next.Sub(now) <= slowly {
		return true
	}
	l.due[c.name] = now.Add(slowly)
	return false
}

// once reads every channel one time. A channel that fails is broken at its point
// and the others go on; if all fail, the device does.
func (l *looking) once(now time.Time) error {
	var last error
	failed, axes, asked := 0, 0, 0
	sample := sensor.Sample{At: now.Sub(l.sensor.base)}
	for _, c := range l.list {
		if l.waits(now, c) {
			continue
		}
		asked++
		v, err := l.read(c)
		switch {
		case sysfs.Gone(err):
			return err
		case err != nil:
			failed, last = failed+1, err
			l.broken(now, c, err)
		case c.axis() >= 0:
			setAxis(&sample, c.axis(), v)
			axes++
		case c.quantity.motion:
			l.turned(c, v)
		default:
			l.number(c, v)
		}
	}
	if failed == asked {
		return last
	}
	if axes > 0 && axes == axesOf(l.list) {
		l.wave = append(l.wave, sample)
	}
	l.flush(now)
	return nil
}

func (l *looking) read(c channel) (float64, error) {
	raw, err := l.files.Float(c.file)
	if err != nil {
		return 0, err
	}
	return c.value(raw)
}

// flush tells the wave, and what turned, once a chunk is over.
func (l *looking) flush(now time.Time) {
	if !l.beat.IsZero() && now.Sub(l.beat) < chunk && now.After(l.beat) {
		return
	}
	l.beat = now
	l.files.Close()
	if len(l.wave) > 0 {
		l.emit(sensor.Reading{Kind: sensor.Waveform, Point: pointAccel, Lively: livelyAxes(l.list, l.sensor.cfg), Wave: &sensor.Wave{Full: l.full, Samples: l.wave}})
		l.wave = nil
	}
	for _, c := range l.list {
		if s := l.turns[c.name]; s != nil {
			for _, v := range s.take() {
				l.number(c, v)
			}
		}
	}
}

func (l *looking) number(c channel, v float64) {
	l.emit(sensor.Reading{Kind: sensor.Measure, Point: c.name, Value: v, Unit: c.quantity.unit, Lively: c.lively(l.sensor.cfg), Fields: labelled(c)})
}

// turned keeps a rate of turn for the chunk: of each the smallest and the largest
// is told.
func (l *looking) turned(c channel, v float64) {
	if l.turns[c.name] == nil {
		l.turns[c.name] = &spread{}
	}
	l.turns[c.name].add(v)
}

func (l *looking) broken(now time.Time, c channel, err error) {
	if last, told := l.told[c.name]; told && now.Sub(last) < tellBroken {
		return
	}
	l.told[c.name] = now
	point := c.name
	if c.axis() >= 0 {
		point = pointAccel
	}
	l.emit(sensor.Reading{Kind: sensor.Broken, Point: point, Fields: sensor.Fields(map[string]any{"channel": sensor.Text(c.name), "why": sensor.Text(err.Error())})})
}

// labelled are the fields of a number whose channel has a label.
func labelled(c channel) []byte {
	if c.label == "" {
		return nil
	}
	return sensor.Fields(map[string]string{"label": sensor.Text(c.label)})
}

func setAxis(s *sensor.Sample, axis int, v float64) {
	switch axis {
	case 0:
		s.X = v
	case 1:
		s.Y = v
	case 2:
		s.Z = v
	}
}

func axesOf(list []channel) (n int) {
	for _, c := range list {
		if c.axis() >= 0 {
			n++
		}
	}
	return n
}
