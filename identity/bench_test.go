package identity_test

import (
	"testing"

	"github.com/interlock-security/interlock/identity/identitytest"
)

// BenchmarkLookup is what every request of the console pays.
func BenchmarkLookup(b *testing.B) {
	r := identitytest.New(b)
	u := r.Join()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Lookup(u.Cookie, u.Client); err != nil {
			b.Fatal(err)
		}
	}
}
