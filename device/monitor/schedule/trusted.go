package schedule

import (
	"time"

	"github.com/interlock-security/interlock/link"
)

// Trusted bounds now: a time that has certainly passed, and one that certainly
// has not, zero where nothing proves one (TRUST F18).
type Trusted = link.TrustedTime

// Later is what is known of the time some while after t was: both bounds have
// moved on with the boot-time clock, the upper one by its worst drift more.
func Later(t Trusted, d time.Duration) Trusted {
	if d <= 0 {
		return t
	}
	t.Lower = t.Lower.Add(d)
	if !t.Upper.IsZero() {
		t.Upper = t.Upper.Add(d + d/drift)
	}
	return t
}

// drift is how much of an interval the boot-time clock may be wrong by: one part
// in a thousand, ten times what a cheap crystal does.
const drift = 1000
