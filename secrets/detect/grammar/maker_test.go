package grammar_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maker makes up values, so that nothing in this repository looks like a live
// secret.
type maker struct{ r *rand.Rand }

func newMaker(seed uint64) *maker { return &maker{rand.New(rand.NewPCG(seed, 6))} }

var hole = regexp.MustCompile(`\{(pw2?|weak|rnd|hex|hexd|hexup|b64|b64x|wild|uuid|bytes|basic|md5crypt|sha512crypt|type7|type9|nine|huawei|bcrypt|unattend|gpp|vnc|pin|wg|decs|jbytes|chars|charlits|phpchars|vbchars|b64pw|escaped|backwards|juni|entities)( \d+)?\}`)

func (m *maker) fill(row string) string {
	return hole.ReplaceAllStringFunc(row, func(h string) string {
		name, count, _ := strings.Cut(strings.Trim(h, "{}"), " ")
		n, _ := strconv.Atoi(count)
		return m.value(name, n)
	})
}

const (
	digits  = "0123456789"
	lowers  = "abcdefghijklmnopqrstuvwxyz"
	uppers  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alnums  = digits + lowers + uppers
	b64s    = alnums + "+/"
	crypts  = "./" + alnums
	hexes   = "0123456789abcdef"
	shouted = "0123456789ABCDEF"
)

func (m *maker) of(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[m.r.IntN(len(alphabet))]
	}
	return string(b)
}

// random has a digit, a capital and a small letter, as generators see to.
func (m *maker) random(n int) string {
	for {
		if s := m.of(alnums, n); strings.ContainsAny(s, digits) && strings.ContainsAny(s, lowers) && strings.ContainsAny(s, uppers) {
			return s
		}
	}
}

var words = strings.Fields(`harbor violet thunder maple copper falcon orchid lantern meadow pebble saddle timber walnut cobalt nectar glacier`)

// password is what people choose: words, years, a mark.
func (m *maker) password(marks string) string {
	w := func() string { return words[m.r.IntN(len(words))] }
	title := func(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
	mark := string(marks[m.r.IntN(len(marks))])
	switch m.r.IntN(5) {
	case 0:
		return title(w()) + strconv.Itoa(1950+m.r.IntN(80)) + mark
	case 1:
		return w() + mark + title(w()) + m.of(digits, 2)
	case 2:
		return strings.NewReplacer("a", "4", "e", "3", "o", "0").Replace(title(w())) + title(w()) + m.of(digits, 1)
	case 3:
		return m.random(12)
	}
	return title(w()) + m.of(digits, 4)
}

func (m *maker) value(name string, n int) string {
	switch name {
	case "pw":
		return m.password("!*?~^=_-")
	case "pw2":
		return m.password("_-")
	case "weak":
		return []string{"hunter2", "letmein", "Summer2024!", "qwerty", "admin123", "trustno1"}[m.r.IntN(6)]
	case "rnd":
		return m.random(n)
	case "hex":
		return m.of(hexes, n)
	case "hexd":
		return m.of(hexes, n)
	case "hexup":
		return m.of(shouted, n)
	case "b64":
		s := m.random(n - 2)
		return s + "A="
	case "b64x":
		return m.random(n-2) + "/x"
	case "wild":
		return m.of(alnums+"!#%&()*+,-./:;<=>?@[]^_|~", n)
	case "uuid":
		return m.of(hexes, 8) + "-" + m.of(hexes, 4) + "-4" + m.of(hexes, 3) + "-a" + m.of(hexes, 3) + "-" + m.of(hexes, 12)
	case "bytes":
		return m.each(n, ", ", func() string { return fmt.Sprintf("0x%02x", m.r.IntN(256)) })
	case "decs":
		return m.each(n, ", ", func() string { return strconv.Itoa(m.r.IntN(256)) })
	case "jbytes":
		return m.each(n, ", ", func() string { return fmt.Sprintf("(byte) 0x%02X", m.r.IntN(256)) })
	case "basic":
		return base64.StdEncoding.EncodeToString([]byte("bob:" + m.password("_-")))
	case "pin":
		return m.of("123456789", 6)
	}
	return m.encoded(name)
}

func (m *maker) each(n int, sep string, one func() string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = one()
	}
	return strings.Join(parts, sep)
}

// spelled writes a password byte by byte.
func (m *maker) spelled(format, sep string) string {
	var parts []string
	for _, c := range []byte(m.password("_-")) {
		parts = append(parts, fmt.Sprintf(format, c))
	}
	return strings.Join(parts, sep)
}

func (m *maker) encoded(name string) string {
	switch name {
	case "chars":
		return m.spelled("%d", ", ")
	case "charlits":
		return m.spelled("'%c'", ", ")
	case "phpchars":
		return m.spelled("(%d)", " . chr")
	case "vbchars":
		return m.spelled("(%d)", " & Chr")
	case "b64pw":
		return base64.StdEncoding.EncodeToString([]byte(m.password("_-")))
	case "escaped":
		return m.spelled("\\x%02x", "")
	case "juni":
		return m.spelled("\\u%04x", "")
	case "entities":
		return m.spelled("&#%d;", "")
	case "backwards":
		b := []byte(m.password("_-"))
		slices.Reverse(b)
		return string(b)
	case "md5crypt":
		return "$1$" + m.of(crypts, 4) + "$" + m.of(crypts, 22)
	case "sha512crypt":
		return "$6$" + m.of(crypts, 8) + "$" + m.of(crypts, 86)
	case "type9":
		return "$9$" + m.of(crypts, 14) + "$" + m.of(crypts, 43)
	case "bcrypt":
		return "$2b$12$" + m.of(crypts, 53)
	case "huawei":
		return "%^%#" + m.random(24) + "%^%#"
	case "type7":
		return m.type7(m.password("_-"))
	case "nine":
		return m.nine(m.password("_-"))
	case "unattend":
		return base64.StdEncoding.EncodeToString(utf16le(m.password("_-") + "AdministratorPassword"))
	case "gpp":
		return gpp(m.password("_-"))
	case "vnc":
		parts := make([]string, 8)
		for i := range parts {
			parts[i] = m.of(hexes, 2)
		}
		return strings.Join(parts, ",")
	case "wg":
		return m.random(43) + "="
	}
	return name
}

func (m *maker) type7(s string) string {
	const key = "dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87"
	at := m.r.IntN(16)
	out := fmt.Sprintf("%02d", at)
	for i := range s {
		out += fmt.Sprintf("%02X", s[i]^key[(at+i)%len(key)])
	}
	return out
}

// nine encodes as Junos does.
func (m *maker) nine(s string) string {
	families := []string{"QzF3n6/9CAtpu0O", "B1IREhcSyrleKvMW8LXx", "7N-dVbwsY2g4oaJZGUDj", "iHkq.mPf5T"}
	order := strings.Join(families, "")
	weights := [][]int{{1, 4, 32}, {1, 16, 32}, {1, 8, 32}, {1, 64}, {1, 32}, {1, 4, 16, 128}, {1, 32, 64}}
	f := m.r.IntN(4)
	first := families[f][m.r.IntN(len(families[f]))]
	out := "$9$" + string(first) + m.of(order, 3-f)
	prev := first
	for i := range s {
		left, w := int(s[i]), weights[i%len(weights)]
		gaps := make([]int, len(w))
		for j := len(w) - 1; j >= 0; j-- {
			gaps[j], left = left/w[j], left%w[j]
		}
		for _, g := range gaps {
			prev = order[(strings.IndexByte(order, prev)+g+1)%len(order)]
			out += string(prev)
		}
	}
	return out
}

func utf16le(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

// gpp encrypts with the key that Microsoft published.
func gpp(s string) string {
	key, _ := hex.DecodeString("4e9906e8fcb66cc9faf49310620ffee8f496e806cc057990209b09a433b66c1b")
	raw := utf16le(s)
	pad := aes.BlockSize - len(raw)%aes.BlockSize
	for range pad {
		raw = append(raw, byte(pad))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return ""
	}
	cipher.NewCBCEncrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(raw, raw)
	return strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "=")
}
