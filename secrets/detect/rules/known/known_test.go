package known_test

import (
	"math/rand/v2"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect/rules/known"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

func TestDisproved(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(n int) string {
		const b62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		b := make([]byte, n)
		for i := range b {
			b[i] = b62[rng.IntN(62)]
		}
		return string(b)
	}
	body := random(30)
	for value, want := range map[string]bool{
		"gh" + "p_" + body + verify.Base62CRC([]byte(body)):      false,
		"gh" + "p_" + body + "000000":                            true,
		"np" + "m_" + body + "111111":                            true,
		`"gh` + "p_" + body + `222222"`:                          true,
		"gls" + "a_" + body + "ab_00000000":                      true,
		"ATA" + "TT3" + body + body + body + "=00000000":         true,
		"sk_" + "live_" + "xxxxxxxxxxxxxxxxxxxxxxxx":             true,
		"sk_" + "live_" + random(24):                             false,
		"sk_" + "test_" + "4eC39HqLyjWDarjtT1zdp7dc":             true,
		"gh" + "p_" + body[:10] + "' + '" + body[10:] + "000000": false,
		"gh" + "p_" + body + "000000export":                      true,
		"0123456789abcdef0123456789abcdef":                       true,
		"abcdef1234567890abcdef1234567890":                       true,
		"00000000000000000000000000000000":                       true,
		"wJalrXUtnFEMI/" + "K7MDENG/bPxRfiCYEXAMPLEKEY":          true,
		random(40):               false,
		"Maple4711!xy":           false,
		"AgBy3i4O" + random(200): true,
		"changeme":               false,
		"password":               false,
		"":                       false,
		"eyJhbGciOiJub25lIn0" + ".eyJzdWIiOiJ4In0.":                                 true,
		"eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlMTIzNDU": true,
		"eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiJ1NDIifQ.c2lnbmF0dXJlOTg3NjU0MzIx":     false,
	} {
		if got := known.Disproved([]byte(value)); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
