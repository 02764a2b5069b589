package rules_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func random(rng *rand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return string(b)
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.IntN(256))
	}
	return b
}

// crafted are the formats that a pattern doesn't tell whole: a checksum or a
// structure belongs to them. They are written here from their specifications.
var crafted = map[string]func(*rand.Rand) string{
	"github-pat":           classic("ghp_", 30),
	"github-oauth":         classic("gho_", 30),
	"github-app-token":     classic("ghs_", 30),
	"github-refresh-token": classic("ghr_", 30),
	"npm-access-token":     classic("npm_", 30),
	"atlassian-api-token": func(rng *rand.Rand) string {
		body := "ATA" + "TT3" + random(rng, base62+"-_", 180) + "="
		return fmt.Sprintf("%s%08X", body, crc32.ChecksumIEEE([]byte(body)))
	},
	"grafana-service-account-token": func(rng *rand.Rand) string {
		body := "gl" + "sa_" + random(rng, base62, 32)
		var sum [4]byte
		binary.LittleEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(body)))
		return body + "_" + hex.EncodeToString(sum[:])
	},
	"pypi-upload-token": func(rng *rand.Rand) string {
		b := append([]byte{2, 1, 8}, "pypi.org"...)
		b = append(append(b, 2, 36), random(rng, "0123456789abcdef-", 36)...)
		b = append(append(b, 0, 0, 6, 32), randomBytes(rng, 32)...)
		return "py" + "pi-" + base64.RawURLEncoding.EncodeToString(b)
	},
	"bitcoin-wif": func(rng *rand.Rand) string {
		return "wallet_wif = " + base58check(append([]byte{0x80}, append(randomBytes(rng, 32), 1)...))
	},
	"bip32-private-key": func(rng *rand.Rand) string {
		b := append([]byte{0x04, 0x88, 0xad, 0xe4}, randomBytes(rng, 74)...)
		b[45] = 0
		return base58check(b)
	},
	"jwt": func(rng *rand.Rand) string {
		return token(rng, map[string]any{"alg": "HS256", "typ": "JWT"}, map[string]any{"sub": "u-" + random(rng, base62, 8), "iat": 1700000000})
	},
	"kubernetes-service-account-token": func(rng *rand.Rand) string {
		sub := "system:serviceaccount:prod:" + random(rng, "abcdefghijkl", 8)
		return token(rng, map[string]any{"alg": "RS256", "kid": random(rng, base62, 20)}, map[string]any{"iss": "https://kubernetes.default.svc", "sub": sub})
	},
	"jwt-base64": func(rng *rand.Rand) string {
		t := token(rng, map[string]any{"alg": "RS256", "typ": "JWT"}, map[string]any{"sub": "u-" + random(rng, base62, 8)})
		return base64.StdEncoding.EncodeToString([]byte(t))
	},
	"cloudflare-tunnel-token": func(rng *rand.Rand) string {
		return base64.RawStdEncoding.EncodeToString(fmt.Appendf(nil, `{"a":"%s","t":"%s","s":"%s"}`, random(rng, "0123456789abcdef", 32), random(rng, "0123456789abcdef", 36), random(rng, base62, 48)))
	},
	"discord-bot-token": func(rng *rand.Rand) string {
		id := base64.RawURLEncoding.EncodeToString([]byte("1" + random(rng, "0123456789", 17)))
		return `DISCORD_TOKEN="` + id + "." + random(rng, base62, 6) + "." + random(rng, base62, 38) + `"`
	},
	"http-basic-auth": func(rng *rand.Rand) string {
		return "Authorization: Ba" + "sic " + base64.StdEncoding.EncodeToString([]byte("deploy:"+random(rng, base62, 14)))
	},
	"aws-ses-smtp-password": func(rng *rand.Rand) string {
		return "SMTP_PASSWORD=" + base64.StdEncoding.EncodeToString(append([]byte{4}, randomBytes(rng, 32)...))
	},
	"wallet-mnemonic": func(*rand.Rand) string {
		return "mnemo" + "nic: " + strings.Join(strings.Fields("ribbon velvet onion casual fossil grid lemon orbit pulse tunnel wagon zebra"), " ") + "\n"
	},
	"aws-access-token": func(rng *rand.Rand) string { return "AK" + "IA" + random(rng, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16) },
	"wireguard-private-key": func(rng *rand.Rand) string {
		return "PrivateKey = " + base64.StdEncoding.EncodeToString(randomBytes(rng, 32))
	},
	"wireguard-preshared-key": func(rng *rand.Rand) string {
		return "PresharedKey = " + base64.StdEncoding.EncodeToString(randomBytes(rng, 32))
	},
	"account-password-hash": func(rng *rand.Rand) string {
		return "\nbackup:$" + "6$" + random(rng, base62, 16) + "$" + random(rng, base62, 86) + ":19000:0:99999:7:::\n"
	},
	"huggingface-access-token": func(rng *rand.Rand) string { return "h" + "f_" + random(rng, base62[10:], 34) },
	"ethereum-private-key":     func(rng *rand.Rand) string { return "DEPLOYER_PRIVATE_KEY=0x" + random(rng, "0123456789abcdef", 64) },
	"age-secret-key":           func(rng *rand.Rand) string { return ageKey(randomBytes(rng, 32)) },
}

func classic(prefix string, n int) func(*rand.Rand) string {
	return func(rng *rand.Rand) string {
		body := random(rng, base62, n)
		return prefix + body + verify.Base62CRC([]byte(body))
	}
}

func token(rng *rand.Rand, header, claims map[string]any) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	e := base64.RawURLEncoding
	return e.EncodeToString(h) + "." + e.EncodeToString(c) + "." + e.EncodeToString(randomBytes(rng, 256))
}

func base58check(payload []byte) string {
	const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	first := sha256.Sum256(payload)
	second := sha256.Sum256(first[:])
	n := new(big.Int).SetBytes(append(payload, second[:4]...))
	var out []byte
	for rest := new(big.Int); n.Sign() > 0; {
		n.DivMod(n, big.NewInt(58), rest)
		out = append([]byte{digits[rest.Int64()]}, out...)
	}
	return string(out)
}

func ageKey(key []byte) string {
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	var fives []byte
	acc, bits := 0, 0
	for _, b := range key {
		acc, bits = acc<<8|int(b), bits+8
		for bits >= 5 {
			bits -= 5
			fives = append(fives, byte(acc>>bits&31))
		}
	}
	fives = append(fives, byte(acc<<(5-bits)&31))
	// The checksum is found by trying: six digits, one after the other, is too
	// much, so the polynomial is computed as BIP-173 has it.
	const hrp = "age-secret-key-"
	var values []byte
	for _, c := range []byte(hrp) {
		values = append(values, c>>5)
	}
	values = append(values, 0)
	for _, c := range []byte(hrp) {
		values = append(values, c&31)
	}
	sum := polymod(append(append(values, fives...), 0, 0, 0, 0, 0, 0)) ^ 1
	out := hrp + "1"
	for _, v := range fives {
		out += string(alphabet[v])
	}
	for i := range 6 {
		out += string(alphabet[sum>>(5*(5-i))&31])
	}
	return strings.ToUpper(out)
}

func polymod(values []byte) uint32 {
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}

// TestEveryRuleFindsAndRefuses gives each rule two values of its format and two
// look-alikes: the same format with filler, and cut short.
func TestEveryRuleFindsAndRefuses(t *testing.T) {
	for _, r := range rules.All() {
		t.Run(r.ID, func(t *testing.T) {
			d, err := detect.New(detect.Config{Rules: []detect.Rule{r}})
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(6, uint64(len(r.ID))))
			for i := range 3 {
				if text := positive(rng, &r); !finds(d, r, text) {
					t.Errorf("positive %d is missed: %q", i, text)
				}
			}
			for _, text := range lookalikes(rng, &r) {
				if finds(d, r, text) {
					t.Errorf("look-alike is found: %q", text)
				}
			}
		})
	}
}

func positive(rng *rand.Rand, r *detect.Rule) string {
	if craft := crafted[r.ID]; craft != nil {
		return " " + craft(rng) + " "
	}
	if r.Regex == "" {
		return (&forge{rng: rng}).text(r.Path)
	}
	return " " + (&forge{rng: rng}).text(r.Regex) + " "
}

func lookalikes(rng *rand.Rand, r *detect.Rule) []string {
	if r.Regex == "" {
		return []string{"a/" + (&forge{rng: rng}).text(r.Path) + ".txt", "docs/readme.md"}
	}
	filler := " " + (&forge{rng: rng, filler: true}).text(r.Regex) + " "
	short := " " + (&forge{rng: rng, short: true}).text(r.Regex) + " "
	texts := []string{filler, short}
	if craft := crafted[r.ID]; craft != nil {
		texts = append(texts, broken(rng, craft(rng)))
	}
	return texts
}

// broken changes a character in the middle to another of its kind, where that
// breaks a checksum; elsewhere it cuts the value.
func broken(rng *rand.Rand, text string) string {
	at := len(text)/8 + rng.IntN(4)
	return " " + text[:at] + "\n" + text[at:] + " "
}

func finds(d *detect.Detector, r detect.Rule, text string) bool {
	in := detect.Text{Path: "a.txt", Body: []byte(text)}
	if r.Regex == "" {
		in = detect.Text{Path: text, Body: []byte("x")}
	} else if r.Path != "" {
		in.Path = "a.php"
	}
	found := false
	d.Scan(in, func(*detect.Leak) { found = true })
	return found
}

// TestAChecksumIsHeld changes one character of every token that has a checksum.
func TestAChecksumIsHeld(t *testing.T) {
	d, err := detect.New(detect.Config{Rules: rules.All(), Every: true})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, id := range []string{"github-pat", "github-oauth", "github-app-token", "github-refresh-token", "npm-access-token", "atlassian-api-token", "grafana-service-account-token", "bitcoin-wif", "bip32-private-key", "age-secret-key"} {
		text := crafted[id](rng)
		if !reports(d, id, text) {
			t.Errorf("%s: the token itself is missed", id)
		}
		at := len(text) - 20
		other := byte('7')
		if text[at] == other {
			other = '8'
		}
		if reports(d, id, text[:at]+string(other)+text[at+1:]) {
			t.Errorf("%s: a wrong checksum passes", id)
		}
	}
}

func reports(d *detect.Detector, id, text string) bool {
	found := false
	d.Scan(detect.Text{Path: "a.txt", Body: []byte(" " + text + "\n")}, func(l *detect.Leak) { found = found || l.Rule == id })
	return found
}
