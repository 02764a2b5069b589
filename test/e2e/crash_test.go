package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/spool"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/test/rig"
)

// TestKilledAtRandomMoments ends server, keys process and agent with SIGKILL,
// again and again, while events come in from a log file and from a device. In
// the end each line of the file and each event that the device numbered is in
// the journal once, and every alert counts its events once.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { newCrash(t, "", 2500, 24).run() })
	t.Run("postgres", func(t *testing.T) {
		dsn := storetest.Config(t, "postgres").DSN
		newCrash(t, fmt.Sprintf("store:\n  driver: postgres\n  dsn: %q\n", dsn), 400, 6).run()
	})
}

const (
	linesPerAddress = 100 // of the log, each address one alert
	crashSensors    = 20  // a sensor may cause so many events in a minute, so there are some
	crashDevice     = "press-7"
)

// TestKilledAtTheFirstStart ends a server while it makes keys, databases, log and
// trust root. The next start goes on where that one was: healthy, trusted by its
// own log, able to take a device in.
func TestKilledAtTheFirstStart(t *testing.T) {
	for moment := 25 * time.Millisecond; moment < 500*time.Millisecond; moment += 60 * time.Millisecond {
		t.Run(moment.String(), func(t *testing.T) {
			s := newSite(t)
			s.configure("")
			s.launch("serve")
			<-time.After(moment) // what is tested is that any moment will do
			s.kill()
			s.serve()
			s.awaitHealthy()
			s.must([]int{0}, "token", "create", "--device", crashDevice)
			s.must([]int{0}, "audit", "verify")
		})
	}
}

// crash is one run of the test.
type crash struct {
	t     *testing.T
	rand  *rand.Rand
	log   string
	site  *site
	dev   *device
	lines int // to write, and as many events of the device
	kills int
	// written lines, and acts of somebody at the device's own socket.
	written, acts int
	struck        []string
}

func newCrash(t *testing.T, store string, lines, kills int) *crash {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("INTERLOCK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("repeat the choices with INTERLOCK_SEED=%d", seed)
	c := &crash{t: t, rand: rand.New(rand.NewPCG(seed, 0)), site: newSite(t), lines: lines, kills: kills}
	c.log = filepath.Join(c.site.Dir, "auth.log")
	c.site.configure(fmt.Sprintf("collect:\n  files:\n    - path: %s\n      type: sshd\n%s", c.log, store))
	c.site.serve()
	c.dev = c.site.enrol(crashDevice, func(cfg *agent.Config) {
		cfg.Sensors[0].Reflex, cfg.Sensors[0].Latch = new([]string), new(bool)
		for i := range crashSensors - 1 {
			cfg.Sensors = append(cfg.Sensors, agent.Simulated(fmt.Sprintf("case-%d", i), filepath.Join(cfg.DataDir, fmt.Sprintf("case-%d.sock", i))))
		}
	})
	c.write(1) // a file that the collector knows from the first line
	rig.Await(t, "the first line", c.site.out.String, func() bool { return len(c.fromFile(c.site.events(100))) == 1 })
	return c
}

func (c *crash) run() {
	began := time.Now()
	for done := false; !done; {
		done = !c.load()
		if c.kills > 0 {
			c.kills--
			c.strike()
		}
	}
	c.t.Logf("%d lines, %d acts; killed within %s: %v", c.written, c.acts, time.Since(began).Round(time.Millisecond), c.struck)
	events := c.settle()
	c.checkFile(events)
	c.checkDevice(events)
	c.checkAlerts(events)
	c.t.Logf("%d events checked after %s", len(events), time.Since(began).Round(time.Millisecond))
}

// load causes some more events; false when there were enough.
func (c *crash) load() bool {
	share := c.lines/max(c.kills, 1)/2 + 1
	c.write(min(c.lines-c.written, share+c.rand.IntN(share)))
	for range share {
		if c.acts < c.lines && c.dev.local("/v1/arm") == nil { // each is an event of the device
			c.acts++
		}
	}
	for range crashSensors {
		s := c.dev.cfg.Sensors[c.rand.IntN(len(c.dev.cfg.Sensors))]
		// A sensor that is just being started anew is not there.
		_ = rig.Play(s.Socket(), `{"do":"flap","point":"lid","type":"case_intrusion","clear":"case_closed","severity":"critical","times":2,"ms":60}`)
	}
	return c.kills > 0 || c.written < c.lines || c.acts < c.lines
}

// write appends n lines of failed logins, each with a port of its own, of one
// address after the other.
func (c *crash) write(n int) {
	c.t.Helper()
	var text strings.Builder
	for range n {
		address, port := c.written/linesPerAddress, 10000+c.written
		fmt.Fprintf(&text, "%s host sshd[%d]: Failed password for root from 203.0.113.%d port %d ssh2\n", time.Now().Format(time.RFC3339Nano), 100+c.written, address, port)
		c.written++
	}
	f, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := f.WriteString(text.String()); err != nil {
		c.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// strike kills one of the three at a moment of its own, and starts it again.
func (c *crash) strike() {
	c.t.Helper()
	moment := time.NewTimer(time.Duration(c.rand.IntN(1200)) * time.Millisecond)
	<-moment.C
	switch c.rand.IntN(5) {
	case 0, 1:
		c.struck = append(c.struck, "server")
		c.site.kill()
		c.site.launch("serve")
	case 2, 3:
		c.struck = append(c.struck, "agent")
		c.dev.kill()
		c.dev.start()
	case 4:
		c.struck = append(c.struck, "keys")
		// There is none while the server starts, or starts it again.
		for _, pid := range children(c.t, c.site.cmd.Process.Pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// children lists the processes that a process started.
func children(t *testing.T, parent int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has gone
		}
		// The name, in brackets, may hold anything: what follows counts.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// settle waits until everything has arrived, and returns the journal with the
// records of batches.
func (c *crash) settle() []core.Event {
	c.t.Helper()
	diagnose := func() string {
		st, _ := c.dev.status()
		status, err := get[api.Status](c.site, "/v1/status")
		return fmt.Sprintf("agent %+v\nserver %+v %v\n%s\n%s", st.Spool, status.Journal, err, c.dev.out.String(), c.site.out.String())
	}
	rig.Await(c.t, "an empty spool", diagnose, func() bool {
		st, ok := c.dev.status()
		return ok && st.Spool.Waiting == 0 && st.Spool.Sealed == 0
	})
	c.site.awaitHealthy()
	rig.Await(c.t, "all lines", diagnose, func() bool { return len(c.fromFile(c.site.events(10_000))) >= c.written })
	// The agent ends in order, so that its spool says what was taken from it.
	if err := c.dev.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	if err := c.dev.cmd.Wait(); err != nil {
		c.t.Errorf("agent: %v\n%s", err, c.dev.out.String())
	}
	c.dev.cmd = nil
	return c.site.records(10_000)
}

// fromFile are the ports in the lines of the file, as the journal has them.
func (c *crash) fromFile(events []core.Event) (ports []string) {
	for _, e := range events {
		if e.Source == "file"+c.log {
			ports = append(ports, port(message(e)))
		}
	}
	return ports
}

// checkFile: each line once.
func (c *crash) checkFile(events []core.Event) {
	times := map[string]int{}
	for _, p := range c.fromFile(events) {
		times[p]++
	}
	for i := range c.written {
		if n := times[strconv.Itoa(10000+i)]; n != 1 {
			c.t.Errorf("line %d is %d times in the journal", i, n)
		}
	}
	if len(times) != c.written {
		c.t.Errorf("%d lines in the journal, %d were written", len(times), c.written)
	}
}

// checkDevice: the numbers that the device gave are there without a gap, each
// once, up to the last that it had taken from it, in one epoch.
func (c *crash) checkDevice(events []core.Event) {
	var epoch string
	var numbers []uint64
	ids := map[core.UUID]bool{}
	for _, e := range events {
		switch {
		case e.Device.String() != crashDevice:
		case e.Type == fleet.TypeBatch:
			var b struct{ Epoch string }
			if err := json.Unmarshal(e.Fields, &b); err != nil {
				c.t.Fatal(err)
			}
			if epoch != "" && b.Epoch != epoch {
				c.t.Errorf("a kill made a new epoch: %s after %s", b.Epoch, epoch)
			}
			epoch = b.Epoch
		case slices.Contains([]string{fleet.AlarmFork, fleet.AlarmGap, fleet.AlarmRolledBack, fleet.AlarmCloned, fleet.AlarmBroken, "sequence_fork", spool.EventLost}, e.Type):
			c.t.Errorf("the server or the device found fault: %s %s", e.Type, e.Fields)
		case e.Sequence > 0:
			if ids[e.ID] {
				c.t.Errorf("event %s is there twice", e.ID)
			}
			ids[e.ID] = true
			numbers = append(numbers, e.Sequence)
		}
	}
	for i, n := range numbers {
		if n != uint64(i)+1 {
			c.t.Fatalf("number %d of the device stands where %d should", n, i+1)
		}
	}
	sp, err := spool.Open(spool.Options{Dir: filepath.Join(c.dev.cfg.DataDir, "spool"), Clock: core.SystemClock{}})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = sp.Close() }()
	freed := sp.Tail().Last
	if b, err := sp.Next(); err != nil || b != nil { // a farewell that was not sent any more
		freed = b.First - 1
	}
	if len(numbers) < c.acts/2 || uint64(len(numbers)) < freed {
		c.t.Errorf("the journal has %d events of the device, %d were taken from it, %d acts were made", len(numbers), freed, c.acts)
	}
}

// checkAlerts: each address and each sensor has one alert, which counts what
// the journal holds of it.
func (c *crash) checkAlerts(events []core.Event) {
	c.t.Helper()
	want := map[string]uint64{}
	for i := 0; i*linesPerAddress < c.written; i++ {
		if n := min(linesPerAddress, c.written-i*linesPerAddress); n >= 10 {
			want[fmt.Sprintf("%s 203.0.113.%d", bruteforce, i)] = uint64(n)
		}
	}
	for _, e := range events {
		var f struct{ Sensor, State string }
		if e.Type == "case_intrusion" && json.Unmarshal(e.Fields, &f) == nil {
			want["interlock-device-tampered "+f.Sensor]++
		}
	}
	var got map[string]uint64
	rig.Await(c.t, "the alerts", func() string { return fmt.Sprintf("got  %v\nwant %v", got, want) }, func() bool {
		all, err := listed[api.Alert](c.site, "/v1/alerts", url.Values{"all": {"true"}})
		if err != nil {
			return false
		}
		got = map[string]uint64{}
		for _, a := range all {
			if a.Group["type"] == "case_intrusion" || a.Rule == bruteforce {
				got[a.Rule+" "+a.Group["src_endpoint.ip"]+a.Group["sensor"]] += a.Count
			}
		}
		return fmt.Sprint(got) == fmt.Sprint(want)
	})
	c.site.must([]int{0}, "audit", "verify")
}
