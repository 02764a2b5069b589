package sim

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// words are what is left of a line. The first error sticks; it says what to
// write instead.
type words struct {
	left []string
	err  error
}

// split cuts a line into words. Double quotes make one word of several; what
// follows a # is a remark.
func split(line string) (*words, error) {
	w := &words{}
	for line = strings.TrimSpace(line); line != "" && line[0] != '#'; line = strings.TrimLeftFunc(line, unicode.IsSpace) {
		if line[0] != '"' {
			end := strings.IndexFunc(line, unicode.IsSpace)
			if end < 0 {
				end = len(line)
			}
			w.left, line = append(w.left, line[:end]), line[end:]
			continue
		}
		end := strings.IndexByte(line[1:], '"')
		if end < 0 {
			return nil, fmt.Errorf("a quotation begins at %.20s and does not end; write a second \"", line)
		}
		w.left, line = append(w.left, line[1:end+1]), line[end+2:]
	}
	return w, nil
}

func (w *words) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// peek is the next word, "" at the end.
func (w *words) peek() string {
	if len(w.left) == 0 {
		return ""
	}
	return w.left[0]
}

// take takes the next word; what says what it should have been.
func (w *words) take(what string) string {
	if len(w.left) == 0 {
		w.fail("%s is missing", what)
		return ""
	}
	word := w.left[0]
	w.left = w.left[1:]
	return word
}

// has takes the next word if it is this one.
func (w *words) has(word string) bool {
	if w.peek() != word {
		return false
	}
	w.left = w.left[1:]
	return true
}

// want takes this word.
func (w *words) want(word string) {
	if !w.has(word) {
		w.fail("%q stands where %q belongs", w.peek(), word)
	}
}

// rest takes all that is left.
func (w *words) rest() string {
	all := strings.Join(w.left, " ")
	w.left = nil
	return all
}

func (w *words) done() {
	if len(w.left) > 0 {
		w.fail("nothing is known to begin with %q here", w.peek())
	}
}

// duration takes 20ms, 5s, 1h30m.
func (w *words) duration(what string) time.Duration {
	text := w.take(what)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxLength {
		w.fail("%s: %.20q is no time from 0 to %s; write one like 20ms, 5s or 1h30m", what, text, maxLength)
		return 0
	}
	return d
}

// number takes a number, however it is signed, that is finite.
func (w *words) number(what string) float64 {
	text := w.take(what)
	if text == "" {
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > maxNumber {
		w.fail("%s: %.20q is no number", what, text)
		return 0
	}
	return v
}

// quantity takes a number and its unit, apart or together: 0.2 g, 18Hz.
func (w *words) quantity(what string, units map[string]float64) float64 {
	text := w.take(what)
	cut := strings.LastIndexAny(text, "0123456789.") + 1
	number, unit := text[:cut], text[cut:]
	if unit == "" {
		unit = w.take("the unit of " + what)
	}
	v, err := strconv.ParseFloat(number, 64)
	scale, known := units[unit]
	if err != nil || !known || math.IsNaN(v) || math.Abs(v) > maxNumber {
		names := make([]string, 0, len(units))
		for u := range units {
			names = append(names, u)
		}
		slices.Sort(names)
		w.fail("%s: %.20q is no number in %s", what, strings.TrimSpace(number+" "+unit), strings.Join(names, " or "))
		return 0
	}
	return v * scale
}

var (
	hertz   = map[string]float64{"Hz": 1, "kHz": 1000}
	gravity = map[string]float64{"g": 1, "mg": 0.001}
	degrees = map[string]float64{"deg": 1}
	metres  = map[string]float64{"m": 1, "km": 1000}
)

// positive takes a quantity that is above zero.
func (w *words) positive(what string, limit float64, units map[string]float64) float64 {
	v := w.quantity(what, units)
	if w.err == nil && (v <= 0 || v > limit) {
		w.fail("%s: %v; allowed is what is above 0 and at most %v", what, v, limit)
	}
	return v
}
