package iio

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

// waitAtMost is how long the kernel is waited for before the device is asked
// whether it is there: not every one wakes a waiter when it goes.
const waitAtMost = 2 * time.Second

// quietAtMost is how long the buffer may give nothing while something beside it
// is read; without that, silence speaks for itself.
const quietAtMost = 10 * time.Second

// covered returns the channels that are read, and those that are not: a device
// that is busy recording seldom answers, so beside the buffer only what people
// named is asked for.
func (c *capture) covered(list []channel, others []string) ([]channel, []string) {
	if c.sensor.named() {
		return list, others
	}
	list = slices.Clone(list)
	for _, b := range c.beside {
		others = append(others, b.name)
		list = slices.DeleteFunc(list, func(ch channel) bool { return ch.name == b.name })
	}
	return list, others
}

func (s *Sensor) named() bool { return len(s.cfg.Channels) > 0 }

// since is the driver's own clock: it only goes forward, across runs too.
func (s *Sensor) since() time.Duration { return s.env.Clock.Now().Sub(s.base) }

// recording is the state of a run that reads the buffer.
type recording struct {
	*capture
	emit    func(sensor.Reading)
	rest    []byte // the beginning of a record
	wave    []sensor.Sample
	spreads []spread      // of the elements that are no axis
	first   time.Duration // instant of the oldest sample that is not told yet
	last    time.Duration // of the newest
	any     bool          // there is a newest
	came    time.Duration // when it came, by our clock
	around  *looking      // reads what the buffer does not hold
	next    time.Duration // when that is due
}

// run reads what the kernel recorded until ctx ends.
func (c *capture) run(ctx context.Context, emit func(sensor.Reading)) error {
	wake, stop, err := waker(ctx)
	if err != nil {
		return err
	}
	defer stop()
	r := &recording{capture: c, emit: emit, came: c.sensor.since(), spreads: make([]spread, len(c.elements))}
	if c.sensor.named() && len(c.beside) > 0 {
		r.around = newLooking(c.sensor, c.beside, emit)
		defer r.around.files.Close()
	}
	buf := make([]byte, 32<<10)
	for ctx.Err() == nil {
		if err := wait(c.fd, wake); err != nil {
			return err
		}
		if err := r.read(buf); err != nil {
			return err
		}
		if err := r.look(); err != nil {
			return err
		}
	}
	return nil
}

// waker returns a descriptor that is readable once ctx ends.
func waker(ctx context.Context) (fd int, stop func(), err error) {
	r, p, err := os.Pipe()
	if err != nil {
		return -1, nil, core.Wrap(core.KindUnavailable, "iio.Run", err)
	}
	undo := context.AfterFunc(ctx, func() { _ = p.Close() })
	return int(r.Fd()), func() {
		undo()
		_, _ = p.Close(), r.Close()
	}, nil
}

// wait waits for samples, for wake, or for a while. A device whose poll(2) says
// nothing but that it is broken has gone.
func wait(fd, wake int) error {
	set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
	if _, err := unix.Poll(set, int(waitAtMost.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
		return core.Wrap(core.KindUnavailable, "iio.Run", err)
	}
	if got := set[0].Revents; got&unix.POLLIN == 0 && got&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
		return fmt.Errorf("poll says %#x: %w", got, unix.ENODEV)
	}
	return nil
}

// read takes what is there.
func (r *recording) read(buf []byte) error {
	n, err := unix.Read(r.fd, buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("read /dev/%s: %w", r.device.number, err)
	case n <= 0 || n > len(buf):
		return fmt.Errorf("read /dev/%s: it ended: %w", r.device.number, unix.ENODEV)
	}
	return r.take(buf[:n])
}

// take decodes whole records.
func (r *recording) take(b []byte) error {
	b = append(r.rest, b...)
	now, count := r.sensor.since(), len(b)/r.size
	for i := range count {
		at, err := r.instant(b[i*r.size:(i+1)*r.size], now, count-1-i)
		if err != nil {
			return err
		}
		if err := r.record(at, b[i*r.size:(i+1)*r.size]); err != nil {
			return err
		}
	}
	r.rest = slices.Clone(b[count*r.size:])
	return nil
}

// instant is when a record was taken: by the device's stamp, or, where it gives
// none that can be believed, by when the record came and how many came after it.
func (r *recording) instant(record []byte, now time.Duration, after int) (time.Duration, error) {
	if stamp := r.stamp(record); stamp > 0 {
		if r.any && stamp <= r.last {
			return 0, core.E(core.KindDamaged, "iio.Run", fmt.Sprintf("the instants of %s stand still or go back", sensor.Text(r.device.name)))
		}
		return stamp, nil
	}
	r.believed = false // and so it stays: two clocks can't be mixed
	at := now - time.Duration(float64(after)*r.period())
	if r.any && at <= r.last {
		at = r.last + time.Microsecond
	}
	return at, nil
}

// stamp reads the instant in a record. Some drivers give 0 with a trigger that
// is not their own.
func (r *recording) stamp(record []byte) time.Duration {
	if !r.believed {
		return 0
	}
	for _, e := range r.elements {
		if e.name == "timestamp" {
			return time.Duration(e.kind.word(record[e.offset:]))
		}
	}
	return 0
}

func (r *recording) period() float64 { return float64(time.Second) / math.Max(r.rate, minRate) }

// record takes the values of one record.
func (r *recording) record(at time.Duration, b []byte) error {
	r.gap(at)
	if len(r.wave) == 0 && !r.pending() {
		r.first = at
	}
	r.last, r.any, r.came = at, true, r.sensor.since()
	sample, axes := sensor.Sample{At: at}, 0
	for i, e := range r.elements {
		ch, ours := r.channels[e.name]
		if !ours {
			continue
		}
		v, err := ch.value(e.kind.decode(b[e.offset:]))
		if err != nil {
			return err
		}
		if axis := ch.axis(); axis >= 0 {
			setAxis(&sample, axis, v)
			axes++
			continue
		}
		r.spreads[i].add(v)
	}
	if axes > 0 {
		r.wave = append(r.wave, sample)
	}
	if at-r.first >= chunk-time.Duration(1.5*r.period()) || len(r.wave) >= maxRate/2 {
		r.flush()
	}
	return nil
}

// gap tells that the kernel had no room for what came since the last record.
func (r *recording) gap(at time.Duration) {
	missing := at - r.last
	if !r.any || !r.believed || missing < max(time.Second, time.Duration(10*r.period())) {
		return
	}
	r.flush()
	r.emit(sensor.Reading{
		Kind: sensor.Pulse, Point: "device:" + sensor.Text(r.device.name), Type: "samples_lost", Severity: core.SeverityMedium,
		Fields: sensor.Fields(map[string]any{"device": sensor.Text(r.device.name), "missing_ms": missing.Milliseconds()}),
	})
}

func (r *recording) pending() bool {
	return slices.ContainsFunc(r.spreads, func(s spread) bool { return s.count > 0 })
}

// flush tells a chunk: the wave as it is, of all else the smallest and the
// largest value in the order in which they came, so that no dip is averaged away.
func (r *recording) flush() {
	if len(r.wave) > 0 {
		last := r.wave[len(r.wave)-1]
		r.sensor.felt.Store(&felt{r.sensor.env.Clock.Now(), math.Sqrt(last.X*last.X + last.Y*last.Y + last.Z*last.Z)})
		r.emit(sensor.Reading{Kind: sensor.Waveform, Point: pointAccel, Lively: r.lively, Wave: &sensor.Wave{Full: r.full, Samples: r.wave}})
		r.wave = nil
	}
	for i, e := range r.elements {
		ch := r.channels[e.name]
		for _, v := range r.spreads[i].take() {
			r.emit(sensor.Reading{Kind: sensor.Measure, Point: ch.name, Value: v, Unit: ch.quantity.unit, Lively: ch.lively(r.sensor.cfg), Fields: labelled(ch)})
		}
	}
}

// look reads beside the buffer, once a second. What is read there must not hide
// that the buffer gives nothing.
func (r *recording) look() error {
	now := r.sensor.since()
	if r.around == nil || now < r.next {
		return nil
	}
	r.next = now + time.Second
	if now-r.came > quietAtMost {
		for name := range r.channels {
			r.around.broken(r.sensor.env.Clock.Now(), r.channels[name], core.E(core.KindUnavailable, "iio.Run", "the buffer gives nothing: does its trigger fire?"))
		}
	}
	if err := r.around.once(r.sensor.env.Clock.Now()); sysfs.Gone(err) {
		return err
	}
	return nil
}

// spread is the smallest and the largest of some values.
type spread struct {
	low, high float64
	count     int
	highFirst bool
}

func (s *spread) add(v float64) {
	switch {
	case s.count == 0:
		s.low, s.high = v, v
	case v < s.low:
		s.low, s.highFirst = v, true
	case v > s.high:
		s.high, s.highFirst = v, false
	}
	s.count++
}

func (s *spread) take() (values []float64) {
	switch {
	case s.count == 0:
	case s.low == s.high:
		values = []float64{s.low}
	case s.highFirst:
		values = []float64{s.high, s.low}
	default:
		values = []float64{s.low, s.high}
	}
	*s = spread{}
	return values
}

// believes says whether the device's clock is one that nobody can set.
func believes(clock string) bool {
	return clock == "boottime" || strings.HasPrefix(clock, "monotonic")
}
