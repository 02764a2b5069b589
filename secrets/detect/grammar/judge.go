package grammar

import "bytes"

// evidence is what is known of a value besides the value.
type evidence struct {
	sense  sense
	kind   kind
	quoted bool
	// explicit is a place where nothing but a password can stand: a command's
	// flag, a connection string, a comparison.
	explicit bool
	// neighbour is set where a user, a host or an address stands near.
	neighbour bool
	// split is set where the value was put together from parts: who takes the
	// trouble to hide a token from scanners has a real one.
	split bool
	// alone is set where name and value have a line to themselves.
	alone bool
	// equated is set where a literal is assigned by an equals sign or compared:
	// forms and dictionaries of texts use a colon.
	equated bool
	// demo is set in tests, examples and documentation.
	demo bool
	// shouted names are written in capitals: environment variables and constants.
	shouted bool
	// name is the name itself, for values that only repeat it.
	name []byte
}

const (
	minSecret = 4
	maxSecret = 2048
	// Nobody has longer passwords; what is, is sealed or a certificate.
	maxPassword = 160
)

// judge decides whether v was written down as a secret, and how sure that is.
type judgement uint8

const (
	refused judgement = iota
	weak              // a secret that people choose: guessable, but a leak
	strong
)

func (e *evidence) judge(v []byte) judgement {
	if len(v) < minSecret || len(v) > maxSecret || e.sense.noun.password() && len(v) > maxPassword {
		return refused
	}
	if hasPrefixFold(v, "{xor}") && len(v) > 9 && e.sense.noun.password() {
		return strong // which anybody can take off
	}
	if hexList(v) || indexFold(e.name, "ssh") >= 0 && fingerprint(v) || v[0] == '*' && v[len(v)-1] == '*' || reference(v) || !e.split && missummed(v) {
		return refused
	}
	s := measure(v)
	if s.symbol == s.plain && s.upper > 2 && s.upper == s.letters() && s.runs > 1 && s.n < 48 && isDotted(v) && bytes.IndexByte(v, '_') > 0 && !e.explicit {
		return refused // the name of a constant
	}
	if s.space == s.n || notSecret(v, &s) || isPlaceholder(v, &s) || e.repeatsName(v) || s.letters()+s.digit+s.other == 0 {
		return refused
	}
	switch e.sense.noun {
	case nounPassword, nounPass:
		return e.judgePassword(v, &s)
	case nounSecret:
		return e.judgeSecret(v, &s)
	case nounToken, nounKey:
		return e.judgeToken(v, &s)
	case nounBareKey, nounAuth, nounSalt:
		return e.judgeVague(v, &s)
	case nounPin:
		return e.judgePin(v, &s)
	case nounCommunity:
		return refused
	}
	return refused
}

// repeatsName refuses values that only repeat their name, as labels and
// documents do.
func (e *evidence) repeatsName(v []byte) bool {
	if len(e.name) != len(v) {
		return false
	}
	for i := range v {
		if a, b := lower(v[i]), lower(e.name[i]); a != b && isAlnum(a) {
			return false
		}
	}
	return true
}

func (e *evidence) judgePassword(v []byte, s *shape) judgement {
	if isHash(v) {
		return refused
	}
	if s.random(12) {
		return e.unlessVague(strong, v, s)
	}
	if s.space > 0 {
		return e.judgePhrase(v, s)
	}
	var folded [64]byte
	word := fold(v, folded[:])
	switch {
	case common[string(word)]:
		return e.unlessDemo(weak)
	case trivial[string(word)]:
		return refused
	case s.letters() == 0:
		return e.judgeDigits(v, s)
	case e.namesSomething(v, s):
		return refused
	case s.digit == 0 && s.symbol == 0 && s.other == 0:
		return e.judgeWord(v, s)
	case s.digit == 0 && s.symbol == s.plain && s.other == 0:
		return e.judgeCompound(v, s)
	case s.classes() >= 3 && s.n >= 6:
		return e.unlessVague(strong, v, s)
	case s.symbol > s.plain || s.digit > 0:
		return e.judgeMixed(v, s)
	}
	return e.unlessDemo(e.certain(weak))
}

// judgeMixed judges short mixtures such as bob17 or key_1.
func (e *evidence) judgeMixed(v []byte, s *shape) judgement {
	if s.n < 5 && !e.explicit || s.digit <= 1 && s.wordlike() && s.symbol == s.plain && s.n < 7 && !e.certainly() && !e.neighbour {
		return refused
	}
	if e.sense.noun == nounPass && !e.certainly() && !e.quoted {
		return refused
	}
	return e.unlessDemo(e.unlessVague(weak, v, s))
}

// unlessVague lowers what stands under a name with unknown words behind the noun.
func (e *evidence) unlessVague(j judgement, v []byte, s *shape) judgement {
	if e.sense.vague > 0 && !s.random(8) && s.classes() < 3 {
		return refused
	}
	if e.demo && s.classes() < 3 && !s.random(8) {
		return refused
	}
	return j
}

func (e *evidence) unlessDemo(j judgement) judgement {
	if e.demo || e.sense.vague > 0 {
		return refused
	}
	return j
}

// certainly reports whether the name alone leaves no doubt that a password
// follows.
func (e *evidence) certainly() bool {
	if e.sense.noun == nounPass && e.sense.vague == 0 && (e.kind == kindConfig || e.kind == kindShell || e.kind == kindYAML) && (e.shouted || e.sense.qualified || e.neighbour) {
		return true
	}
	return e.explicit || e.sense.noun == nounPassword && e.sense.vague == 0 && (e.shouted || e.sense.qualified || e.neighbour || e.kind == kindConfig || e.kind == kindShell)
}

func (e *evidence) certain(j judgement) judgement {
	if e.certainly() {
		return j
	}
	return refused
}

// judgeDigits: numbers are passwords where they are long enough or quoted.
func (e *evidence) judgeDigits(v []byte, s *shape) judgement {
	if s.other > 0 && s.digit > 0 && (e.quoted || e.alone) && e.sense.noun == nounPassword {
		return e.unlessDemo(weak)
	}
	if s.symbol+s.other > 0 && s.digit > 0 {
		return e.unlessDemo(e.certain(weak))
	}
	if s.digit < s.n || s.distinct == 1 && s.n < 6 {
		return refused
	}
	if e.explicit || s.n >= 6 && (e.quoted || e.certainly() || e.alone && e.kind != kindCode) || s.n >= 4 && e.quoted && e.certainly() {
		return e.unlessDemo(weak)
	}
	return refused
}

// judgeWord: one run of letters. It is a password only where nothing else could
// stand there, or where it is no word.
func (e *evidence) judgeWord(v []byte, s *shape) judgement {
	if nameWordsOnly(v) {
		return refused
	}
	if s.wordlike() {
		if e.wordsOf(s) && !prose(v) {
			return e.unlessDemo(weak)
		}
		if s.upper > 0 && s.runs > 1 && !e.explicit || s.upper == 1 && isUpper(v[0]) && !e.explicit || s.upper == s.n && !e.explicit {
			return refused
		}
		if s.n < 6 && !e.explicit {
			return refused
		}
		if e.equated && e.sense.noun == nounPassword && s.n >= 7 && s.runs == 1 && s.upper == 0 {
			return e.unlessDemo(weak)
		}
		return e.unlessDemo(e.certain(weak))
	}
	if s.n >= 8 && s.upper > 0 && s.lower > 1 && (e.quoted || e.certainly() || e.alone) {
		return e.unlessVague(strong, v, s)
	}
	if s.n >= 8 && e.sense.noun == nounPassword && (e.quoted || e.alone) && s.wordy*2 < s.n {
		return e.unlessDemo(weak)
	}
	if s.n < 6 && !e.explicit {
		return refused
	}
	return e.unlessDemo(e.certain(weak))
}

// judgeCompound: words joined by dashes, points or underscores are names, unless
// there are so many of them that they are a pass-phrase.
func (e *evidence) judgeCompound(v []byte, s *shape) judgement {
	if !s.wordlike() {
		return e.unlessDemo(e.certain(weak))
	}
	if s.runs >= 4 && s.plain >= 3 && s.upper == 0 && count(v, "-") >= 3 && !prose(v) && e.sense.noun == nounPassword {
		return e.unlessDemo(weak)
	}
	if e.explicit && s.upper > 0 && !prose(v) || e.wordsOf(s) && s.runs == s.plain+1 && s.upper == 0 && !prose(v) {
		return e.unlessDemo(weak)
	}
	return refused
}

// wordsOf reports whether a value may be a pass-phrase of three words where it stands:
// in quotes, under a plain name, beside who logs in.
func (e *evidence) wordsOf(s *shape) bool {
	return s.runs >= 3 && s.words == s.runs && s.digit == 0 && s.n >= 12 && e.quoted && e.neighbour && e.kind != kindCode && e.sense.noun == nounPassword && e.sense.vague == 0
}

// judgePhrase: words with blanks between them are a pass-phrase under a name that
// says so, in quotes, and a text for people otherwise.
func (e *evidence) judgePhrase(v []byte, s *shape) judgement {
	if e.sense.noun != nounPassword || e.sense.vague > 0 || s.space > 8 || prose(v) || !e.quoted && e.kind == kindDoc {
		return refused
	}
	if v[len(v)-1] == '.' || v[len(v)-1] == ':' || v[len(v)-1] == '?' || s.symbol > 4 || s.space < 2 && s.digit == 0 || s.n < 12 || s.n > 80 {
		return refused
	}
	if isUpper(v[0]) && s.upper == 1 && s.digit == 0 || !e.quoted && !e.certainly() {
		return refused
	}
	return e.unlessDemo(weak)
}

func (e *evidence) judgeSecret(v []byte, s *shape) judgement {
	if s.space > 0 || isHash(v) {
		return refused
	}
	if s.random(12) || isUUID(v) {
		return e.unlessVague(strong, v, s)
	}
	if e.namesSomething(v, s) || s.n < 6 {
		return refused
	}
	if s.upper > 1 && s.lower > 1 && s.n >= 10 && !s.wordlike() || s.digit > 0 && s.symbol > 0 && s.classes() >= 3 || s.digit >= 2 && s.upper > 0 && s.lower > 0 && s.n >= 8 || s.symbol > s.plain && s.n >= 8 && s.classes() >= 2 && !s.wordlike() {
		return e.unlessDemo(weak)
	}
	return refused
}

func (e *evidence) judgeToken(v []byte, s *shape) judgement {
	if s.space > 0 {
		return refused
	}
	if e.sense.vague > 1 {
		return refused
	}
	if isUUID(v) {
		if e.demo || s.distinct < 8 || e.sense.noun == nounToken && !e.shouted && !e.kind.bare() && !e.issued() {
			return refused
		}
		return strong
	}
	if e.demo && checksummed(v) {
		return refused // the rules for such tokens know better
	}
	if s.random(12) && s.symbol-s.plain <= 4 || s.random(16) {
		return strong
	}
	if e.namesSomething(v, s) || e.demo {
		return refused
	}
	if s.n >= 10 && s.digit > 1 && s.classes() == 4 && e.issued() && (e.kind == kindConfig || e.kind == kindShell || e.kind == kindYAML) {
		return weak // a home-made one
	}
	if s.n >= 12 && s.digit > 1 && s.classes() >= 3 && !s.wordlike() || s.n >= 10 && s.classes() == 4 && s.symbol > s.plain {
		return weak
	}
	return refused
}

// issued reports whether the name says that a token was issued to someone.
func (e *evidence) issued() bool {
	for _, w := range [...]string{"access", "auth", "api", "secret", "bot", "admin", "deploy", "bearer", "refresh"} {
		if indexFold(e.name, w) >= 0 {
			return true
		}
	}
	return false
}

// judgeVague: names that may mean anything ask for a value that can be nothing
// but a secret.
func (e *evidence) judgeVague(v []byte, s *shape) judgement {
	if e.sense.noun == nounAuth && e.sense.vague == 0 && s.base64 && !e.demo {
		var buf [192]byte
		if user, pass := decodePair(v, &buf); len(pass) > 3 && !exampleUser(user) && !samePassword(user, pass) {
			return strong
		}
	}
	if s.space > 0 || e.demo || e.sense.vague > 0 || isUUID(v) || s.hex && s.n%8 == 0 && e.kind != kindConfig && e.kind != kindShell {
		return refused
	}
	if e.split && s.random(12) && !s.hex {
		return strong
	}
	if e.kind == kindCode && !e.shouted && !e.sense.qualified {
		return refused
	}
	if e.kind == kindYAML && !e.sense.qualified && !e.shouted {
		return refused
	}
	if s.random(20) && s.digit > 1 && s.classes() >= 3 && (e.kind == kindConfig || e.kind == kindShell || e.kind == kindYAML || e.sense.qualified) {
		return strong
	}
	return refused
}

func (e *evidence) judgePin(v []byte, s *shape) judgement {
	if s.digit != s.n || s.n < 4 || s.n > 10 || s.distinct < 2 || e.demo || e.sense.vague > 0 {
		return refused
	}
	if e.alone && e.shouted && e.kind != kindCode {
		return weak
	}
	if e.quoted && (e.sense.qualified || e.shouted || e.neighbour || e.kind == kindYAML || e.kind == kindConfig) || (e.kind == kindConfig || e.kind == kindShell || e.kind == kindYAML) && e.sense.qualified {
		return weak
	}
	return refused
}

// namesSomething reports whether v is the name of a secret rather than one:
// DB_PASSWORD, clientSecret, my-app-secret.
func (e *evidence) namesSomething(v []byte, s *shape) bool {
	if s.symbol > s.plain {
		return false
	}
	if s.digit > 0 && s.upper > 0 && e.quoted && e.sense.noun == nounPassword && isDigit(v[len(v)-1]) && ownWord(v) {
		return false // MyBishopPassword3
	}
	if s.digit <= 3 && e.namesSecret(v) {
		return true
	}
	if !s.wordlike() || s.digit > 1 || s.switches > 1 || s.digit > 0 && e.explicit {
		return false
	}
	if s.upper == s.letters() && s.plain > 0 {
		return true
	}
	var w name
	if !w.split(v) {
		return false
	}
	for i := range w.n {
		if nameWords[string(w.word(i))] {
			return true
		}
	}
	return s.digit == 0 && s.upper > 0 && s.lower > 0 && s.runs > 1 && s.plain == 0 && !e.explicit && !e.wordsOf(s)
}

// namesSecret reports whether a word of v is itself a noun of secrets: testpassword,
// sslpassword2, api_key.
func (e *evidence) namesSecret(v []byte) bool {
	var w name
	if e.explicit || !w.split(v) {
		return false
	}
	for i := range w.n {
		if n, ok := nouns[string(w.word(i))]; ok && n != nounPin && n != nounSalt && (len(w.word(i)) > 3 || n == nounPassword) || len(w.word(i)) > 6 && glued(w.word(i)) != nounNone {
			return true
		}
	}
	return false
}

// nameWordsOnly reports whether the words of v are all of the vocabulary of forms.
func nameWordsOnly(v []byte) bool {
	var w name
	if !w.split(v) || w.n == 0 {
		return false
	}
	for i := range w.n {
		if !nameWords[string(w.word(i))] && !trivial[string(w.word(i))] {
			return false
		}
	}
	return true
}

// prose reports whether v holds words that pass-phrases don't need.
func prose(v []byte) bool {
	var buf [32]byte
	for i := 0; i < len(v); {
		j := i
		for j < len(v) && (isLetter(v[j]) || v[j] >= 0x80) {
			j++
		}
		if j > i && j-i <= len(buf) && stopWords[string(fold(v[i:j], buf[:]))] {
			return true
		}
		i = j + 1
	}
	return false
}

// fold writes v in lower case into buf; what is longer comes back as it is.
func fold(v, buf []byte) []byte {
	if len(v) > len(buf) {
		return v
	}
	for i := range v {
		buf[i] = lower(v[i])
	}
	return buf[:len(v)]
}
