package verify_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/secrets/detect/verify"
)

// TestBase62CRC holds the digits to values computed by hand: CRC-32 of "" is 0,
// of "123456789" cbf43926.
func TestBase62CRC(t *testing.T) {
	for text, want := range map[string]string{"": "000000"} {
		if got := verify.Base62CRC([]byte(text)); text == "" && got != want || len(got) != 6 {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	// GitHub printed this token when it announced the format.
	if !verify.TrailingCRC([]byte("gh" + "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17")) {
		t.Error("the announced token's checksum must hold")
	}
	for _, bad := range []string{"", "x", "a_b", "gh" + "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18"} {
		if verify.TrailingCRC([]byte(bad)) {
			t.Errorf("%q passes", bad)
		}
	}
}

// TestBech32 has the valid and invalid strings of BIP-173.
func TestBech32(t *testing.T) {
	for _, good := range []string{"A12UEL5L", "a12uel5l", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w", "?1ezyfcl"} {
		if !verify.Bech32([]byte(good)) {
			t.Errorf("%s is valid", good)
		}
	}
	for _, bad := range []string{"", "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "A1G7SGD8", "a12uel5m"} {
		if verify.Bech32([]byte(bad)) {
			t.Errorf("%s is invalid", bad)
		}
	}
}

// TestBitcoin has the key of Bitcoin's own documentation of the format.
func TestBitcoin(t *testing.T) {
	wif := "5HueCGU8rMjxEXxiPuD5BDk" + "u4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"
	if !verify.BitcoinWIF([]byte(wif)) {
		t.Error("the documented key is valid")
	}
	if verify.BitcoinWIF([]byte(wif[:50]+"K")) || verify.BitcoinWIF([]byte("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2")) || verify.BitcoinWIF(nil) {
		t.Error("another digit, an address and nothing are no keys")
	}
	xprv := "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPP" + "qjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
	if !verify.ExtendedPrivateKey([]byte(xprv)) || verify.ExtendedPrivateKey([]byte(strings.Replace(xprv, "K3Q", "K3R", 1))) {
		t.Error("BIP-32's first vector is valid, and not with another digit")
	}
	if _, ok := verify.Base58Check([]byte(strings.Repeat("1", 500))); ok {
		t.Error("a long text isn't read")
	}
}

func TestAWSAccount(t *testing.T) {
	raw := make([]byte, 10)
	binary.BigEndian.PutUint64(raw, (1<<47|123456789012<<7)<<16)
	id := "AK" + "IA" + base32.StdEncoding.EncodeToString(raw)
	if account, ok := verify.AWSAccount([]byte(id)); !ok || account != "123456789012" {
		t.Errorf("%s names %q %v", id, account, ok)
	}
	for _, bad := range []string{"", "AKIA", "AKIA1111111111111111"} {
		if _, ok := verify.AWSAccount([]byte(bad)); ok {
			t.Errorf("%q names an account", bad)
		}
	}
}

func compact(parts ...string) []byte {
	for i, p := range parts {
		parts[i] = base64.RawURLEncoding.EncodeToString([]byte(p))
	}
	return []byte(strings.Join(parts, "."))
}

func TestJWT(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	token, ok := verify.ParseJWT(compact(`{"alg":"RS256","kid":"k"}`, `{"iss":"i","sub":"s","exp":1800000000,"role":"r"}`, "signature"))
	if !ok || !token.Signed || token.Algorithm != "RS256" || token.Issuer != "i" || token.Subject != "s" || token.KeyID != "k" || token.Role != "r" {
		t.Fatalf("%+v %v", token, ok)
	}
	if !token.Expired(at) || token.Expired(at.Add(-time.Second)) {
		t.Error("a token ends at exp")
	}
	for name, c := range map[string]struct {
		token      []byte
		ok, signed bool
	}{
		"none":         {compact(`{"alg":"none"}`, `{}x`, "s"), false, false},
		"no algorithm": {compact(`{"typ":"JWT"}`, `{"a":1}`, "s"), false, false},
		"unsigned":     {compact(`{"alg":"None"}`, `{"a":1}`, "s"), true, false},
		"no signature": {compact(`{"alg":"HS256"}`, `{"a":1}`, ""), true, false},
		"no claims":    {compact(`{"alg":"HS256"}`, `[]`, "s"), false, false},
		"encrypted":    {compact(`{"alg":"dir","enc":"A256GCM"}`, "", "i", "c", "t"), true, true},
		"text":         {[]byte("a.b.c"), false, false},
		"huge":         {compact(`{"alg":"HS256"}`, `{"a":"`+strings.Repeat("x", 1<<17)+`"}`, "s"), false, false},
		"odd claims":   {compact(`{"alg":"HS256"}`, `{"exp":"never","sub":7}`, "s"), true, true},
	} {
		got, ok := verify.ParseJWT(c.token)
		if ok != c.ok || got.Signed != c.signed || got.Expired(at) {
			t.Errorf("%s: %+v %v", name, got, ok)
		}
	}
}

func TestChecksumsOfShortText(t *testing.T) {
	for _, text := range []string{"", "a", "_", "gl_", "12345678"} {
		b := []byte(text)
		if verify.Atlassian(b) || verify.Grafana(b) || verify.GitLabRoutable(b) {
			t.Errorf("%q passes", text)
		}
	}
}

func FuzzJWT(f *testing.F) {
	f.Add(compact(`{"alg":"HS256"}`, `{"exp":1}`, "s"))
	f.Add([]byte("a.b.c.d.e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		token, ok := verify.ParseJWT(b)
		if ok && token.Algorithm == "" {
			t.Fatal("a token without an algorithm")
		}
	})
}
