package docs

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/platform/config"
)

// TestSensorExamples reads each example of sensors as the agent does: a key that
// a driver or a judge doesn't have, or a value that it refuses, fails here.
func TestSensorExamples(t *testing.T) {
	pages, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, p := range pages {
		for _, b := range p.Blocks {
			text, ok := sensorExample(b)
			if !ok {
				continue
			}
			read++
			c := agent.Default()
			if err := config.Parse([]byte(text), &c); err != nil {
				t.Errorf("%s:%d: %v", p.Path, b.Line, err)
			}
		}
	}
	if read < 5 {
		t.Errorf("read only %d examples", read)
	}
}

// sensorExample tells an example of sensors, whole or a piece of the list, from
// other YAML.
func sensorExample(b Block) (text string, ok bool) {
	switch {
	case b.Lang != "yaml" || !strings.Contains(b.Text, "driver:"):
		return "", false
	case strings.HasPrefix(b.Text, "sensors:"):
		return b.Text, true
	case strings.HasPrefix(b.Text, "  - id:"):
		return "sensors:\n" + b.Text, true
	}
	return "", false
}
