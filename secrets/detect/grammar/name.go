package grammar

// noun is what a name says its value is.
type noun uint8

const (
	nounNone noun = iota
	nounPassword
	nounPass // "pass", "pw": passwords, but also much else
	nounSecret
	nounToken
	nounKey     // a key with a word before it that makes it secret: api key
	nounBareKey // a key of any kind
	nounAuth
	nounPin
	nounSalt
	nounCommunity
	nounHash // the hash of a password
)

// password reports whether people choose such values themselves.
func (n noun) password() bool { return n == nounPassword || n == nounPass }

const (
	maxName  = 96
	maxWords = 16
)

// name is an identifier taken apart: its words, folded to lower case.
type name struct {
	buf   [maxName]byte
	words [maxWords]struct{ from, to uint8 }
	n     int
}

func (w *name) word(i int) []byte { return w.buf[w.words[i].from:w.words[i].to] }

// split takes s apart at separators and at changes of case. It reports false of
// what is too long to be a name.
func (w *name) split(s []byte) bool {
	w.n = 0
	if len(s) > maxName {
		return false
	}
	from := 0
	for i := range len(s) {
		w.buf[i] = lower(s[i])
		if i > from && boundary(s, i) {
			w.add(from, i)
			from = i
		}
		if !isWordByte(s[i]) {
			from = i + 1
		}
	}
	w.add(from, len(s))
	return w.n <= maxWords-1
}

func (w *name) add(from, to int) {
	if to > from && w.n < maxWords {
		w.words[w.n].from, w.words[w.n].to = uint8(from), uint8(to)
		w.n++
	}
}

// boundary reports whether a word ends before s[i].
func boundary(s []byte, i int) bool {
	c, p := s[i], s[i-1]
	switch {
	case !isWordByte(c) || !isWordByte(p):
		return true
	case isDigit(c) != isDigit(p):
		return true
	case isUpper(c):
		return isLower(p) || i+1 < len(s) && isLower(s[i+1]) && !plural(s, i)
	}
	return false
}

// plural reports whether the lower-case letter after s[i] is only the s of an
// abbreviation in the plural (URLs).
func plural(s []byte, i int) bool {
	return s[i+1] == 's' && (i+2 == len(s) || !isLower(s[i+2]))
}

// sense says what a name means.
type sense struct {
	noun noun
	// vague counts the words behind the noun that are not known to be harmless.
	vague int
	// qualified is set where words before the noun narrow it.
	qualified bool
}

// classify reads the words from the last to the first: what stands behind a noun
// decides what the name is of (password_field is a field).
func (w *name) classify() sense {
	var s sense
	for i := w.n - 1; i >= 0; i-- {
		word := w.word(i)
		if n := w.nounAt(i); n != nounNone {
			return w.qualify(s, n, i)
		}
		switch {
		case isDigit(word[0]) || neutral[string(word)]:
		case denied[string(word)]:
			return sense{}
		default:
			if s.vague++; s.vague > 2 {
				return sense{}
			}
		}
	}
	return sense{}
}

// nounAt reads the word at i as a noun, glued ones (dbpassword) included.
func (w *name) nounAt(i int) noun {
	word := w.word(i)
	if n, ok := nouns[string(word)]; ok {
		return n
	}
	if n := glued(word); n != nounNone {
		return n
	}
	return nounNone
}

// qualify looks at what stands before the noun at i.
func (w *name) qualify(s sense, n noun, i int) sense {
	s.noun, s.qualified = n, i > 0
	for j := range i {
		if deniedBefore[string(w.word(j))] {
			return sense{}
		}
	}
	var before []byte
	if i > 0 {
		before = w.word(i - 1)
	}
	switch n {
	case nounBareKey:
		return qualifyKey(s, before, w, i)
	case nounToken:
		if tokenDenied[string(before)] {
			return sense{}
		}
	case nounPass, nounAuth, nounPin:
		if i > 1 && string(before) == "de" && string(w.word(i-2)) == "mot" {
			s.noun = nounPassword
			return s
		}
		if passDenied[string(before)] {
			return sense{}
		}
	}
	return s
}

func qualifyKey(s sense, before []byte, w *name, i int) sense {
	if string(before) == "site" || string(before) == "publishable" {
		return sense{} // which every browser is given
	}
	for j := range i {
		if keyDenied[string(w.word(j))] {
			return sense{}
		}
	}
	if string(before) == "shared" && i > 1 && string(w.word(i-2)) == "pre" || wireless[string(before)] {
		s.noun = nounPassword // people choose them
		return s
	}
	if keyQualifiers[string(before)] {
		s.noun = nounKey
		if w.nounAt(0) == nounPass {
			s.noun = nounPassword // pass4SymmKey
		}
		return s
	}
	for j := range i {
		if n := w.nounAt(j); n == nounSecret || n == nounAuth || n == nounToken {
			s.noun = nounKey
		}
	}
	return s
}

// glued reads words that were written together: dbpassword, userpass, authtoken.
func glued(word []byte) noun {
	for i := range gluedSuffixes {
		g := &gluedSuffixes[i]
		k := len(word) - len(g.word)
		if k < 2 || string(word[k:]) != g.word {
			continue
		}
		if g.any && !gluedDenied[string(word[:k])] || gluedPrefixes[string(word[:k])] {
			return g.noun
		}
	}
	return nounNone
}

// nameSpan widens the keyword at b[at:at+n] to the identifier it stands in.
func nameSpan(b []byte, at, n int) (from, to int) {
	from, to = at, at+n
	for from > 0 && at-from < maxName && isNameByte(b[from-1]) {
		from--
	}
	for to < len(b) && to-at < maxName && isNameByte(b[to]) && !wideColon(b, to) {
		to++
	}
	for to > at+n && (b[to-1] == '.' || b[to-1] == '-') {
		to--
	}
	for from < at && (b[from] == '.' || b[from] == '-') {
		from++
	}
	return from, to
}

// wideColon knows the colon of East Asian texts.
func wideColon(b []byte, i int) bool {
	return b[i] == 0xef && i+2 < len(b) && b[i+1] == 0xbc && b[i+2] == 0x9a
}

func isNameByte(c byte) bool { return isWordByte(c) || c == '-' || c == '.' || c == '_' }

// isWordByte takes every byte of a rune beyond ASCII for a letter.
func isWordByte(c byte) bool { return isLower(c) || isUpper(c) || isDigit(c) || c >= 0x80 }
func isLower(c byte) bool    { return c-'a' < 26 }
func isUpper(c byte) bool    { return c-'A' < 26 }
func isLetter(c byte) bool   { return lower(c)-'a' < 26 }
func isDigit(c byte) bool    { return c-'0' < 10 }
func isAlnum(c byte) bool    { return isLetter(c) || isDigit(c) }
func isBlank(c byte) bool    { return c == ' ' || c == '\t' }
func isSpace(c byte) bool    { return isBlank(c) || c == '\n' || c == '\r' || c == '\f' || c == '\v' }
func isQuote(c byte) bool    { return c == '"' || c == '\'' || c == '`' }
func isHexDigit(c byte) bool { return isDigit(c) || lower(c)-'a' < 6 }

func lower(c byte) byte {
	if isUpper(c) {
		return c + 32
	}
	return c
}
