package sigma

import (
	"errors"
	"strconv"
)

// exactDigits is how many decimal digits fit a float64 without loss, so that a
// short number needs no call and no copy.
const exactDigits = 15

var tens = [exactDigits + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// decimal reads what an event's text says as a decimal number, however long it
// is or in whichever form. What no float64 holds is infinite: a larger number
// than any rule names is still larger. Other notations (hexadecimal, "inf") are
// text.
func decimal(s []byte) (float64, bool) {
	digits, point, plain, ok := decimalForm(s)
	if !ok {
		return 0, false
	}
	if !plain || digits > exactDigits {
		f, err := strconv.ParseFloat(string(s), 64)
		return f, err == nil || errors.Is(err, strconv.ErrRange)
	}
	var whole int64
	for _, c := range s {
		if '0' <= c && c <= '9' {
			whole = whole*10 + int64(c-'0')
		}
	}
	f := float64(whole) / tens[point]
	if s[0] == '-' {
		f = -f
	}
	return f, true
}

// decimalForm checks [sign] digits [. digits] [e [sign] digits] and counts the
// digits, those after the point apart; plain is a number without exponent.
func decimalForm(s []byte) (digits, point int, plain, ok bool) {
	i := sign(s)
	before := run(s[i:])
	i += before
	if i < len(s) && s[i] == '.' {
		point = run(s[i+1:])
		i += 1 + point
	}
	digits = before + point
	if i == len(s) || digits == 0 {
		return digits, point, true, digits > 0
	}
	if s[i] != 'e' && s[i] != 'E' {
		return 0, 0, false, false
	}
	i++
	i += sign(s[i:])
	exponent := run(s[i:])
	return digits, point, false, exponent > 0 && i+exponent == len(s)
}

func sign(s []byte) int {
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		return 1
	}
	return 0
}

func run(s []byte) int {
	for i, c := range s {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(s)
}
