package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/keys"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/fleet/seal"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
)

// Options are what a server is started with beside its configuration.
type Options struct {
	Paths    Paths
	Ceremony Ceremony
	Clock    core.Clock
	Log      *slog.Logger
	// Child starts the keys process: the arguments after the program's path.
	Child []string
	// Program is the binary that holds the verb; "" means this one.
	Program string
	// ChildErr takes what the children print.
	ChildErr io.Writer
}

// Server is the running server. Fields that others read are set by [Open] and
// not changed after.
type Server struct {
	Config  Config
	options Options
	clock   core.Clock
	log     *slog.Logger
	started time.Time

	base      *foundation
	Audit     *audit.Log
	Guard     *policy.Guard
	Keys      *keys.Client
	child     *keys.Supervisor
	Registry  *fleet.Registry
	Roots     *fleet.Roots
	Authority *fleet.Authority
	Enrolment *fleet.Enrolment
	Orders    *fleet.Orders
	Seals     *seal.Seals
	Stops     *stop.Service
	People    *identity.People
	Listener  *fleet.Listener
	API       *api.API
	flow      *flow
	events    *eventStore // nil where searching is off
	// advisories is what scans and campaigns are judged by.
	advisories *advisories
	hub        *stop.Hub
	ring       *stop.Ring
	tls        *tls.Config
	// instance names this server among those on one database, the same after
	// every start.
	instance string

	certificate atomic.Pointer[tls.Certificate]
	pins        atomic.Pointer[verify.Pins]
	rootVersion atomic.Uint64
	trust       atomic.Pointer[link.Trust]
	keysRoot    atomic.Uint64 // the version that keys is known to have
	// logProblem is why the audit log could not be verified, nil for nothing.
	logProblem atomic.Pointer[string]
	// consoleProblem is why there is no console just now, nil for nothing.
	consoleTried   func()      // is called when the console has tried to listen
	consoleUp      atomic.Bool // this server listens at the console's address
	consoleProblem atomic.Pointer[string]

	mu         sync.Mutex
	warnings   []string
	collectors []*source

	ready  chan struct{}
	cancel context.CancelFunc
	wg     sync.WaitGroup
	failed chan error
}

// Open brings a server up: keys that open unattended, databases, log, Guard,
// keys process, trust root, certificate. Nothing listens yet; [Server.Run] does
// that.
func Open(ctx context.Context, cfg Config, o Options) (_ *Server, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, core.Wrap(core.KindInvalid, "app.Open", err)
	}
	if o.Clock == nil {
		o.Clock = core.SystemClock{}
	}
	s := &Server{
		Config: cfg, options: o, clock: o.Clock, log: o.Log, started: o.Clock.Now(),
		ready: make(chan struct{}), failed: make(chan error, 16),
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.base, err = openFoundation(ctx, cfg, o.Paths, o.Clock, o.Log); err != nil {
		return nil, err
	}
	if s.instance, err = s.base.keys.name(); err != nil {
		return nil, err
	}
	s.Audit = s.base.log
	s.openGuard(background)
	s.startKeys(background)
	s.openFleet()
	if err := s.awaitKeys(ctx); err != nil {
		return nil, err
	}
	trust, err := s.trustRoot(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.useRoot(trust); err != nil {
		return nil, err
	}
	if err := s.openStops(); err != nil {
		return nil, err
	}
	if err := s.openPeople(); err != nil {
		return nil, err
	}
	if err := s.openListener(); err != nil {
		return nil, err
	}
	if s.flow, err = s.openFlow(); err != nil {
		return nil, err
	}
	if err := s.openEvents(); err != nil {
		return nil, err
	}
	s.carryOver(ctx)
	return s, nil
}

// carryOver brings into the audit log what a process before this one left in the
// outbox: rows that the log does not know yet would pass for forged ones.
func (s *Server) carryOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	for {
		n, err := s.base.outbox.Drain(ctx)
		if err != nil {
			s.log.Warn("the audit outbox waits", slog.Any("err", err))
		}
		if err != nil || n == 0 {
			return
		}
	}
}

func (s *Server) openGuard(ctx context.Context) {
	r, over := recorder{s.Audit}, make(caps, 64)
	s.Guard = policy.NewGuard(policy.Default(), r, s.clock, policy.Options{Summary: r.summary, Capped: over.tell, Log: s.log})
	s.background(ctx, "guard", s.Guard.Run)
	s.background(ctx, "caps", func(ctx context.Context) error {
		return over.run(ctx, s.clock, s.log, func(ctx context.Context, who core.Principal, a core.Action, on core.Resource) error {
			return s.Registry.Capped(ctx, who, a, on)
		})
	})
}

func (s *Server) startKeys(ctx context.Context) {
	s.child = &keys.Supervisor{
		Program: s.options.Program, Args: append(s.options.Child, s.options.Paths.Keys()),
		Stderr: s.options.ChildErr, Clock: s.clock, Log: s.log,
	}
	s.Keys = s.child.Client()
	s.background(ctx, "keys", s.child.Run)
}

// keysPatience is how long a start waits for the keys process.
const keysPatience = 20 * time.Second

// awaitKeys waits until the keys process answers. A start where it does not
// goes on if there is a trust root already: without it the server collects,
// detects and stops, and only signing and issuing wait.
func (s *Server) awaitKeys(ctx context.Context) error {
	deadline := s.clock.After(keysPatience)
	for {
		_, err := s.Keys.PublicInfo(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			if _, known := s.Roots.Current(ctx, s.Config.Tenant); known == nil {
				s.warn("the keys process does not answer: " + err.Error())
				return nil
			}
			return err
		case <-s.clock.After(20 * time.Millisecond):
		}
	}
}

func (s *Server) openFleet() {
	s.Registry = fleet.NewRegistry(s.base.state, audit.Put, s.clock)
	s.Roots = fleet.NewRoots(s.Registry, s.Audit, s.Guard)
	s.Authority = fleet.NewAuthority(s.Registry, s.Roots, s.Audit, s.Config.Tenant, s.log)
	s.Authority.Anchor = func(ctx context.Context) (string, error) {
		info, err := s.Keys.PublicInfo(ctx)
		return info.RootHash, err
	}
	s.base.successions.inForce = func() (*link.Trust, error) { return s.Roots.Vouched(context.Background(), s.Config.Tenant) }
	k := keysOf{s.Keys, s.Audit}
	s.Enrolment = fleet.NewEnrolment(s.Registry, s.Guard, s.Audit, k, s.Roots)
	s.Orders = fleet.NewOrders(s.Registry, s.Roots, k, s.Guard, topicOrders)
	s.Seals = seal.New(seal.Parts{DB: s.base.state, Registry: s.Registry, Facts: audit.Put, Guard: s.Guard, Sealer: s.base.keys.ring, Clock: s.clock})
}

// useRoot takes over what the trust root says of this server.
func (s *Server) useRoot(trust *link.Trust) error {
	pins, err := verify.ParsePins(trust.Root().CAPins...)
	if err != nil {
		return fmt.Errorf("trust root: %w", err)
	}
	s.pins.Store(&pins)
	s.rootVersion.Store(trust.Root().Version)
	s.trust.Store(trust)
	return nil
}

// background runs fn until the server closes. An error that is not the end's is
// kept for Run to return.
func (s *Server) background(ctx context.Context, name string, fn func(context.Context) error) {
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		if err := fn(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("a part ended", slog.String("part", name), slog.Any("err", err))
			select {
			case s.failed <- fmt.Errorf("%s: %w", name, err):
			default:
			}
		}
	}()
}

// Close ends what Open began, in the other direction. It waits for everything.
func (s *Server) Close() error {
	s.cancel()
	s.wg.Wait()
	var errs []error
	if s.ring != nil {
		errs = append(errs, s.ring.Close())
	}
	if s.base != nil {
		errs = append(errs, s.base.close())
	}
	return errors.Join(errs...)
}
