package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/safety/stop"
	"github.com/interlock-security/interlock/siem/collect"
	"github.com/interlock-security/interlock/siem/collect/file"
	"github.com/interlock-security/interlock/siem/collect/journald"
	"github.com/interlock-security/interlock/siem/collect/syslog"
)

// source is a collector and what became of it.
type source struct {
	collector collect.Collector
	state     string // running | skipped | failed
	detail    string
}

// collect starts the collectors that the configuration names. One that is not
// to be had here is skipped and says so; it is never quietly absent.
func (s *Server) collect(ctx context.Context) {
	sink := collect.Journal(s.base.frames)
	for _, c := range s.configured(ctx) {
		src := &source{collector: c, state: "running"}
		if p := c.Probe(ctx); !p.Present {
			src.state, src.detail = "skipped", p.Reason
		}
		s.mu.Lock()
		s.collectors = append(s.collectors, src)
		s.mu.Unlock()
		if src.state == "running" {
			s.background(ctx, "collector "+c.Name(), func(ctx context.Context) error { return s.runCollector(ctx, src, sink) })
		}
	}
}

// runCollector keeps the server alive when a collector ends: that it ended is
// shown and logged.
func (s *Server) runCollector(ctx context.Context, src *source, sink collect.Sink) error {
	err := src.collector.Run(ctx, sink)
	if ctx.Err() != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	src.state, src.detail = "failed", "it ended"
	if err != nil {
		src.detail = err.Error()
	}
	s.log.Error("a collector ended", slog.String("collector", src.collector.Name()), slog.String("why", src.detail))
	return nil
}

func (s *Server) configured(ctx context.Context) []collect.Collector {
	var list []collect.Collector
	add := func(c collect.Collector, err error) {
		if err != nil {
			s.warn("a collector cannot start: " + err.Error())
			return
		}
		list = append(list, c)
	}
	for _, f := range s.Config.Collect.Files {
		add(file.New(file.Config{Path: f.Path, Tenant: s.Config.Tenant, Checkpoints: s.options.Paths.Collect(), Clock: s.clock, Log: s.log}))
	}
	if l := s.Config.Collect.Syslog; l.UDP != "" || l.TCP != "" {
		add(syslog.Listen(ctx, syslog.Config{UDP: l.UDP, TCP: l.TCP, Tenant: s.Config.Tenant, Clock: s.clock, Log: s.log}))
	}
	if s.Config.Collect.Journald {
		add(journald.New(journald.Config{Tenant: s.Config.Tenant, Checkpoints: s.options.Paths.Collect(), Clock: s.clock, Log: s.log}))
	}
	return list
}

func (s *Server) sources() []api.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []api.Source{}
	for _, src := range s.collectors {
		n := src.collector.Counts()
		list = append(list, api.Source{Name: src.collector.Name(), State: src.state, Detail: src.detail, Records: n.Records, Lost: n.Lost})
	}
	return list
}

func (s *Server) lost() (n uint64) {
	for _, src := range s.sources() {
		n += src.Lost
	}
	return n
}

// enrolmentString makes the one line that a device needs: where the server is,
// the pin of its CA, the hash of the trust root, and the token.
func (s *Server) enrolmentString(ctx context.Context, t fleet.Token, fact string) (string, error) {
	trust, err := s.Roots.Trust(ctx, s.Config.Tenant)
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

func stopOf(st stop.State) api.Stop {
	out := api.Stop{ID: st.ID.String(), Scope: st.Scope.String(), By: st.By, Reason: st.Reason, Since: st.At}
	for _, d := range st.Confirmed {
		out.Confirmed = append(out.Confirmed, d.String())
	}
	for _, d := range st.NotConfirmed {
		out.Waiting = append(out.Waiting, d.String())
	}
	return out
}
