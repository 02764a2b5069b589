package agent

import (
	"testing"
	"time"
)

// TestAWaitCountsOnlyWhatTheClockSaw: the time that the machine was off does not
// count, the time before it does.
func TestAWaitCountsOnlyWhatTheClockSaw(t *testing.T) {
	w := pendingRoot{Delay: 72 * time.Hour}
	w.count("boot-1", time.Hour)
	if all, _ := w.waited("boot-1", 21*time.Hour); all != 20*time.Hour {
		t.Errorf("waited %s", all)
	}
	w.count("boot-1", 21*time.Hour)
	if all, unkept := w.waited("boot-2", 90*time.Hour); all != 20*time.Hour || unkept != 0 {
		t.Errorf("after a restart of the machine: %s, %s unkept", all, unkept)
	}
	w.count("boot-2", 5*time.Minute)
	if all, unkept := w.waited("boot-2", time.Hour); all != 20*time.Hour+55*time.Minute || unkept != 55*time.Minute {
		t.Errorf("waited %s, %s unkept", all, unkept)
	}
	if all, _ := w.waited("boot-2", time.Minute); all != 20*time.Hour {
		t.Errorf("a clock that went back: %s", all)
	}
}
