package agent_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/config"
)

// twelve are the sensors of a device that has everything that is read by looking,
// an accelerometer with three judges at 25 samples a second among them, and those
// that the kernel tells of.
const twelve = `
sensors:
  - {id: imu, driver: iio, device: mma8452, mode: poll, judges: {motion: {}, vibration: {}, orientation: {}}}
  - id: loops
    driver: iio
    device: ads1015
    rate: 10
    judges: {loop: {loops: [{name: lid, point: voltage0, supply: 3.3, pullup: 2200, eol: 2200, alarm: 2200}]}}
  - {id: room, driver: iio, device: bme280, judges: {environment: {}, anomaly: {}}}
  - {id: light, driver: iio, device: tsl2563, judges: {environment: {}}}
  - {id: board, driver: hwmon, measures: [temp, fan, in], judges: {environment: {}}}
  - {id: chassis, driver: hwmon, chips: [adm9240]}
  - {id: power, driver: power}
  - {id: parts, driver: parts, judges: {component: {}}}
  - {id: net, driver: carrier}
  - {id: usb, driver: usb}
  - {id: disks, driver: disk}
  - {id: time, driver: clock}
`

// machineOfTwelve lays out the sysfs that those sensors read.
func machineOfTwelve(t *testing.T, root string) (moving []string) {
	t.Helper()
	iio := map[string]map[string]string{
		"iio:device0": {"name": "mma8452", "in_accel_scale": "0.009577", "in_accel_x_raw": "3", "in_accel_y_raw": "-2", "in_accel_z_raw": "1024"},
		"iio:device1": {"name": "ads1015", "in_voltage0_raw": "1650", "in_voltage0_scale": "1"},
		"iio:device2": {"name": "bme280", "in_temp_input": "21000", "in_humidityrelative_input": "45000"},
		"iio:device3": {"name": "tsl2563", "in_illuminance0_input": "1"},
	}
	for number, files := range iio {
		for name, text := range files {
			sysfs(t, root, map[string]string{"devices/i2c-1/" + number + "/" + name: text})
		}
		place(t, root, "bus/iio/devices/"+number, "devices/i2c-1/"+number)
	}
	const chip = "devices/i2c-0/0-002c"
	sysfs(t, root, map[string]string{
		chip + "/hwmon/hwmon0/name": "adm9240", chip + "/hwmon/hwmon0/intrusion0_alarm": "0", chip + "/hwmon/hwmon0/temp1_input": "41000",
		chip + "/hwmon/hwmon0/fan1_input": "1200", chip + "/hwmon/hwmon0/in0_input": "3300",
		"class/power_supply/AC/type": "Mains", "class/power_supply/AC/online": "1",
	})
	place(t, root, "class/hwmon/hwmon0", chip+"/hwmon/hwmon0")
	place(t, root, chip+"/hwmon/hwmon0/device", chip)
	return []string{
		filepath.Join(root, "sys/devices/i2c-1/iio:device0/in_accel_x_raw"), filepath.Join(root, "sys/devices/i2c-1/iio:device1/in_voltage0_raw"),
	}
}

// TestWhatAnIdleAgentCosts runs the agent in a process of its own with twelve
// sensors and looks at what the kernel says it used. The bounds leave room for a
// slow machine and for the race detector; the figures are in the log.
func TestWhatAnIdleAgentCosts(t *testing.T) {
	if args := os.Getenv("INTERLOCK_IDLE_CHILD"); args != "" {
		idleChild(t, args)
		return
	}
	root := t.TempDir()
	for i, path := range machineOfTwelve(t, root) {
		defer wobble(t, path, []int{3, 1650}[i])()
	}
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s)
	cmd := exec.Command(os.Args[0], "-test.run=^TestWhatAnIdleAgentCosts$")
	cmd.Env = append(os.Environ(), "INTERLOCK_IDLE_CHILD="+strings.Join([]string{m.cfg.DataDir, m.cfg.RunDir, root, s.site.RootHash()}, ","), "INTERLOCK_ENROL="+enrolment(t, s))
	cmd.Stderr = os.Stderr
	s.must(cmd.Start())
	defer func() {
		_ = cmd.Process.Kill() // it is asked for nothing more
		_ = cmd.Wait()
	}()
	s.event("heartbeat")
	st := m.status()
	if len(st.Sensors) != 12 {
		t.Fatalf("%d sensors", len(st.Sensors))
	}
	for _, x := range st.Sensors {
		if x.State == core.SensorFault || x.Skipped {
			t.Logf("%s is %s and costs less for it: %s", x.ID, x.State, x.Why)
		}
	}
	const look = 15 * time.Second
	was, began := cpuOf(t, cmd.Process.Pid), time.Now()
	s.await("it idles", func() bool { return time.Since(began) > look })
	used, took := cpuOf(t, cmd.Process.Pid)-was, time.Since(began)
	rss := rssOf(t, cmd.Process.Pid)
	t.Logf("12 sensors for %s: %s of CPU, %.2f %% of one core, %d MiB resident", took.Round(time.Second), used, 100*used.Seconds()/took.Seconds(), rss>>20)
	if used > took/10 || rss > 160<<20 {
		t.Errorf("it used %s of CPU and %d MiB", used, rss>>20)
	}
}

func idleChild(t *testing.T, args string) {
	a := strings.Split(args, ",")
	cfg := agent.Default()
	if err := config.Parse([]byte(twelve), &cfg); err != nil {
		t.Fatal(err)
	}
	cfg.DataDir, cfg.RunDir, cfg.Root, cfg.RootHash, cfg.Demo, cfg.Heartbeat = a[0], a[1], a[2], a[3], true, 5*time.Second
	cfg.Enrolment = core.NewSecret([]byte(os.Getenv("INTERLOCK_ENROL")))
	if err := agent.Main(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
}

// wobble moves a value by the noise that every real one has.
func wobble(t *testing.T, path string, around int) (stop func()) {
	t.Helper()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			_ = os.WriteFile(path+".new", fmt.Appendf(nil, "%d\n", around+n*7%5), 0o600)
			_ = os.Rename(path+".new", path) // whole at once; the folder may be gone at the end
			select {
			case <-end:
				return
			case <-time.After(40 * time.Millisecond):
			}
		}
	}()
	return func() { close(end); <-ended }
}

// cpuOf is the processor time that a process has used (proc_pid_stat(5)).
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ") // its name may hold anything
	f := strings.Fields(rest)
	var ticks int64
	for _, i := range []int{11, 12} { // utime, stime
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// rssOf is the memory that a process has in use, in bytes.
func rssOf(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
