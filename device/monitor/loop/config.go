package loop

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/hold"
)

// Config configures the judge.
type Config struct {
	// Loops are the supervised loops of this sensor, 1 to 10.
	Loops []Loop `yaml:"loops"`
}

// Loop is one supervised loop: a resistor of Pullup ohms from the supply to the
// converter's input, and from there the loop to ground.
type Loop struct {
	// Name is what events call the loop. Each once.
	Name string `yaml:"name"`
	// Point is the voltage: "voltage0".
	Point string `yaml:"point"`
	// Supply is what the loop hangs on, in volts; 3.3 if left out.
	Supply float64 `yaml:"supply,omitempty"`
	// SupplyPoint is a point that measures the supply, so that one that sags is
	// no tampering.
	SupplyPoint string `yaml:"supply_point,omitempty"`
	// Pullup, EOL and Alarm are the resistors, in ohms. EOL stands at the end of
	// the loop. Alarm stands across an opening contact, or in series with a
	// closing one; without it a cut wire and an opened contact are the same.
	Pullup float64 `yaml:"pullup,omitempty"`
	EOL    float64 `yaml:"eol,omitempty"`
	Alarm  float64 `yaml:"alarm,omitempty"`
	// Contact is nc, closed while all is well, or no; nc if left out.
	Contact string `yaml:"contact,omitempty"`
	// Bands take the place of the resistors: what part of the supply means what.
	Bands *Bands `yaml:"bands,omitempty"`
	// Tolerance is how far the voltage may be from what the resistors give, as a
	// part of the supply; 0.04 if left out.
	Tolerance float64 `yaml:"tolerance,omitempty"`
	// Hysteresis is how far beyond its band a state is left; 0.01 of the supply.
	Hysteresis float64 `yaml:"hysteresis,omitempty"`
	// Debounce is how long a state must hold, 50 ms if left out; Hold is how long
	// a voltage that means nothing is tolerated, 500 ms.
	Debounce time.Duration `yaml:"debounce,omitempty"`
	Hold     time.Duration `yaml:"hold,omitempty"`
	// Severity of an alarm, critical if left out.
	Severity core.Severity `yaml:"severity,omitempty"`
}

// Bands are the parts of the supply, each from and to.
type Bands struct {
	// Short is a loop without resistance: [-0.05, 0.05].
	Short []float64 `yaml:"short,omitempty"`
	// Normal is a loop that is well.
	Normal []float64 `yaml:"normal"`
	// Alarm is one whose contact moved.
	Alarm []float64 `yaml:"alarm,omitempty"`
	// Cut is one without a current: [0.95, 1.05].
	Cut []float64 `yaml:"cut,omitempty"`
}

// maxLoops bounds a configuration: each loop has five points of the sixty-four
// that a sensor may have.
const maxLoops = 10

var nameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,31}$`)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if len(c.Loops) == 0 || len(c.Loops) > maxLoops {
		return invalid("%d loops; allowed are 1 to %d", len(c.Loops), maxLoops)
	}
	seen := map[string]bool{}
	for i, l := range c.Loops {
		if err := l.validate(); err != nil {
			return fmt.Errorf("loops[%d]: %w", i, err)
		}
		if seen[l.Name] || seen["@"+l.Point] {
			return invalid("loops[%d]: %s or %s stands twice", i, l.Name, l.Point)
		}
		seen[l.Name], seen["@"+l.Point] = true, true
	}
	return nil
}

func (l Loop) validate() error {
	switch {
	case !nameRE.MatchString(l.Name):
		return invalid("name %q; letters, digits, '.', '_' and '-', at most 32", l.Name)
	case l.Point == "" || !hold.IsPattern(l.Point):
		return invalid("point %q names no voltage", l.Point)
	case !hold.IsPattern(l.SupplyPoint):
		return invalid("supply_point %q names no voltage", l.SupplyPoint)
	case l.Contact != "" && l.Contact != "nc" && l.Contact != "no":
		return invalid("contact %q; known are nc, no", l.Contact)
	case l.Severity != "" && l.Severity.Rank() < core.SeverityLow.Rank():
		return invalid("severity %q; known are low, medium, high, critical", l.Severity)
	case l.Supply != 0 && !(l.Supply >= 0.5 && l.Supply <= 60):
		return invalid("supply %g V; allowed are 0.5 to 60", l.Supply)
	case l.Debounce < 0 || l.Debounce > 10*time.Second || l.Hold < 0 || l.Hold > time.Minute:
		return invalid("debounce %s, hold %s; allowed are up to 10s and 1m", l.Debounce, l.Hold)
	case !(l.Tolerance >= 0 && l.Tolerance <= 0.2) || !(l.Hysteresis >= 0 && l.Hysteresis <= 0.1):
		return invalid("tolerance %g, hysteresis %g; allowed are up to 0.2 and 0.1 of the supply", l.Tolerance, l.Hysteresis)
	}
	if err := l.resistors(); err != nil {
		return err
	}
	return l.withDefaults().apart()
}

// resistors says whether the loop is described, and once.
func (l Loop) resistors() error {
	if l.Bands != nil {
		if l.Pullup != 0 || l.EOL != 0 || l.Alarm != 0 {
			return invalid("bands and resistors both say what the voltages mean; leave one out")
		}
		return l.Bands.validate()
	}
	for name, ohm := range map[string]float64{"pullup": l.Pullup, "eol": l.EOL} {
		if !(ohm >= 10 && ohm <= 10e6) {
			return invalid("%s %g ohm; allowed are 10 to 10000000", name, ohm)
		}
	}
	if l.Alarm != 0 && !(l.Alarm >= 10 && l.Alarm <= 10e6) {
		return invalid("alarm %g ohm; allowed are 10 to 10000000", l.Alarm)
	}
	return nil
}

func (b Bands) validate() error {
	if len(b.Normal) == 0 || len(b.Alarm)+len(b.Cut)+len(b.Short) == 0 {
		return invalid("bands: normal and at least one of alarm, cut, short")
	}
	for name, pair := range map[string][]float64{"short": b.Short, "normal": b.Normal, "alarm": b.Alarm, "cut": b.Cut} {
		if len(pair) != 0 && (len(pair) != 2 || !(pair[0] >= -0.5 && pair[0] < pair[1] && pair[1] <= 1.5)) {
			return invalid("bands.%s %v; two parts of the supply, the smaller first", name, pair)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "loop.Config", fmt.Sprintf(format, args...))
}

func (l Loop) withDefaults() Loop {
	l.Supply = cmp.Or(l.Supply, 3.3)
	l.Tolerance = cmp.Or(l.Tolerance, 0.04)
	l.Hysteresis = cmp.Or(l.Hysteresis, 0.01)
	l.Debounce = cmp.Or(l.Debounce, 50*time.Millisecond)
	l.Hold = cmp.Or(l.Hold, 500*time.Millisecond)
	l.Severity = cmp.Or(l.Severity, core.SeverityCritical)
	return l
}

// band is the part of the supply that means a state.
type band struct {
	state     state
	low, high float64
}

func (b band) holds(fraction, margin float64) bool {
	return fraction >= b.low-margin && fraction <= b.high+margin
}

// bands returns what the configuration says, by voltage.
func (l Loop) bands() (list []band) {
	if l.Bands != nil {
		for s, pair := range map[state][]float64{short: l.Bands.Short, normal: l.Bands.Normal, alarm: l.Bands.Alarm, cut: l.Bands.Cut} {
			if len(pair) == 2 {
				list = append(list, band{s, pair[0], pair[1]})
			}
		}
	} else {
		for s, ohm := range l.ohms() {
			f := 1.0
			if !math.IsInf(ohm, 1) {
				f = ohm / (ohm + l.Pullup)
			}
			list = append(list, band{s, f - l.Tolerance, f + l.Tolerance})
		}
	}
	slices.SortFunc(list, func(a, b band) int { return cmp.Compare(a.low, b.low) })
	return list
}

// ohms is the resistance of the loop in each state.
func (l Loop) ohms() map[state]float64 {
	all := map[state]float64{normal: l.EOL, short: 0, cut: math.Inf(1)}
	switch opens := l.Contact != "no"; {
	case l.Alarm == 0 && opens: // in series with the contact
		delete(all, cut)
		all[alarm] = math.Inf(1)
	case l.Alarm == 0: // across the contact
		delete(all, short)
		all[alarm] = 0
	case opens: // across an opening contact, the other in series
		all[alarm] = l.EOL + l.Alarm
	default: // in series with a closing contact, both across the other
		all[alarm] = 1 / (1/l.EOL + 1/l.Alarm)
	}
	return all
}

// apart says whether the states can be told from each other.
func (l Loop) apart() error {
	list := l.bands()
	for i := 1; i < len(list); i++ {
		if a, b := list[i-1], list[i]; b.low-a.high < 2*l.Hysteresis {
			return core.E(core.KindInvalid, "loop.Config", fmt.Sprintf("loop %s: %s ends at %.3f of the supply and %s begins at %.3f: they can't be told apart", l.Name, a.state, a.high, b.state, b.low)).
				WithHint("choose resistors of about the size of the pull-up, or a smaller tolerance")
		}
	}
	return nil
}
