package advisory

import (
	"testing"

	"github.com/google/osv-scalibr/semantic"
)

// FuzzQuick holds the quick order of semantic versions against the library's.
func FuzzQuick(f *testing.F) {
	seeds := []string{"1.2.3", "v1.2.3", "1.2", "1", "1.2.3-alpha", "1.2.3-alpha.1", "1.2.3-alpha.beta", "1.2.3-1", "1.2.3-01", "1.2.3+b", "1.2.3-rc+b", "1.2.3-", "1.2.3--5", "1.2.3-a.-5", "1.2.3.4", "1.2.3-0.20220412211240-33da011f77ad", "0.0.0-20180925071336-cf3bd585ca2a", "99999999999999999999.1.1", "1..2", "1.2.3-a..b", "1.x"}
	for _, a := range seeds {
		for _, b := range seeds {
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		v, err := parseVersion(semverOrder, a)
		w, err2 := parseVersion(semverOrder, b)
		if err != nil || err2 != nil {
			return
		}
		got, err := v.compare(w)
		want, err2 := semantic.ParseSemverVersion(trimVersion(semverOrder, a)).Compare(semantic.ParseSemverVersion(trimVersion(semverOrder, b)))
		if err != nil || err2 != nil || got != want {
			t.Errorf("%q and %q: %d %v, the library says %d %v", a, b, got, err, want, err2)
		}
	})
}

// FuzzVersions demands of every family what an order is: no version before
// itself, and back is the opposite of forth.
func FuzzVersions(f *testing.F) {
	for fam := range semantics {
		f.Add(uint8(fam), "1.2.3", "1.2.3-rc1")
		f.Add(uint8(fam), "1:2.0~rc1-1+deb12u1", "2.0_p1-r3")
		f.Add(uint8(fam), "1!2.0.post1.dev3", "2.0-beta9.Final")
	}
	f.Fuzz(func(t *testing.T, fam uint8, a, b string) {
		order := family(fam) % family(len(semantics))
		v, err := parseVersion(order, a)
		w, err2 := parseVersion(order, b)
		if err != nil || err2 != nil {
			return
		}
		forth, err := v.compare(w)
		back, err2 := w.compare(v)
		if (err == nil) != (err2 == nil) || err == nil && forth != -back {
			t.Errorf("%s: %q and %q: %d, back %d; %v %v", semantics[order], a, b, forth, back, err, err2)
		}
		if same, err := v.compare(v); err == nil && same != 0 {
			t.Errorf("%s: %q differs from itself", semantics[order], a)
		}
	})
}
