package agent_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/link"
)

// TestAStopAndALatchOnAFullDisk fills the disk under the agent, stops, and expects the
// output to be safe at once and the record to follow when there is room.
func TestAStopAndALatchOnAFullDisk(t *testing.T) {
	devicetest.NeedsRoot(t, "a small disk")
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s)
	s.must(os.MkdirAll(m.cfg.DataDir, 0o700))
	if err := syscall.Mount("tmpfs", m.cfg.DataDir, "tmpfs", 0, "size=24m"); err != nil {
		devicetest.Without(t, "a small disk: "+err.Error())
	}
	t.Cleanup(func() { m.stop(); _ = syscall.Unmount(m.cfg.DataDir, syscall.MNT_DETACH) })
	m.start()
	s.event("agent_started")
	filler, err := os.Create(filepath.Join(m.cfg.DataDir, "filler"))
	s.must(err)
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	_ = filler.Close()
	o, env := s.order(link.OrderStop, link.StopParams{}, nil, link.NamespaceOrder, "stop")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomeDone)
	if b, err := os.ReadFile(m.relay); err != nil || string(b) != "safe\n" {
		t.Errorf("relay %q, %v", b, err)
	}
	if latch := m.opened(); latch == "" || !m.fw.isOn() {
		t.Error("an alarm on a full disk")
	}
	s.must(os.Remove(filler.Name()))
	s.event("stopped")
	m.stop()
	m.start()
	if st := m.status(); !st.Stopped || len(st.Latches) != 1 {
		t.Errorf("after a restart %+v", st)
	}
}

// TestKilledAgainAndAgain kills the agent without warning while its sensor chatters, and
// expects one unbroken chain with each event once.
func TestKilledAgainAndAgain(t *testing.T) {
	if args := os.Getenv("INTERLOCK_AGENT_CHILD"); args != "" {
		agentChild(t, args)
		return
	}
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s)
	script := filepath.Join(t.TempDir(), "script")
	s.must(os.WriteFile(script, []byte(strings.Repeat(`{"do":"pulse","point":"x","type":"touched","severity":"low"}`+"\n"+`{"do":"wait","ms":1}`+"\n", 2000)), 0o600))
	m.cfg.Sensors[0].Config = agent.SimConfig{Script: script}
	for round := range 8 {
		seen := 0
		s.mu.Lock()
		seen = len(s.batches)
		s.mu.Unlock()
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAgainAndAgain$")
		cmd.Env = append(os.Environ(), "INTERLOCK_AGENT_CHILD="+strings.Join([]string{m.cfg.DataDir, m.cfg.RunDir, script, s.site.RootHash()}, ","), "INTERLOCK_ENROL="+enrolment(t, s))
		cmd.Stderr = os.Stderr
		s.must(cmd.Start())
		s.await("some batches", func() bool { return len(s.batches) > seen+round%3 })
		s.must(cmd.Process.Kill())
		_ = cmd.Wait()
	}
	m.cfg.Sensors[0] = agent.Simulated("case", m.simPath)
	m.start()
	s.await("the spool is empty", func() bool {
		st, err := agent.Ask(t.Context(), m.cfg.SocketPath())
		return err == nil && st.Spool.Waiting == 0 && st.Spool.Sealed == 0 && st.Mode == core.ModeNormal
	})
	checkChains(t, s)
	ids := map[core.UUID]bool{}
	epochs := map[string]bool{}
	for _, b := range s.batches {
		epochs[b.Epoch] = true
		for _, e := range b.Events {
			if ids[e.ID] {
				t.Errorf("event %s twice", e.ID)
			}
			ids[e.ID] = true
		}
	}
	if len(epochs) != 1 {
		t.Errorf("%d epochs", len(epochs))
	}
}

func agentChild(t *testing.T, args string) {
	a := strings.Split(args, ",")
	cfg := agent.Default()
	cfg.DataDir, cfg.RunDir, cfg.RootHash, cfg.Demo, cfg.SpoolLimit, cfg.Heartbeat = a[0], a[1], a[3], true, 1<<20, time.Second
	cfg.Sensors = []agent.SensorConfig{{ID: "case", Driver: agent.DriverSim, Config: agent.SimConfig{Script: a[2]}}}
	cfg.Enrolment = core.NewSecret([]byte(os.Getenv("INTERLOCK_ENROL")))
	if err := agent.Main(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
}
