package leakcorpus

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/url"
	"strings"
	"text/template"
)

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
	alnum  = lower + upper + digits
	base62 = digits + upper + lower
)

var words = strings.Fields(`anchor autumn badger barley basalt beacon bishop bramble bridge bronze cactus canyon castle cedar cinder clover cobalt
copper coral cotton crater crimson dagger delta denim dragon ember falcon fennel fjord flint forest fossil garnet ginger glacier granite hammer harbor
hazel heron hollow indigo island ivory jasper juniper kestrel lagoon lantern lemon linden lobster maple marble meadow mercury mirror monsoon moss
nectar nickel oasis obsidian olive onyx orbit orchid otter oyster paddle pebble pepper phoenix pigeon pilot plum prairie quarry quartz rabbit raven
ribbon river rocket saddle saffron salmon sandal sapphire shadow silver sparrow spruce stone summer sunset tango thistle thunder tiger timber topaz
tulip tundra turtle velvet violet walnut willow winter wolf yellow zephyr zinc`)

// maker makes values of one random source.
type maker struct{ *rand.Rand }

func values(r *rand.Rand) template.FuncMap {
	m := maker{r}
	return template.FuncMap{
		"pw": m.password, "pws": m.simple, "phrase": m.phrase, "word": m.word, "user": m.user, "host": m.host, "ip": m.ip,
		"port": func() int { return 1024 + r.IntN(60000) }, "num": func(n int) string { return m.pick(digits, n) },
		"hex": func(n int) string { return m.pick(digits+"abcdef", n) }, "HEX": func(n int) string { return m.pick(digits+"ABCDEF", n) },
		"alnum": func(n int) string { return m.pick(alnum, n) }, "upper": func(n int) string { return m.pick(upper+digits, n) },
		"loweralnum": func(n int) string { return m.pick(lower+digits, n) }, "b64u": func(n int) string { return m.pick(alnum+"-_", n) },
		"b32":  func(n int) string { return m.pick(upper+"234567", n) },
		"uuid": m.uuid, "b64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"b64n":  func(n int) string { return base64.StdEncoding.EncodeToString(m.bytes(n)) },
		"hexof": func(s string) string { return hex.EncodeToString([]byte(s)) }, "pct": everyPercent, "quote": url.QueryEscape,
		"utf16b64": func(s string) string { return base64.StdEncoding.EncodeToString(encode(s, "utf16le")[2:]) },
		"cat":      func(s ...string) string { return strings.Join(s, "") },
		"half":     func(i int, s string) string { return [2]string{s[:len(s)/2], s[len(s)/2:]}[i] },
		"github":   func() string { return m.checked("ghp_", true) }, "githubBad": func() string { return m.checked("ghp_", false) },
		"npm": func() string { return m.checked("npm_", true) }, "npmBad": func() string { return m.checked("npm_", false) },
		"ecKey": m.ecKey, "edKey": m.edKey, "publicKey": m.publicKey, "indent": indent, "oneline": func(s string) string { return strings.ReplaceAll(s, "\n", `\n`) },
		"cisco7": m.cisco7, "sha": func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) },
		"jwt": m.jwt, "crypt": m.crypt,
	}
}

func (m maker) pick(from string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = from[m.IntN(len(from))]
	}
	return string(b)
}

func (m maker) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return b
}

func (m maker) word() string { return words[m.IntN(len(words))] }

func (m maker) user() string {
	return []string{"admin", "root", "svc_", "app_", "deploy", "backup", "ops_"}[m.IntN(7)] + []string{"", m.word()}[m.IntN(2)]
}

func (m maker) host() string {
	return m.word() + "." + []string{"corp.", "prod.", "int.", ""}[m.IntN(4)] + m.word() + []string{".net", ".io", ".local", ".de"}[m.IntN(4)]
}

func (m maker) ip() string {
	return fmt.Sprintf("10.%d.%d.%d", m.IntN(256), m.IntN(256), 1+m.IntN(250))
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// simple is a password that needs no quoting anywhere.
func (m maker) simple() string {
	switch m.IntN(6) {
	case 0:
		return title(m.word()) + m.pick(digits, 4)
	case 1:
		return m.word() + "-" + m.word() + "-" + m.pick(digits, 2)
	case 2:
		return m.pick(alnum, 10+m.IntN(8))
	case 3:
		return m.word() + "_" + title(m.word()) + m.pick(digits, 2)
	case 4:
		return m.pick(lower+digits, 12)
	}
	return strings.NewReplacer("a", "4", "e", "3", "o", "0").Replace(title(m.word())) + title(m.word()) + m.pick(digits, 1)
}

// password is what people make up, with symbols.
func (m maker) password() string {
	symbol := string("!@#%^*+=?~"[m.IntN(10)])
	switch m.IntN(5) {
	case 0:
		return m.simple()
	case 1:
		return title(m.word()) + m.pick(digits, 2+m.IntN(3)) + symbol
	case 2:
		return m.pick(alnum, 5) + symbol + m.pick(alnum, 6)
	case 3:
		return title(m.word()) + symbol + title(m.word()) + m.pick(digits, 2)
	}
	return m.pick(lower, 4) + symbol + m.pick(digits, 4) + m.pick(upper, 2)
}

func (m maker) phrase() string {
	return strings.Join([]string{m.word(), m.word(), m.word(), m.word()}, " ")
}

func (m maker) uuid() string {
	h := m.pick(digits+"abcdef", 32)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// checked makes a token with a CRC-32 in base 62 at its end, as GitHub and npm
// do, or one whose checksum is wrong.
func (m maker) checked(prefix string, right bool) string {
	body := m.pick(alnum, 30)
	sum := crc32.ChecksumIEEE([]byte(body))
	if !right {
		sum ^= 1 + m.Uint32N(1<<20)
	}
	var tail [6]byte
	for i := 5; i >= 0; i-- {
		tail[i] = base62[sum%62]
		sum /= 62
	}
	return prefix + body + string(tail[:])
}

func (m maker) ecKey() (string, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append([]byte{0}, m.bytes(31)...))
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})), nil
}

func (m maker) edKey() (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(m.bytes(32)))
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func (m maker) publicKey() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(ed25519.NewKeyFromSeed(m.bytes(32)).Public())
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

func indent(n int, s string) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n"+pad)
}

// cisco7 writes a password in Cisco's reversible type 7.
func (m maker) cisco7(s string) string {
	const key = "dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87"
	at := m.IntN(16)
	var b strings.Builder
	fmt.Fprintf(&b, "%02d", at)
	for i := range len(s) {
		fmt.Fprintf(&b, "%02X", s[i]^key[(at+i)%len(key)])
	}
	return b.String()
}

func (m maker) jwt() string {
	enc := base64.RawURLEncoding
	head := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))
	body := enc.EncodeToString(fmt.Appendf(nil, `{"sub":%q,"iat":%d,"jti":%q}`, m.user(), 1_700_000_000+m.IntN(50_000_000), m.uuid()))
	return head + "." + body + "." + enc.EncodeToString(m.bytes(32))
}

// crypt looks like a sha512crypt hash.
func (m maker) crypt() string {
	return "$6$" + m.pick(alnum+"./", 16) + "$" + m.pick(alnum+"./", 86)
}

func everyPercent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}
