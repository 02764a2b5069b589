package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/schedule"
)

func make1(t *testing.T, zone string, windows ...schedule.Window) schedule.Schedule {
	t.Helper()
	s, err := schedule.New(schedule.Config{Zone: zone, Windows: windows})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func exactly(t time.Time) schedule.Trusted { return schedule.Trusted{Lower: t, Upper: t} }

func at(t *testing.T, text string) time.Time {
	t.Helper()
	x, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return x.UTC()
}

func weekly(days, from, to string) schedule.Window {
	return schedule.Window{Days: days, From: from, To: to}
}

// spans lists what a schedule grants minute by minute.
func spans(s schedule.Schedule, from, to time.Time) string {
	var out []string
	was := core.Armed
	for x := from; x.Before(to); x = x.Add(time.Minute) {
		if a, _ := s.At(exactly(x)); a != was {
			out = append(out, fmt.Sprintf("%s %s", x.UTC().Format("02T15:04"), a))
			was = a
		}
	}
	return strings.Join(out, ", ")
}

func TestWindows(t *testing.T) {
	rows := []struct {
		name, from, to string
		windows        []schedule.Window
		want           string
	}{
		{
			"working days", "2026-06-05T00:00:00Z", "2026-06-09T00:00:00Z",
			[]schedule.Window{weekly("mon-fri", "07:00", "18:00")},
			"05T05:00 disarmed, 05T16:00 armed, 08T05:00 disarmed, 08T16:00 armed",
		},
		{
			"across midnight", "2026-06-05T12:00:00Z", "2026-06-07T12:00:00Z",
			[]schedule.Window{weekly("fri", "22:00", "02:30")},
			"05T20:00 disarmed, 06T00:30 armed",
		},
		{
			"up to midnight and from it on", "2026-06-05T12:00:00Z", "2026-06-07T12:00:00Z",
			[]schedule.Window{weekly("fri", "22:00", "24:00"), weekly("sat", "00:00", "01:00")},
			"05T20:00 disarmed, 05T23:00 armed",
		},
		{
			"two armings", "2026-06-05T00:00:00Z", "2026-06-06T00:00:00Z",
			[]schedule.Window{weekly("daily", "07:00", "08:00"), {Days: "daily", From: "08:00", To: "09:00", Arming: core.Transport}},
			"05T05:00 disarmed, 05T06:00 transport, 05T07:00 armed",
		},
		// 2026-03-29: 02:00 CET is 03:00 CEST, at 01:00 UTC.
		{
			"spring, over the gap", "2026-03-28T20:00:00Z", "2026-03-29T12:00:00Z",
			[]schedule.Window{weekly("sat", "23:00", "04:00")},
			"28T22:00 disarmed, 29T02:00 armed",
		},
		{
			"spring, an end that is skipped", "2026-03-28T20:00:00Z", "2026-03-29T12:00:00Z",
			[]schedule.Window{weekly("sun", "01:00", "02:30")},
			"29T00:00 disarmed, 29T01:00 armed",
		},
		{
			"spring, a beginning that is skipped", "2026-03-28T20:00:00Z", "2026-03-29T12:00:00Z",
			[]schedule.Window{weekly("sun", "02:30", "04:00")},
			"29T01:00 disarmed, 29T02:00 armed",
		},
		{
			"spring, skipped as a whole", "2026-03-28T20:00:00Z", "2026-03-29T12:00:00Z",
			[]schedule.Window{weekly("sun", "02:10", "02:50")},
			"",
		},
		// 2026-10-25: 03:00 CEST is 02:00 CET, at 01:00 UTC.
		{
			"autumn, over the repeated hour", "2026-10-24T20:00:00Z", "2026-10-25T12:00:00Z",
			[]schedule.Window{weekly("sat", "23:00", "04:00")},
			"24T21:00 disarmed, 25T03:00 armed",
		},
		{
			"autumn, an end that comes twice is the first", "2026-10-24T20:00:00Z", "2026-10-25T12:00:00Z",
			[]schedule.Window{weekly("sun", "01:00", "02:30")},
			"24T23:00 disarmed, 25T00:30 armed",
		},
		{
			"autumn, a beginning that comes twice is the second", "2026-10-24T20:00:00Z", "2026-10-25T12:00:00Z",
			[]schedule.Window{weekly("sun", "02:30", "04:00")},
			"25T01:30 disarmed, 25T03:00 armed",
		},
		{
			"autumn, within the repeated hour once", "2026-10-24T20:00:00Z", "2026-10-25T12:00:00Z",
			[]schedule.Window{weekly("sun", "02:10", "02:50")},
			"25T01:10 disarmed, 25T01:50 armed",
		},
	}
	for _, r := range rows {
		if got := spans(make1(t, "Europe/Berlin", r.windows...), at(t, r.from), at(t, r.to)); got != r.want {
			t.Errorf("%s:\n got %s\nwant %s", r.name, got, r.want)
		}
	}
}

func TestADayThatIsExceptedOpensNothing(t *testing.T) {
	s, err := schedule.New(schedule.Config{Zone: "Europe/Berlin", Windows: []schedule.Window{weekly("daily", "07:00", "08:00")}, Except: []string{"2026-12-25"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := spans(s, at(t, "2026-12-24T00:00:00Z"), at(t, "2026-12-27T00:00:00Z")), "24T06:00 disarmed, 24T07:00 armed, 26T06:00 disarmed, 26T07:00 armed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, until := s.At(exactly(at(t, "2026-12-24T09:00:00Z"))); !until.Equal(at(t, "2026-12-26T06:00:00Z")) {
		t.Errorf("the next window is at %s", until)
	}
}

// What At says holds until the instant that it names, and changes there.
func TestUntilIsWhenTheAnswerChanges(t *testing.T) {
	s := make1(t, "Europe/Berlin", weekly("mon-fri", "07:00", "18:00"), weekly("sat", "22:00", "02:30"), weekly("sun", "01:15", "02:45"))
	for _, start := range []string{"2026-03-27T00:00:00Z", "2026-10-23T00:00:00Z"} {
		from := at(t, start)
		for now := from; now.Before(from.AddDate(0, 0, 5)); {
			a, until := s.At(exactly(now))
			if !until.After(now) {
				t.Fatalf("%s: %s until %s", now, a, until)
			}
			for x := now; x.Before(until); x = x.Add(7 * time.Minute) {
				if got, _ := s.At(exactly(x)); got != a {
					t.Fatalf("at %s %s until %s, but %s at %s", now, a, until, got, x)
				}
			}
			if got, _ := s.At(exactly(until)); got == a {
				t.Fatalf("at %s %s until %s, and the same then", now, a, until)
			}
			now = until
		}
	}
}

func TestWithoutTrustedTimeItIsArmed(t *testing.T) {
	s := make1(t, "UTC", weekly("daily", "00:00", "24:00"))
	noon := at(t, "2026-06-05T12:00:00Z")
	if a, _ := s.At(exactly(noon)); a != core.Disarmed {
		t.Fatalf("with the right time %s", a)
	}
	for name, now := range map[string]schedule.Trusted{
		"nothing":   {},
		"no upper":  {Lower: noon},
		"contrary":  {Lower: noon, Upper: noon.Add(-time.Second)},
		"too vague": {Lower: noon, Upper: noon.Add(25 * time.Hour)},
	} {
		if a, until := s.At(now); a != core.Armed || !until.IsZero() {
			t.Errorf("%s: %s until %s", name, a, until)
		}
	}
	if a, _ := (schedule.Schedule{}).At(exactly(noon)); a != core.Armed {
		t.Errorf("no schedule: %s", a)
	}
}

func TestAWindowCountsOnlyIfNowCertainlyLiesInIt(t *testing.T) {
	s := make1(t, "UTC", weekly("daily", "12:00", "13:00"), weekly("daily", "13:00", "14:00"))
	for _, r := range []struct {
		lower, upper string
		want         core.Arming
		until        string
	}{
		{"11:59", "12:01", core.Armed, "12:00"},
		{"12:00", "12:10", core.Disarmed, "13:50"},
		{"12:50", "13:10", core.Disarmed, "13:40"}, // across the seam
		{"13:50", "14:00", core.Armed, "36:00"},
	} {
		day := at(t, "2026-06-05T00:00:00Z")
		clock := func(hm string) time.Time {
			var h, m time.Duration
			_, _ = fmt.Sscanf(hm, "%d:%d", &h, &m)
			return day.Add(h*time.Hour + m*time.Minute)
		}
		a, until := s.At(schedule.Trusted{Lower: clock(r.lower), Upper: clock(r.upper)})
		if a != r.want || !until.Equal(clock(r.until)) {
			t.Errorf("%s to %s: %s until %s", r.lower, r.upper, a, until)
		}
	}
}

// wrong are what a device may know of the time when its clock is set, lost,
// frozen or jumps: its bounds are always true or prove nothing, since no bound is
// a reading of the clock (link.TrustedTime).
var wrong = map[string]func(now time.Time, r *rand.Rand) schedule.Trusted{
	"1970": func(time.Time, *rand.Rand) schedule.Trusted { return schedule.Trusted{} },
	"-1 d": func(now time.Time, _ *rand.Rand) schedule.Trusted {
		return schedule.Trusted{Lower: now.AddDate(0, 0, -1)}
	},
	"+1 d": func(now time.Time, _ *rand.Rand) schedule.Trusted {
		return schedule.Trusted{Lower: now, Upper: now.AddDate(0, 0, 1)}
	},
	"2038": func(now time.Time, _ *rand.Rand) schedule.Trusted {
		return schedule.Trusted{Lower: now, Upper: time.Unix(1<<31, 0)}
	},
	"frozen": func(now time.Time, _ *rand.Rand) schedule.Trusted {
		return schedule.Trusted{Lower: now.Add(-90 * time.Minute)}
	},
	"jumping": func(now time.Time, _ *rand.Rand) schedule.Trusted {
		return schedule.Trusted{Lower: now, Upper: now.AddDate(0, 0, -1)}
	},
	"vague": func(now time.Time, r *rand.Rand) schedule.Trusted {
		return schedule.Trusted{Lower: now.Add(-time.Duration(r.Int64N(int64(3 * time.Hour)))), Upper: now.Add(time.Duration(r.Int64N(int64(3 * time.Hour))))}
	},
}

func TestNoClockIsMorePermissiveThanTheRightOne(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2026))
	zones := []string{"Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo", "UTC"}
	days := []string{"mon-fri", "sat,sun", "daily", "fri-mon", "wed"}
	clock := func() string { return fmt.Sprintf("%02d:%02d", r.IntN(24), r.IntN(60)) }
	granted := 0
	for range 300 {
		w := weekly(days[r.IntN(len(days))], clock(), clock())
		if w.From == w.To {
			continue
		}
		s := make1(t, zones[r.IntN(len(zones))], w, weekly("daily", "10:00", "10:01"))
		for range 20 {
			now := time.Unix(1_760_000_000+r.Int64N(60_000_000), 0).UTC()
			right, _ := s.At(exactly(now))
			for name, f := range wrong {
				if a, _ := s.At(f(now, r)); a != core.Armed {
					if granted++; right == core.Armed {
						t.Fatalf("%s: %s at %s, where the right clock says armed (%+v)", name, a, now, w)
					}
				}
			}
		}
	}
	if granted == 0 {
		t.Error("no clock granted anything: nothing was tested")
	}
}

func TestBadSchedulesNameWhatIsWrong(t *testing.T) {
	for want, c := range map[string]schedule.Config{
		"zone":                 {Zone: "Europe/Atlantis"},
		"windows[0].days":      {Windows: []schedule.Window{weekly("mo", "07:00", "08:00")}},
		"windows[0].from":      {Windows: []schedule.Window{weekly("mon", "7:00", "08:00")}},
		"windows[0].to":        {Windows: []schedule.Window{weekly("mon", "07:00", "24:01")}},
		"windows[1].to":        {Windows: []schedule.Window{weekly("mon", "07:00", "08:00"), weekly("mon", "07:00", "07:00")}},
		"windows[0].arming":    {Windows: []schedule.Window{{Days: "mon", From: "07:00", To: "08:00", Arming: core.Maintenance}}},
		"except[0]":            {Except: []string{"25.12."}},
		"begins on its own":    {Windows: []schedule.Window{weekly("mon", "24:00", "08:00")}},
		"101 windows":          {Windows: make([]schedule.Window, 101)},
		`"Local" is no time z`: {Zone: "Local"},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) || core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func FuzzWindow(f *testing.F) {
	f.Add("Europe/Berlin", "mon-fri", "07:00", "18:00", "2026-12-25", int64(1_774_746_000))
	f.Add("America/Sao_Paulo", "sat,sun", "22:00", "02:30", "", int64(1_793_000_000))
	f.Add("../etc/passwd", "daily", "00:00", "24:00", "x", int64(-1))
	f.Fuzz(func(t *testing.T, zone, days, from, to, except string, unix int64) {
		c := schedule.Config{Zone: zone, Windows: []schedule.Window{weekly(days, from, to)}}
		if except != "" {
			c.Except = []string{except}
		}
		s, err := schedule.New(c)
		if err != nil {
			return
		}
		now := time.Unix(unix%(1<<34), 0).UTC()
		a, until := s.At(exactly(now))
		if !until.IsZero() && !until.After(now) {
			t.Errorf("%+v at %s: %s until %s", c, now, a, until)
		}
	})
}
