package rig

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/platform/config"
)

// Machine is the configuration of an agent on a simulated machine that has its
// data in dir: a case sensor, "case", a simulated firewall, and one output, a
// relay in a file.
func Machine(dir string) agent.Config {
	cfg := agent.Default()
	cfg.DataDir, cfg.RunDir, cfg.Demo, cfg.Enforce = dir, filepath.Join(dir, "run"), true, agent.EnforceSimulated
	cfg.Heartbeat = 2 * time.Second
	cfg.Sensors = []agent.SensorConfig{agent.Simulated("case", filepath.Join(dir, "case.sock"))}
	cfg.Outputs = []agent.OutputConfig{{ID: "relay", Driver: "file", Path: filepath.Join(dir, "relay")}}
	return cfg
}

// WriteConfig writes an agent's configuration.
func WriteConfig(t testing.TB, path string, cfg *agent.Config) {
	t.Helper()
	var text bytes.Buffer
	if err := config.Print(&text, cfg); err != nil {
		t.Fatal(err)
	}
	Write(t, path, text.String())
}

// Play has a simulated sensor play a step.
func Play(socket, step string) error {
	c, err := net.DialTimeout("unix", socket, Patience)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c, step+"\n")
	_ = c.Close()
	return err
}

// MustPlay is Play by a sensor that may just be starting: an agent answers before
// its sensors run.
func MustPlay(t testing.TB, socket, step string) {
	t.Helper()
	var err error
	Await(t, "the sensor at "+socket, func() string { return fmt.Sprint(err) }, func() bool {
		err = Play(socket, step)
		return err == nil
	})
}

// Case is the step by which a point of a case opens or closes.
func Case(point string, open bool) string {
	return fmt.Sprintf(`{"do":"level","point":%q,"active":%v,"type":"case_intrusion","clear":"case_closed","severity":"critical"}`, point, open)
}

// Relay is the state of an output that is a file, read where the machine drives
// it.
func Relay(cfg *agent.Config) string {
	b, err := os.ReadFile(cfg.Outputs[0].Path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}

// Known reports whether the server knows just those latches that the machine
// itself has. A report of what it did last may still be on its way, and who asks
// for a release before it has come asks for that of other latches.
func Known(d api.Device, st agent.Status) bool {
	here := map[string]bool{}
	for _, l := range st.Latches {
		here[l.ID] = true
	}
	for _, l := range d.Latches {
		if !here[l.ID] {
			return false
		}
	}
	return len(d.Latches) == len(here)
}
