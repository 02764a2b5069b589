package replay_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace/replay"
	"github.com/interlock-security/interlock/device/trace/synth"
)

var update = flag.Bool("update", false, "write the figures of docs/reference/motion.md anew")

const (
	page  = "../../../docs/reference/motion.md"
	begin = "<!-- figures: begin; written by go test ./device/trace/replay -run TestFigures -update -->\n"
	end   = "<!-- figures: end -->"
)

// fanOn is the recording that the fan with the weight on its blade is held
// against.
const fanOn = "accel/st-mlc-old/fan-rack-on_fan_onf.ndjson"

// outcome is one segment, judged.
type outcome struct {
	segment
	class string
	alarm bool
}

// judgeAll judges every labelled segment, changed by f.
func judgeAll(t *testing.T, a archive, f func([]sensor.Sample) []sensor.Sample) (all []outcome) {
	t.Helper()
	var fan *replay.Baseline
	results := map[string]replay.Result{}
	for _, s := range a.segments {
		if _, known := means[s.label]; !known {
			continue
		}
		res, done := results[s.file]
		switch {
		case done:
		case s.label == "vibration-fault":
			if fan == nil {
				fan = learn(t, f(a.files[fanOn]))
			}
			res = run(t, f(s.samples), fan)
		default:
			res = run(t, f(s.samples), nil)
		}
		results[s.file] = res
		class, alarm := s.strongest(res)
		all = append(all, outcome{s, class, alarm})
	}
	return all
}

func same(s []sensor.Sample) []sensor.Sample { return s }

// judgedOnce keeps what was judged: two tests ask for each variant.
var judgedOnce = map[string][]outcome{}

func judgeVariant(t *testing.T, a archive, v variant) []outcome {
	t.Helper()
	if judgedOnce[v.name] == nil {
		for _, o := range judgeAll(t, a, v.make) {
			// What was cut off can't be found.
			if !cut(v) || o.whole && o.label != "tilt" {
				judgedOnce[v.name] = append(judgedOnce[v.name], o)
			}
		}
	}
	return judgedOnce[v.name]
}

// TestRecorded holds the judges to the recorded traces: every tampering alarms,
// nothing else does, and what it is called fits the label.
func TestRecorded(t *testing.T) {
	for _, o := range judgeAll(t, recorded(t), same) {
		m := means[o.label]
		if o.alarm != m.tamper {
			t.Errorf("%s (%s, %s): alarm %v, called %s", o.file, o.label, o.sub, o.alarm, o.class)
		}
		if !slices.Contains(m.called, o.class) && !known[filepath.Base(o.file)] {
			t.Errorf("%s (%s, %s): called %s", o.file, o.label, o.sub, o.class)
		}
	}
}

// known are recordings that are called something else than their label, with no
// alarm about it: the page says so.
var known = map[string]bool{
	// People get in and out of a car that is labelled as parked: it sways for
	// eleven seconds and is not turned, which is what a quake does.
	"parked-car_stationary2.ndjson": true,
}

// What a recording says may not hang on its sensor.
func TestRecordedByOtherSensors(t *testing.T) {
	a := recorded(t)
	wrong, n := 0, 0
	for _, v := range variants {
		for _, o := range judgeVariant(t, a, v) {
			n++
			if o.alarm != means[o.label].tamper {
				wrong++
				t.Logf("%s: %s (%s): alarm %v, called %s", v.name, filepath.Base(o.file), o.label, o.alarm, o.class)
			}
		}
	}
	if wrong*50 > n {
		t.Errorf("%d of %d wrong, more than one in fifty", wrong, n)
	}
}

func cut(v variant) bool { return strings.HasPrefix(v.name, "only") }

// TestFan tells a fan with a weight on its blade and one that is off from the
// same fan when it was well, and it from itself not.
func TestFan(t *testing.T) {
	a := recorded(t)
	on := a.files[fanOn]
	first, second := on[:len(on)/2], on[len(on)/2:]
	for _, c := range []struct {
		name       string
		base, test []sensor.Sample
		word       string
	}{
		{"second half against the first", first, second, ""},
		{"first half against the second", second, first, ""},
		{"off", on, a.files["accel/st-mlc-old/fan-rack-off_fan_off.ndjson"], "all but gone"},
		{"weight on a blade", on, a.files["accel/st-mlc-old/fan-rack-blade-weight_fan_fault.ndjson"], "louder"},
		{"a fifth weaker", first, weaker(second, 0.7), "quieter"},
	} {
		res := run(t, c.test, learn(t, c.base))
		if c.word == "" {
			if len(res.Lines) > 0 || !res.Compared {
				t.Errorf("%s: %v", c.name, res.Lines)
			}
			continue
		}
		if len(res.Lines) != 1 || res.Lines[0].Class != "vibration" || !res.Alarm() || !strings.Contains(res.Lines[0].Why, c.word) {
			t.Errorf("%s: %v", c.name, res.Lines)
		}
	}
}

// weaker scales what moves and leaves gravity.
func weaker(in []sensor.Sample, k float64) []sensor.Sample {
	var m sensor.Sample
	n := float64(len(in))
	for _, s := range in {
		m.X, m.Y, m.Z = m.X+s.X/n, m.Y+s.Y/n, m.Z+s.Z/n
	}
	return each(in, func(s sensor.Sample) sensor.Sample {
		s.X, s.Y, s.Z = m.X+k*(s.X-m.X), m.Y+k*(s.Y-m.Y), m.Z+k*(s.Z-m.Z)
		return s
	})
}

// TestFigures publishes what the judges make of the recorded and of the
// synthetic traces.
func TestFigures(t *testing.T) {
	a := recorded(t)
	var b strings.Builder
	b.WriteString(begin)
	all := judgeAll(t, a, same)
	confusion(&b, all)
	tampering(&b, all)
	sources(&b, all)
	otherSensors(t, &b, a)
	synthetic(t, &b)
	quakeRows(t, &b)
	b.WriteString(end)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the figures between %q and %q", page, begin, end)
	}
	want := before + b.String() + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(text) {
		t.Errorf("the figures of %s are not those of this code; write them anew with: go test ./device/trace/replay -run TestFigures -update", page)
	}
}

// confusion is a row for each label, a column for each class that came up.
func confusion(b *strings.Builder, all []outcome) {
	counts, classes := map[string]map[string]int{}, map[string]bool{}
	for _, o := range all {
		if counts[o.label] == nil {
			counts[o.label] = map[string]int{}
		}
		counts[o.label][o.class]++
		classes[o.class] = true
	}
	names := slices.Sorted(maps.Keys(classes))
	fmt.Fprintf(b, "### Recorded: what is labelled so is called so\n\n| label | %s | recall |\n|---|%s---|\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	right := map[string]int{}
	for _, label := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(b, "| %s |", label)
		n, called := 0, 0
		for _, c := range names {
			k := counts[label][c]
			n += k
			if slices.Contains(means[label].called, c) {
				called, right[c] = called+k, right[c]+k
			}
			fmt.Fprintf(b, " %s |", blank(k))
		}
		fmt.Fprintf(b, " %d of %d |\n", called, n)
	}
	b.WriteString("| precision |")
	for _, c := range names {
		n := 0
		for _, row := range counts {
			n += row[c]
		}
		fmt.Fprintf(b, " %d of %d |", right[c], n)
	}
	b.WriteString(" |\n\nA label allows the classes that mean the same to a device: `handling/lift` those of being moved, `still` what alarms nobody and is no quake.\n\n")
}

func blank(k int) string {
	if k == 0 {
		return ""
	}
	return fmt.Sprint(k)
}

// tally counts alarms.
type tally struct{ found, tamper, false, benign int }

func (c *tally) put(o outcome) {
	switch {
	case means[o.label].tamper:
		c.tamper++
		if o.alarm {
			c.found++
		}
	default:
		c.benign++
		if o.alarm {
			c.false++
		}
	}
}

func tampering(b *strings.Builder, all []outcome) {
	var c tally
	for _, o := range all {
		c.put(o)
	}
	fmt.Fprintf(b, "### Recorded: tampering against everything else\n\n| | alarm | no alarm |\n|---|---|---|\n| tampering | %d | %d |\n| everything else | %d | %d |\n\n", c.found, c.tamper-c.found, c.false, c.benign-c.false)
	fmt.Fprintf(b, "Recall %.2f, precision %.2f, of %d segments.\n\n", float64(c.found)/float64(c.tamper), float64(c.found)/float64(max(c.found+c.false, 1)), len(all))
}

func rows(b *strings.Builder, by map[string]*tally, order []string) {
	for _, name := range order {
		c := by[name]
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, of(c.found, c.tamper), of(c.false, c.benign))
	}
	b.WriteByte('\n')
}

func of(k, n int) string {
	if n == 0 {
		return "none there"
	}
	return fmt.Sprintf("%d of %d", k, n)
}

// sources gives each source by itself.
func sources(b *strings.Builder, all []outcome) {
	by := map[string]*tally{}
	for _, o := range all {
		name := strings.Split(filepath.Base(o.file), "_")[0]
		if strings.Contains(o.file, "st-har") {
			name = "on a person (st-har)"
		}
		if strings.HasPrefix(name, "board") || name == "intensity" {
			name = "board in hands and on a table"
		}
		if by[name] == nil {
			by[name] = &tally{}
		}
		by[name].put(o)
	}
	b.WriteString("### Recorded: by source\n\nEach source by itself, so that none hides behind another.\n\n| source | tampering that alarms | everything else that alarms |\n|---|---|---|\n")
	rows(b, by, slices.Sorted(maps.Keys(by)))
}

func otherSensors(t *testing.T, b *strings.Builder, a archive) {
	t.Helper()
	by, order := map[string]*tally{}, []string{}
	for _, v := range variants {
		c := &tally{}
		for _, o := range judgeVariant(t, a, v) {
			c.put(o)
		}
		by[v.name], order = c, append(order, v.name)
	}
	b.WriteString("### Recorded, then changed: the same motion as another sensor would have told it\n\n| sensor | tampering that alarms | everything else that alarms |\n|---|---|---|\n")
	rows(b, by, order)
}

// synthetic judges what the generator makes up.
func synthetic(t *testing.T, b *strings.Builder) {
	t.Helper()
	b.WriteString("### Synthetic\n\nMade up by `device/trace/synth` with the parameters that it states, 4 seeds each at 26, 104 and 400 Hz. These figures say that the judges follow their rules, not that the rules fit the world.\n\n| what happens | alarms | is called |\n|---|---|---|\n")
	for _, k := range []synth.Kind{synth.Footsteps, synth.Door, synth.Knock, synth.Bump, synth.Rumble, synth.Buzz, synth.Earthquake, synth.Fan, synth.Lift, synth.Carry, synth.Drive, synth.Tilt, synth.Drill, synth.Drop} {
		alarms, n, classes := 0, 0, map[string]int{}
		for _, rate := range []float64{26, 104, 400} {
			for seed := range uint64(4) {
				res := run(t, scene(k, rate, seed), nil)
				class, alarm := segment{whole: true}.strongest(res)
				classes[class]++
				if n++; alarm {
					alarms++
				}
			}
		}
		fmt.Fprintf(b, "| %s | %d of %d | %s |\n", k, alarms, n, counted(classes))
	}
	b.WriteByte('\n')
}

func scene(k synth.Kind, rate float64, seed uint64) []sensor.Sample {
	e := synth.Event{Kind: k, At: 6 * time.Second}
	c := synth.Config{Seed: seed, Rate: rate, Length: 20 * time.Second, Noise: 0.002, Turned: true, Jitter: 0.2}
	switch k {
	case synth.Earthquake, synth.Carry, synth.Drive:
		c.Length = 36 * time.Second
	case synth.Fan:
		e.At = 0
	}
	c.Events = []synth.Event{e}
	return synth.Make(c)
}
