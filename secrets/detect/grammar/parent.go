package grammar

import "bytes"

// underSecret reports whether the object or the section that the line of at
// stands in has a name that makes a key in it a secret: jwt, encryption, api.
func underSecret(b []byte, at int) bool {
	line := lineStart(b, at)
	indent := indentAt(b, line)
	for n := 0; n < 12 && line > 0 && at-line < 1024; n++ {
		end := line - 1
		line = lineStart(b, end)
		text := bytes.TrimSpace(b[line:end])
		if len(text) == 0 {
			continue
		}
		if text[0] == '[' && text[len(text)-1] == ']' {
			return qualifies(text)
		}
		if indentAt(b, line) < indent && (text[len(text)-1] == '{' || text[len(text)-1] == ':' || text[len(text)-1] == '[' || text[len(text)-1] == '(') {
			return qualifies(text)
		}
	}
	return false
}

// ciphered reports whether the key is an argument of a cipher: AES.new(key=…).
func ciphered(b []byte, at int) bool {
	i := at
	for i > 0 && at-i < 3 && b[i-1] != '(' {
		i--
	}
	if i == 0 || b[i-1] != '(' {
		return false
	}
	before := b[max(0, i-16):i]
	for _, w := range [...]string{"aes", "hmac", "cipher", "fernet", "jwt", "blowfish", "chacha", "secretbox", "des3"} {
		if indexFold(before, w) >= 0 {
			return true
		}
	}
	return false
}

func indentAt(b []byte, line int) int {
	i := line
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	return i - line
}

// qualifies reports whether a word of the name is one that makes a key secret.
func qualifies(text []byte) bool {
	if len(text) > maxName {
		return false
	}
	var w name
	if !w.split(text) {
		return false
	}
	for i := range w.n {
		if keyDenied[string(w.word(i))] {
			return false
		}
	}
	for i := range w.n {
		word := w.word(i)
		if n := w.nounAt(i); n != nounNone && n != nounBareKey || parents[string(word)] {
			return true
		}
	}
	return false
}

// parents are the names of sections in which a key is a secret.
var parents = set(`api jwt encryption crypt crypto cipher signing session cookie hmac aes storage license stripe aws azure gcp google openai sendgrid
	mailgun algolia twilio security oauth oauth2 sso webhook recaptcha hcaptcha turnstile maps private master psk wifi wpa vpn wireguard radius`)
