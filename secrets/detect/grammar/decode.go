package grammar

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"strings"
)

// type7Key is the published key of Cisco's reversible password encoding.
const type7Key = "dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87"

// type7 decodes into buf and reports whether v is well-formed and its content is
// text: then it is that, and nothing else.
func type7(v []byte, buf *[128]byte) ([]byte, bool) {
	if len(v) < 6 || len(v)%2 != 0 || len(v) > 2*len(buf) || !isDigit(v[0]) || !isDigit(v[1]) {
		return nil, false
	}
	at := int(v[0]-'0')*10 + int(v[1]-'0')
	if at > 15 {
		return nil, false
	}
	n := 0
	for i := 2; i < len(v); i += 2 {
		if !isHexDigit(v[i]) || !isHexDigit(v[i+1]) {
			return nil, false
		}
		c := byte(hexValue(v[i])<<4|hexValue(v[i+1])) ^ type7Key[(at+n)%len(type7Key)]
		if c < 0x20 || c > 0x7e {
			return nil, false
		}
		buf[n] = c
		n++
	}
	return buf[:n], true
}

// The alphabet of Juniper's $9$ encoding, in the four families that say how many
// characters of padding follow the first.
var (
	nineFamilies = [4]string{"QzF3n6/9CAtpu0O", "B1IREhcSyrleKvMW8LXx", "7N-dVbwsY2g4oaJZGUDj", "iHkq.mPf5T"}
	nineWeights  = [...][]int{{1, 4, 32}, {1, 16, 32}, {1, 8, 32}, {1, 64}, {1, 32}, {1, 4, 16, 128}, {1, 32, 64}}
	nineOrder    = strings.Join(nineFamilies[:], "")
)

// nine decodes $9$…, and reports whether all of it is well-formed and text.
func nine(v []byte, buf *[128]byte) ([]byte, bool) {
	if len(v) < 7 || string(v[:3]) != "$9$" {
		return nil, false
	}
	for _, c := range v[3:] {
		if strings.IndexByte(nineOrder, c) < 0 {
			return nil, false
		}
	}
	v = v[3:]
	skip := 0
	for f, family := range nineFamilies {
		if strings.IndexByte(family, v[0]) >= 0 {
			skip = 3 - f
		}
	}
	if len(v) < 1+skip {
		return nil, false
	}
	prev, v := v[0], v[1+skip:]
	n := 0
	for len(v) > 0 {
		weights := nineWeights[n%len(nineWeights)]
		if len(v) < len(weights) || n == len(buf) {
			return nil, false
		}
		sum := 0
		for i, w := range weights {
			gap := strings.IndexByte(nineOrder, v[i]) - strings.IndexByte(nineOrder, prev)
			sum += ((gap+len(nineOrder))%len(nineOrder) - 1) * w
			prev = v[i]
		}
		c := byte(sum % 256)
		if sum < 0 || c < 0x20 || c > 0x7e {
			return nil, false
		}
		buf[n] = c
		n++
		v = v[len(weights):]
	}
	return buf[:n], n > 0
}

// gppKey is the key that Microsoft published for passwords of group policies.
var gppKey = []byte{
	0x4e, 0x99, 0x06, 0xe8, 0xfc, 0xb6, 0x6c, 0xc9, 0xfa, 0xf4, 0x93, 0x10, 0x62, 0x0f, 0xfe, 0xe8,
	0xf4, 0x96, 0xe8, 0x06, 0xcc, 0x05, 0x79, 0x90, 0x20, 0x9b, 0x09, 0xa4, 0x33, 0xb6, 0x6c, 0x1b,
}

// cpassword reports whether v decrypts to UTF-16 text with the padding it must
// have.
func cpassword(v []byte) bool {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(string(v), "="))
	if err != nil || len(raw) == 0 || len(raw)%aes.BlockSize != 0 || len(raw) > 1024 {
		return false
	}
	block, err := aes.NewCipher(gppKey)
	if err != nil {
		return false
	}
	cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(raw, raw)
	pad := int(raw[len(raw)-1])
	if pad == 0 || pad > aes.BlockSize || pad >= len(raw) {
		return false
	}
	for _, c := range raw[len(raw)-pad:] {
		if int(c) != pad {
			return false
		}
	}
	raw = raw[:len(raw)-pad]
	return len(raw)%2 == 0 && (raw[1] == 0 || raw[0] >= 0x20)
}

// unattended decodes the passwords of unattend.xml: base64 of UTF-16 text that
// ends with the element's name.
func unattended(v []byte) bool {
	var raw [512]byte
	if len(v) < 12 || base64.StdEncoding.DecodedLen(len(v)) > len(raw) {
		return false
	}
	n, err := base64.StdEncoding.Decode(raw[:], v)
	if err != nil || n%2 != 0 || n < 18 {
		return false
	}
	for i := 1; i < n; i += 2 {
		if raw[i] != 0 || raw[i-1] < 0x20 {
			return false
		}
	}
	const suffix = "Password"
	for i := range suffix {
		if raw[n-2*len(suffix)+2*i] != suffix[i] {
			return false
		}
	}
	return n > 2*len(suffix)
}
