package power

import (
	"cmp"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/hold"
)

// Config configures the judge. Sources, batteries and throttle flags need none;
// a rail is judged once it is named.
type Config struct {
	// Rails are the voltages and currents that are judged.
	Rails []Rail `yaml:"rails,omitempty"`
	// BatteryLow and BatteryCritical are percentages; 20 and 10 if left out.
	BatteryLow      float64 `yaml:"battery_low,omitempty"`
	BatteryCritical float64 `yaml:"battery_critical,omitempty"`
}

// Rail is a supply voltage, or a current.
type Rail struct {
	// Point is the voltage or the current: "5v", "voltage0".
	Point string `yaml:"point"`
	// Nominal is what it should be, in volts; 5 if left out.
	Nominal float64 `yaml:"nominal,omitempty"`
	// Min is the least voltage that is no sag, 96 % of nominal if left out (4.8 V
	// of 5 V); Max the highest that is no tampering, 106 %.
	Min float64 `yaml:"min,omitempty"`
	Max float64 `yaml:"max,omitempty"`
	// MaxCurrent is the highest current that is no spike, in amperes. A point
	// that measures a current needs it.
	MaxCurrent float64 `yaml:"max_current,omitempty"`
	// Ripple is the least swing that counts as one, from peak to peak; 4 % of
	// nominal if left out. Swings swings within Window are a ripple: 4 in 2 s.
	Ripple float64       `yaml:"ripple,omitempty"`
	Swings int           `yaml:"swings,omitempty"`
	Window time.Duration `yaml:"window,omitempty"`
	// Hysteresis is how far a voltage must come back, 1 % of nominal if left out.
	Hysteresis float64 `yaml:"hysteresis,omitempty"`
	// Hold is how long a voltage or a current must be beyond its limit; left out,
	// one sample is enough.
	Hold time.Duration `yaml:"hold,omitempty"`
}

const (
	maxRails  = 16
	maxSwings = 16
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	low, critical := cmp.Or(c.BatteryLow, 20), cmp.Or(c.BatteryCritical, 10)
	switch {
	case len(c.Rails) > maxRails:
		return invalid("%d rails; at most %d", len(c.Rails), maxRails)
	case !(critical > 0 && critical <= low && low < 100):
		return invalid("battery_critical %g %%, battery_low %g %%; 0 < critical <= low < 100", critical, low)
	}
	for i, r := range c.Rails {
		if err := r.validate(); err != nil {
			return fmt.Errorf("rails[%d]: %w", i, err)
		}
	}
	return nil
}

func (r Rail) validate() error {
	if r.Point == "" || !hold.IsPattern(r.Point) {
		return invalid("point %q names no voltage", r.Point)
	}
	for _, v := range []struct {
		name  string
		value float64
	}{{"nominal", r.Nominal}, {"min", r.Min}, {"max", r.Max}, {"max_current", r.MaxCurrent}, {"ripple", r.Ripple}, {"hysteresis", r.Hysteresis}} {
		if !(v.value >= 0 && v.value <= 1000) {
			return invalid("%s %g; allowed are 0 to 1000", v.name, v.value)
		}
	}
	r = r.withDefaults()
	switch {
	case !(r.Min < r.Nominal && r.Nominal < r.Max):
		return invalid("min %g, nominal %g, max %g V stand in no order", r.Min, r.Nominal, r.Max)
	case r.Max-r.Min <= 2*r.Hysteresis:
		return invalid("between %g and %g V there is no room for a hysteresis of %g", r.Min, r.Max, r.Hysteresis)
	case r.Swings < 3 || r.Swings > maxSwings:
		return invalid("swings %d; 3 to %d, since a sag that is over is two", r.Swings, maxSwings)
	case r.Window < 0 || r.Window > time.Minute || r.Hold < 0 || r.Hold > time.Minute:
		return invalid("window %s, hold %s; allowed are up to 1m", r.Window, r.Hold)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "power.Config", fmt.Sprintf(format, args...))
}

func (r Rail) withDefaults() Rail {
	r.Nominal = cmp.Or(r.Nominal, 5)
	r.Min = cmp.Or(r.Min, 0.96*r.Nominal)
	r.Max = cmp.Or(r.Max, 1.06*r.Nominal)
	r.Ripple = cmp.Or(r.Ripple, 0.04*r.Nominal)
	r.Hysteresis = cmp.Or(r.Hysteresis, 0.01*r.Nominal)
	r.Swings = cmp.Or(r.Swings, 4)
	r.Window = cmp.Or(r.Window, 2*time.Second)
	return r
}
