package iio

import (
	"context"
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
}

// look reads every channel, at the configured rate, until ctx ends.
func (s *Sensor) look(ctx context.Context, list []channel, emit func(sensor.Reading)) error {
	l := &looking{sensor: s, list: list, emit: emit, full: s.full(list), told: map[string]time.Time{}}
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

// once reads every channel one time. A channel that fails is broken at its point
// and the others go on; if all fail, the device does.
func (l *looking) once(now time.Time) error {
	var last error
	failed, axes := 0, 0
	sample := sensor.Sample{At: now.Sub(l.sensor.base)}
	for _, c := range l.list {
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
		default:
			l.emit(sensor.Reading{Kind: sensor.Measure, Point: c.name, Value: v, Unit: c.quantity.unit, Lively: c.lively(l.sensor.cfg), Fields: labelled(c)})
		}
	}
	if failed == len(l.list) {
		return last
	}
	if axes > 0 && axes == axesOf(l.list) {
		l.wave = append(l.wave, sample)
	}
	l.flush(now)
	return nil
}

func (l *looking) read(c channel) (float64, error) {
	raw, err := sysfs.Float(c.file)
	if err != nil {
		return 0, err
	}
	return c.value(raw)
}

// flush tells the wave once it is a chunk long.
func (l *looking) flush(now time.Time) {
	if n := len(l.wave); n > 0 && (l.wave[n-1].At-l.wave[0].At >= chunk || l.beat.IsZero() || now.Sub(l.beat) >= chunk) {
		l.emit(sensor.Reading{Kind: sensor.Waveform, Point: pointAccel, Lively: livelyAxes(l.list, l.sensor.cfg), Wave: &sensor.Wave{Full: l.full, Samples: l.wave}})
		l.wave, l.beat = nil, now
	}
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
