package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/sensor/hwmon"
	"github.com/interlock-security/interlock/device/sensor/iio"
	"github.com/interlock-security/interlock/link"
)

// sysfs lays out files of a machine's sysfs below a folder.
func sysfs(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, "sys", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func place(t *testing.T, root, link, target string) {
	t.Helper()
	at := filepath.Join(root, "sys", link)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "sys", target), at); err != nil {
		t.Fatal(err)
	}
}

// of returns the first event of a sensor that fits.
func (s *server) of(sensor, kind string, words ...string) link.DeviceEvent {
	s.t.Helper()
	var found link.DeviceEvent
	s.await(sensor+" "+kind, func() bool {
		for _, b := range s.batches {
			for _, e := range b.Events {
				if e.Sensor == sensor && e.Type == kind && contains(string(e.Fields), words) {
					found = e
					return true
				}
			}
		}
		return false
	})
	return found
}

// Kill one driver, unplug one chip, freeze one file: that sensor alarms within its
// time, the others go on, and the server is told.
func TestWhatFailsAlarmsAndTheOthersGoOn(t *testing.T) {
	root := t.TempDir()
	const chip, air = "devices/i2c-0/0-002c", "devices/i2c-1/1-0076"
	sysfs(t, root, map[string]string{
		chip + "/hwmon/hwmon0/name": "adm9240", chip + "/hwmon/hwmon0/intrusion0_alarm": "0", chip + "/hwmon/hwmon0/temp1_input": "41000",
		air + "/iio:device0/name": "bme280", air + "/iio:device0/in_temp_input": "21000",
	})
	place(t, root, "class/hwmon/hwmon0", chip+"/hwmon/hwmon0")
	place(t, root, chip+"/hwmon/hwmon0/device", chip)
	place(t, root, "bus/iio/devices/iio:device0", air+"/iio:device0")
	lively, yes := true, true
	s := newServer(t, link.ModeQuorum)
	var yard string
	m := newMachine(t, s, func(c *agent.Config) {
		c.Root, c.Heartbeat, yard = root, time.Second, c.DataDir+".yard"
		c.Sensors = append(
			c.Sensors,
			agent.SensorConfig{ID: "board", Driver: agent.DriverHwmon, Config: hwmon.Config{Chips: []string{"adm9240"}, Measures: []string{"temp"}, Switch: &yes}},
			agent.SensorConfig{ID: "air", Driver: "iio", Config: iio.Config{Device: "bme280", Mode: iio.ModePoll, Rate: 5, Lively: &lively, MaxSilence: 3 * time.Second}},
			agent.Simulated("yard", yard),
		)
	}).start()
	thaw := warm(t, filepath.Join(root, "sys", air, "iio:device0/in_temp_input"))
	s.event("heartbeat", `"air":"ok"`, `"board":"ok"`, `"case":"ok"`, `"yard":"ok"`)
	s.await("live values", func() bool {
		st, err := agent.Ask(t.Context(), m.cfg.SocketPath())
		return err == nil && len(st.Sensors) == 4 && len(st.Sensors[1].Values) > 0 && len(st.Sensors[2].Values) > 0
	})

	m.sense(`{"do":"panic","why":"index out of range"}`)
	if e := s.of("case", "sensor_lost", `"panic":true`); e.State != core.SensorFault || e.Severity != core.SeverityHigh {
		t.Errorf("a driver that panicked: %+v", e)
	}
	if err := os.RemoveAll(filepath.Join(root, "sys", chip)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "sys/class/hwmon/hwmon0")); err != nil {
		t.Fatal(err)
	}
	if e := s.of("board", "chip_removed"); e.Severity != core.SeverityCritical || e.Latch == "" {
		t.Errorf("a chip that was pulled: %+v", e)
	}
	s.of("board", "sensor_lost")
	thaw() // the file stands still from now on
	if e := s.of("air", "sensor_lost", "stands still"); e.Severity != core.SeverityHigh || e.State != core.SensorStale {
		t.Errorf("a value that stands still: %+v", e)
	}
	s.event("heartbeat", `"air":"stale"`, `"board":"alarm"`, `"yard":"ok"`)
	m.senseAt(yard, `{"do":"pulse","point":"gate","type":"gate_opened","severity":"low"}`)
	s.of("yard", "gate_opened")
	thaw = warm(t, filepath.Join(root, "sys", air, "iio:device0/in_temp_input"))
	defer thaw()
	s.of("air", "sensor_back")
	s.of("case", "sensor_back")
}

// warm keeps a value moving until stop is called.
func warm(t *testing.T, path string) (stop func()) {
	t.Helper()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			tmp := path + ".new" // whole at once, as the kernel gives it
			if os.WriteFile(tmp, fmt.Appendf(nil, "%d\n", 21000+n%7*10), 0o600) != nil || os.Rename(tmp, path) != nil {
				return // the folder is gone
			}
			select {
			case <-end:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	var once bool
	stop = func() {
		if !once {
			once = true
			close(end)
			<-ended
		}
	}
	t.Cleanup(stop)
	return stop
}
