package agent_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
)

// withWorkloads configures one workload in the agent's own folder and one in a
// folder of its own.
func withWorkloads(c *agent.Config) {
	c.Workloads = []agent.WorkloadConfig{{Name: "hmi"}, {Name: "plc", Dir: filepath.Join(filepath.Dir(c.DataDir), "plc")}}
}

// files returns a workload's key and certificate.
func (m *machine) files(name string) (key, cert string) {
	dir := filepath.Join(m.cfg.DataDir, "workloads")
	for _, w := range m.cfg.Workloads {
		if w.Name == name && w.Dir != "" {
			dir = w.Dir
		}
	}
	return filepath.Join(dir, name+".key"), filepath.Join(dir, name+".crt")
}

// pair reads a workload's files as the program does.
func (m *machine) pair(name string) tls.Certificate {
	m.t.Helper()
	key, cert := m.files(name)
	pair, err := tls.LoadX509KeyPair(cert, key)
	m.s.must(err)
	for _, file := range []string{key, cert} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			m.t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
	}
	if got, want := pair.Leaf.URIs[0].String(), "interlock://"+devicetest.Tenant.String()+"/workload/"+devicetest.Device.String()+"/"+name; got != want {
		m.t.Errorf("the certificate names %s, want %s", got, want)
	}
	return pair
}

// bare reports whether nothing of the workloads is on disk.
func (m *machine) bare() bool {
	for _, w := range m.cfg.Workloads {
		key, _ := m.files(w.Name)
		if list, err := os.ReadDir(filepath.Dir(key)); err == nil && len(list) > 0 {
			return false
		}
	}
	return true
}

func (s *server) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// TestTamperTakesTheWorkloadsAndAReleaseBringsThemBack is F09 on the device.
func TestTamperTakesTheWorkloadsAndAReleaseBringsThemBack(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, withWorkloads).start()
	s.event("workload_issued", `"hmi"`)
	s.event("workload_issued", `"plc"`)
	first := m.pair("hmi")
	m.pair("plc")
	if st := m.status(); len(st.Workloads) != 2 || !st.Workloads[0].NotAfter.Equal(first.Leaf.NotAfter) {
		t.Errorf("status %+v", st.Workloads)
	}

	latch := m.opened()
	s.event("workload_withdrawn", `"hmi"`, `"plc"`, latch) // and so it reports on
	if !m.bare() {
		t.Error("something is left on the disk")
	}
	asked := s.requests()
	m.stop()
	m.start()
	s.await("quarantine after the restart", func() bool { return m.fw.isOn() })
	if st := m.status(); !m.bare() || s.requests() != asked || !st.Workloads[0].NotAfter.IsZero() {
		t.Errorf("a contained device asked %d times more; status %+v", s.requests()-asked, st.Workloads)
	}

	// The server knows of the release only after it has the device's word.
	s.decide(func(id verify.Identity) (verify.Identity, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return id, slices.ContainsFunc(s.results, func(r link.Result) bool { return r.Outcome == link.OutcomeDone })
	})
	one, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna")
	s.send("order", env, nil)
	s.resultOf(one.ID, link.OutcomeRefused)
	if !m.bare() || s.requests() != asked {
		t.Error("one person brought the workloads back")
	}
	two, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna", "ben")
	s.send("order", env, nil)
	s.resultOf(two.ID, link.OutcomeDone)
	s.await("both workloads again", func() bool {
		n := 0
		for _, b := range s.batches {
			for _, e := range b.Events {
				if e.Type == "workload_issued" {
					n++
				}
			}
		}
		return n == 4
	})
	m.pair("plc")
	if again := m.pair("hmi"); again.Leaf.Equal(first.Leaf) || m.key(again) == m.key(first) {
		t.Error("the key that lay on a tampered device is in use again")
	}
}

func (m *machine) key(c tls.Certificate) string { return string(c.Leaf.RawSubjectPublicKeyInfo) }

func TestAWorkloadIsRenewedAtTwoThirdsAndKeepsItsKey(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) { c.Workloads = []agent.WorkloadConfig{{Name: "hmi"}} })
	s.decide(func(id verify.Identity) (verify.Identity, bool) {
		s.site.CA.NotBefore, s.site.CA.Life = time.Now().Add(-17*time.Hour), 24*time.Hour
		return id, true
	})
	m.start()
	s.event("workload_issued", `"new_key":true`)
	old := m.pair("hmi")
	m.stop()
	s.decide(func(id verify.Identity) (verify.Identity, bool) {
		s.site.CA.NotBefore = time.Now().Add(-5 * time.Minute)
		return id, true
	})
	m.start()
	s.event("workload_issued", `"new_key":false`)
	now := m.pair("hmi")
	if !now.Leaf.NotAfter.After(old.Leaf.NotAfter) || m.key(now) != m.key(old) {
		t.Errorf("valid until %s, before %s", now.Leaf.NotAfter, old.Leaf.NotAfter)
	}
	// A young one is not asked for again when the loop looks, one that others
	// could read is.
	asked := s.requests()
	o, env := s.order(link.OrderArm, link.ArmParams{}, nil, link.NamespaceOrder, "command")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomeDone)
	m.stop()
	key, _ := m.files("hmi")
	s.must(os.Chmod(key, 0o644))
	m.start()
	s.await("a new key", func() bool { return s.asked == asked+1 })
	s.await("its file", func() bool { info, err := os.Stat(key); return err == nil && info.Mode().Perm() == 0o600 })
	s.await("its certificate", func() bool {
		key, cert := m.files("hmi")
		pair, err := tls.LoadX509KeyPair(cert, key)
		return err == nil && m.key(pair) != m.key(now)
	})
}

// TestAnAnswerThatComesAfterTheTamperIsNotKept opens the case while the server
// makes the certificate.
func TestAnAnswerThatComesAfterTheTamperIsNotKept(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	said := &heard{words: make(chan string, 100)}
	m := newMachine(t, s, withWorkloads, func(c *agent.Config) { c.Log = slog.New(said) })
	asked, resume := make(chan struct{}), make(chan struct{})
	s.decide(func(id verify.Identity) (verify.Identity, bool) {
		close(asked)
		<-resume
		return id, true
	})
	m.start()
	<-asked
	m.opened()
	s.event("quarantine_on")
	close(resume)
	said.await(t, "a certificate that came after the containment is not kept")
	m.stop()
	if !m.bare() || s.requests() != 1 || s.find("workload_issued") != nil {
		t.Errorf("kept after the containment; %d requests", s.requests())
	}
}

// heard is a log handler that tells what was said.
type heard struct {
	slog.Handler
	words chan string
}

func (h *heard) Enabled(context.Context, slog.Level) bool { return true }

func (h *heard) Handle(_ context.Context, r slog.Record) error {
	select {
	case h.words <- r.Message:
	default:
	}
	return nil
}

func (h *heard) await(t *testing.T, words string) {
	t.Helper()
	deadline := time.After(3 * time.Minute)
	for {
		select {
		case got := <-h.words:
			if got == words {
				return
			}
		case <-deadline:
			t.Fatalf("never said: %s", words)
		}
	}
}

func TestWhatACrashLeftIsWithdrawnToo(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, withWorkloads).start()
	s.event("workload_issued", `"plc"`)
	m.opened()
	s.event("workload_withdrawn", `"hmi"`)
	m.stop()
	own := filepath.Join(m.cfg.DataDir, "workloads")
	key, _ := m.files("plc")
	foreign := filepath.Join(filepath.Dir(key), "motd.key")
	for _, file := range []string{filepath.Join(own, "hmi.key"), filepath.Join(own, ".hmi.key.tmp-123"), filepath.Join(own, "gone.crt"), key, foreign} {
		s.must(os.WriteFile(file, []byte("x"), 0o600))
	}
	stuck := filepath.Join(own, "stuck.key", "x")
	s.must(os.MkdirAll(stuck, 0o700))
	m.start()
	s.event("workload_withdrawn", `["gone","hmi","plc"]`, "in force before this start")
	s.event("workload_stuck", "stuck.key")
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("a file of somebody else is gone: %v", err)
	}
	s.must(os.RemoveAll(stuck)) // an empty folder can be removed: the next try does
	s.event("workload_withdrawn", `["stuck"]`)
	if list, err := os.ReadDir(own); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

func TestACertificateForSomebodyElseIsNotTaken(t *testing.T) {
	for name, change := range map[string]func(*verify.Identity){
		"another program":  func(id *verify.Identity) { id.Workload = core.MustID[core.ServiceID]("plc") },
		"another device":   func(id *verify.Identity) { id.Device = core.MustID[core.DeviceID]("press-8") },
		"the device's own": func(id *verify.Identity) { id.Workload = core.ServiceID{} },
		"another tenant":   func(id *verify.Identity) { id.Tenant = core.MustID[core.TenantID]("evil") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, link.ModeQuorum)
			m := newMachine(t, s, func(c *agent.Config) { c.Workloads = []agent.WorkloadConfig{{Name: "hmi"}} })
			s.decide(func(id verify.Identity) (verify.Identity, bool) { change(&id); return id, true })
			m.start()
			s.event("certificate_refused", `"hmi"`)
			if !m.bare() {
				t.Error("it lies on the disk")
			}
		})
	}
}
