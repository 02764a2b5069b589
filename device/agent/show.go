package agent

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// Colour says whether what is written may have colours: where a person looks at
// it, and nowhere else.
type Colour bool

// The colours of words that matter.
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
	plain  = "\x1b[0m"
)

func (c Colour) of(colour, text string) string {
	if !c {
		return text
	}
	return colour + text + plain
}

// Write writes the report for people: what failed, what needs a person, what
// could not be tested, what passed, each by its group.
func (r *Report) Write(w io.Writer, c Colour) error {
	var out strings.Builder
	for _, g := range []Group{GroupGPIO, GroupPower, GroupThermal, GroupSensors, GroupSecurity} {
		for _, x := range r.Checks {
			if x.Group == g {
				fmt.Fprintf(&out, "%-8s  %-8s  %-16s  %-18s  %s\n", g, c.result(x.Result), x.Subject, x.Finding.Check, sensor.Text(x.Why))
			}
		}
	}
	n := r.Counts()
	fmt.Fprintf(&out, "%d passed, %d failed, %d warnings, %d could not be tested\n", n[sensor.Pass], n[sensor.Fail], n[sensor.Warning], n[sensor.Untried])
	_, err := io.WriteString(w, out.String())
	return err
}

func (c Colour) result(r sensor.Result) string {
	text := fmt.Sprintf("%-8s", strings.ToUpper(string(r)))
	switch r {
	case sensor.Pass:
		return c.of(green, text)
	case sensor.Fail:
		return c.of(red, text)
	case sensor.Warning, sensor.Untried:
	}
	return c.of(yellow, text)
}

// History is what was shown of each point, for a line of its last values.
type History struct {
	points map[string][]float64
}

// maxHistory is how many values of a point are drawn.
const maxHistory = 40

// Note takes the values of now.
func (h *History) Note(all []monitor.Status) {
	if h.points == nil {
		h.points = map[string][]float64{}
	}
	for _, s := range all {
		for _, v := range s.Values {
			key := s.ID.String() + "/" + v.Point
			seen := append(h.points[key], v.Value)
			h.points[key] = seen[max(0, len(seen)-maxHistory):]
		}
	}
}

var bars = []rune("▁▂▃▄▅▆▇█")

// line draws the values of a point between its least and its greatest.
func (h *History) line(key string) string {
	values := h.points[key]
	if len(values) < 2 {
		return ""
	}
	least, most := values[0], values[0]
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	var out strings.Builder
	for _, v := range values {
		at := 0
		if most > least {
			at = int((v - least) / (most - least) * float64(len(bars)-1))
		}
		out.WriteRune(bars[at])
	}
	return out.String()
}

// WriteSensors writes a table of the sensors and their values. A history, if
// there is one, is drawn beside each value.
func WriteSensors(w io.Writer, st *Status, now time.Time, c Colour, h *History) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s, risk %.0f\n", st.Arming, st.Risk.Score)
	for _, s := range st.Sensors {
		state := fmt.Sprintf("%-8s", s.State)
		switch s.State {
		case core.SensorOK:
			state = c.of(green, state)
		case core.SensorBypassed, core.SensorUnknown:
			state = c.of(yellow, state)
		default:
			state = c.of(red, state)
		}
		fmt.Fprintf(&out, "%-16s  %-16s  %s  %-10s  %s\n", s.ID, sensor.Text(s.Kind), state, ago(now, s.LastSeen), sensor.Text(s.Why))
		for _, p := range s.Active {
			fmt.Fprintf(&out, "  %-30s  %s\n", sensor.Text(p), c.of(red, "active"))
		}
		for _, v := range s.Values {
			drawn := ""
			if h != nil {
				drawn = "  " + h.line(s.ID.String()+"/"+v.Point)
			}
			fmt.Fprintf(&out, "  %-30s  %12.6g %-6s%s\n", sensor.Text(v.Point), v.Value, v.Unit, drawn)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func ago(now, at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return max(0, now.Sub(at)).Round(time.Second).String()
}
