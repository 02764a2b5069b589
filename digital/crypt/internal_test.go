package crypt

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
)

// PlainRing lets the canary test know what must never be shown.
func PlainRing(k *Keyring) []byte { return encodeRing(k.ring) }

// The AES-256 rows of the GCM submission to NIST (McGrew and Viega, test cases
// 13 to 16). Sealing takes random nonces, so what can be checked is opening.
func TestKnownAnswersGCM(t *testing.T) {
	const (
		zeroKey = "0000000000000000000000000000000000000000000000000000000000000000"
		key     = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
		nonce   = "cafebabefacedbaddecaf888"
		plain   = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
		cipher  = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
	)
	rows := []struct{ name, key, nonce, plain, ad, cipher, tag string }{
		{"13", zeroKey, "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
		{"14", zeroKey, "000000000000000000000000", "00000000000000000000000000000000", "", "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
		{"15", key, nonce, plain + "1aafd255", "", cipher + "898015ad", "b094dac5d93471bdec1a502270e3cc6c"},
		{"16", key, nonce, plain, "feedfacedeadbeeffeedfacedeadbeefabaddad2", cipher, "76fc6ece0f4e1768cddf8853bb2d551b"},
	}
	for _, r := range rows {
		got, err := gcmOpen(unhex(t, r.key), unhex(t, r.nonce+r.cipher+r.tag), unhex(t, r.ad))
		if err != nil || !bytes.Equal(got, unhex(t, r.plain)) {
			t.Errorf("case %s: %x, %v", r.name, got, err)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAADPartsCannotSlide(t *testing.T) {
	if bytes.Equal(aad("a", []byte("bc"), "d"), aad("a", []byte("b"), "cd")) {
		t.Error("two different triples give the same associated data")
	}
}

func FuzzDecodeRing(f *testing.F) {
	r := ring{name: "x", derive: randomKey(), keys: []ringKey{newKey(Deactivated, time.Unix(1, 0)), newKey(Active, time.Unix(2, 0))}}
	good := encodeRing(r)
	two := bytes.Clone(good)
	two[dataKeyLen+keyIDLen] = stateByte(Active)
	for _, seed := range [][]byte{nil, good, good[:50], two, bytes.Repeat([]byte{7}, 81)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRing(b, "x")
		if err != nil {
			if core.KindOf(err) != core.KindDamaged {
				t.Errorf("kind %s: %v", core.KindOf(err), err)
			}
			return
		}
		if !bytes.Equal(encodeRing(r), b) {
			t.Errorf("%x reads as another keyring", b)
		}
	})
}

// FuzzKeyringFile fuzzes the file around the plain keyring with a fixed KEK.
func FuzzKeyringFile(f *testing.F) {
	kek := &fileKEK{core.NewSecret(make([]byte, dataKeyLen))}
	good, err := encodeFile(ring{name: "x", derive: randomKey(), keys: []ringKey{newKey(Active, time.Unix(1, 0))}}, kek)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:7])
	f.Add([]byte("ILK\x01\x01x\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := decodeFile(b, "x", kek); err == nil && !bytes.Equal(b, good) {
			t.Errorf("forged keyring file %x", b)
		}
	})
}
