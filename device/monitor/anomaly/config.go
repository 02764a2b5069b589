package anomaly

import (
	"cmp"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/hold"
)

// Config configures the judge. The defaults are those whose figures the package's
// test publishes.
type Config struct {
	// Points are the numbers to learn, as patterns; all if left out.
	Points []string `yaml:"points,omitempty"`
	// Threshold is the score at which something is unusual: how many times its
	// usual deviation a signal is away, 2.5 if left out. It ends below half of it.
	Threshold float64 `yaml:"threshold,omitempty"`
	// Learn is how long it only learns, 5 days if left out.
	Learn time.Duration `yaml:"learn,omitempty"`
	// Level is how long the usual value takes to follow, 4 days if left out;
	// Spread the same for the usual deviation, 14 days.
	Level  time.Duration `yaml:"level,omitempty"`
	Spread time.Duration `yaml:"spread,omitempty"`
	// Smooth is how long something must be unusual, roughly; 6 h if left out. What
	// is more than twice as far away as the threshold counts after a twelfth of it.
	Smooth time.Duration `yaml:"smooth,omitempty"`
	// Season is daily where the hour of the day matters, or none, which it is if
	// left out.
	Season string `yaml:"season,omitempty"`
	// Step is the time over which numbers are averaged first; 5 min if left out.
	Step time.Duration `yaml:"step,omitempty"`
	// Alarm says that an anomaly is an alarm; left out, it is only told.
	Alarm bool `yaml:"alarm,omitempty"`
}

// The seasons.
const (
	SeasonNone  = "none"
	SeasonDaily = "daily"
)

const (
	maxPatterns = 32
	longest     = 90 * 24 * time.Hour
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	for _, p := range c.Points {
		if p == "" || !hold.IsPattern(p) {
			return invalid("point %q is no pattern", p)
		}
	}
	switch {
	case len(c.Points) > maxPatterns:
		return invalid("%d points; at most %d", len(c.Points), maxPatterns)
	case !(c.Threshold >= 1 && c.Threshold <= 20):
		return invalid("threshold %g; allowed are 1 to 20", c.Threshold)
	case c.Season != SeasonNone && c.Season != SeasonDaily:
		return invalid("season %q; known are none, daily", c.Season)
	case c.Step < time.Second || c.Step > time.Hour:
		return invalid("step %s; allowed are 1s to 1h", c.Step)
	}
	for name, d := range map[string]time.Duration{"learn": c.Learn, "level": c.Level, "spread": c.Spread, "smooth": c.Smooth} {
		if d < c.Step || d > longest {
			return invalid("%s %s; allowed are one step to %s", name, d, longest)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "anomaly.Config", fmt.Sprintf(format, args...))
}

func (c Config) withDefaults() Config {
	const day = 24 * time.Hour
	c.Threshold = cmp.Or(c.Threshold, 2.5)
	c.Learn = cmp.Or(c.Learn, 5*day)
	c.Level = cmp.Or(c.Level, 4*day)
	c.Spread = cmp.Or(c.Spread, 14*day)
	c.Smooth = cmp.Or(c.Smooth, 6*time.Hour)
	c.Step = cmp.Or(c.Step, 5*time.Minute)
	c.Season = cmp.Or(c.Season, SeasonNone)
	return c
}
