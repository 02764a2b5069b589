package sigma

import (
	"strconv"
	"time"
)

// timePart is what a time modifier takes out of a point in time.
type timePart uint8

const (
	partNone timePart = iota
	partMinute
	partHour
	partDay
	partWeek
	partMonth
	partYear
)

// timeParts are the time modifiers, with the numbers that each can be.
var timeParts = map[string]struct {
	part      timePart
	low, high int
}{
	"minute": {partMinute, 0, 59},
	"hour":   {partHour, 0, 23},
	"day":    {partDay, 1, 31},
	"week":   {partWeek, 1, 53},
	"month":  {partMonth, 1, 12},
	"year":   {partYear, 0, 9999},
}

// stamp is a point in time as it is written: its zone is not looked at.
type stamp struct{ year, month, day, hour, minute int }

// readStamp reads RFC 3339 and what is near to it ("2026-01-02 15:04:05.000",
// a date alone, slashes for dashes), and the seconds, milli-, micro- or
// nanoseconds since 1970, which are taken as UTC.
func readStamp(s []byte) (stamp, bool) {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	if len(s) > 40 {
		return stamp{}, false
	}
	if st, ok := civilStamp(s); ok {
		return st, true
	}
	return epochStamp(s)
}

func civilStamp(s []byte) (st stamp, ok bool) {
	if len(s) < 10 || s[4] != s[7] || s[4] != '-' && s[4] != '/' {
		return st, false
	}
	st.year = digits(s[0:4])
	st.month, st.day = digits(s[5:7]), digits(s[8:10])
	if st.year < 0 || st.month < 1 || st.month > 12 || st.day < 1 || st.day > 31 {
		return st, false
	}
	if len(s) == 10 {
		return st, true
	}
	if len(s) < 16 || s[10] != 'T' && s[10] != 't' && s[10] != ' ' || s[13] != ':' {
		return st, false
	}
	st.hour, st.minute = digits(s[11:13]), digits(s[14:16])
	return st, st.hour >= 0 && st.hour < 24 && st.minute >= 0 && st.minute < 60
}

// digits reads a number of nothing but digits, -1 where it is none.
func digits(s []byte) int {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// epochStamp tells the unit by the size of the number: the ranges of the four
// units don't meet between the years 1973 and 5138.
func epochStamp(s []byte) (stamp, bool) {
	if len(s) == 0 || len(s) > 25 {
		return stamp{}, false
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil || !(f >= 0 && f <= 1e20) {
		return stamp{}, false
	}
	for f >= 1e11 {
		f /= 1000
	}
	t := time.Unix(int64(f), 0).UTC()
	return stamp{t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute()}, true
}

// part is the number that a time modifier compares.
func (st stamp) part(p timePart) int {
	switch p {
	case partMinute:
		return st.minute
	case partHour:
		return st.hour
	case partDay:
		return st.day
	case partMonth:
		return st.month
	case partWeek:
		_, week := time.Date(st.year, time.Month(st.month), st.day, 0, 0, 0, 0, time.UTC).ISOWeek()
		return week
	}
	return st.year
}

// comparesTime compares a part of the point in time that a value names; for a
// value that names none it does not hold.
func (p *predicate) comparesTime(s []byte) bool {
	st, ok := readStamp(s)
	return ok && compare(p.ref, float64(st.part(p.part)), p.num)
}

// compare answers for the tests of numbers.
func compare(t test, f, num float64) bool {
	switch t {
	case testGT:
		return f > num
	case testGTE:
		return f >= num
	case testLT:
		return f < num
	case testLTE:
		return f <= num
	}
	return f == num
}
