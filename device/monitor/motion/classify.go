package motion

import (
	"fmt"
	"math"
)

const pi = math.Pi

func root(v float64) float64 { return math.Sqrt(max(v, 0)) }

// Verdict is what a motion is taken for and why, in words with numbers.
type Verdict struct {
	Class Class
	Score float64
	Why   string
	early bool // it can be said before the event is over
}

// rule is one kind of motion: whether the features fit, how well, and the words.
type rule struct {
	class Class
	early bool
	fits  func(Config, Features) bool
	score func(Config, Features) float64
	why   func(Config, Features) string
}

// rules are asked in order; the first that fits decides. A fall is a fall
// whatever came before it, and a device that was turned was in somebody's hands
// whatever shook it besides.
var rules = []rule{
	{ClassDrop, true, isDrop, scoreDrop, whyDrop},
	{ClassCarry, true, isWalked, scoreWalked, whyWalked},
	{ClassLift, true, isLifted, scoreTurned, whyLifted},
	{ClassHandling, true, isTurnedAbout, scoreTurned, whyLifted},
	{ClassTilt, true, isTilted, scoreTurned, whyTilted},
	{ClassDrill, true, isDrill, scoreDrill, whyDrill},
	{ClassCarry, true, isDriven, scoreDriven, whyDriven},
	{ClassHandling, true, isShaken, scoreDriven, whyShaken},
	{ClassDrill, false, isFolded, scoreDrill, whyDrill},
	{ClassEarthquake, false, isQuake, scoreQuake, whyQuake},
	{ClassFootsteps, false, isFootsteps, scoreFootsteps, whyFootsteps},
	{ClassDoor, false, isDoor, scoreDoor, whyDoor},
	{ClassKnock, false, isKnock, scoreKnock, whyKnock},
	{ClassDoor, false, isSwung, scoreDoor, whyDoor},
	{ClassLift, false, isHeave, scoreHeave, whyHeave},
	{ClassHandling, false, isPush, scoreHeave, whyPush},
}

// Classify names a motion by its features.
func Classify(c Config, f Features) Verdict {
	c = c.withDefaults()
	for _, r := range rules {
		if r.fits(c, f) {
			return Verdict{r.class, round(min(max(r.score(c, f), 0.05), 1), 2), r.why(c, f), r.early}
		}
	}
	return Verdict{Class: ClassDisturbed, Score: 0.3, Why: fmt.Sprintf("moved by %.3f g rms for %.1f s, peak %.2f g, turned %.1f° (less than %.1f°): too weak or too mixed to name",
		f.RMS, f.Duration, f.Peak, f.Tilt, tiltFrom(c, f))}
}

func round(v float64, digits int) float64 {
	k := math.Pow10(digits)
	return math.Round(v*k) / k
}

// over is how far v is beyond its threshold, 0.5 at it and 1 from three times
// it on.
func over(v, threshold float64) float64 {
	return 0.5 + 0.5*min(max(math.Log(v/threshold)/math.Log(3), -1), 1)
}

// A runner floats at each step; who falls does it once, and bounces at most
// twice. What was short is waited for: the next step comes within a second.
func isDrop(c Config, f Features) bool {
	least := c.Fall.Seconds()
	if f.Linear {
		least *= 1.6 // known only from a steady pull of 1 g
	}
	if f.Fall < least {
		return false
	}
	if f.Fall >= 2*least {
		return true
	}
	return f.Peak >= 1 && f.Falls < 4 && f.Stepping < 0.5 && (f.Over || f.Since >= 2)
}

func scoreDrop(c Config, f Features) float64 { return over(f.Fall, c.Fall.Seconds()*0.8) }

func whyDrop(c Config, f Features) string {
	if f.Linear {
		return fmt.Sprintf("was pulled evenly by 1 g, which is a fall where gravity is left out, for %.0f ms, then struck with %.1f g", f.Fall*1000, f.Peak)
	}
	return fmt.Sprintf("weighed less than %.2f g for %.0f ms (%.0f ms are a fall; that is %.0f cm), then struck with %.1f g",
		c.FallG, f.Fall*1000, c.Fall.Seconds()*1000, 490*f.Fall*f.Fall, f.Peak)
}

// Steps are 1.2 to 2.6 a second; who runs makes more, and harder ones.
func isWalked(c Config, f Features) bool {
	pace := f.Step >= 0.7 && (f.Step <= 2.4 || f.Step <= 3.4 && f.RMS >= 0.6)
	beat := f.Sharp >= clearGait && (f.RMS >= 6*c.Handling || f.Stepping >= 0.8 && f.Low >= 3*c.Handling ||
		f.Linear && f.Stepping >= 0.6 && f.Low >= 2*c.Handling)
	byHand := beat || f.Tilt >= c.Tilt/2+math.Hypot(f.Unsure, wavering(f)/2)
	slow := f.LowShare >= 0.5 || f.LowShare >= 0.4 && f.RMS >= 0.6 || turned(c, f) && f.LowShare >= 0.3
	long := f.Duration >= 5 || turned(c, f) && f.Duration >= 3
	return pace && byHand && slow && long && f.Sharp >= gait && f.Stepping >= 0.4 && f.Low >= 1.6*c.Handling
}

// gait is how well steps repeat each other. The ground has no beat: what it does
// looks like itself now and then, but not as much.
const (
	gait      = 0.55
	clearGait = 0.65 // where nothing else says that it is in somebody's hands
)

func scoreWalked(c Config, f Features) float64 {
	return (over(f.Low, c.Handling*1.6) + min(1, f.Stepping+0.2)) / 2
}

func whyWalked(c Config, f Features) string {
	return fmt.Sprintf("sways in steps, %.1f a second, with %.2f g below 6 Hz (a hand's from %.2f g) for %.0f s, turned up to %.0f°",
		f.Step, f.Low, c.Handling, f.Duration, f.Tilt)
}

func turned(c Config, f Features) bool {
	return !f.Linear && (f.Tilt >= c.Tilt+math.Hypot(f.Unsure, wavering(f)) || f.Stands >= tiltFrom(c, f))
}

// wavering is by how many degrees gravity seems to turn because of what shakes it
// slowly: the mean of three seconds keeps a part of that. Once it is calm again
// there is none.
func wavering(f Features) float64 {
	const kept, little = 0.55, 0.03 // g
	return kept * math.Atan(max(f.Slow-little, 0)) * 180 / math.Pi
}

// tiltFrom is the angle from which it was turned: more where it was already
// moving when it was first felt, so that nobody knows how it stood.
func tiltFrom(c Config, f Features) float64 { return c.Tilt + f.Unsure }

func isLifted(c Config, f Features) bool {
	return turned(c, f) && f.Low >= c.Handling && f.Duration < 8 && f.LowShare >= 0.3
}

func isTurnedAbout(c Config, f Features) bool {
	return turned(c, f) && f.Low >= c.Handling && f.LowShare >= 0.3
}

func isTilted(c Config, f Features) bool { return turned(c, f) }

func scoreTurned(c Config, f Features) float64 { return over(f.Tilt, c.Tilt*0.8) }

func whyLifted(c Config, f Features) string {
	return fmt.Sprintf("gravity turned by up to %.1f° (%.1f° at the end, %.1f° are a tilt) while it moved with %.2f g below 6 Hz (a hand's from %.2f g) for %.1f s",
		f.Tilt, f.Net, tiltFrom(c, f), f.Low, c.Handling, f.Duration)
}

func whyTilted(c Config, f Features) string {
	return fmt.Sprintf("gravity turned by up to %.1f° (%.1f° at the end) against where it was, %.1f° for %.0f s are a tilt; it moved with only %.3f g below 6 Hz",
		f.Tilt, f.Net, tiltFrom(c, f), c.TiltHold.Seconds(), f.Low)
}

// A machine's vibration is steady and faster than anything a hand does.
func isDrill(c Config, f Features) bool {
	if f.Duration < drillTime(c, f) || f.Median < drillLevel(c, f) {
		return false
	}
	folded := 0.2
	steady := f.Steady >= 0.3 || f.Steady >= 0.15 && f.Duration >= 2*drillTime(c, f) // who saws pulls and pushes
	if f.Rate < foldsBelow {
		folded = 0.65
		times := f.Duration / drillTime(c, f)
		steady = f.Steady >= 0.7 && times >= 1.4 || f.Steady >= 0.55 && times >= 2 || f.Steady >= 0.3 && times >= 4
	}
	return steady && f.Busy >= 0.75 && f.LowShare <= slowOfNoise(f) && f.Low < 1.5*c.Handling+folded*f.RMS && f.Hertz >= min(12, 0.19*f.Rate)
}

// A sensor too slow to see how fast it vibrates still sees that no hand and no
// ground is that even.
func isFolded(c Config, f Features) bool {
	return f.Rate < 120 && f.Steady >= 0.7 && f.Busy >= 0.9 && !turned(c, f) && f.Duration >= 2*c.DrillTime.Seconds() && f.Median >= drillLevel(c, f) && f.Low < 3*c.Handling
}

func drillLevel(c Config, f Features) float64 {
	switch {
	case !f.Learned:
		return c.Drill
	case f.Began:
		return max(c.Drill, 1.5*f.Floor)
	}
	return max(c.Drill/3, min(2.5*f.Floor, 1.5*f.Floor+c.Drill))
}

// slowOfNoise is how much of a fast vibration may seem slow. Sampled at a low
// rate it folds down to all frequencies alike, and those below 4.5 Hz have their
// share of it.
func slowOfNoise(f Features) float64 { return max(0.15, 1.3*4.5/(f.Rate/2)) }

// foldsBelow is the rate, in samples a second, below which a drill can't be told
// from the first seconds of a quake, which are fast as well, but by how even it is.
const foldsBelow = 60

// drillTime is how long it must last: what is weak, longer.
func drillTime(c Config, f Features) float64 {
	if f.Median < c.Drill {
		return 2 * c.DrillTime.Seconds()
	}
	return c.DrillTime.Seconds()
}

func scoreDrill(c Config, f Features) float64 {
	return (over(f.Median, drillLevel(c, f)) + over(f.Duration, drillTime(c, f))) / 2
}

func whyDrill(c Config, f Features) string {
	return fmt.Sprintf("vibrates steadily at %.3f g (%.3f g and more for %.0f s are told) for %.1f s around %.0f Hz; %.0f %% of it is slow",
		f.Median, drillLevel(c, f), drillTime(c, f), f.Duration, f.Hertz, 100*f.LowShare)
}

// What rolls sways slowly and hums at once, and does not stop.
func isDriven(c Config, f Features) bool {
	hums := f.LowShare < 0.75 && f.Hertz >= min(9, 0.2*f.Rate) ||
		f.LowShare < 0.65 && f.Hertz >= min(7, 0.145*f.Rate) && f.Duration >= 20 && f.Steady >= 0.55 // a quake swells and fades
	long := f.Duration >= 10 || f.Over && f.Duration >= 5
	if hums && f.Duration >= 30 && f.Steady >= 0.4 && f.Low >= 0.6*c.Handling {
		return true // a good car on a good road
	}
	return long && f.Low >= 1.5*c.Handling && f.Median >= 2*c.Handling && f.Steady >= 0.3 && hums
}

// A hand that shakes keeps its rhythm, and shakes harder than the ground does.
func isShaken(c Config, f Features) bool {
	return f.Duration >= 4 && f.Low >= 4*c.Handling && f.Stepping >= 0.5 && f.Sharp >= clearGait && f.Uneven <= 0.15 && f.Steady >= 0.25
}

func scoreDriven(c Config, f Features) float64 {
	return (over(f.Low, c.Handling) + over(f.Duration, 3)) / 2
}

func whyDriven(c Config, f Features) string {
	return fmt.Sprintf("sways with %.2f g below 6 Hz and hums, %.2f g in all, without a pause for %.0f s: it is being moved on wheels",
		f.Low, f.RMS, f.Duration)
}

func whyShaken(c Config, f Features) string {
	return fmt.Sprintf("moved to and fro %.1f times a second with %.2f g (a hand's from %.2f g) for %.0f s", f.Step, f.Low, c.Handling, f.Duration)
}

// The ground moves slowly in all directions and for long, and everything stands
// afterwards as it stood.
func isQuake(c Config, f Features) bool {
	bumps := float64(f.Shocks) > 1+0.6*f.Duration
	return f.Duration >= 4 && f.LowShare >= 0.35 && f.Low >= max(c.Still/4, 2*f.Floor) && !turned(c, f) && !bumps
}

func scoreQuake(_ Config, f Features) float64 {
	return 0.3 + 0.4*f.LowShare*min(1, f.Duration/10) - 0.2*f.Stepping + 0.2*over(f.RMS, 0.02)
}

func whyQuake(c Config, f Features) string {
	return fmt.Sprintf("shaken for %.0f s with %.3f g, %.0f %% of it below 6 Hz, and not turned (%.1f°, less than %.1f°): a quake would shake the neighbours too",
		f.Duration, f.RMS, 100*f.LowShare, f.Tilt, tiltFrom(c, f))
}

func isFootsteps(c Config, f Features) bool {
	return f.Shocks >= 3 && f.Rhythm >= 1.2 && f.Rhythm <= 3 && f.Peak < 0.15 && f.Low < c.Handling
}

func scoreFootsteps(_ Config, f Features) float64 { return min(0.4+0.1*float64(f.Shocks), 0.9) }

func whyFootsteps(_ Config, f Features) string {
	return fmt.Sprintf("%d shocks, %.1f a second, peak %.3f g, and gravity stays where it was: somebody walks by", f.Shocks, f.Rhythm, f.Peak)
}

func isKnock(c Config, f Features) bool {
	if f.Peak >= 1 && f.Duration < 3 && !turned(c, f) && f.Hertz >= min(8, 0.17*f.Rate) && f.Steady < 0.6 {
		return true // a hand that heaves stays well below, one that shakes is slower, feet are steadier
	}
	if f.Shocks >= 3 && float64(f.Shocks) >= 0.8*f.Duration && f.LowShare < 0.6 {
		return f.Peak >= c.Knock && f.Peak >= 2*f.RMS
	}
	short := f.LowShare < 0.6 || f.Median < f.RMS/2.5
	return f.Peak >= c.Knock && f.Peak >= 3*f.RMS*min(1, f.Duration) && short && (f.Duration < 3 || f.Shocks > 0)
}

func scoreKnock(c Config, f Features) float64 { return over(f.Peak, c.Knock) }

func whyKnock(c Config, f Features) string {
	return fmt.Sprintf("%d shock(s), peak %.2f g (told from %.2f g), over after %.1f s, and gravity points where it did (%.1f°)", max(f.Shocks, 1), f.Peak, c.Knock, f.Duration, f.Tilt)
}

// A slammed door makes the house sway sideways and ring out: slower than a
// knuckle, and weaker.
func isDoor(_ Config, f Features) bool {
	return f.Duration >= 0.4 && f.Duration < 4 && f.LowShare >= 0.25 && f.Hertz < 20 && f.Peak < 0.3 && f.Low < 0.05 &&
		f.Vertical < 0.35 && f.Peak >= 2.5*f.Median
}

// What hangs in its hinges swings sideways and stands again as it stood.
func isSwung(c Config, f Features) bool {
	return !f.Linear && f.Duration < 6 && f.Vertical < 0.35 && f.Peak < 0.6 && f.Low < 3*c.Handling && f.Peak >= c.Knock/2
}

func scoreDoor(_ Config, f Features) float64 { return 0.4 + 0.3*(1-f.Vertical) }

func whyDoor(_ Config, f Features) string {
	return fmt.Sprintf("swayed sideways (%.0f %% up and down) with at most %.2f g for %.1f s and stands as it stood: a door or a push", 100*f.Vertical, f.Peak, f.Duration)
}

func isHeave(c Config, f Features) bool {
	return isPush(c, f) && f.Vertical >= 0.5
}

// A desk that somebody bumped into sways at its own few hertz; what is moved to
// another place starts and stops more slowly than that.
func isPush(c Config, f Features) bool {
	return f.Low >= c.Handling && f.Slow >= 0.5*c.Handling && f.Duration >= 0.8 && f.Median >= 0.6*c.Handling
}

func scoreHeave(c Config, f Features) float64 { return over(f.Low, c.Handling) * 0.9 }

func whyHeave(c Config, f Features) string {
	return fmt.Sprintf("heaved up or down with %.2f g below 6 Hz (a hand's from %.2f g) for %.1f s", f.Low, c.Handling, f.Duration)
}

func whyPush(c Config, f Features) string {
	return fmt.Sprintf("moved with %.2f g below 6 Hz (a hand's from %.2f g) for %.1f s without being turned", f.Low, c.Handling, f.Duration)
}
