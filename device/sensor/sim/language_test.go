package sim_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/sim"
)

// play lists the first lines that a scenario gives, without its signs of life.
func play(s sim.Scenario, lines int) []string {
	var all []string
	p := s.Play()
	for first := true; len(all) < lines && p.Next() < 400*24*time.Hour; {
		m := p.Step()
		for _, r := range m.Readings {
			if r.Kind == sensor.Beat || (first && r.Kind == sensor.Inventory) {
				first = false
				continue
			}
			all = append(all, clock(m.At)+" "+render(r))
		}
		if m.Fault != nil {
			return append(all, clock(m.At)+" fails: "+m.Fault.Error())
		}
		if m.Panic != "" {
			return append(all, clock(m.At)+" panics: "+m.Panic)
		}
	}
	return all[:min(len(all), lines)]
}

func clock(d time.Duration) string {
	s := fmt.Sprintf("%02d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	if part := d % time.Second; part > 0 {
		s += strings.TrimRight(fmt.Sprintf(".%03d", part.Milliseconds()), "0")
	}
	return s
}

func render(r sensor.Reading) string {
	switch r.Kind {
	case sensor.Level:
		if !r.Active {
			return r.Point + " closed " + r.Clear
		}
		return fmt.Sprintf("%s open %s %s%s", r.Point, r.Type, r.Severity, map[bool]string{false: ", no alarm"}[r.Alarm])
	case sensor.Pulse:
		return fmt.Sprintf("%s %s %s%s", r.Point, r.Type, r.Severity, map[bool]string{false: ", no alarm"}[r.Alarm])
	case sensor.Measure:
		return fmt.Sprintf("%s %.1f %s", r.Point, r.Value, r.Unit)
	case sensor.Waveform:
		low, high := math.Inf(1), math.Inf(-1)
		for _, v := range r.Wave.Samples {
			low, high = min(low, v.Z), max(high, v.Z)
		}
		return fmt.Sprintf("%s %d samples, upright %.2f to %.2f g", r.Point, len(r.Wave.Samples), math.Abs(low), high)
	case sensor.Position:
		if r.Fix.Mode == 0 {
			return r.Point + " no fix"
		}
		return fmt.Sprintf("%s %.3f %.3f", r.Point, r.Fix.Lat, r.Fix.Lon)
	case sensor.Broken:
		return r.Point + " broken: " + strings.TrimSuffix(strings.TrimPrefix(string(r.Fields), `{"why":"`), `"}`)
	case sensor.Inventory:
		return "there: " + parts(r.Parts)
	case sensor.Sighting:
		return "sighted: " + parts(r.Parts)
	}
	return "?"
}

func parts(all []sensor.Part) string {
	var text []string
	for _, p := range all {
		text = append(text, p.Class+" "+p.Place+" "+p.Identity)
	}
	return strings.Join(text, "; ")
}

var exampleRE = regexp.MustCompile("(?s)```scenario\n(.*?)```\n```(gives|refused)\n(.*?)```")

// TestTheReferencePage runs each example of the page.
func TestTheReferencePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/reference/scenario.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := exampleRE.FindAllStringSubmatch(string(page), -1)
	if n := strings.Count(string(page), "```scenario"); n != len(examples) || n < 8 {
		t.Fatalf("%d examples, %d of them with what they give", n, len(examples))
	}
	for _, x := range examples {
		want := strings.Split(strings.TrimSpace(x[3]), "\n")
		s, err := sim.ParseScript([]byte(x[1]))
		if x[2] == "refused" {
			if err == nil || err.Error() != want[0] {
				t.Errorf("%s\ngives %v\nwant %s", x[1], err, want[0])
			}
			continue
		}
		if err != nil {
			t.Errorf("%s\n%v", x[1], err)
			continue
		}
		if got := play(s, len(want)); !slices.Equal(got, want) {
			t.Errorf("%s\ngives\n%s\nwant\n%s", x[1], strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Every word that a statement can begin with is explained.
func TestTheReferencePageKnowsEveryWord(t *testing.T) {
	page, err := os.ReadFile("../../../docs/reference/scenario.md")
	if err != nil {
		t.Fatal(err)
	}
	_, all := sim.ParseScript([]byte("xxxxxxxxxxxx"))
	_, list, ok := strings.Cut(all.Error(), "write one of ")
	if !ok {
		t.Fatal(all)
	}
	for _, word := range strings.Split(list, ", ") {
		if !regexp.MustCompile("(?m)(`|^|  |[a-z0-9] )" + word + "\\b").Match(page) {
			t.Errorf("the page does not explain %s", word)
		}
	}
}

func TestLinesThatAreRefusedSayWhatToWrite(t *testing.T) {
	for _, row := range []struct{ line, want string }{
		{"open", "the point is missing; write open POINT"},
		{"open lid as Case", "no event type"},
		{"open lid severity urgent", "severity: \"urgent\""},
		{"open lid loudly", "write as, severity, quiet or settled"},
		{"pulse lid", "no event type"},
		{"attach fridge kitchen", "usb, interface or disk"},
		{"set t NaN Cel", "is no number"},
		{"set t 5 Fahrenheit", "is no unit"},
		{"set t 5 Cel every 0s", "allowed are 1ms to 1h"},
		{"set t 5 Cel twice", "nothing is known to begin with \"twice\""},
		{"drift t 5 over 3m", "stands where \"to\" belongs"},
		{"drift t to 5 Cel over soon", "write one like 20ms"},
		{"shake imu at 18 Hz 0.2 furlong for 5s", "is no number in g or mg"},
		{"shake imu at -1 Hz 0.2 g for 5s", "allowed is what is above 0"},
		{"tilt imu 12 rad over 3s", "in deg"},
		{"place gps at 91 0", "is nowhere"},
		{"insert disk sda", "the identity is missing"},
		{"at 9:00 open lid", "is no time"},
		{"at 09:61 open lid", "is no time"},
		{"after yesterday open lid", "write one like 20ms"},
		{"wait 9000h", "is no time from 0 to"},
		{"repeat 0 every 1s", "1 to 100000 times"},
		{"repeat 3", "write repeat NUMBER every TIME"},
		{"done", "no repeat above it"},
		{"seed x", "write a whole number"},
		{"pace 0s", "allowed are 1ms"},
		{"begins 2026-03-28 18:00 Mars/North", "write a day, a time and a zone"},
		{`open "lid`, "does not end"},
		{"end now", "nothing is known to begin"},
	} {
		if _, err := sim.ParseScript([]byte("\n" + row.line)); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %s", row.line, err, row.want)
		}
	}
	for text, want := range map[string]string{
		"open lid\nseed 3":                                         "line 2: seed stands at the top",
		"repeat 2 every 1s\nopen lid":                              "line 1: repeat has no end",
		"repeat 2 every 1s\nrepeat 2 every 1s":                     "line 2: repeat stands within the repeat of line 1",
		"repeat 90000 every 1s\nopen a\nclose a\ndone":             "line 4: 2 statements 90000 times",
		"at 10:00 open a\nat 09:00 close a":                        "line 2: at 09:00 is before",
		"begins 2026-03-28 18:00 Europe/Berlin\nat 25:00 open a":   "line 2: no such time of day",
		"repeat 100000 every 8000h\nopen a\ndone":                  "line 3: a scenario is no longer than",
		"{\"do\":\"wait\",\"ms\":1}\nseed 1":                       "line 2: seed stands at the top",
		strings.Repeat("{\"do\":\"wait\",\"ms\":86400000}\n", 367): "line 367: a scenario is no longer",
	} {
		if _, err := sim.ParseScript([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", text, err, want)
		}
	}
}

// Both changes of clocks, in the zone that the scenario names.
func TestTimesOfDayFollowTheZone(t *testing.T) {
	for day, want := range map[string]string{"2026-03-28": "05:00:00", "2026-10-24": "07:00:00", "2026-06-05": "06:00:00"} {
		s := script(t, "begins "+day+" 22:00 Europe/Berlin\nat 04:00 open a")
		if got := play(s, 1); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: %v, want %s", day, got, want)
		}
	}
}

func TestTheSameSeedGivesTheSameNoise(t *testing.T) {
	text := "set a 20 Cel noise 0.5\nrest imu noise 5 mg\n"
	one, same, other := play(script(t, "seed 7\n"+text), 200), play(script(t, "seed 7\n"+text), 200), play(script(t, "seed 8\n"+text), 200)
	if !slices.Equal(one, same) || slices.Equal(one, other) {
		t.Error("noise does not follow its seed")
	}
}

func TestAStuckAccelerometerRepeatsItselfAndAFullOneClips(t *testing.T) {
	s := script(t, "rest imu range 2 g\nafter 2500ms shake imu at 5 Hz 4 g for 1s\nafter 3s freeze imu")
	got := play(s, 9)
	if !strings.Contains(got[3], "2.00 g") {
		t.Errorf("clipped: %s", got[3])
	}
	if v := strings.Fields(got[8]); v[5] != v[7] {
		t.Errorf("stuck: %s", got[8])
	}
}

func FuzzParseScript(f *testing.F) {
	page, err := os.ReadFile("../../../docs/reference/scenario.md")
	if err != nil {
		f.Fatal(err)
	}
	for _, x := range exampleRE.FindAllSubmatch(page, -1) {
		f.Add(x[1])
	}
	f.Add([]byte("begins 2026-03-28 18:00 Europe/Berlin\nat 02:30 drop\nrepeat 3 every 1ms\nknock i 2g\ndone"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := sim.ParseScript(text)
		if err != nil {
			return
		}
		p, last := s.Play(), time.Duration(0)
		for range 200 {
			m := p.Step()
			if m.At < last {
				t.Fatalf("time goes back from %s to %s", last, m.At)
			}
			last = m.At
			for _, r := range m.Readings {
				if !r.Simulated {
					t.Fatalf("a reading without the mark: %+v", r)
				}
				if r.Kind == sensor.Measure && math.IsNaN(r.Value) {
					t.Fatalf("no number: %+v", r)
				}
			}
			if m.Fault != nil || m.Panic != "" {
				return
			}
		}
	})
}
