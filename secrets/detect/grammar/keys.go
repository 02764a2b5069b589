package grammar

import (
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

const ruleKeyArgument = "key-argument"

// keyed finds the keys that are handed to ciphers and signatures by their place
// among the arguments: jwt.sign(payload, "…").
type keyed struct{}

// keyCallees says which argument is the key.
var keyCallees = map[string]int{
	"jwt.sign(": 2, "jwt.encode(": 2, "jwt.verify(": 2, "jwt.decode(": 2, "signedstring(": 1, "hmac.new(": 0, "createhmac(": 2,
	"createcipheriv(": 2, "createdecipheriv(": 2, "fernet(": 1, "hash_hmac(": 3, "openssl_encrypt(": 3, "openssl_decrypt(": 3,
	"aes.new(": 1, "aes.encrypt(": 2, "aes.decrypt(": 2, "newcipher(": 1, "symmetricsecuritykey(": 1, "hmacsha256(": 1, "cookieparser(": 1,
	"signwith(": 2, "setsigningkey(": 1, "algorithm.hmac256(": 1, "algorithm.hmac512(": 1, "securecookie.new(": 1, "newcookiestore(": 1,
	"jwt::encode(": 2, "jwt::decode(": 2, "from_secret(": 1, "hmacsha512(": 1,
}

// Rules implements [detect.Grammar].
func (keyed) Rules() []detect.Rule {
	return []detect.Rule{{ID: ruleKeyArgument, Title: "key as an argument of a cipher or a signature", Kind: detect.KindKey, Severity: core.SeverityHigh}}
}

// Keywords implements [detect.Grammar].
func (keyed) Keywords() []string {
	list := make([]string, 0, len(keyCallees))
	for name := range keyCallees {
		list = append(list, name)
	}
	return list
}

// Wants implements [detect.Grammar].
func (keyed) Wants(string) bool { return false }

// All implements [detect.Grammar].
func (keyed) All(detect.Text, func(detect.Hit)) {}

// At implements [detect.Grammar].
func (keyed) At(t detect.Text, at, n int, emit func(detect.Hit)) {
	if at > 0 && isAlnum(t.Body[at-1]) && lower(t.Body[at]) == t.Body[at] {
		return
	}
	var buf [32]byte
	place, ok := keyCallees[string(fold(t.Body[at:at+n], buf[:]))]
	if !ok {
		return
	}
	r := reader{b: t.Body, kind: kindOf(t.Path)}
	i := at + n
	for arg := 1; arg <= 3; arg++ {
		i = r.skip(i, 2)
		if r.literal(i) && (arg == place || place == 0) && judgeKey(t, r.text()) {
			emit(detect.Hit{Rule: ruleKeyArgument, Start: r.from, End: r.to, MatchStart: at, MatchEnd: r.end})
			return
		}
		if i = comma(t.Body, i); i < 0 {
			return
		}
	}
}

// judgeKey asks for more in tests, where keys are made up.
func judgeKey(t detect.Text, v []byte) bool {
	if demonstrates(t.Path) || checksummed(v) {
		return false
	}
	e := evidence{sense: sense{noun: nounKey, qualified: true}, quoted: true}
	if e.judge(v) != refused {
		return true
	}
	e.sense.noun = nounSecret
	return e.judge(v) != refused
}
