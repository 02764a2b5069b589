package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/siem/collect"
	"github.com/interlock-security/interlock/siem/collect/file"
	"github.com/interlock-security/interlock/siem/collect/journald"
	"github.com/interlock-security/interlock/siem/collect/syslog"
)

// source is a collector and what became of it.
type source struct {
	make func(context.Context) (collect.Collector, error)
	// patient collectors run although there is nothing to read yet: what a log
	// file holds when it comes is new. Their probe costs nothing.
	patient bool

	// Under Server.mu:
	collector collect.Collector // nil where it could not be made
	name      string
	state     string // running | waiting | skipped | failed
	detail    string
	before    collect.Counts // of those that ended
}

// Pauses between two tries of a collector that ended.
const (
	collectAgain    = time.Second
	collectAgainMax = 30 * time.Second
)

// collect starts the collectors that the configuration names. One that is not
// to be had here is skipped and says so, one that fails is begun anew; none is
// ever quietly absent.
func (s *Server) collect(ctx context.Context) {
	sink := collect.Journal(s.base.frames)
	for _, src := range s.configured() {
		s.mu.Lock()
		s.collectors = append(s.collectors, src)
		s.mu.Unlock()
		s.prepare(ctx, src)
		s.background(ctx, "collector "+src.name, func(ctx context.Context) error { return s.keepCollecting(ctx, src, sink) })
	}
}

// prepare makes a source's collector and tells whether it can run.
func (s *Server) prepare(ctx context.Context, src *source) {
	c, err := src.make(ctx)
	name, state, detail := src.name, "running", ""
	if err != nil {
		c, state, detail = nil, "failed", err.Error()
		s.log.Warn("a collector cannot start", slog.String("collector", name), slog.Any("err", err))
	} else if name = c.Name(); !src.patient {
		if p := c.Probe(ctx); !p.Present {
			state, detail = "skipped", p.Reason
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	src.collector, src.name, src.state, src.detail = c, name, state, detail
}

// keepCollecting runs a source's collector until ctx ends. That one ended, and
// why, is shown and logged.
func (s *Server) keepCollecting(ctx context.Context, src *source, sink collect.Sink) error {
	pause := collectAgain
	for {
		s.mu.Lock()
		c, ready := src.collector, src.state == "running"
		s.mu.Unlock()
		if ready {
			began := s.clock.Now()
			err := c.Run(ctx, sink)
			if ctx.Err() != nil {
				return nil
			}
			s.ended(src, err)
			if s.clock.Now().Sub(began) > collectAgainMax {
				pause = collectAgain
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.clock.After(pause):
		}
		pause = min(2*pause, collectAgainMax)
		s.prepare(ctx, src)
	}
}

func (s *Server) ended(src *source, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src.state, src.detail = "failed", "it ended"
	if err != nil {
		src.detail = err.Error()
	}
	n := src.collector.Counts()
	src.before.Records, src.before.Lost = src.before.Records+n.Records, src.before.Lost+n.Lost
	src.collector = nil
	s.log.Error("a collector ended", slog.String("collector", src.name), slog.String("why", src.detail))
}

func (s *Server) configured() []*source {
	var list []*source
	checkpoints := s.options.Paths.Collect()
	for _, f := range s.Config.Collect.Files {
		list = append(list, &source{name: "file" + f.Path, patient: true, make: func(context.Context) (collect.Collector, error) {
			return file.New(file.Config{Path: f.Path, Tenant: s.Config.Tenant, Checkpoints: checkpoints, Clock: s.clock, Log: s.log})
		}})
	}
	if l := s.Config.Collect.Syslog; l.UDP != "" || l.TCP != "" {
		list = append(list, &source{name: "syslog", make: func(ctx context.Context) (collect.Collector, error) {
			return syslog.Listen(ctx, syslog.Config{UDP: l.UDP, TCP: l.TCP, Tenant: s.Config.Tenant, Clock: s.clock, Log: s.log})
		}})
	}
	if s.Config.Collect.Journald {
		list = append(list, &source{name: "journald", make: func(context.Context) (collect.Collector, error) {
			return journald.New(journald.Config{Tenant: s.Config.Tenant, Checkpoints: checkpoints, Clock: s.clock, Log: s.log})
		}})
	}
	return list
}

func (s *Server) sources(ctx context.Context) []api.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []api.Source{}
	for _, src := range s.collectors {
		one := api.Source{Name: src.name, State: src.state, Detail: src.detail, Records: src.before.Records, Lost: src.before.Lost}
		if src.collector != nil {
			n := src.collector.Counts()
			one.Records, one.Lost = one.Records+n.Records, one.Lost+n.Lost
			if src.patient && one.State == "running" {
				if p := src.collector.Probe(ctx); !p.Present {
					one.State, one.Detail = "waiting", p.Reason
				}
			}
		}
		list = append(list, one)
	}
	return list
}

// collecting is degraded while a collector that should run does not.
func (s *Server) collecting() core.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, src := range s.collectors {
		if src.state == "failed" {
			return core.HealthDegraded
		}
	}
	return core.HealthHealthy
}

func (s *Server) lost() (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, src := range s.collectors {
		n += src.before.Lost
		if src.collector != nil {
			n += src.collector.Counts().Lost
		}
	}
	return n
}

// enrolmentString makes the one line that a device needs: where the server is,
// the pin of its CA, the hash of the trust root, and the token.
func (s *Server) enrolmentString(ctx context.Context, t fleet.Token, fact string) (string, error) {
	trust, err := s.Roots.Vouched(ctx, s.Config.Tenant)
	if err != nil {
		return "", err
	}
	root := trust.Root()
	if len(root.CAPins) == 0 || len(root.Servers) == 0 {
		return "", core.E(core.KindConflict, "app.enrolmentString", "the trust root names no server or no CA pin")
	}
	e := link.Enrolment{URL: "https://" + root.Servers[0], CA: root.CAPins[0], Root: trust.Hash(), ID: t.ID, Secret: t.Secret, Fact: fact}
	text, err := e.Encode()
	if err != nil {
		return "", fmt.Errorf("app: enrolment string: %w", err)
	}
	return text, nil
}
