package signal

import "time"

// Verdict is what a clock says of a sample's time.
type Verdict uint8

// The verdicts.
const (
	// Rising is a time behind the last one.
	Rising Verdict = iota
	// Stale is a time that is not: the sample is of no use.
	Stale
	// Restarted is a time so far back that the sensor's clock began anew.
	Restarted
)

// restart is how far back a time must lie to be a clock that began anew; less
// is a sample that was overtaken.
const restart = time.Second

// farthest is the most that a time is believed, to either side: beyond it sums of
// times would run over, and no machine is up for thirty years.
const farthest = time.Duration(1e18)

// Clock makes a sensor's times rise for ever. A clock that stands still does not
// get past it, one that jumps back goes on where it was.
type Clock struct {
	// Now is the time of the last sample that rose.
	Now time.Duration
	// Still counts the samples in a row whose time did not rise, Back those that
	// were overtaken or began anew, since the beginning.
	Still, Back int

	raw   time.Duration
	shift time.Duration
	begun bool
}

// together is how many samples may have one time: a sensor that is read in
// bursts, a clock that counts hundredths. They follow each other by a microsecond.
const together = 64

// Put takes a sample's time and returns it as it counts here.
func (c *Clock) Put(at time.Duration) (time.Duration, Verdict) {
	switch {
	case at > farthest || at < -farthest || c.shift > farthest:
		c.Still++
		return c.Now, Stale
	case !c.begun:
		c.begun = true
		c.raw, c.Now = at, at
		return c.Now, Rising
	case at > c.raw:
		c.Still = 0
		c.raw = at
		c.Now = max(at+c.shift, c.Now+time.Microsecond)
		return c.Now, Rising
	case c.raw-at >= restart:
		// Behind Now and not behind raw: times that rose by less than a
		// microsecond have run ahead of it.
		c.shift = c.Now - at + time.Millisecond
		c.raw, c.Now, c.Still = at, at+c.shift, 0
		c.Back++
		return c.Now, Restarted
	case at == c.raw && c.Still < together:
		c.Still++
		c.Now += time.Microsecond
		return c.Now, Rising
	}
	c.Still++
	if at < c.raw {
		c.Back++
	}
	return c.Now, Stale
}
