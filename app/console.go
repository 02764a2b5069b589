package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/api/live"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/web"
)

const (
	// consoleAgain is when a console address that is taken is tried again.
	consoleAgain = 5 * time.Second
	// standingEvery is how often the pages' state of the parts is read anew.
	standingEvery = 2 * time.Second
)

// ConsoleURL is how browsers call the console, "" where there is none.
func (l Listen) ConsoleURL() string {
	_, port, err := net.SplitHostPort(l.Console)
	if err != nil {
		return ""
	}
	scheme, usual := "http", "80"
	if l.consoleTLS() {
		scheme, usual = "https", "443"
	}
	if port == usual {
		return scheme + "://" + l.ConsoleName
	}
	return scheme + "://" + net.JoinHostPort(l.ConsoleName, port)
}

// consoleTLS reports whether the console speaks TLS: always beyond loopback.
func (l Listen) consoleTLS() bool {
	return l.ConsoleCertificate != "" || !httpd.LoopbackOnly(l.Console)
}

func (l Listen) validateConsole() error {
	if l.Console == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(l.Console); err != nil {
		return fmt.Errorf("listen.console: %q is not host:port", l.Console)
	}
	switch {
	case l.ConsoleName == "" || net.ParseIP(l.ConsoleName) != nil:
		return fmt.Errorf("listen.console_name: passkeys are bound to a host name; %q is none", l.ConsoleName)
	case (l.ConsoleCertificate == "") != (l.ConsoleKey == ""):
		return fmt.Errorf("listen.console_certificate and listen.console_key go together")
	case httpd.LoopbackOnly(l.Console):
		return nil
	case l.ConsoleName == "localhost":
		return fmt.Errorf("listen.console_name: beyond loopback the console needs the name that browsers use, not localhost")
	case l.ConsoleCertificate == "" && !slices.Contains(l.Names, l.ConsoleName):
		return fmt.Errorf("listen.console_name: beyond loopback browsers need TLS; name a certificate and key, or put %s into listen.names to have one issued by this server's CA", l.ConsoleName)
	}
	return nil
}

// serveConsole brings the console up. A console whose address is taken does not
// keep the server from protecting: it says so and tries again.
func (s *Server) serveConsole(ctx context.Context) error {
	if s.Config.Listen.Console == "" {
		return nil
	}
	hub := live.New(live.Options{Frames: s.base.frames, Encode: web.EncodeEvent, Clock: s.clock, Log: s.log})
	state := new(atomic.Pointer[web.Standing])
	state.Store(&web.Standing{Away: []string{"state not known yet"}})
	console, err := web.New(web.Parts{
		API: s.API, People: s.People, Stops: s.Stops, Live: hub, Guard: s.Guard, Clock: s.clock, Log: s.log, Origin: s.Config.Listen.ConsoleURL(), Ending: ctx.Done(),
		Standing: func() web.Standing { return s.standingNow(*state.Load()) },
	})
	if err != nil {
		return err
	}
	config, err := s.consoleTLS()
	if err != nil {
		return err
	}
	s.background(ctx, "live events", hub.Run)
	s.background(ctx, "standing", func(ctx context.Context) error { return s.watchStanding(ctx, state) })
	tried := make(chan struct{})
	s.consoleTried = sync.OnceFunc(func() { close(tried) })
	s.background(ctx, "console", func(ctx context.Context) error { return s.listenConsole(ctx, console, config) })
	select { // once the server is ready it is known whether there is a console
	case <-tried:
	case <-ctx.Done():
	}
	return nil
}

// listenConsole serves until ctx ends.
func (s *Server) listenConsole(ctx context.Context, h http.Handler, config *tls.Config) error {
	for {
		l, six, err := s.consoleListeners()
		if err == nil {
			if six != nil {
				s.background(ctx, "console, IPv6", func(ctx context.Context) error { return s.serveBrowsers(ctx, h, six, config) })
			}
			s.consoleProblem.Store(nil)
			s.consoleUp.Store(true)
			defer s.consoleUp.Store(false)
			s.triedConsole()
			return s.serveBrowsers(ctx, h, l, config)
		}
		why := fmt.Sprintf("there is no console: %v; free the address, or choose another one with listen.console", err)
		if s.consoleProblem.Swap(&why) == nil {
			s.log.Warn(why)
		}
		s.triedConsole()
		select {
		case <-ctx.Done():
			return nil
		case <-s.clock.After(consoleAgain):
		}
	}
}

// consoleListeners takes the console's address. A console that is called
// localhost takes it on both loopback addresses: browsers try both, and whoever
// had the other one would stand at this console's own origin. six is nil where
// there is no IPv6.
func (s *Server) consoleListeners() (l, six net.Listener, err error) {
	if l, err = net.Listen("tcp", s.Config.Listen.Console); err != nil {
		return nil, nil, err
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil || host != "127.0.0.1" || s.Config.Listen.ConsoleName != "localhost" {
		return l, nil, err
	}
	if six, err = net.Listen("tcp", net.JoinHostPort("::1", port)); errors.Is(err, syscall.EADDRINUSE) {
		return nil, nil, errors.Join(err, l.Close())
	}
	return l, six, nil
}

func (s *Server) triedConsole() {
	if s.consoleTried != nil {
		s.consoleTried()
	}
}

// serveBrowsers bounds the connections, so that clients that hang take nothing
// from the stop path or from agents, whose listeners are others.
func (s *Server) serveBrowsers(ctx context.Context, h http.Handler, l net.Listener, config *tls.Config) error {
	limits := httpd.DefaultLimits()
	limits.Total /= 2
	if httpd.LoopbackOnly(s.Config.Listen.Console) {
		limits.PerSource = limits.Total // everybody is one source there
	}
	server := httpd.NewServer(h, s.log)
	l = httpd.Limit(l, limits, func(source string) {
		s.log.Warn("the console refused a connection over its limit", slog.String("from", source))
	})
	if config != nil {
		server.TLSConfig = config
		l = tls.NewListener(l, config)
	}
	return httpd.Serve(ctx, server, l)
}

// consoleTLS returns the console's TLS settings, nil on loopback.
func (s *Server) consoleTLS() (*tls.Config, error) {
	if !s.Config.Listen.consoleTLS() {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}}
	if s.Config.Listen.ConsoleCertificate == "" {
		config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if c := s.certificate.Load(); c != nil {
				return c, nil
			}
			return nil, core.E(core.KindUnavailable, "app.console", "the console has no certificate yet")
		}
		return config, nil
	}
	pair, err := tls.LoadX509KeyPair(s.Config.Listen.ConsoleCertificate, s.Config.Listen.ConsoleKey)
	if err != nil {
		return nil, core.E(core.KindInvalid, "app.console", fmt.Sprintf("listen.console_certificate: %v", err)).
			WithHint("both files are PEM; the first holds the certificate and its chain")
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// watchStanding reads how the parts are, for the head of every page.
func (s *Server) watchStanding(ctx context.Context, state *atomic.Pointer[web.Standing]) error {
	for {
		away := []string{}
		for name, health := range s.parts() {
			switch health {
			case core.HealthHealthy, core.HealthStarting:
			case core.HealthDegraded:
				away = append(away, web.PartName(name)+" degraded")
			default:
				away = append(away, web.PartName(name)+" unavailable")
			}
		}
		slices.Sort(away)
		state.Store(&web.Standing{Away: away})
		select {
		case <-ctx.Done():
			return nil
		case <-s.clock.After(standingEvery):
		}
	}
}

// standingNow adds what is in memory and may change with every request.
func (s *Server) standingNow(st web.Standing) web.Standing {
	root := s.trust.Load().Root()
	st.Installation, st.Mode, st.Unwitnessed = root.Installation, string(root.Mode), root.Witness == ""
	if s.stopOnly() {
		_, why := s.Audit.Mode()
		st.StopOnly = "the audit log takes nothing but stops: " + why
	}
	for _, one := range s.Stops.Status(s.Config.Tenant).Stops {
		st.Stops++
		st.Waiting += len(one.NotConfirmed)
	}
	return st
}
