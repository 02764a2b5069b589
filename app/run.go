package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/httpd"
)

func (s *Server) openListener() (err error) {
	peers := verify.Server{Pins: func() verify.Pins { return *s.pins.Load() }, Clock: s.clock}
	s.tls = peers.TLS(func() (*tls.Certificate, error) {
		if c := s.certificate.Load(); c != nil {
			return c, nil
		}
		return nil, core.E(core.KindUnavailable, "app.tls", "the listener has no certificate yet")
	})
	s.Listener, err = fleet.NewListener(fleet.Parts{
		Registry: s.Registry, Enrolment: s.Enrolment, Intake: fleet.NewIntake(s.base.frames, s.Audit, s.clock, 1, s.log),
		Orders: s.Orders, Roots: s.Roots, Peers: peers, Stops: s.hub, Confirmer: s.Stops, Guard: s.Guard, Log: s.Audit,
		Clock: s.clock, Quota: fleet.DefaultQuota, Warn: s.log,
	})
	return err
}

// Run serves until ctx ends or a part that can't be done without fails. The
// stop path listens first.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.serveStops(ctx); err != nil {
		return err
	}
	if err := s.startEvents(ctx); err != nil {
		return err
	}
	if err := s.runFlow(ctx); err != nil {
		return err
	}
	s.compareFirst(ctx)
	s.loadPeople(ctx)
	s.background(ctx, "certificate", s.keepCertificate)
	s.background(ctx, "authority", s.Authority.Run)
	s.background(ctx, "people", s.People.Run)
	s.background(ctx, "trust root", s.followRoots)
	s.background(ctx, "log mode", s.watchLog)
	s.background(ctx, "log check", s.checkLog)
	if err := s.serveAgents(ctx); err != nil {
		return err
	}
	if err := s.serveOperators(ctx); err != nil {
		return err
	}
	if err := s.serveConsole(ctx); err != nil {
		return err
	}
	if err := s.serveManagement(ctx); err != nil {
		return err
	}
	s.collect(ctx)
	close(s.ready)
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// firstLook is how long the listeners wait for the registry to be held against
// the audit log. A longer log is read while they serve; nobody is vouched for
// before its end.
const firstLook = 10 * time.Second

// compareFirst holds the registry against the log before anybody can use it.
func (s *Server) compareFirst(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	if err := s.Authority.Compare(ctx); err != nil {
		s.log.Warn("the registry was not yet held against the audit log", slog.Any("err", err))
	}
}

// Ready is closed when everything listens.
func (s *Server) Ready() <-chan struct{} { return s.ready }

func (s *Server) serveStops(ctx context.Context) error {
	l, err := httpd.ListenUnixGroup(s.options.Paths.Stop(), s.Config.Listen.Group)
	if err != nil {
		return err
	}
	s.background(ctx, "stop path", func(ctx context.Context) error { return s.Stops.Serve(ctx, l) })
	return nil
}

func (s *Server) serveAgents(ctx context.Context) error {
	l, err := net.Listen("tcp", s.Config.Listen.Agents)
	if err != nil {
		return (&core.Error{Kind: core.KindUnavailable, Op: "app.serveAgents", Msg: "agent listener", Err: err}).
			WithHint("another server may be running; choose another address with listen.agents")
	}
	s.background(ctx, "agent listener", func(ctx context.Context) error { return s.Listener.Serve(ctx, l, s.tls) })
	return nil
}

func (s *Server) serveOperators(ctx context.Context) error {
	l, err := httpd.ListenUnixGroup(s.options.Paths.API(), s.Config.Listen.Group)
	if err != nil {
		return err
	}
	s.API = api.New(api.Parts{
		Authenticate: s.operator, Guard: s.Guard, State: s.base.state, Frames: s.base.frames, Log: s.Audit, Registry: s.Registry,
		Enrolment: s.Enrolment, Orders: s.Orders, Roots: s.Roots, Seals: s.Seals, Alerts: s.flow.alerts, Tuning: s.flow.Tuning, Incidents: s.flow.Incidents, Playbooks: s.flow.Playbooks, Findings: s.flow.Findings, Advisories: s.advisories,
		Stops: s.Stops, People: s.People, Events: s.searcher(), Explain: s.explain, Status: s.Status, Act: s.act,
		EnrolmentString: s.enrolmentString, Clock: s.clock, Warn: s.log, Ending: ctx.Done(),
	})
	s.background(ctx, "operator API", func(ctx context.Context) error { return httpd.Serve(ctx, httpd.NewServer(s.API.Mux(), s.log), l) })
	return nil
}

// operator names the person at the other end of the socket, as the kernel and
// the configuration say.
func (s *Server) operator(r *http.Request) (core.Principal, error) {
	uid, err := httpd.PeerUID(r.Context())
	if err != nil {
		return core.Principal{}, err
	}
	who, err := s.Owner(int(uid))
	if err != nil {
		return who, core.E(core.KindUnauthenticated, "app.operator", fmt.Sprintf("uid %d is no operator of this installation", uid)).
			WithHint("name the person under operators in interlock.yaml")
	}
	return who, nil
}

func (s *Server) serveManagement(ctx context.Context) error {
	l, err := net.Listen("tcp", s.Config.Listen.Management)
	if err != nil {
		return (&core.Error{Kind: core.KindUnavailable, Op: "app.serveManagement", Msg: "management listener", Err: err}).
			WithHint("choose another address with listen.management")
	}
	m := httpd.Management{Exposure: s.Config.Listen.Exposure, Health: s.parts, Metrics: promhttp.HandlerFor(s.metrics(), promhttp.HandlerOpts{})}
	server := httpd.NewServer(m.Handler(), s.log)
	s.background(ctx, "management", func(ctx context.Context) error { return httpd.Serve(ctx, server, l) })
	return nil
}

// metrics are the figures that everybody scrapes.
func (s *Server) metrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "interlock", Name: name, Help: help}, value))
	}
	gauge("audit_entries", "Size of the audit log.", func() float64 { return float64(s.Audit.Size()) })
	gauge("audit_stop_only", "1 while the audit log is damaged and takes vital entries only.", func() float64 { return one(s.stopOnly()) })
	gauge("detect_events_total", "Events that detection judged.", func() float64 { return float64(s.flow.detect.Stats.Events.Load()) })
	gauge("detect_matches_total", "Rules that held for an event.", func() float64 { return float64(s.flow.detect.Stats.Matches.Load()) })
	gauge("detect_damaged_total", "Records that are no event of their frame's tenant; no rule saw them.", func() float64 { return float64(s.flow.detect.Stats.Damaged.Load()) })
	gauge("detect_opaque_total", "Events whose fields could not be laid out; rules saw their envelope alone.", func() float64 { return float64(s.flow.detect.Stats.Opaque.Load()) })
	gauge("authority_doubts", "Devices, tokens and trust roots whose rows say other than the audit log.", func() float64 { return float64(len(s.Authority.Doubts())) })
	gauge("keys_starts_total", "How often the keys process was started.", func() float64 { return float64(s.child.Starts()) })
	gauge("collect_lost_total", "Records that collectors lost.", func() float64 { return float64(s.lost()) })
	s.eventsMetrics(gauge)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Pauses between two tries to have a certificate issued. Each leaves an intent
// in the audit log, so they get longer.
const (
	certificateAgain    = time.Second
	certificateAgainMax = time.Minute
)

// keepCertificate has the listener's certificate issued, and again at two thirds
// of its life. While the keys process is away the old one stands, and nobody is
// asked.
func (s *Server) keepCertificate(ctx context.Context) error {
	k := keysOf{s.Keys, s.Audit}
	pause := certificateAgain
	for {
		wait := certificateAgain
		if health, _ := s.child.Health(); health == core.HealthHealthy {
			c, err := k.issueServer(ctx, s.Guard, s.Config.Tenant, s.Config.Listen.Names)
			switch {
			case err == nil:
				s.certificate.Store(c)
				wait, pause = max(c.Leaf.NotAfter.Sub(s.clock.Now())*2/3, certificateAgain), certificateAgain
			case ctx.Err() == nil:
				s.log.Warn("the listener's certificate waits", slog.Any("err", err))
				wait, pause = pause, min(2*pause, certificateAgainMax)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.clock.After(wait):
		}
	}
}
