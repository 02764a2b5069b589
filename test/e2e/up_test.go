package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/safety/stop"
	"github.com/interlock-security/interlock/test/rig"
)

// quietMachine is a network of its own, as a machine may have it: a port with a
// cable, one that nobody plugged anything into, and one that is switched off.
const quietMachine = `set -e
ip link set lo up
ip link add cable type veth peer name far-cable; ip link set far-cable up; ip link set cable up
ip link add empty type veth peer name far-empty; ip link set empty up
ip link add off type veth peer name far-off
exec "$@"`

// up runs `interlock up` on such a machine until it shows events.
func (s *site) up() {
	s.t.Helper()
	s.out = new(rig.Output)
	s.cmd = rig.Start(s.t, s.out, nil, "unshare", append([]string{"--net", "sh", "-c", quietMachine, "sh", rig.Program(s.t, "interlock")}, s.Args("up")...)...)
	began := time.Now()
	s.awaitOutput("Events of this machine")
	s.awaitOutput("agent_started")
	s.t.Logf("up, with the first events, after %s", time.Since(began).Round(time.Millisecond))
}

func (s *site) awaitOutput(text string) {
	s.t.Helper()
	rig.Await(s.t, strconv.Quote(text), s.out.String, func() bool { return strings.Contains(s.out.String(), text) })
}

// family are a process and all that it started.
func family(t *testing.T, pid int) []int {
	all := []int{pid}
	for _, c := range children(t, pid) {
		all = append(all, family(t, c)...)
	}
	return all
}

// awaitGone waits until none of the processes is left.
func awaitGone(t *testing.T, pids []int) {
	t.Helper()
	rig.Await(t, "the end of all processes", func() string { return fmt.Sprint(pids) }, func() bool {
		for _, pid := range pids {
			// Signal 0 asks; a zombie answers too, but ours are waited for and
			// those of a killed parent are init's.
			if syscall.Kill(pid, 0) == nil && !zombie(pid) {
				return false
			}
		}
		return true
	})
}

func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.HasPrefix(string(text[strings.LastIndexByte(string(text), ')')+1:]), " Z")
}

// awaitJudged waits until the machine's sensors have been read and all that they
// said has been judged.
func (s *site) awaitJudged(device string) {
	s.t.Helper()
	s.awaitHealthy()
	rig.Await(s.t, "the sensors' first word, judged", s.out.String, func() bool {
		d, err := get[api.Device](s, "/v1/devices/"+device)
		st, err2 := get[api.Status](s, "/v1/status")
		return err == nil && err2 == nil && d.State == core.DeviceOnline && d.Sensors["carrier"] == string(core.SensorOK) &&
			st.Journal.Cursors["detect"] == st.Journal.Next
	})
}

// TestUp is what a new user does: bring it up in fresh directories, look around,
// pull a cable, end it with Ctrl-C, bring it up again.
func TestUp(t *testing.T) {
	needRoot(t)
	s := newSite(t)
	s.configure("")
	s.up()
	devices := ask[[]api.Device](s, "device", "list")
	if len(devices) != 1 {
		t.Fatalf("devices: %+v", devices)
	}
	device := devices[0].ID.String()
	s.awaitJudged(device)
	s.quiet(device)
	root := ask[api.Status](s, "status").RootHash
	sheet, err := os.ReadFile(filepath.Join(s.Keys, "sheet.txt"))
	if err != nil {
		t.Fatal(err)
	}

	processes := family(t, s.cmd.Process.Pid)
	if len(processes) != 4 {
		t.Errorf("%d processes, want server, keys process, events process and agent", len(processes))
	}
	if code := s.interrupt(); code != 0 {
		t.Errorf("Ctrl-C: exit %d\n%s", code, s.out.String())
	}
	awaitGone(t, processes)

	s.up() // again, on the same directories
	s.awaitJudged(device)
	s.quiet(device)
	if now := ask[api.Status](s, "status").RootHash; now != root {
		t.Errorf("the second start made another trust root: %s, was %s", now, root)
	}
	if now, err := os.ReadFile(filepath.Join(s.Keys, "sheet.txt")); err != nil || string(now) != string(sheet) {
		t.Errorf("the second start held another ceremony: %v", err)
	}
	if n := s.count("enrolled"); n != 1 {
		t.Errorf("the machine enrolled %d times", n)
	}

	s.pullCable(device)
	processes = family(t, s.cmd.Process.Pid)
	s.kill()
	awaitGone(t, processes) // nobody outlives its parent
}

// quiet holds what every verb says of a machine on which nothing has happened.
func (s *site) quiet(device string) {
	s.t.Helper()
	st := ask[api.Status](s, "status")
	if st.Health != core.HealthHealthy || st.OpenAlerts != 0 || len(st.Incidents) != 0 || st.Devices["online"] != 1 || st.Mode != "single-operator" {
		s.t.Errorf("status of a quiet machine: %+v", st)
	}
	for _, verb := range [][]string{{"status"}, {"alerts"}, {"incidents"}, {"stop", "status"}, {"device", "list"}, {"device", "show", device}, {"audit", "verify"}, {"audit", "search"}, {"config", "check"}} {
		s.must([]int{0}, verb...)
		if text := s.must([]int{0}, append([]string{"--json"}, verb...)...); !json.Valid([]byte(text)) {
			s.t.Errorf("%v --json is no JSON: %s", verb, text)
		}
	}
	if alerts := ask[[]api.Alert](s, "alerts", "--all"); len(alerts) != 0 {
		s.t.Errorf("false alerts: %+v", alerts)
	}
	if stops := ask[stop.StatusAnswer](s, "stop", "status"); len(stops.Stops) != 0 || !stops.Ring.OnDisk {
		s.t.Errorf("stops: %+v", stops)
	}
	var checks []struct{ Name, Result string }
	if err := json.Unmarshal([]byte(s.must([]int{1}, "--json", "doctor")), &checks); err != nil || len(checks) < 5 {
		s.t.Errorf("doctor, which warns at least of the recovery keys that nobody moved: %v, %+v", err, checks)
	}
	for _, verb := range [][]string{{"device", "show", "nobody"}, {"incidents", "show", "x"}, {"audit", "proof", "99999999"}, {"device", "list", "--nonsense"}} {
		if out, code := s.run(verb...); code != 2 || !strings.Contains(out, "interlock: ") {
			s.t.Errorf("%v: exit %d\n%s", verb, code, out)
		}
	}
}

// count counts the events of a type in the journal.
func (s *site) count(kind string) (n int) {
	s.t.Helper()
	for _, e := range tail(s) {
		if e.Type == kind {
			n++
		}
	}
	return n
}

// pullCable pulls the cable and sees the event, as a person at the terminal
// does, the alert, and the incident.
func (s *site) pullCable(device string) {
	s.t.Helper()
	command(s.t, "nsenter", "-t", strconv.Itoa(s.cmd.Process.Pid), "-n", "ip", "link", "set", "far-cable", "down")
	s.awaitOutput("carrier_down")
	ends := map[string]bool{"cable": true, "far-cable": true} // this machine has both
	var alerts []api.Alert
	rig.Await(s.t, "an alert for each end", func() string { return fmt.Sprintf("%+v\n%s", alerts, s.out.String()) }, func() bool {
		alerts = s.alerts("interlock-device-tampered")
		return len(alerts) >= len(ends)
	})
	for _, a := range alerts {
		if a.Device != device || !ends[a.Group["point"]] || a.Count != 1 || a.Provenance != core.ProvenanceDevice || a.Simulated {
			s.t.Errorf("alert: %+v", a)
		}
		delete(ends, a.Group["point"])
	}
	if all := ask[[]api.Alert](s, "alerts", "--all"); len(all) != len(alerts) {
		s.t.Errorf("further alerts: %+v", all)
	}
	rig.Await(s.t, "an incident", s.out.String, func() bool {
		_, code := s.run("incidents")
		return code == 1
	})
	if _, code := s.run("status"); code != 1 {
		s.t.Errorf("status with an open incident: exit %d, want 1", code)
	}
}

// TestOnePerDirectory: a second server on the same directory is refused and
// harms nothing.
func TestOnePerDirectory(t *testing.T) {
	s := newSite(t)
	s.configure("")
	s.serve()
	s.awaitHealthy()
	began := ask[api.Status](s, "status").Started
	if out, code := s.run("serve"); code != 2 || !strings.Contains(out, "interlock: ") {
		t.Errorf("a second server: exit %d\n%s", code, out)
	}
	s.awaitHealthy()
	if now := ask[api.Status](s, "status"); !now.Started.Equal(began) {
		t.Errorf("the first server after that: %+v", now)
	}
}
