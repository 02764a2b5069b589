package reference

import (
	"errors"
	"regexp"
	"strconv"
	"time"
)

// timeParts are what the time modifiers take out of a date
// [Modifiers, Time Modifiers].
var timeParts = map[string]func(time.Time) int{
	"minute": time.Time.Minute,
	"hour":   time.Time.Hour,
	"day":    time.Time.Day,
	"week":   func(t time.Time) int { _, week := t.ISOWeek(); return week },
	"month":  func(t time.Time) int { return int(t.Month()) },
	"year":   time.Time.Year,
}

func (it item) timePart() func(time.Time) int {
	for _, mod := range it.mods {
		if part := timeParts[mod]; part != nil {
			return part
		}
	}
	return nil
}

func (it item) time(v any, part func(time.Time) int) (question, error) {
	want, ok := number(text(v))
	if !ok {
		return nil, errors.New("not a number")
	}
	compare := func(a, b float64) bool { return a == b }
	for _, mod := range it.mods {
		if c, ok := comparisons[mod]; ok {
			compare = c
		}
	}
	return it.any(func(val *value) bool {
		t, ok := readTime(val.text)
		return ok && compare(float64(part(t)), want)
	}), nil
}

var dateForm = regexp.MustCompile(`^ *([0-9]{4})([-/])([0-9]{2})([-/])([0-9]{2})(?:[Tt ]([0-9]{2}):([0-9]{2})(?s:.*))?$`)

// readTime reads a date as it stands: "not designed to handle timezone or format
// conversions". A number counts from 1970, its size says the unit.
func readTime(s string) (time.Time, bool) {
	if m := dateForm.FindStringSubmatch(s); m != nil && m[2] == m[4] && len(s) <= 40 {
		n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v }
		ok := n(3) >= 1 && n(3) <= 12 && n(5) >= 1 && n(5) <= 31 && n(6) < 24 && n(7) < 60
		return time.Date(n(1), time.Month(n(3)), n(5), n(6), n(7), 0, 0, time.UTC), ok
	}
	f, ok := number(s)
	if !ok || f < 0 || f > 1e20 || len(s) > 25 {
		return time.Time{}, false
	}
	for f >= 1e11 {
		f /= 1000
	}
	return time.Unix(int64(f), 0).UTC(), true
}
