package environment

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/hold"
	"github.com/interlock-security/interlock/device/sensor"
)

// Config configures the judge. Without rules every temperature, humidity and fan
// of the sensor is judged by its kind's defaults.
type Config struct {
	// Rules say what is judged of which point, the first that fits.
	Rules []Rule `yaml:"rules,omitempty"`
}

// Rule says what is judged of the points that it means. The first rule that
// means a point judges it.
type Rule struct {
	// Point is a point, what stands behind its last slash, or a pattern with *.
	Point string `yaml:"point,omitempty"`
	// Kind is what the number is: ambient, chip, humidity, pressure, light, fan,
	// water, smoke, or ignore. Left out, it follows from the unit.
	Kind string `yaml:"kind,omitempty"`
	// WarnLow to CriticalHigh are the limits, in the unit of the point; left out,
	// the kind's own.
	WarnLow      *float64 `yaml:"warn_low,omitempty"`
	WarnHigh     *float64 `yaml:"warn_high,omitempty"`
	CriticalLow  *float64 `yaml:"critical_low,omitempty"`
	CriticalHigh *float64 `yaml:"critical_high,omitempty"`
	// Hysteresis is how far a value must come back; 1 °C, 2 %, a fifth of the light.
	Hysteresis float64 `yaml:"hysteresis,omitempty"`
	// Fall and Rise are the fastest change in a minute that is no event.
	Fall float64 `yaml:"fall,omitempty"`
	Rise float64 `yaml:"rise,omitempty"`
	// SafeLow and SafeHigh are limits apart from all others: beyond them the
	// event asks for the safe state.
	SafeLow  *float64 `yaml:"safe_low,omitempty"`
	SafeHigh *float64 `yaml:"safe_high,omitempty"`
	// Hold is how long a value must be beyond a limit; 3 s if left out.
	Hold time.Duration `yaml:"hold,omitempty"`
	// Stale is how long the point may be silent, where that is less than what the
	// driver is given.
	Stale time.Duration `yaml:"stale,omitempty"`
}

// The kinds.
const (
	KindAmbient  = "ambient"
	KindChip     = "chip"
	KindHumidity = "humidity"
	KindPressure = "pressure"
	KindLight    = "light"
	KindFan      = "fan"
	KindWater    = "water"
	KindSmoke    = "smoke"
	KindIgnore   = "ignore"
)

// kind is what is said of a quantity, and its limits where a rule has none.
type kind struct {
	word                                         string // "temperature_high" is made of it
	unit                                         sensor.Unit
	warnLow, warnHigh, criticalLow, criticalHigh *float64
	hysteresis                                   float64
	fall, rise                                   float64
}

func at(v float64) *float64 { return &v }

// kinds have the project's words and defaults: ambient 45/50 °C within -10 to
// 50 °C, a processor 70/80 °C, humidity 30 to 70 %.
var kinds = map[string]kind{
	KindAmbient:  {word: "temperature", unit: sensor.UnitCelsius, warnLow: at(0), warnHigh: at(45), criticalLow: at(-10), criticalHigh: at(50), hysteresis: 1, fall: 8, rise: 8},
	KindChip:     {word: "temperature", unit: sensor.UnitCelsius, warnLow: at(0), warnHigh: at(70), criticalLow: at(-10), criticalHigh: at(80), hysteresis: 2},
	KindHumidity: {word: "humidity", unit: sensor.UnitPercent, warnLow: at(30), warnHigh: at(70), criticalLow: at(10), criticalHigh: at(90), hysteresis: 2},
	KindPressure: {word: "pressure", unit: sensor.UnitPascal, criticalLow: at(50_000), criticalHigh: at(110_000), hysteresis: 200},
	KindLight:    {word: "light", unit: sensor.UnitLux, criticalHigh: at(5), hysteresis: 1},
	KindFan:      {word: "fan", unit: sensor.UnitRPM, criticalLow: at(60), hysteresis: 30},
	KindWater:    {word: "water"},
	KindSmoke:    {word: "smoke"},
	KindIgnore:   {},
}

const maxRules = 32

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if len(c.Rules) > maxRules {
		return invalid("%d rules; at most %d", len(c.Rules), maxRules)
	}
	for i, r := range c.Rules {
		if err := r.validate(); err != nil {
			return fmt.Errorf("rules[%d]: %w", i, err)
		}
	}
	return nil
}

func (r Rule) validate() error {
	k, known := kinds[r.Kind]
	r = r.with(k)
	switch {
	case !known && r.Kind != "":
		return invalid("kind %q; known are ambient, chip, humidity, pressure, light, fan, water, smoke, ignore", r.Kind)
	case !hold.IsPattern(r.Point):
		return invalid("point %q is no pattern", r.Point)
	case (r.Kind == KindWater || r.Kind == KindSmoke) && r.CriticalLow == nil && r.CriticalHigh == nil:
		return invalid("kind %s: critical_low or critical_high says where it begins", r.Kind)
	case !(r.Hysteresis >= 0 && r.Hysteresis < 1e6) || !(r.Fall >= 0 && r.Fall < 1e6) || !(r.Rise >= 0 && r.Rise < 1e6):
		return invalid("hysteresis, fall and rise are not negative")
	case r.Hold < 0 || r.Hold > time.Hour || r.Stale < 0 || r.Stale > 24*time.Hour:
		return invalid("hold %s, stale %s; allowed are up to 1h and 24h", r.Hold, r.Stale)
	}
	return r.ordered()
}

// ordered says whether the limits stand in their order, with room between. The
// limits that stand apart may stand anywhere.
func (r Rule) ordered() error {
	type limit struct {
		name  string
		value *float64
	}
	limits := []limit{{"critical_low", r.CriticalLow}, {"warn_low", r.WarnLow}, {"warn_high", r.WarnHigh}, {"critical_high", r.CriticalHigh}}
	for _, l := range append(limits, limit{"safe_low", r.SafeLow}, limit{"safe_high", r.SafeHigh}) {
		if l.value != nil && !(*l.value > -1e9 && *l.value < 1e9) {
			return invalid("%s %g is no limit", l.name, *l.value)
		}
	}
	last := limit{}
	for _, l := range limits {
		if l.value == nil {
			continue
		}
		if last.value != nil && *last.value > *l.value {
			return invalid("%s %g is above %s %g", last.name, *last.value, l.name, *l.value)
		}
		last = l
	}
	low, high := first(r.WarnLow, r.CriticalLow), first(r.WarnHigh, r.CriticalHigh)
	if low != nil && high != nil && *high-*low <= 2*r.Hysteresis {
		return invalid("between %g and %g there is no room for a hysteresis of %g", *low, *high, r.Hysteresis)
	}
	return nil
}

func first(list ...*float64) *float64 {
	for _, v := range list {
		if v != nil {
			return v
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "environment.Config", fmt.Sprintf(format, args...))
}

// with fills in what the rule leaves to its kind. A rule that gives a limit of
// one side gives both of that side: what people wrote is not mixed with what
// they did not see.
func (r Rule) with(k kind) Rule {
	if r.WarnLow == nil && r.CriticalLow == nil {
		r.WarnLow, r.CriticalLow = k.warnLow, k.criticalLow
	}
	if r.WarnHigh == nil && r.CriticalHigh == nil {
		r.WarnHigh, r.CriticalHigh = k.warnHigh, k.criticalHigh
	}
	r.Hysteresis = cmp.Or(r.Hysteresis, k.hysteresis)
	r.Fall, r.Rise = cmp.Or(r.Fall, k.fall), cmp.Or(r.Rise, k.rise)
	r.Hold = cmp.Or(r.Hold, 3*time.Second)
	return r
}

// ruleFor returns the rule that judges a point.
func (c Config) ruleFor(point string, unit sensor.Unit) Rule {
	for _, r := range c.Rules {
		if !hold.Match(r.Point, point) {
			continue
		}
		if r.Kind == "" {
			r.Kind = kindOf(point, unit)
		}
		if k := kinds[r.Kind]; r.Point != "" || k.unit == unit {
			return r.with(k)
		}
	}
	if len(c.Rules) > 0 {
		return Rule{Kind: KindIgnore}
	}
	r := Rule{Kind: kindOf(point, unit)}
	return r.with(kinds[r.Kind])
}

// kindOf guesses what a number is. What hangs on a chip of the mainboard, or is
// called after a processor, is as hot as chips are; the air isn't.
func kindOf(point string, unit sensor.Unit) string {
	switch unit {
	case sensor.UnitCelsius:
		for _, word := range []string{"@", "cpu", "soc", "core", "gpu", "thermal"} {
			if strings.Contains(strings.ToLower(point), word) {
				return KindChip
			}
		}
		return KindAmbient
	case sensor.UnitPercent:
		if strings.Contains(point, "humidity") {
			return KindHumidity
		}
	case sensor.UnitRPM:
		return KindFan
	}
	return KindIgnore
}
