package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/risk"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/spool"
	"github.com/interlock-security/interlock/link"
)

// Status is what the agent tells this machine's own people.
type Status struct {
	V            int               `json:"v"` // 1
	Version      string            `json:"version"`
	Tenant       core.TenantID     `json:"tenant"`
	Site         core.SiteID       `json:"site"`
	Device       core.DeviceID     `json:"device"`
	Mode         core.AgentMode    `json:"mode"`
	Arming       core.Arming       `json:"arming"`
	ArmedBy      string            `json:"armed_by"` // order, schedule or default
	ArmingUntil  time.Time         `json:"arming_until,omitzero"`
	Bypassed     []ToldBypass      `json:"bypassed"`
	Risk         risk.Assessment   `json:"risk"`
	Interfaces   []Interface       `json:"interfaces"`
	Memory       map[string]string `json:"memory"` // SHA-256 of what each sensor learned
	Sensors      []monitor.Status  `json:"sensors"`
	Latches      []monitor.Latch   `json:"latches"`
	Contained    bool              `json:"contained"`
	Enforce      Enforcement       `json:"enforce"`
	Firewall     reflex.Status     `json:"firewall"`
	Plan         string            `json:"plan"` // the rules that a quarantine applies
	Stopped      bool              `json:"stopped"`
	Outputs      map[string]string `json:"outputs"`
	Presence     string            `json:"presence"` // for an order that asks for somebody in front of the device
	Code         string            `json:"code"`     // the key's short code
	Protection   string            `json:"protection"`
	FirstUse     bool              `json:"first_use"`
	Demo         bool              `json:"demo"`
	Epoch        string            `json:"epoch"`
	StateCounter uint64            `json:"state_counter"`
	RootVersion  uint64            `json:"root_version"`
	RootHash     string            `json:"root_hash"`
	Policy       uint64            `json:"policy_version"`
	Servers      []string          `json:"servers"`
	Spool        spool.Stats       `json:"spool"`
	Waiting      []Waiting         `json:"waiting"` // orders whose delay runs
	NextRoot     *NextRoot         `json:"next_root,omitempty"`
	Workloads    []Workload        `json:"workloads"`
	Missing      []string          `json:"missing"` // what is not there or not done on this machine
}

// Waiting is an order of a single operator whose delay runs.
type Waiting struct {
	Order core.UUID `json:"order"`
	Left  int64     `json:"left_s"`
}

// NextRoot is a trust root that recovery keys alone signed; it is taken when its
// delay is over, unless somebody objects.
type NextRoot struct {
	Version uint64 `json:"version"`
	Hash    string `json:"hash"`
	Left    int64  `json:"left_s"`
}

// Workload is a workload and how long its certificate is good; without one it
// waits for it, or it was withdrawn.
type Workload struct {
	Name        string    `json:"name"`
	Certificate string    `json:"certificate"` // the file
	NotAfter    time.Time `json:"not_after,omitzero"`
}

// Status returns how the device is.
func (a *Agent) Status() Status {
	code, _ := a.presence.show(a.cfg.Elapsed())
	c := a.store.Continuity()
	s := Status{
		V: 1, Version: Version, Tenant: a.id.Tenant, Site: a.id.Site, Device: a.id.Device, Mode: a.mode(), Arming: a.mon.Arming(),
		Sensors: a.mon.Statuses(), Latches: []monitor.Latch{}, Contained: a.reflex.Contained(), Enforce: a.cfg.Enforce, Plan: a.reflex.Plan(),
		Outputs: a.reflex.Outputs(), Presence: code, Code: shortCodeOf(a.key), Protection: string(a.key.Protection()), FirstUse: a.id.FirstUse,
		Demo: a.id.Demo, Epoch: c.Epoch, StateCounter: c.Counter, RootVersion: a.trust.Load().Root().Version, RootHash: a.trust.Load().Hash(),
		Servers: a.hosts(), Spool: a.spool.Stats(), Waiting: []Waiting{}, Workloads: a.workloadStatus(), Missing: []string{},
	}
	s.ArmedBy, s.ArmingUntil = a.armedBy()
	s.Risk = a.mon.Risk()
	s.Interfaces, s.Memory = a.ports.list(maxPorts), map[string]string{}
	var err error
	if s.Firewall, err = a.reflex.Status(); err != nil {
		s.Firewall = reflex.Status{Why: err.Error()}
	}
	a.view(func(_ string, b *body) {
		s.Stopped, s.Policy = b.Stopped, b.Policy.Version
		s.Bypassed = toldBypasses(b.Bypassed, a.cfg.Elapsed(), a.cfg.Clock.Now())
		for id, m := range b.Memory {
			s.Memory[id] = memorySum(m)
		}
		for _, l := range b.Latches {
			s.Latches = append(s.Latches, l.Latch)
		}
		for _, w := range b.Pending {
			s.Waiting = append(s.Waiting, Waiting{w.Order, int64(a.leftOf(w, c.Boot).Seconds())})
		}
		if w := b.NextRoot; w != nil {
			waited, _ := w.waited(c.Boot, a.cfg.Elapsed())
			s.NextRoot = &NextRoot{w.Version, w.Hash, int64(max(0, w.Delay-waited).Seconds())}
		}
	})
	s.Missing = a.missing(s)
	return s
}

func (a *Agent) leftOf(w pending, boot string) time.Duration {
	if w.Boot != boot {
		return w.Delay
	}
	return max(0, w.Delay-(a.cfg.Elapsed()-time.Duration(w.Since)*time.Microsecond))
}

// missing says plainly what this machine does not have.
func (a *Agent) missing(s Status) []string {
	missing := []string{}
	for _, x := range s.Sensors {
		if x.Skipped {
			missing = append(missing, fmt.Sprintf("sensor %s (%s): %s", x.ID, x.Kind, x.Why))
		}
	}
	if !a.firewall().Enforces() {
		missing = append(missing, "quarantine is not enforced on this machine; the rules it would apply are under plan")
	}
	if s.Protection == "software" {
		missing = append(missing, "no TPM: the management key is a sealed file and can be copied with the disk")
	}
	if len(a.cfg.Outputs) == 0 {
		missing = append(missing, "no outputs: a stop has nothing to switch off here")
	}
	if !a.trust.Load().Witnessed() {
		missing = append(missing, "the trust root names no outside witness")
	}
	if a.store.Time().Upper.IsZero() {
		missing = append(missing, "the time has no upper bound yet: orders away from safety also need the presence code and the root role")
	}
	if s.FirstUse {
		missing = append(missing, "enrolled on first use: nobody compared the trust root with the ceremony sheet")
	}
	return missing
}

// listenLocal opens the local socket, for its owner alone.
func (a *Agent) listenLocal() (net.Listener, error) {
	path := a.cfg.SocketPath()
	if err := removeStale(path); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "agent.local", err)
	}
	l, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "agent.local", err)
	}
	return l, nil
}

// serveLocal answers on the local socket. It offers status, what tightens, and
// orders that are signed; everything else is refused and recorded, for root
// too (TRUST F36).
func (a *Agent) serveLocal(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answerLocal(w, http.StatusOK, a.Status()) })
	mux.HandleFunc("POST /v1/stop", a.localEffect("stop", func() error { return a.stopOutputs("local socket") }))
	mux.HandleFunc("POST /v1/arm", a.localEffect("arm", a.armLocally))
	mux.HandleFunc("POST /v1/quarantine", a.localEffect("quarantine", a.quarantineLocally))
	mux.HandleFunc("POST /v1/order", a.localOrder)
	mux.HandleFunc("POST /v1/doctor", a.localDoctor)
	mux.HandleFunc("POST /v1/walk-test", a.localWalk(a.startWalk))
	mux.HandleFunc("GET /v1/walk-test", a.localWalk(func(*http.Request) (*WalkTest, error) { return a.walking() }))
	mux.HandleFunc("POST /v1/walk-test/end", a.localWalk(func(*http.Request) (*WalkTest, error) { return a.endWalk("somebody ended it") }))
	mux.HandleFunc("/", a.localRefused)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return core.Wrap(core.KindUnavailable, "agent.local", err)
	}
	return nil
}

func answerLocal(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the peer may be gone
}

func (a *Agent) localEffect(what string, effect func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		err := effect()
		a.tell("local_"+what, core.SeverityMedium, map[string]any{"done": err == nil})
		if err != nil {
			answerLocal(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		answerLocal(w, http.StatusOK, map[string]string{"done": what})
	}
}

func (a *Agent) quarantineLocally() error {
	_, err := a.contain("local socket", false)
	a.latchQuarantine(map[string]any{"via": "local"})
	return err
}

// localOrder takes a signed order by hand: from a stick, from a screen (F27).
func (a *Agent) localOrder(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLine))
	if err != nil {
		answerLocal(w, http.StatusRequestEntityTooLarge, map[string]string{"error": err.Error()})
		return
	}
	got := a.take(raw, viaLocal)
	status := http.StatusOK
	if got.Outcome == link.OutcomeRefused {
		status = http.StatusForbidden
	}
	answerLocal(w, status, map[string]any{"order": got.Order, "outcome": got.Outcome, "detail": got.Detail})
}

func (a *Agent) localRefused(w http.ResponseWriter, r *http.Request) {
	a.refusals.tell(a, "local_refused", core.SeverityHigh, map[string]any{"asked": sensor.Text(r.Method + " " + r.URL.Path)})
	answerLocal(w, http.StatusForbidden, map[string]string{
		"error": "the local socket gives status and tightens; everything else takes an order that the trust root's persons signed, at POST /v1/order",
	})
}

// localDoctor tests the device. It tells what it found, and changes nothing.
func (a *Agent) localDoctor(w http.ResponseWriter, r *http.Request) {
	// A request's context ends with the read timeout, which is for slow senders;
	// each sensor's test has a limit of its own.
	report, err := a.doctor(context.WithoutCancel(r.Context()), "local")
	if err != nil {
		answerLocal(w, http.StatusConflict, map[string]string{"error": err.Error()})
		return
	}
	answerLocal(w, http.StatusOK, report)
}

// removeStale removes a socket that a killed agent left.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSocket == 0:
		return core.E(core.KindConflict, "agent", path+" is in the way and is no socket")
	}
	return os.Remove(path)
}
