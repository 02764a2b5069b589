package grammar

import "bytes"

// shape is what can be counted of a value.
type shape struct {
	n                                         int
	lower, upper, digit, space, other, symbol int
	plain                                     int // of the symbols: those that stand in names (_ - .)
	hex, base64                               bool
	wordy                                     int // letters in runs that read like words
	words                                     int // runs of letters that read like words
	runs                                      int // runs of letters
	switches                                  int // changes between letters and digits
	distinct                                  int
}

func (s *shape) letters() int { return s.lower + s.upper }

// classes counts the sorts of characters that people are told to mix.
func (s *shape) classes() int {
	n := 0
	for _, k := range [...]int{s.lower, s.upper, s.digit, s.symbol + s.other} {
		if k > 0 {
			n++
		}
	}
	return n
}

func measure(v []byte) shape {
	s := shape{n: len(v), hex: true, base64: true}
	var seen [4]uint64
	for i, c := range v {
		seen[c>>6] |= 1 << (c & 63)
		s.count(c)
		if !isHexDigit(c) {
			s.hex = false
		}
		if !isAlnum(c) && c != '+' && c != '/' && c != '=' && c != '-' && c != '_' {
			s.base64 = false
		}
		if i > 0 && isDigit(c) != isDigit(v[i-1]) {
			s.switches++
		}
	}
	for _, w := range seen {
		for ; w != 0; w &= w - 1 {
			s.distinct++
		}
	}
	s.readWords(v)
	return s
}

func (s *shape) count(c byte) {
	switch {
	case isLower(c):
		s.lower++
	case isUpper(c):
		s.upper++
	case isDigit(c):
		s.digit++
	case c >= 0x80:
		s.other++
	case isSpace(c):
		s.space++
	default:
		s.symbol++
		if c == '_' || c == '-' || c == '.' {
			s.plain++
		}
	}
}

// readWords looks for runs of letters that read like words of a language.
func (s *shape) readWords(v []byte) {
	for i := 0; i < len(v); {
		if !isLetter(v[i]) {
			i++
			continue
		}
		j := i + 1
		for j < len(v) && isLetter(v[j]) && !boundary(v, j) {
			j++
		}
		s.runs++
		if readsLikeWord(v[i:j]) {
			s.words++
			s.wordy += j - i
		}
		i = j
	}
}

// follows holds, for each letter, the letters that follow it in ordinary words.
var follows = [26]uint32{
	0x37ebd6e, 0x11e4911, 0x11edd9d, 0x13ed97f, 0x1fffdff, 0x11e4931, 0x016e9d5, 0x11e5111, 0x2aefc7f, 0x0144011, 0x0144911, 0x13ce91d, 0x11cd91b,
	0x13efdfd, 0x1fefd6f, 0x01ecdd5, 0x0100800, 0x17efd7f, 0x15dfdbd, 0x15ed9bd, 0x00ef97f, 0x0004111, 0x0066191, 0x0088114, 0x004b915, 0x0000111,
}

// readsLikeWord reports whether the letters follow each other as they do in
// words, with one exception in a long one.
func readsLikeWord(v []byte) bool {
	if len(v) < 3 || len(v) > 24 {
		return false
	}
	odd, vowels, mixed := 0, 0, 0
	for i := range v {
		c := lower(v[i]) - 'a'
		if c >= 26 {
			return false
		}
		if 1<<c&0x1104111 != 0 {
			vowels++
		}
		if i > 0 {
			if follows[lower(v[i-1])-'a']>>c&1 == 0 {
				odd++
			}
			if isUpper(v[i]) != isUpper(v[i-1]) && i > 1 {
				mixed++
			}
		}
	}
	return vowels > 0 && mixed == 0 && (odd == 0 || odd == 1 && len(v) > 5)
}

// wordlike reports whether v is made of words, as names are.
func (s *shape) wordlike() bool {
	l := s.letters()
	return l > 0 && s.wordy*100 >= l*80
}

// random reports whether v looks like the output of a generator rather than
// something that was written by a person.
func (s *shape) random(least int) bool {
	if s.n < least || s.space > 0 || s.distinct < 6 && s.distinct*2 < s.n {
		return false
	}
	if s.hex {
		return s.n >= 16 && s.digit >= 2 && s.letters() >= 2 && s.distinct >= 7
	}
	if s.distinct*5 < s.n && s.distinct < 24 {
		return false
	}
	if s.wordlike() {
		return s.digit*3 >= s.n && s.switches >= 4
	}
	if s.digit == 0 {
		return s.upper > 1 && s.lower > 1 && s.n >= 16 && s.wordy*2 < s.letters()
	}
	return s.wordy*100 < s.letters()*60 && s.letters() > 1
}

// isUUID reports whether v is a UUID.
func isUUID(v []byte) bool {
	if len(v) == 38 && v[0] == '{' {
		v = v[1:37]
	}
	if len(v) != 36 {
		return false
	}
	for i, c := range v {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || !dash && !isHexDigit(c) {
			return false
		}
	}
	return true
}

// isRun reports whether v is one character, or a run of neighbours (12345678,
// abcdef), or a short part again and again.
func isRun(v []byte) bool {
	step := 0
	for i := 1; i < len(v); i++ {
		if d := int(lower(v[i])) - int(lower(v[i-1])); d >= -1 && d <= 1 || v[i] == '0' && v[i-1] == '9' || lower(v[i]) == 'a' && v[i-1] == '9' {
			step++
		}
	}
	return step*10 >= (len(v)-1)*8 || repeats(v)
}

func repeats(v []byte) bool {
	for p := 1; p <= 4 && p*3 <= len(v); p++ {
		if bytes.Equal(v[p:], v[:len(v)-p]) {
			return true
		}
	}
	return false
}

// isHash reports whether v is the hash of a password in a known notation.
func isHash(v []byte) bool {
	if len(v) < 20 {
		return false
	}
	if v[0] == '$' {
		i := bytes.IndexByte(v[1:], '$')
		return i > 0 && i < 12 && bytes.IndexByte(v[2+i:], '$') >= 0
	}
	return hasPrefixFold(v, "pbkdf2") || hasPrefixFold(v, "{ssha") || hasPrefixFold(v, "{sha") || hasPrefixFold(v, "{bcrypt}") ||
		hasPrefixFold(v, "{crypt}") || hasPrefixFold(v, "argon2") || hasPrefixFold(v, "scram-sha-")
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && equalFold(b[:len(prefix)], prefix)
}

func hasSuffixFold(b []byte, suffix string) bool {
	return len(b) >= len(suffix) && equalFold(b[len(b)-len(suffix):], suffix)
}

// equalFold compares with a lower-case literal.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != s[i] {
			return false
		}
	}
	return true
}

// indexFold finds a lower-case literal.
func indexFold(b []byte, s string) int {
	for i := 0; i+len(s) <= len(b); i++ {
		if lower(b[i]) == s[0] && equalFold(b[i:i+len(s)], s) {
			return i
		}
	}
	return -1
}
