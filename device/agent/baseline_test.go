package agent_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/link"
)

// What a device is made of is learned once, told with its hash in a signed batch,
// and remembered: another disk after a restart is a finding, until persons accept
// exactly the inventory that they saw.
func TestTheBaselineOutlivesARestartAndChangesByAnOrderAlone(t *testing.T) {
	root := t.TempDir()
	const ata = "devices/pci0000:00/ata1/block/sda"
	sysfs(t, root, map[string]string{ata + "/size": "1000", ata + "/removable": "0", ata + "/device/model": "DISK 1", ata + "/device/serial": "S-1"})
	place(t, root, "block/sda", ata)
	disks := core.MustID[core.SensorID]("disks")
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) {
		c.Root = root
		c.Sensors = append(c.Sensors, agent.SensorConfig{ID: "disks", Driver: agent.DriverDisk, Judges: agent.Judges{{Name: "component"}}})
	}).start()
	first := hashIn(t, s.of("disks", "baseline_learned"))
	s.await("it is kept", func() bool {
		st, err := agent.Ask(t.Context(), m.cfg.SocketPath())
		return err == nil && st.Memory["disks"] != ""
	})
	kept := m.status().Memory["disks"]
	m.stop()
	if err := os.WriteFile(filepath.Join(root, "sys", ata, "device/serial"), []byte("S-2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start()
	swapped := s.of("disks", "component_swapped")
	if swapped.Latch == "" || swapped.Severity != core.SeverityHigh {
		t.Errorf("another disk: %+v", swapped)
	}
	s.obeyed(m, link.OrderBaseline, link.BaselineParams{Sensor: disks, SHA256: first}, link.OutcomeFailed) // it is not what is there now
	now := hashIn(t, swapped)
	if now == first {
		t.Fatalf("the inventory has the baseline's hash: %s", swapped.Fields)
	}
	s.obeyed(m, link.OrderBaseline, link.BaselineParams{Sensor: disks, SHA256: now}, link.OutcomeDone)
	s.of("disks", "baseline_accepted")
	if got := m.status().Memory["disks"]; got == kept || got == "" {
		t.Errorf("what was accepted was not kept before the order was answered: %s", got)
	}
}

// hashIn reads the hash of the inventory that an event tells of.
func hashIn(t *testing.T, e link.DeviceEvent) string {
	t.Helper()
	var f struct {
		SHA256 string `json:"sha256"`
	}
	if err := json.Unmarshal(e.Fields, &f); err != nil || len(f.SHA256) != 64 {
		t.Fatalf("%s: %s", e.Type, e.Fields)
	}
	return f.SHA256
}
