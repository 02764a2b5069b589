package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/keystore"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/config"
)

func TestEnrolmentRefusesWhatDoesNotHold(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	other := newServer(t, link.ModeQuorum)
	rows := map[string]struct {
		change func(*agent.Config)
		want   core.Kind
	}{
		"the ceremony sheet says otherwise": {func(c *agent.Config) { c.RootHash = other.site.RootHash() }, core.KindDenied},
		"not an enrolment string":           {func(c *agent.Config) { c.Enrolment = core.NewSecret([]byte("x")) }, core.KindInvalid},
		"another CA answers": {func(c *agent.Config) {
			e, err := link.Enrolment{URL: other.srv.URL, CA: s.site.CA.Pin(), Root: s.site.RootHash(), ID: "tok-1", Secret: core.NewSecret([]byte(strings.Repeat("a", 32)))}.Encode()
			s.must(err)
			c.Enrolment = core.NewSecret([]byte(e))
		}, core.KindUnauthenticated},
		"another root comes": {func(c *agent.Config) {
			e, err := link.Enrolment{URL: s.srv.URL, CA: s.site.CA.Pin(), Root: other.site.RootHash(), ID: "tok-1", Secret: core.NewSecret([]byte(strings.Repeat("a", 32)))}.Encode()
			s.must(err)
			c.Enrolment, c.RootHash = core.NewSecret([]byte(e)), ""
		}, core.KindDenied},
	}
	for name, r := range rows {
		m := newMachine(t, s, r.change)
		if err := agent.Main(t.Context(), m.cfg); core.KindOf(err) != r.want {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(m.cfg.DataDir, "identity.json")); err == nil {
			t.Errorf("%s: an identity was kept", name)
		}
	}
	m := newMachine(t, s)
	m.cfg.Enrolment = core.Secret{}
	if err := agent.Main(t.Context(), m.cfg); core.KindOf(err) != core.KindNotFound || core.HintOf(err) == "" {
		t.Errorf("not enrolled: %v", err)
	}
}

func TestFirstUseIsRecordedForEver(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) { c.RootHash = "" }).start()
	if e := s.event("enrolled"); !strings.Contains(string(e.Fields), `"first_use":true`) || e.Severity != core.SeverityMedium {
		t.Errorf("enrolled: %s", e.Fields)
	}
	m.stop()
	m.cfg.RootHash = s.site.RootHash()
	m.start()
	s.await("still", func() bool { st, err := agent.Ask(t.Context(), m.cfg.SocketPath()); return err == nil && st.FirstUse })
}

func TestTheCertificateIsRenewedAlsoAfterItRanOut(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	issued := 0
	s.site.CA.OnLeaf = func() {
		// The certificate of the enrolment ran out yesterday.
		s.site.CA.NotBefore, s.site.CA.Life = time.Now().Add(-48*time.Hour), 24*time.Hour
		if issued++; issued > 1 {
			s.site.CA.NotBefore = time.Now().Add(-5 * time.Minute)
		}
	}
	// The machine thinks that it is 1970, so only the server can tell.
	newMachine(t, s, func(c *agent.Config) { c.Clock = lostClock{} }).start()
	s.await("renewed", func() bool { return s.renewed == 1 })
	s.event("certificate_renewed")
	s.event("agent_started")
}

// lostClock is the clock of a machine whose battery is empty.
type lostClock struct{ core.SystemClock }

func (lostClock) Now() time.Time {
	return time.Now().Add(-time.Since(time.Unix(0, 0))).Add(keystore.Elapsed()).UTC()
}

func TestTheConfigurationIsStrict(t *testing.T) {
	good := agent.Default()
	if err := config.Parse([]byte("data_dir: /x\nrun_dir: /y\nenforce: nftables\nsensors:\n  - {id: nic, driver: carrier, interfaces: [eth0], reflex: [stop]}\nheartbeat: 10s\n"), &good); err != nil {
		t.Error(err)
	}
	if good.Heartbeat != 10*time.Second || good.Enforce != agent.EnforceNFT || len(good.Sensors) != 1 {
		t.Errorf("config %+v", good)
	}
	for _, bad := range []string{
		"nope: 1\n", "enforce: maybe\n", "enforce: simulated\n", "data_dir: x\n", "heartbeat: 0s\n", "debounce: 1h\n", "spool_limit: 1\n", "device: ../../etc\n",
		"sensors: [{id: a, driver: carrier}, {id: a, driver: usb}]\n", "sensors: [{id: agent, driver: usb}]\n", "sensors: [{id: ../x, driver: usb}]\n",
		"sensors: [{id: a, driver: magic}]\n", "sensors: [{id: a, driver: usb, reflex: [explode]}]\n", "outputs: [{id: a, driver: file, path: x}]\n",
		"workloads: [{name: a}, {name: a}]\n", "workloads: [{name: ../x}]\n", "workloads: [{name: a, dir: x}]\n", "workloads: [{name: a, key: /x}]\n", "workloads: [{}]\n",
		"outputs: [{id: a, driver: gpio, path: /x}]\n", "enrolment: x\n", "sensors: [{id: a, driver: usb, latches: true}]\n",
	} {
		c := agent.Default()
		if err := config.Parse([]byte(bad), &c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestThePreparedKeyIsTheOneThatEnrols(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s)
	fact, code, err := agent.Prepare(m.cfg.DataDir)
	s.must(err)
	again, _, err := agent.Prepare(m.cfg.DataDir)
	s.must(err)
	if fact != again || len(fact) != 64 || code == "" {
		t.Errorf("fact %q, again %q, code %q", fact, again, code)
	}
	m.start()
	s.event("enrolled", code)
	m.stop()
	s.must(os.Remove(filepath.Join(m.cfg.DataDir, "management.key")))
	if err := agent.Main(t.Context(), m.cfg); core.KindOf(err) != core.KindNotFound || !strings.Contains(err.Error(), "key is gone") {
		t.Errorf("an enrolled machine without its key: %v", err)
	}
}
