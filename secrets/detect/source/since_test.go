package source

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
)

func TestATimeThatGitDoesNotUnderstandIsRefused(t *testing.T) {
	g := newGit(t)
	g.commit("a", secret("told")+"\n")
	for _, since := range []string{
		"blahblah", " ", "2026-13-01", "2026-02-30", "1969-12-31", "2100-01-01", "100.years", "1576800000.seconds", "20260131.seconds", "99999.days", "2.fortnights", "2weeks",
		"-1.days", "@0", "2026-01-31\n", "--all", "yesterday x",
	} {
		err := History(t.Context(), g.dir, HistoryOptions{Since: since}, Config{}, Sink{Leak: func(Found) {}, Gap: func(Gap) {}})
		if core.KindOf(err) != core.KindInvalid || core.HintOf(err) == "" {
			t.Errorf("%q: %v", since, err)
		}
	}
}

// TestGitUnderstandsWhatIsAccepted as the time that is meant: what is counted back give
// or take leap days and the length of months, all else to the second.
func TestGitUnderstandsWhatIsAccepted(t *testing.T) {
	g := newGit(t)
	now := time.Now()
	for since, want := range map[string]time.Time{
		"yesterday": now.Add(-day), "2.weeks": now.Add(-14 * day), "2 weeks ago": now.Add(-14 * day), "1.day.ago": now.Add(-day), "36.hours": now.Add(-36 * time.Hour),
		"10.minutes": now.Add(-10 * time.Minute), "999999.seconds": now.Add(-999_999 * time.Second), "1980.days": now.Add(-1980 * day), "2026.hours": now.Add(-2026 * time.Hour), "80.days": now.Add(-80 * day), "18250.days": now.Add(-farthest),
		"50.years": now.AddDate(-50, 0, 0), "588.months": now.AddDate(-49, 0, 0),
	} {
		if got := gitReads(t, g, since); got.Sub(want).Abs() > 50*time.Hour {
			t.Errorf("%q: git reads %s, want %s", since, got, want)
		}
	}
	for since, want := range map[string]time.Time{
		"2026-01-31T10:00:00.5+02:00": time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC), "2026-01-31T10:00:00Z": time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC),
		"2026-01-31": gitReads(t, g, "2026-01-31T00:00:00"), "1970-01-02": gitReads(t, g, "1970-01-02 00:00:00"), "2099-12-31": gitReads(t, g, "2099-12-31 00:00"),
	} {
		if got := gitReads(t, g, since); !got.Equal(want) {
			t.Errorf("%q: git reads %s, want %s", since, got, want)
		}
	}
}

func gitReads(t *testing.T, g *git, since string) time.Time {
	t.Helper()
	arg, err := sinceForGit(since)
	if err != nil {
		t.Fatal(err)
	}
	told, _ := strings.CutPrefix(g.run("rev-parse", "--since="+arg), "--max-age=")
	got, err := strconv.ParseInt(told, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(got, 0)
}

// TestWhatTheKernelMakesUpIsNoFile: to read the kernel's log waits for ever.
func TestWhatTheKernelMakesUpIsNoFile(t *testing.T) {
	err := File(t.Context(), "/proc/self/status", "status", Config{}, Sink{Leak: func(Found) {}, Gap: func(Gap) {}})
	if core.KindOf(err) != core.KindInvalid {
		t.Errorf("got %v", err)
	}
}
