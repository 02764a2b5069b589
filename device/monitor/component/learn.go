package component

import (
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

// window is the time in which the baseline grows. It is kept with the baseline,
// so a restart does not open it anew.
type window struct {
	From  int64 `json:"from,omitempty"` // wall clock, seconds; 0 for none
	Until int64 `json:"until,omitempty"`
}

func (w window) open() bool { return w.Until != 0 }

// over says that the window ends. A clock that went back ends it as well: nobody
// gets more time to learn by setting it.
func (w window) over(now time.Time) bool { return now.Unix() >= w.Until || now.Unix() < w.From }

func (j *Judge) learn(now time.Time) []sensor.Reading {
	j.base, j.changed = j.now, true
	if j.config.Learn > 0 {
		j.window = window{From: now.Unix(), Until: now.Add(j.config.Learn).Unix()}
	}
	return append([]sensor.Reading{j.learned()}, j.compare()...)
}

func (j *Judge) learned() sensor.Reading {
	return j.pulse(TypeLearned, map[string]any{"unreadable": unreadable(j.base), "learning": j.window.open()})
}

// grow takes what is new into the baseline while it is being learned. What is
// another one in a place, or has other firmware, is a finding then, too.
func (j *Judge) grow(now time.Time) []sensor.Reading {
	if !j.window.open() {
		return nil
	}
	if j.window.over(now) {
		return j.close()
	}
	for _, f := range differences(j.base, j.now) {
		if f.kind == TypeAdded && f.from.Class == "" && len(j.base) < maxParts {
			j.base, j.changed = sorted(append(j.base, f.to)), true
		}
	}
	return nil
}

func (j *Judge) close() []sensor.Reading {
	j.window, j.changed = window{}, true
	return []sensor.Reading{j.learned()}
}

// Tick implements monitor.Judge: time alone changes no part, and ends learning.
func (j *Judge) Tick(now time.Time) []sensor.Reading {
	if !j.window.open() || !j.window.over(now) {
		return nil
	}
	return j.close()
}

// Next implements monitor.Judge.
func (j *Judge) Next() time.Time {
	if !j.window.open() {
		return time.Time{}
	}
	return time.Unix(j.window.Until, 0)
}
