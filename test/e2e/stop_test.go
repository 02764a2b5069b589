package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/safety/stop"
	"github.com/interlock-security/interlock/test/rig"
)

// stopDevice is the machine that is stopped.
const stopDevice = "press-7"

// stopSoon is how long a stop may take on this machine, which does many things
// at once; what is measured stands in the test's log. Every fault here lasts until
// the stop is seen, so a stop that waited for its end would never come.
const stopSoon = 30 * time.Second

// fault is a row of the table: what is wrong while somebody stops a machine.
type fault struct {
	name string
	// before prepares folders and configuration of the server, device of the
	// machine.
	before func(t *testing.T, s *site) (config string)
	device func(t *testing.T, s *site, cfg *agent.Config)
	// begin causes the fault and returns what ends it.
	begin func(t *testing.T, s *site, d *device) (end func())
}

// TestStopWaitsForNothing trips a stop while something is full, frozen, broken,
// paused, dead or flooded (TRUST F06). Each time the machine's output goes to
// its safe state, which is read where the machine drives it, and the record is
// in the audit log once the fault is over, marked deferred.
//
// Of F06's table, one row has nothing to break in this release: there is no vault
// yet. Expired sessions stand in test/attack. Policies are compiled in, so no
// file can break them; the row here is a person whom every policy refuses. That
// the stop path imports no policy engine is held by platform/archtest.
func TestStopWaitsForNothing(t *testing.T) {
	needRoot(t)
	for _, f := range []fault{
		{name: "nothing", begin: func(*testing.T, *site, *device) func() { return func() {} }},
		{name: "server's disk full", before: ownDisk(dataOf), begin: fillDisk(dataOf)},
		{name: "server's disk frozen", before: ownDisk(dataOf), begin: freezeDisk(dataOf)},
		{name: "audit log's disk failing", before: ownDisk(auditOf), begin: breakAudit},
		{name: "machine's disk full", device: machineDisk, begin: fillDisk(machineOf)},
		{name: "machine's disk frozen", device: machineDisk, begin: freezeDisk(machineOf)},
		{name: "refused by every policy", before: withRoles, begin: refused},
		{name: "PostgreSQL paused", before: onPostgres, begin: pausePostgres},
		{name: "PostgreSQL paused and the machine restarted", before: onPostgres, begin: pauseAndRestart},
		{name: "keys process killed", begin: signalChild("keys", syscall.SIGKILL)},
		{name: "keys process paused", begin: signalChild("keys", syscall.SIGSTOP)},
		{name: "events process killed", begin: signalChild("events", syscall.SIGKILL)},
		{name: "events process paused", begin: signalChild("events", syscall.SIGSTOP)},
		{name: "a thousand connections to the agent listener", begin: flood("tcp", func(s *site) string { return s.agents })},
		{name: "a thousand connections and the machine restarted", begin: floodAndRestart},
		{name: "a thousand connections to the stop path", begin: flood("unix", func(s *site) string { return filepath.Join(s.Data, "stop.sock") })},
	} {
		t.Run(f.name, f.run)
	}
}

func (f fault) run(t *testing.T) {
	s := newSite(t)
	config := ""
	if f.before != nil {
		config = f.before(t, s)
	}
	s.configure(config)
	s.serve()
	d := s.enrol(stopDevice, func(cfg *agent.Config) {
		if f.device != nil {
			f.device(t, s, cfg)
		}
	})
	rig.Write(s.t, d.cfg.Outputs[0].Path, reflex.RelayAllowed+"\n") // the machine runs
	end := f.begin(t, s, d)
	began, code := time.Now(), make(chan int, 1)
	go func() {
		_, c := s.run("--json", "stop", "--site", "main", "--reason", f.name, "--wait", "2s")
		code <- c
	}()
	rig.Await(t, "the safe state", d.out.String, func() bool { return rig.Relay(&d.cfg) == reflex.RelaySafe })
	took, exit := time.Since(began), <-code
	t.Logf("safe after %s; the verb ended with %d (0: confirmed, 1: not within 2 s)", took.Round(time.Millisecond), exit)
	if exit != 0 && exit != 1 || took > stopSoon {
		t.Errorf("the stop took %s and the verb ended with %d", took, exit)
	}
	end()
	s.awaitRecord(f.name)
}

// awaitRecord waits until the stop stands in the audit log, marked deferred, and
// the machine has confirmed it.
func (s *site) awaitRecord(reason string) {
	s.t.Helper()
	var entries []api.AuditEntry
	rig.Await(s.t, "the record in the audit log", func() string { return fmt.Sprintf("%+v\n%s", entries, s.out.String()) }, func() bool {
		found, err := listed[api.AuditEntry](s, "/v1/audit/entries", url.Values{"action": {"device.stop"}, "outcome": {"deferred"}})
		entries = found
		return err == nil && len(found) > 0
	})
	var rec stop.Record
	if err := json.Unmarshal(entries[0].Body, &rec); err != nil {
		s.t.Fatal(err)
	}
	if rec.Reason != reason || rec.By != "person/owner" || rec.Kind != stop.RecordTrip {
		s.t.Errorf("record: %+v", rec)
	}
	var out string
	rig.Await(s.t, "the confirmation", func() string { return out + s.out.String() }, func() bool {
		out, _ = s.run("--json", "stop", "status")
		var st stop.StatusAnswer
		return json.Unmarshal([]byte(out), &st) == nil && len(st.Stops) > 0 && len(st.Stops[0].Confirmed) == 1
	})
}

// needRoot skips where disks can't be made; where tests are meant to be whole,
// that is a failure.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test mounts disks of its own and needs root")
	}
	t.Skip("this test mounts disks of its own and needs root")
}

// place names a folder that gets a disk of its own.
type place func(s *site) string

func dataOf(s *site) string    { return s.Data }
func auditOf(s *site) string   { return filepath.Join(s.Data, "audit") }
func machineOf(s *site) string { return filepath.Join(s.Dir, stopDevice) }

// mount makes a small ext4 in a file and mounts it. Whatever happened to it, it
// is thawed and unmounted in the end, before the processes on it are waited for.
func mount(t *testing.T, s *site, dir string) {
	t.Helper()
	image := filepath.Join(s.Dir, filepath.Base(dir)+".img")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	command(t, "truncate", "-s", "160M", image)
	command(t, "mkfs.ext4", "-q", "-m", "0", image)
	command(t, "mount", "-o", "loop", image, dir)
	t.Cleanup(func() {
		_ = exec.Command("fsfreeze", "-u", dir).Run() // it is not frozen any more, mostly
		command(t, "umount", "-l", dir)
	})
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
}

func ownDisk(p place) func(*testing.T, *site) string {
	return func(t *testing.T, s *site) string { mount(t, s, p(s)); return "" }
}

// machineDisk gives the machine a disk of its own. Its relay is no disk.
func machineDisk(t *testing.T, s *site, cfg *agent.Config) {
	mount(t, s, machineOf(s))
	cfg.Outputs[0].Path = filepath.Join(s.Dir, "relay")
}

// fillDisk fills a disk to the last block.
func fillDisk(p place) func(*testing.T, *site, *device) func() {
	return func(t *testing.T, s *site, _ *device) func() {
		path := filepath.Join(p(s), "filler")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		for block := make([]byte, 1<<20); len(block) > 0; {
			if _, err := f.Write(block); err != nil {
				block = block[:len(block)/2]
			}
		}
		if err := f.Close(); err != nil {
			t.Logf("the filler: %v", err)
		}
		if err := os.WriteFile(filepath.Join(p(s), "more"), make([]byte, 8192), 0o600); err == nil {
			t.Error("the disk is not full")
		}
		return func() {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	}
}

// freezeDisk stalls every write and fsync on a disk until the end.
func freezeDisk(p place) func(*testing.T, *site, *device) func() {
	return func(t *testing.T, s *site, _ *device) func() {
		command(t, "fsfreeze", "-f", p(s))
		return func() { command(t, "fsfreeze", "-u", p(s)) }
	}
}

// breakAudit makes every access to the audit log's disk fail from now on, as a
// dead disk does. It is over when somebody mounts it anew and restarts the
// server.
func breakAudit(t *testing.T, s *site, _ *device) func() {
	f, err := os.Open(auditOf(s))
	if err != nil {
		t.Fatal(err)
	}
	const shutdown, noSync = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	flag := uint32(noSync)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flag))); errno != 0 {
		t.Fatal(errno)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		s.kill()
		command(t, "umount", auditOf(s))
		command(t, "mount", "-o", "loop", filepath.Join(s.Dir, "audit.img"), auditOf(s))
		s.serve()
	}
}

const allRoles = "[viewer, operator, security-officer, administrator]"

func withRoles(*testing.T, *site) string {
	return fmt.Sprintf("operators:\n  - uid: %d\n    person: owner\n    roles: %s\n", os.Getuid(), allRoles)
}

// refused restarts the server with a configuration under which every policy
// refuses the person everything, until the end.
func refused(t *testing.T, s *site, _ *device) func() {
	path := filepath.Join(s.Data, "interlock.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	restart := func(config string) {
		s.kill()
		rig.Write(s.t, path, config)
		s.serve()
	}
	restart(strings.Replace(string(text), allRoles, "[]", 1))
	if out, code := s.run("device", "quarantine", stopDevice, "--reason", "x"); code != 2 {
		t.Errorf("a quarantine by somebody without roles: exit %d\n%s", code, out)
	}
	return func() { restart(string(text)) }
}

var pausedDSN string

func onPostgres(t *testing.T, _ *site) string {
	pausedDSN = storetest.Config(t, "postgres").DSN
	return fmt.Sprintf("store:\n  driver: postgres\n  dsn: %q\n", pausedDSN)
}

// pausePostgres stops every process of the database server where it is.
func pausePostgres(t *testing.T, _ *site, _ *device) func() {
	t.Helper()
	_, dir, _ := strings.Cut(pausedDSN, "host=")
	dir, _, _ = strings.Cut(dir, " ")
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	all := append([]int{pid}, children(t, pid)...)
	signal := func(sig syscall.Signal) {
		for _, p := range all {
			_ = syscall.Kill(p, sig) // one that ended meanwhile pauses nothing
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() { signal(syscall.SIGCONT) })
	return func() { signal(syscall.SIGCONT) }
}

// pauseAndRestart also starts the machine's agent anew, so that it opens its
// stream while the server can't ask its database who that is.
func pauseAndRestart(t *testing.T, s *site, d *device) func() {
	end := pausePostgres(t, s, d)
	d.kill()
	d.start()
	return end
}

// signalChild signals a child of the server. One that is killed is started again
// by the server, one that is paused looks alive.
func signalChild(verb string, sig syscall.Signal) func(*testing.T, *site, *device) func() {
	return func(t *testing.T, s *site, _ *device) func() {
		pid := childOf(t, s.cmd.Process.Pid, verb)
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
		return func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	}
}

// childOf is the process that a server runs for a part of itself. Some come a
// moment after the server is ready.
func childOf(t *testing.T, server int, verb string) (child int) {
	t.Helper()
	rig.Await(t, "a process for "+verb, func() string { return fmt.Sprint(children(t, server)) }, func() bool {
		for _, pid := range children(t, server) {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err == nil && strings.Contains(string(line), "\x00child\x00"+verb) {
				child = pid
				return true
			}
		}
		return false
	})
	return child
}

// flood opens a thousand connections that say nothing.
func flood(network string, address func(*site) string) func(*testing.T, *site, *device) func() {
	return func(t *testing.T, s *site, _ *device) func() {
		var all []net.Conn
		for range 1000 {
			c, err := net.DialTimeout(network, address(s), rig.Patience)
			if err != nil {
				t.Fatalf("connection %d: %v", len(all), err)
			}
			all = append(all, c)
		}
		end := func() {
			for _, c := range all {
				_ = c.Close()
			}
		}
		t.Cleanup(end)
		return end
	}
}

// floodAndRestart also starts the machine's agent anew, so that it needs a
// connection of its own among the thousand.
func floodAndRestart(t *testing.T, s *site, d *device) func() {
	end := flood("tcp", func(s *site) string { return s.agents })(t, s, d)
	d.kill()
	d.start()
	return end
}

// TestStopIsForKnownUsers: who is no operator stops nothing and reads nothing.
func TestStopIsForKnownUsers(t *testing.T) {
	s := newSite(t)
	s.configure("operators:\n  - uid: 4242\n    person: owner\n    roles: [administrator]\n")
	s.serve()
	if out, code := s.run("stop", "--site", "main"); code != 2 || !strings.Contains(out, "NO STOP WAS REQUESTED") || !strings.Contains(out, "next: ") {
		t.Errorf("stop by a stranger: exit %d\n%s", code, out)
	}
	if out, code := s.run("status"); code != 2 || !strings.Contains(out, fmt.Sprintf("uid %d is no operator", os.Getuid())) {
		t.Errorf("status for a stranger: exit %d\n%s", code, out)
	}
}
