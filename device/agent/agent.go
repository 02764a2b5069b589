// Package agent is the program on a device: it runs the sensors, acts on what
// they notice, keeps the record until the server has proved that it has it, and
// carries out orders that the people in its trust root have signed.
//
//	sensor ─► monitor ─► reflex (at once, offline)
//	             └─────► recorder ─► spool ─► uploader ══► server
//	   stream ══► orders (link.CheckOrder) ─► state ─► effect ─► result ══►
//
// Three rules shape it. What is safe waits for nothing: no disk, no network, no
// other order. What leads away from safety is durable before it happens, so it
// happens at most once. And nothing that a server says counts by itself: it can
// stop, tighten and contain, the rest takes the persons of the trust root; what
// is refused is recorded, also against the server (TRUST F03).
//
// The agent runs offline for ever; it only reports later. [Main] is called by
// cmd/interlock-agent and by the verb `interlock agent`, never inside the
// server's own process.
package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/keystore"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/spool"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// Version is the version of this agent.
const Version = "0.1.0"

// floor is the least that the time can be where the build does not say when it
// was made.
var floor = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// built returns when this program was built, as its version control stamp says.
func built() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil && t.After(floor) {
				return t
			}
		}
	}
	return floor
}

// Agent is one running agent; see [Main].
type Agent struct {
	cfg    Config
	id     *identity
	key    keystore.Key
	signer link.Signer
	store  *keystore.Store[body]
	spool  *spool.Spool
	mon    *monitor.Monitor
	reflex *reflex.Controller
	client *client
	rec    *recorder

	trust    atomic.Pointer[link.Trust]
	cert     atomic.Pointer[tls.Certificate]
	presence *presence
	refusals limiter
	deferred deferred
	reflexes map[core.SensorID][]string

	orders sync.Mutex // held while an order other than a stop is carried out
	taken  taken
	tight  struct {
		mu  sync.Mutex
		now tightened
	}
	arm   arming
	timed struct { // of the housekeeping alone
		bounded bool
		at      time.Duration
	}
	equipped []sensor.Sensor
	kinds    map[core.SensorID]string
	ports    ports
	walk     walk
	toldTest time.Duration  // when one was last told
	testing  sync.Mutex     // held during a self-test
	lastMode core.AgentMode // of the housekeeping
	detailed time.Duration  // when a heartbeat last had everything; of the housekeeping
	waiting  map[core.UUID]*link.Verified
	queued   chan line
	renew    chan struct{} // the server says that the certificate ran out
	// workloads are taken away by a containment and come back after the release.
	workloads workloads
	stops     struct {
		mu      sync.Mutex
		answers map[core.UUID]answer
	}
	results struct {
		mu    sync.Mutex
		n     uint64
		queue []outgoing
		kick  chan struct{}
	}
	contact atomic.Int64 // boot-time clock at the last word of the server, 0: never
}

// Main runs the agent until ctx ends. It enrols first where the machine is not
// enrolled and cfg brings an enrolment string. It returns nil when ctx ended.
func Main(ctx context.Context, cfg Config) error {
	cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	a, err := open(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // asked to end while it waited to be enrolled
		}
		return err
	}
	return errors.Join(a.run(ctx), a.spool.Close())
}

// open reads everything, and puts into force what was in force: quarantine and
// stop come before the spool, the sensors and the network.
func open(ctx context.Context, cfg Config) (*Agent, error) {
	for _, dir := range []string{cfg.DataDir, cfg.RunDir} {
		if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
			return nil, core.Wrap(core.KindUnavailable, "agent", err)
		}
	}
	key, sealer, err := openKeys(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, key: key, waiting: map[core.UUID]*link.Verified{}, queued: make(chan line, 64), renew: make(chan struct{}, 1), presence: newPresence(cfg.Elapsed)}
	a.stops.answers = map[core.UUID]answer{}
	a.workloads.ask, a.workloads.taken = make(chan struct{}, 1), make(chan string, 1)
	a.results.kick, a.deferred.kick = make(chan struct{}, 1), make(chan struct{}, 1)
	a.rec = newRecorder(a)
	enrolled, err := a.enrolled()
	if err != nil {
		return nil, err
	}
	a.store, err = keystore.Open[body](keystore.Options{
		Dir: filepath.Join(cfg.DataDir, "state"), RunDir: cfg.RunDir, Sealer: sealer, Clock: cfg.Clock, Built: built(), Elapsed: cfg.Elapsed,
	})
	if err != nil {
		return nil, err
	}
	if !enrolled {
		if a.id, err = enrol(ctx, &a.cfg, key); err != nil {
			return nil, err
		}
	}
	return a, a.assemble(enrolled)
}

// enrolled reads the identity. A machine is enrolled for real or for a
// demonstration, once; its configuration can't change that.
func (a *Agent) enrolled() (bool, error) {
	id, err := loadIdentity(a.cfg.DataDir)
	switch {
	case core.KindOf(err) == core.KindNotFound && !a.cfg.Enrolment.IsZero():
		return false, nil
	case err != nil:
		return false, err
	case id.Demo != a.cfg.Demo:
		return false, core.E(core.KindDenied, "agent", fmt.Sprintf("this machine was enrolled with demo %v and the configuration says %v", id.Demo, a.cfg.Demo)).
			WithHint("use another data directory")
	}
	a.id = id
	return true, nil
}

func (a *Agent) assemble(enrolled bool) error {
	a.view(func(_ string, b *body) { a.tight.now = b.Tightened })
	if err := a.believe(); err != nil {
		return err
	}
	signer, err := link.NewCryptoSigner(a.key)
	if err != nil {
		return err
	}
	a.signer = signer
	a.client = newClient(clientConfig{
		clock: a.cfg.Clock, pins: a.pins, lower: func() time.Time { return a.store.Time().Lower },
		certificate: func() (*tls.Certificate, error) { return a.cert.Load(), nil },
		heard:       a.heard, dialled: a.dialled,
	})
	a.reflex = reflex.New(a.firewall(), a.allow, a.outputs()...)
	lost := enrolled && (a.store.Opening().Fresh || a.store.Opening().Damaged)
	a.resumeReflexes(lost)
	if err := a.openSpool(); err != nil {
		return err
	}
	if err := errors.Join(a.beginArming(), a.buildMonitor()); err != nil {
		return errors.Join(err, a.spool.Close())
	}
	a.tellStart(enrolled, lost)
	return a.beginWaitsAnew()
}

// beginWaitsAnew starts the delay of waiting orders again after a restart of the
// machine: how long it was off, nobody knows.
func (a *Agent) beginWaitsAnew() error {
	boot, old := a.store.Continuity().Boot, false
	a.view(func(_ string, b *body) {
		old = slices.ContainsFunc(b.Pending, func(w pending) bool { return w.Boot != boot })
	})
	if !old {
		return nil
	}
	return a.store.Update(func(b *body) error {
		for i, w := range b.Pending {
			if w.Boot != boot {
				b.Pending[i].Boot, b.Pending[i].Since = boot, a.cfg.Elapsed().Microseconds()
			}
		}
		return nil
	})
}

// believe takes the trust root: the newest that was taken, or the one of the
// enrolment.
func (a *Agent) believe() error {
	root, hash := []byte(a.id.Root), a.id.RootHash
	a.view(func(_ string, b *body) {
		if len(b.Root) > 0 {
			root, hash = b.Root, b.RootHash
		}
	})
	trust, err := link.NewTrust(root, hash)
	if err != nil {
		return fmt.Errorf("agent: the trust root that this device keeps: %w", err)
	}
	a.trust.Store(trust)
	cert, err := a.id.certificate(a.key, a.pins())
	if err != nil {
		return fmt.Errorf("agent: the certificate that this device keeps: %w", err)
	}
	a.cert.Store(cert)
	return nil
}

func (a *Agent) pins() verify.Pins {
	pins, err := verify.ParsePins(a.trust.Load().Root().CAPins...)
	if err != nil {
		return nil // trusts nobody
	}
	return pins
}

// view shows the body and the epoch. Neither may be kept or changed.
func (a *Agent) view(fn func(epoch string, b *body)) {
	a.store.View(func(c keystore.Continuity, b *body) { fn(c.Epoch, b) })
}

func (a *Agent) firewall() reflex.Firewall {
	switch {
	case a.cfg.Firewall != nil:
		return a.cfg.Firewall
	case a.cfg.Enforce == EnforceNFT:
		return reflex.NFT{}
	case a.cfg.Enforce == EnforceSimulated:
		return reflex.Simulated{Path: filepath.Join(a.cfg.RunDir, "quarantine.nft")}
	}
	return reflex.Dry{}
}

func (a *Agent) outputs() []reflex.Output {
	var all []reflex.Output
	for _, o := range a.cfg.Outputs {
		all = append(all, reflex.NewFileRelay(o.ID, o.Path))
	}
	return all
}

// resumeReflexes puts back into force what a restart interrupted. A device whose
// state is lost does not know what held it: it is contained and stopped.
func (a *Agent) resumeReflexes(lost bool) {
	var contained, stopped bool
	a.view(func(_ string, b *body) { contained, stopped = b.contained(), b.Stopped })
	if contained || lost {
		_, _ = a.contain("in force before this start", false)
	} else if a.cfg.Enforce != EnforceNone || a.cfg.Firewall != nil {
		// A crash between a release and its effect leaves rules behind.
		if st, err := a.reflex.Status(); err == nil && st.Present {
			_ = a.lift("released before this start")
		}
	}
	if stopped || lost {
		_ = a.applyStop("in force before this start") // no new stop: a reset may wait for this one
	}
}

// openSpool opens the spool and sees to it that it and the state tell one story.
func (a *Agent) openSpool() error {
	dir := filepath.Join(a.cfg.DataDir, "spool")
	o := spool.Options{Dir: dir, Limit: a.cfg.SpoolLimit, Clock: a.cfg.Clock, Header: a.header, Sign: a.signBatch}
	sp, err := spool.Open(o)
	if core.KindOf(err) == core.KindDamaged {
		aside, qerr := spool.Quarantine(dir, a.cfg.Clock.Now().UnixMicro())
		if qerr != nil {
			return errors.Join(err, qerr)
		}
		a.tell("spool_damaged", core.SeverityCritical, map[string]any{"why": err.Error(), "kept_as": aside})
		sp, err = spool.Open(o)
	}
	if err != nil {
		return err
	}
	a.spool = sp
	var kept spool.Tail
	a.view(func(_ string, b *body) { kept = b.Sealed })
	if !sp.Continues(kept) {
		return a.newEpoch("the spool does not continue what the state knows of it", core.SeverityHigh)
	}
	return nil
}

// newEpoch ends a history that is not the only one.
func (a *Agent) newEpoch(why string, sev core.Severity) error {
	before := a.store.Continuity().Epoch
	if err := a.store.NewEpoch(why); err != nil {
		return err
	}
	a.tell("epoch_changed", sev, map[string]any{"why": why, "before": before, "epoch": a.store.Continuity().Epoch})
	return nil
}

func (a *Agent) header() spool.Header {
	h := spool.Header{Tenant: a.id.Tenant, Device: a.id.Device, RootVersion: a.trust.Load().Root().Version, Sent: max(0, a.cfg.Clock.Now().UnixMicro())}
	a.store.View(func(c keystore.Continuity, b *body) {
		h.Epoch, h.Boot, h.StateCounter = c.Epoch, c.Boot, c.Counter
		h.PolicyVersion, h.LogSize, h.LogRoot = b.Policy.Version, b.LogSize, b.LogRoot
	})
	return h
}

func (a *Agent) signBatch(payload []byte) (*link.Envelope, error) {
	return link.SealEnvelope(link.NamespaceBatch, payload, a.signer)
}

// ownLatch makes a latch of the agent itself.
func (a *Agent) ownLatch(point, kind string, sev core.Severity) latch {
	id := payloadHash([]byte(core.NewUUID(a.cfg.Clock.Now()).String() + core.NewUUID(a.cfg.Clock.Now()).String()))[:32]
	return latch{Contains: true, Latch: monitor.Latch{
		ID: id, Sensor: core.MustID[core.SensorID](ownSensor), Point: point, Type: kind, Severity: sev, At: a.cfg.Clock.Now().UnixMicro(),
	}}
}

// maxOrdered bounds the latches that quarantine orders can set: whoever holds
// the command key must not fill the state with them, nor make a release that no
// person can read.
const maxOrdered = 8

// latchQuarantine latches an ordered quarantine. Beyond a few the newest latch
// stands for the rest.
func (a *Agent) latchQuarantine(fields map[string]any) latch {
	var held []latch
	a.view(func(_ string, b *body) { held = slices.Clone(b.Latches) })
	for _, l := range a.rec.latches() { // one that is being written stands in both
		if !slices.ContainsFunc(held, func(x latch) bool { return x.ID == l.ID }) {
			held = append(held, l)
		}
	}
	held = slices.DeleteFunc(held, func(l latch) bool { return l.Type != typeOrdered })
	if len(held) >= maxOrdered {
		a.tighten(func(t *tightened) { t.Folded++ })
		a.later(func(b *body) error { a.keepTightened(b); return nil })
		return held[len(held)-1]
	}
	l := a.ownLatch("quarantine", typeOrdered, core.SeverityHigh)
	a.latchOwn(l, fields)
	return l
}

// typeOrdered is the type of a latch that an order or the local socket set.
const typeOrdered = "quarantine_ordered"

// latchOwn records a latch of the agent itself.
func (a *Agent) latchOwn(l latch, fields map[string]any) {
	e := a.event(l.Type, l.Severity, fields)
	e.Class, e.Sensor, e.State, e.Latch = core.ClassDetectionFinding, ownSensor, core.SensorAlarm, l.ID
	a.rec.put(entry{event: e, latch: &l})
}

// tellStart records how this start went.
func (a *Agent) tellStart(enrolled, lost bool) {
	opening := a.store.Opening()
	if !enrolled {
		sev := core.SeverityInfo
		if a.id.FirstUse {
			sev = core.SeverityMedium
		}
		a.tell("enrolled", sev, map[string]any{"first_use": a.id.FirstUse, "root": a.id.RootHash, "demo": a.id.Demo, "code": shortCodeOf(a.key), "protection": a.key.Protection()})
	}
	if opening.NewEpoch && enrolled {
		a.tell("epoch_changed", core.SeverityHigh, map[string]any{"why": opening.Reason, "epoch": a.store.Continuity().Epoch, "kept_as": opening.Aside})
	}
	if lost {
		a.latchOwn(a.ownLatch("state", "state_lost", core.SeverityCritical), map[string]any{"why": opening.Reason, "kept_as": opening.Aside})
	}
	var sensors []map[string]string
	for _, s := range a.cfg.Sensors {
		sensors = append(sensors, map[string]string{"id": s.ID, "driver": s.Driver})
	}
	a.tell("agent_started", core.SeverityInfo, map[string]any{
		"version": Version, "enforce": a.cfg.Enforce, "protection": a.key.Protection(), "first_use": a.id.FirstUse, "new_boot": opening.NewBoot,
		"epoch": a.store.Continuity().Epoch, "root_version": a.trust.Load().Root().Version, "sensors": sensors, "outputs": len(a.cfg.Outputs),
	})
	a.tellProtection()
}

// run runs every part until ctx ends.
func (a *Agent) run(ctx context.Context) error {
	local, err := a.listenLocal()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.resendResults()
	var acting, writing sync.WaitGroup
	// The writers outlive the others: what those say last is written too.
	end, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	writing.Go(func() { a.rec.run(end) })
	writing.Go(func() { a.writeLater(end) })
	for name, part := range map[string]func(context.Context) error{
		"monitor": a.mon.Run, "upload": a.upload, "stream": a.stream, "results": a.sendResults, "renewal": a.renewals,
		"workloads": a.keepWorkloads, "self-test": noError(a.selfTests), "withdrawal": noError(a.withdrawals),
		"orders": noError(a.work), "housekeeping": noError(a.keepHouse), "local": func(ctx context.Context) error { return a.serveLocal(ctx, local) },
	} {
		acting.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("agent: %s: %w", name, err))
			}
		})
	}
	a.cfg.Log.Info("agent runs", slog.Any("device", a.id.Device), slog.Any("sensors", len(a.cfg.Sensors)), slog.Any("enforce", a.cfg.Enforce))
	acting.Wait()
	stopWriting()
	writing.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}

func noError(fn func(context.Context)) func(context.Context) error {
	return func(ctx context.Context) error { fn(ctx); return nil }
}
