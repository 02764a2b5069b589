package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // by time.Weekday

func (w Window) parse() (p window, err error) {
	if p.days, err = parseDays(w.Days); err != nil {
		return p, err
	}
	if p.from, err = parseMinute("from", w.From); err != nil {
		return p, err
	}
	if p.to, err = parseMinute("to", w.To); err != nil {
		return p, err
	}
	switch p.arming = w.Arming; p.arming {
	case "":
		p.arming = core.Disarmed
	case core.Disarmed, core.Transport:
	default:
		return p, fmt.Errorf("arming: %.32q can't be given by a schedule; disarmed and transport can", w.Arming)
	}
	switch p.from {
	case p.to:
		return p, fmt.Errorf("to: a window that begins and ends at %s is none; write 00:00 to 24:00 for a whole day", w.From)
	case dayEnd:
		return p, fmt.Errorf("from: a window begins on its own day; write 00:00 of the next")
	}
	return p, nil
}

const dayEnd = 24 * 60

// parseMinute reads a time of day, 00:00 to 24:00.
func parseMinute(key, text string) (int, error) {
	h, m, ok := strings.Cut(text, ":")
	hour, err1 := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	at := int(hour)*60 + int(minute)
	if !ok || len(h) != 2 || len(m) != 2 || err1 != nil || err2 != nil || minute > 59 || at > dayEnd {
		return 0, fmt.Errorf("%s: %.16q is no time of day; write one like 07:00", key, text)
	}
	return at, nil
}

// parseDays reads "mon-fri", "sat,sun", "daily". A range may go across the end
// of the week.
func parseDays(text string) (days [7]bool, err error) {
	if len(text) > 64 {
		return days, fmt.Errorf("days: %d bytes are no days of the week", len(text))
	}
	if text == "daily" {
		return [7]bool{true, true, true, true, true, true, true}, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(part), "-")
		first, ok := weekday(from)
		last := first
		if ranged && ok {
			last, ok = weekday(to)
		}
		if !ok {
			return days, fmt.Errorf("days: %.32q is no day; write mon-fri, or sat,sun, or daily", part)
		}
		for d := first; ; d = (d + 1) % 7 {
			if days[d] = true; d == last {
				break
			}
		}
	}
	return days, nil
}

func weekday(name string) (time.Weekday, bool) {
	for d, n := range weekdays {
		if n == strings.ToLower(strings.TrimSpace(name)) {
			return time.Weekday(d), true
		}
	}
	return 0, false
}
