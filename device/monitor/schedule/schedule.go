package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // a small device has no zone database of its own

	"github.com/interlock-security/interlock/core"
)

// Config is a weekly schedule as people write it.
type Config struct {
	// Zone is where its times of day are true: "Europe/Berlin". Empty is UTC.
	Zone string `yaml:"zone,omitempty" json:"zone,omitempty"`
	// Windows are when something is granted. Outside of them nothing is.
	Windows []Window `yaml:"windows,omitempty" json:"windows,omitempty"`
	// Except are days on which no window opens: "2026-12-25".
	Except []string `yaml:"except,omitempty" json:"except,omitempty"`
}

// Window is a span of the day on some days of the week.
type Window struct {
	// Days are the days on which it opens: "mon-fri", "sat,sun", "daily".
	Days string `yaml:"days" json:"days"`
	// From and To are times of day: "07:00", "24:00". A To that is not after
	// From is on the next day.
	From string `yaml:"from" json:"from"`
	To   string `yaml:"to" json:"to"`
	// Arming is what the device is meanwhile: disarmed, which is the default, or
	// transport. Maintenance takes two people and is no schedule's to give.
	Arming core.Arming `yaml:"arming,omitempty" json:"arming,omitempty"`
}

// Limits of a schedule: it is written by people, and read by small devices.
const (
	maxWindows = 100
	maxExcept  = 400
	// maxDoubt is how far the bounds of the time may lie apart before nothing is
	// granted at all.
	maxDoubt = 24 * time.Hour
	// ahead is how far the next window is looked for.
	ahead = 40
)

// Validate says what is wrong with a schedule, and where.
func (c Config) Validate() error {
	_, err := New(c)
	return err
}

// Schedule answers what is granted at a time. The zero value grants nothing.
type Schedule struct {
	zone    *time.Location
	windows []window
	except  map[date]bool
}

// window is a parsed Window: minutes since midnight.
type window struct {
	days     [7]bool // by time.Weekday
	from, to int
	arming   core.Arming
}

// date is a day of the calendar.
type date struct {
	year  int
	month time.Month
	day   int
}

// span is a window on a day, in real time.
type span struct {
	from, to time.Time
	arming   core.Arming
}

// New reads a schedule.
func New(c Config) (Schedule, error) {
	zone, err := time.LoadLocation(c.Zone)
	if err != nil || c.Zone == "Local" {
		return Schedule{}, invalid("zone: %.64q is no time zone; write one like Europe/Berlin", c.Zone)
	}
	if len(c.Windows) > maxWindows || len(c.Except) > maxExcept {
		return Schedule{}, invalid("%d windows and %d exceptions; at most %d and %d are read", len(c.Windows), len(c.Except), maxWindows, maxExcept)
	}
	s := Schedule{zone: zone, except: map[date]bool{}}
	for i, w := range c.Windows {
		parsed, err := w.parse()
		if err != nil {
			return Schedule{}, invalid("windows[%d].%v", i, err)
		}
		s.windows = append(s.windows, parsed)
	}
	for i, text := range c.Except {
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return Schedule{}, invalid("except[%d]: %.32q is no day; write one like 2026-12-25", i, text)
		}
		s.except[dateOf(day)] = true
	}
	return s, nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "schedule.New", fmt.Sprintf(format, args...))
}

// At returns how a device is armed now, and until when that can't change: a time
// of the lower bound's clock, zero where no window comes within 40 days or
// nothing proves the time. It may end sooner if the bounds move apart, so ask
// every minute all the same.
func (s Schedule) At(now Trusted) (core.Arming, time.Time) {
	if !Bounded(now) || now.Upper.Sub(now.Lower) > maxDoubt || len(s.windows) == 0 {
		return core.Armed, time.Time{}
	}
	for _, a := range s.armings() {
		for _, x := range merge(s.spans(now.Lower.Add(-48*time.Hour), 5, a)) {
			if !now.Lower.Before(x.from) && now.Upper.Before(x.to) {
				return a, now.Lower.Add(x.to.Sub(now.Upper))
			}
		}
	}
	return core.Armed, s.opens(now.Lower)
}

// Open says whether any window is open now; see [Schedule.At].
func (s Schedule) Open(now Trusted) (open bool, until time.Time) {
	a, until := s.At(now)
	return a != core.Armed, until
}

// Bounded says whether there is an upper bound. Bounds that contradict each other
// prove nothing.
func Bounded(t Trusted) bool { return !t.Upper.IsZero() && !t.Upper.Before(t.Lower) }

// armings are the armings that occur, in the order of their windows.
func (s Schedule) armings() (all []core.Arming) {
	for _, w := range s.windows {
		if !slices.Contains(all, w.arming) {
			all = append(all, w.arming)
		}
	}
	return all
}

// opens returns when the next window opens after t.
func (s Schedule) opens(t time.Time) (next time.Time) {
	for i := range ahead {
		for _, x := range s.spans(t.Add(time.Duration(i-1)*24*time.Hour), 1, "") {
			if x.from.After(t) && (next.IsZero() || x.from.Before(next)) {
				next = x.from
			}
		}
		// A window of the day after may open sooner only where days overlap.
		if !next.IsZero() && i > 1 {
			return next
		}
	}
	return next
}

// spans returns the windows of an arming, or of any, that open on so many days
// from the day of t on.
func (s Schedule) spans(t time.Time, days int, a core.Arming) (all []span) {
	first := dateOf(t.In(s.zone))
	for i := range days {
		d := first.plus(i)
		if s.except[d] {
			continue
		}
		for _, w := range s.windows {
			if !w.days[d.weekday()] || (a != "" && w.arming != a) {
				continue
			}
			if x := w.on(d, s.zone); x.from.Before(x.to) {
				all = append(all, x)
			}
		}
	}
	return all
}

// on places a window in real time. It opens at the later and closes at the
// earlier of two instants of one name; one that lies in a repeated hour as a
// whole opens in the second of them.
func (w window) on(d date, zone *time.Location) span {
	end := d
	if w.to <= w.from {
		end = d.plus(1)
	}
	_, from := instants(d, w.from, zone)
	to, late := instants(end, w.to, zone)
	if !to.After(from) {
		to = late
	}
	return span{from: from, to: to, arming: w.arming}
}

// merge joins windows that touch, so that bounds may lie across the seam.
func merge(all []span) (joined []span) {
	slices.SortFunc(all, func(a, b span) int { return cmp.Or(a.from.Compare(b.from), a.to.Compare(b.to)) })
	for _, x := range all {
		if n := len(joined); n > 0 && !x.from.After(joined[n-1].to) {
			if x.to.After(joined[n-1].to) {
				joined[n-1].to = x.to
			}
			continue
		}
		joined = append(joined, x)
	}
	return joined
}

// instants returns the first and the last instant that a zone calls so. They
// differ where an hour repeats; of a time that is skipped it is the instant of
// the change.
func instants(d date, minute int, zone *time.Location) (first, last time.Time) {
	utc := time.Date(d.year, d.month, d.day, 0, minute, 0, 0, time.UTC)
	var found []time.Time
	for _, near := range []time.Time{utc.Add(-26 * time.Hour), utc.Add(26 * time.Hour)} {
		_, offset := near.In(zone).Zone()
		at := utc.Add(-time.Duration(offset) * time.Second)
		if _, is := at.In(zone).Zone(); is == offset {
			found = append(found, at)
		}
	}
	if len(found) > 0 {
		return slices.MinFunc(found, time.Time.Compare), slices.MaxFunc(found, time.Time.Compare)
	}
	_, before := utc.Add(-26 * time.Hour).In(zone).Zone()
	change, _ := utc.Add(-time.Duration(before) * time.Second).In(zone).ZoneBounds()
	return change, change
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, m, d}
}

func (d date) plus(days int) date {
	return dateOf(time.Date(d.year, d.month, d.day+days, 12, 0, 0, 0, time.UTC))
}

func (d date) weekday() time.Weekday {
	return time.Date(d.year, d.month, d.day, 12, 0, 0, 0, time.UTC).Weekday()
}
