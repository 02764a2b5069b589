package iio

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

// capture is a buffer that is being filled.
type capture struct {
	sensor   *Sensor
	device   device
	fd       int
	settings settings
	elements []element
	channels map[string]channel
	beside   []channel // that the buffer does not hold
	size     int       // of a record
	stamped  bool
	believed bool // the stamps are of a clock that nobody can set
	trigger  string
	rate     float64
	full     float64
	lively   bool // its acceleration must move
}

// noBuffer says why a device is read by looking.
type noBuffer string

func (n noBuffer) Error() string { return string(n) }

// open prepares the buffer. Where the device has none, or it can't be had, it
// returns none and why, unless the configuration insists.
func (s *Sensor) open(d device, list []channel) (*capture, string, error) {
	motion := slices.ContainsFunc(list, func(c channel) bool { return c.quantity.motion })
	if s.cfg.Mode == ModeAuto && !motion && s.cfg.Trigger == "" {
		return nil, "nothing of it moves fast, and no trigger is named", nil
	}
	c := &capture{sensor: s, device: d, fd: -1, channels: map[string]channel{}}
	err := c.prepare(list)
	if err == nil {
		return c, "", nil
	}
	c.close()
	var why noBuffer
	switch {
	case s.cfg.Mode == ModeBuffer:
		return nil, "", core.Wrap(core.KindUnavailable, "iio.Run", fmt.Errorf("no buffer: %w", err))
	case errors.As(err, &why), errors.Is(err, unix.EBUSY), errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EINVAL), core.KindOf(err) == core.KindDamaged:
		return nil, err.Error(), nil
	}
	return nil, "", core.Wrap(core.KindUnavailable, "iio.Run", err)
}

// prepare opens the device's file first: whoever has it has the buffer, and the
// settings of somebody else's are not touched.
func (c *capture) prepare(list []channel) error {
	if _, err := os.Stat(c.path("buffer/enable")); err != nil {
		if sysfs.Gone(err) {
			return noBuffer("the device has no buffer")
		}
		return err
	}
	if err := c.openFile(); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return c.settings.set(c.path("buffer/enable"), "0", "0") },
		c.chooseTrigger,
		func() error { return c.choose(list) },
		func() error { return c.setRate(list) },
		c.setStamps,
		c.setLength,
		func() error { return c.settings.set(c.path("buffer/enable"), "1", "0") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *capture) path(elem ...string) string {
	return filepath.Join(append([]string{c.device.dir}, elem...)...)
}

// openFile opens the device's file. On a machine it must be a character device.
func (c *capture) openFile() (err error) {
	path := c.sensor.env.Path("dev", c.device.number)
	info, err := os.Stat(path)
	switch {
	case sysfs.Gone(err):
		return noBuffer("there is no " + path)
	case err != nil:
		return err
	case c.sensor.env.Root == "" && info.Mode()&os.ModeCharDevice == 0:
		return noBuffer(path + " is no device")
	}
	if c.fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
		c.fd = -1
		return fmt.Errorf("open %s: %w", path, err)
	}
	return nil
}

// chooseTrigger sets the trigger that the configuration names, keeps the one
// that is set, or takes the device's own. A device with a FIFO of its own needs
// none.
func (c *capture) chooseTrigger() error {
	current := c.path("trigger/current_trigger")
	set, err := sysfs.Read(current)
	if sysfs.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	want := c.sensor.cfg.Trigger
	if want == "" {
		want = set
	}
	name, dir := c.findTrigger(want)
	if dir == "" {
		return noBuffer(fmt.Sprintf("there is no trigger %q to fill the buffer", want))
	}
	if c.trigger = name; name != set {
		if err := c.settings.set(current, name, set); err != nil {
			return fmt.Errorf("trigger %s: %w", sensor.Text(name), err)
		}
	}
	if want := c.sensor.cfg.Rate; want > 0 {
		return c.settings.offer(filepath.Join(dir, "sampling_frequency"), number(want))
	}
	return nil
}

// ownTrigger is what the kernel calls the trigger that a device brings itself.
func (c *capture) ownTrigger() string {
	return c.device.name + "-dev" + strings.TrimPrefix(c.device.number, "iio:device")
}

// findTrigger returns the trigger of a name; with no name, the device's own.
func (c *capture) findTrigger(want string) (name, dir string) {
	dirs, err := filepath.Glob(filepath.Join(c.sensor.class(), "trigger[0-9]*"))
	if err != nil {
		return "", ""
	}
	for _, d := range dirs {
		switch name, err := sysfs.Read(filepath.Join(d, "name")); {
		case err != nil:
		case want != "" && name == want, want == "" && name == c.ownTrigger():
			return name, d
		}
	}
	return "", ""
}

// choose has the kernel record exactly the channels that are read.
func (c *capture) choose(list []channel) error {
	enables, err := filepath.Glob(c.path("scan_elements/in_*_en"))
	if err != nil || len(enables) == 0 {
		return noBuffer("the buffer has no scan elements")
	}
	c.stamped = slices.Contains(enables, c.path("scan_elements/in_timestamp_en"))
	moving := false
	for _, ch := range list {
		if !slices.Contains(enables, c.path("scan_elements/in_"+ch.name+"_en")) {
			c.beside = append(c.beside, ch)
			continue
		}
		c.channels[ch.name], moving = ch, moving || ch.quantity.motion || c.sensor.cfg.Trigger != ""
	}
	if !moving {
		return noBuffer("what moves is no scan element")
	}
	for _, path := range enables {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "in_"), "_en")
		if err := c.element(path, name); err != nil {
			return err
		}
	}
	c.size, err = layout(c.elements)
	return err
}

// element switches one channel of the buffer on or off.
func (c *capture) element(path, name string) error {
	ch, ours := c.channels[name]
	if !ours && name != "timestamp" {
		return c.settings.set(path, "0", "")
	}
	if err := c.settings.set(path, "1", ""); err != nil {
		return err
	}
	text, err := sysfs.Read(strings.TrimSuffix(path, "_en") + "_type")
	if err != nil {
		return err
	}
	kind, err := parseScanType(text)
	if err != nil {
		return err
	}
	index, err := sysfs.Float(strings.TrimSuffix(path, "_en") + "_index")
	if err != nil {
		return err
	}
	if ours && ch.processed {
		if err := c.rescale(&ch); err != nil {
			return err
		}
	}
	if c.lively = c.lively || ch.axis() >= 0 && ch.lively(c.sensor.cfg); ch.axis() >= 0 {
		c.full = math.Max(c.full, c.sensor.rangeOf(ch, kind))
	}
	c.elements = append(c.elements, element{name: name, index: int(index), kind: kind})
	return nil
}

// rescale makes a channel whose value sysfs gives in its unit one that the
// buffer gives as the chip counts.
func (c *capture) rescale(ch *channel) (err error) {
	if ch.scale, err = shared(c.device.dir, ch.name, ch.quantity, "scale", 0); err != nil || ch.scale == 0 {
		return noBuffer("the buffer's " + ch.name + " has no scale")
	}
	ch.processed = false
	c.channels[ch.name] = *ch
	return nil
}

// rangeOf is where a channel of acceleration clips, in g.
func (s *Sensor) rangeOf(ch channel, kind scanType) float64 {
	if s.cfg.Range > 0 {
		return s.cfg.Range
	}
	v, err := ch.value(kind.full())
	if err != nil {
		return 0
	}
	return math.Round(math.Abs(v)*1000) / 1000
}

// full is the range of the axes of a device that is read by looking: some tell
// the width of their samples all the same.
func (s *Sensor) full(list []channel) (full float64) {
	for _, ch := range list {
		if ch.axis() < 0 {
			continue
		}
		text, err := sysfs.Read(filepath.Join(filepath.Dir(ch.file), "scan_elements", "in_"+ch.name+"_type"))
		if err != nil || ch.processed {
			continue
		}
		if kind, err := parseScanType(text); err == nil {
			full = math.Max(full, s.rangeOf(ch, kind))
		}
	}
	return math.Max(full, s.cfg.Range)
}

// setRate has the device sample at least as often as is wanted, where it can be
// told so.
func (c *capture) setRate(list []channel) error {
	c.rate = c.sensor.cfg.rate(list, true)
	for _, name := range []string{"sampling_frequency", "in_accel_sampling_frequency", "in_anglvel_sampling_frequency", "in_voltage_sampling_frequency"} {
		if _, err := os.Stat(c.path(name)); err != nil {
			continue
		}
		if err := c.settings.offer(c.path(name), c.frequency(name)); err != nil {
			return err
		}
		if rate, err := sysfs.Float(c.path(name)); err == nil && rate > 0 {
			c.rate = rate
		}
	}
	if c.trigger != "" && c.trigger != c.ownTrigger() {
		if _, dir := c.findTrigger(c.trigger); dir != "" {
			if rate, err := sysfs.Float(filepath.Join(dir, "sampling_frequency")); err == nil && rate > 0 {
				c.rate = rate
			}
		}
	}
	return nil
}

// frequency is the slowest of those that the device offers which is fast enough.
func (c *capture) frequency(attribute string) string {
	best, found := 0.0, ""
	text, err := sysfs.Read(c.path(attribute + "_available"))
	if err != nil {
		return number(c.rate)
	}
	for word := range strings.FieldsSeq(text) {
		v, err := sysfs.Number(word)
		if err != nil || v <= 0 {
			continue
		}
		if found == "" || v >= c.rate && (best < c.rate || v < best) || v < c.rate && v > best && best < c.rate {
			best, found = v, word
		}
	}
	if found == "" {
		return number(c.rate)
	}
	return found
}

// setStamps asks for instants on the clock that nobody can set.
func (c *capture) setStamps() error {
	if !c.stamped {
		return nil
	}
	if err := c.settings.offer(c.path("current_timestamp_clock"), "boottime"); err != nil {
		return err
	}
	clock, _ := sysfs.Read(c.path("current_timestamp_clock"))
	c.believed = believes(clock)
	return nil
}

// setLength makes room for four seconds and asks to be woken once a chunk.
func (c *capture) setLength() error {
	wake := max(1, int(c.rate*chunk.Seconds()))
	if err := c.settings.offer(c.path("buffer/length"), strconv.Itoa(max(16, 8*wake))); err != nil {
		return err
	}
	return c.settings.offer(c.path("buffer/watermark"), strconv.Itoa(wake))
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// close puts everything back, the last first, and gives the device free.
func (c *capture) close() {
	c.settings.undo()
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}

// settings are what was changed, to be put back.
type settings struct{ old []setting }

type setting struct{ path, text string }

// set writes a file; before is what to put back, "" for what stands there now.
func (s *settings) set(path, text, before string) error {
	now, err := sysfs.Read(path)
	if err != nil {
		return err
	}
	if before == "" {
		before = now
	}
	if now == text && before == text {
		return nil
	}
	s.old = append(s.old, setting{path, before})
	if now == text {
		return nil
	}
	return sysfs.Write(path, text)
}

// offer sets what a device may have, and may refuse. Only one that is gone is an
// error.
func (s *settings) offer(path, text string) error {
	n := len(s.old)
	err := s.set(path, text, "")
	if err != nil {
		s.old = s.old[:n]
	}
	if errors.Is(err, unix.ENODEV) {
		return err
	}
	return nil
}

// undo puts back what was, in the opposite order. What can't be put back belongs
// to a device that is gone.
func (s *settings) undo() {
	for _, o := range slices.Backward(s.old) {
		_ = sysfs.Write(o.path, o.text)
	}
	s.old = nil
}
