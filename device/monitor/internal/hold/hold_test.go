package hold

import (
	"testing"
	"time"
)

func TestAStateCountsOnceItHasHeld(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	var s State[string]
	for _, row := range []struct {
		ms      int
		v       string
		changed bool
		now     string
		away    int
	}{
		{0, "calm", false, "", 0},
		{100, "calm", true, "calm", 0},
		{200, "high", false, "calm", 0},
		{250, "calm", false, "calm", 0}, // it did not hold
		{300, "high", false, "calm", 0},
		{350, "low", false, "calm", 50}, // another one: it begins anew
		{380, "high", false, "calm", 80},
		{480, "high", true, "high", 0},
	} {
		if got := s.See(at(row.ms), row.v, 100*time.Millisecond); got != row.changed {
			t.Errorf("at %d ms: changed %v", row.ms, got)
		}
		if now, _ := s.Now(); now != row.now || s.Away(at(row.ms)) != time.Duration(row.away)*time.Millisecond {
			t.Errorf("at %d ms: %q, away %s", row.ms, now, s.Away(at(row.ms)))
		}
	}
}

func TestARuleMeansItsPoints(t *testing.T) {
	for _, row := range []struct {
		pattern, point string
		want           bool
	}{
		{"", "temp1", true},
		{"temp1", "temp1", true},
		{"temp1", "adm9240@0-002c/temp1", true},
		{"adm9240@*/temp*", "adm9240@0-002c/temp1", true},
		{"temp*", "adm9240@0-002c/temp1", true},
		{"temp1", "temp10", false},
		{"w83*/temp1", "adm9240@0-002c/temp1", false},
		{"[", "temp1", false},
	} {
		if got := Match(row.pattern, row.point); got != row.want {
			t.Errorf("%q means %q: %v", row.pattern, row.point, got)
		}
	}
	if IsPattern("[") || !IsPattern("temp*") {
		t.Error("patterns")
	}
}
