package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math/big"
	"strconv"
	"strings"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Base62CRC returns the six base62 digits that GitHub and npm put behind the
// random part of their tokens: its CRC-32, padded with zeros.
func Base62CRC(random []byte) string {
	sum := crc32.ChecksumIEEE(random)
	digits := [6]byte{'0', '0', '0', '0', '0', '0'}
	for i := 5; i >= 0 && sum > 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return string(digits[:])
}

// TrailingCRC reports whether a token of a prefix with an underscore ends with
// the base62 checksum of what stands between: GitHub's and npm's classic form.
func TrailingCRC(token []byte) bool {
	_, body, found := bytes.Cut(token, []byte("_"))
	if !found || len(body) < 7 {
		return false
	}
	at := len(body) - 6
	return Base62CRC(body[:at]) == string(body[at:])
}

// Atlassian reports whether the eight hex digits at the end of an ATATT or ATCTT
// token are the CRC-32 of all before them.
func Atlassian(token []byte) bool {
	if len(token) < 9 {
		return false
	}
	at := len(token) - 8
	sum, err := strconv.ParseUint(string(token[at:]), 16, 32)
	return err == nil && uint32(sum) == crc32.ChecksumIEEE(token[:at])
}

// Grafana reports whether a service account token's checksum holds: CRC-32 of
// prefix and secret, its lowest byte first, in hex.
func Grafana(token []byte) bool {
	at := bytes.LastIndexByte(token, '_')
	if at < 0 {
		return false
	}
	var sum [4]byte
	binary.LittleEndian.PutUint32(sum[:], crc32.ChecksumIEEE(token[:at]))
	return strings.EqualFold(hex.EncodeToString(sum[:]), string(token[at+1:]))
}

// GitLabRoutable reports whether the seven base36 digits at the end of a
// routable token are the CRC-32 of all before them.
func GitLabRoutable(token []byte) bool {
	if len(token) < 8 {
		return false
	}
	at := len(token) - 7
	sum, err := strconv.ParseUint(string(token[at:]), 36, 64)
	return err == nil && sum == uint64(crc32.ChecksumIEEE(token[:at]))
}

const (
	bech32Alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	base58Alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
)

// Bech32 reports whether the checksum of BIP-173 holds: that of age keys.
func Bech32(text []byte) bool {
	s := strings.ToLower(string(text))
	at := strings.LastIndexByte(s, '1')
	if at < 1 || len(s)-at < 7 {
		return false
	}
	var values []byte
	for _, c := range []byte(s[:at]) {
		values = append(values, c>>5)
	}
	values = append(values, 0)
	for _, c := range []byte(s[:at]) {
		values = append(values, c&31)
	}
	for _, c := range []byte(s[at+1:]) {
		v := strings.IndexByte(bech32Alphabet, c)
		if v < 0 {
			return false
		}
		values = append(values, byte(v))
	}
	return bech32Polymod(values) == 1
}

func bech32Polymod(values []byte) uint32 {
	generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = (sum&0x1ffffff)<<5 ^ uint32(v)
		for i, g := range generator {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}

// Base58Check decodes base58 with its four bytes of double SHA-256, as Bitcoin's
// keys have it; it reports false when they don't hold.
func Base58Check(text []byte) (payload []byte, ok bool) {
	if len(text) > 128 {
		return nil, false
	}
	n, radix := new(big.Int), big.NewInt(58)
	zeros := 0
	for i, c := range text {
		v := strings.IndexByte(base58Alphabet, c)
		if v < 0 {
			return nil, false
		}
		if v == 0 && zeros == i {
			zeros++
		}
		n.Add(n.Mul(n, radix), big.NewInt(int64(v)))
	}
	raw := append(make([]byte, zeros), n.Bytes()...)
	if len(raw) < 5 {
		return nil, false
	}
	at := len(raw) - 4
	first := sha256.Sum256(raw[:at])
	second := sha256.Sum256(first[:])
	return raw[:at], bytes.Equal(second[:4], raw[at:])
}

// BitcoinWIF reports whether text is a private key in wallet import format, of
// the main or the test network, compressed or not.
func BitcoinWIF(text []byte) bool {
	p, ok := Base58Check(text)
	if !ok || p[0] != 0x80 && p[0] != 0xef {
		return false
	}
	return len(p) == 33 || len(p) == 34 && p[33] == 1
}

// ExtendedPrivateKey reports whether text is a BIP-32 extended private key.
func ExtendedPrivateKey(text []byte) bool {
	p, ok := Base58Check(text)
	return ok && len(p) == 78 && p[45] == 0
}
