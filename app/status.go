package app

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/response/action"
	"github.com/interlock-security/interlock/siem/alert"
)

// parts tells how each part is; what is not known is never healthy.
func (s *Server) parts() map[string]core.Health {
	keysHealth, _ := s.child.Health()
	p := map[string]core.Health{"audit": core.HealthHealthy, "keys": keysHealth, "state": core.HealthHealthy, "listener": core.HealthHealthy, "collect": s.collecting()}
	if s.events != nil {
		p["events"] = s.eventsHealth()
	}
	switch {
	case s.stopOnly():
		p["audit"] = core.HealthUnhealthy
	case s.logProblem.Load() != nil:
		p["audit"] = core.HealthDegraded
	}
	ctx, cancel := context.WithTimeout(context.Background(), stateProbe)
	defer cancel()
	if err := s.base.state.View(ctx, func(tx *store.Tx) error {
		var n int
		return tx.QueryRow(ctx, `SELECT 1`).Scan(&n)
	}); err != nil {
		p["state"] = core.HealthUnhealthy
	}
	switch c := s.certificate.Load(); {
	case c == nil:
		p["listener"] = core.HealthStarting
	case s.clock.Now().After(c.Leaf.NotAfter):
		p["listener"] = core.HealthUnhealthy
	}
	return p
}

func (s *Server) stopOnly() bool {
	mode, _ := s.Audit.Mode()
	return mode != audit.ModeNormal
}

func (s *Server) warn(text string) {
	s.log.Warn(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warnings = append(s.warnings, text)
}

// Status answers `interlock status`, also while the database is away: then what
// only it knows is absent, and a warning says why. Absent is not none.
func (s *Server) Status(ctx context.Context) (api.Status, error) {
	trust, err := s.Roots.Trust(ctx, s.Config.Tenant)
	if err != nil {
		trust = s.trust.Load() // the one that this process works by
	}
	root := trust.Root()
	out := api.Status{
		Parts: s.parts(), Mode: string(root.Mode), Installation: root.Installation, RootVersion: root.Version, RootHash: trust.Hash(),
		Witnessed: root.Witness != "", Audit: api.StateOf(s.Audit), Sources: s.sources(ctx), Warnings: s.standing(root), Detection: s.detection(), Started: s.started,
	}
	for _, st := range s.Stops.Status(s.Config.Tenant).Stops {
		out.Stops = append(out.Stops, api.StopOf(st))
	}
	if err == nil {
		err = s.tables(ctx, &out)
	}
	if err != nil {
		out.Parts["state"] = core.HealthUnhealthy
		out.Devices, out.Incidents = nil, nil
		out.Warnings = append(out.Warnings, "devices, alerts, incidents and journal are not known: "+err.Error())
	}
	out.Health = httpd.Worst(out.Parts)
	return out, nil
}

// tables fills in what only the database knows.
func (s *Server) tables(ctx context.Context, out *api.Status) error {
	if err := s.base.state.View(ctx, func(tx *store.Tx) error { return s.count(ctx, tx, out) }); err != nil {
		return err
	}
	states, err := s.Registry.States(ctx, s.Config.Tenant)
	out.Devices = map[string]int{}
	for state, n := range states {
		out.Devices[string(state)] = n
	}
	return err
}

// count fills in what the tables hold.
func (s *Server) count(ctx context.Context, tx *store.Tx, out *api.Status) error {
	var err error
	if out.OpenAlerts, err = alert.Count(ctx, tx, s.Config.Tenant, alert.StateOpen); err != nil {
		return err
	}
	incidents, err := s.flow.Incidents.CountOpen(ctx, tx, s.Config.Tenant)
	if err != nil {
		return err
	}
	out.Incidents = map[string]int{}
	for state, n := range incidents {
		out.Incidents[string(state)] = n
	}
	out.Journal.Cursors = map[string]uint64{}
	for _, stage := range []string{"fleet", "detect"} {
		if out.Journal.Cursors[stage], err = (journal.Cursor{Stage: stage, Topic: s.base.frames.Name()}).Load(ctx, tx); err != nil {
			return err
		}
	}
	if s.events != nil {
		cursor := journal.Cursor{Stage: s.indexName(), Topic: s.base.frames.Name()}
		if out.Journal.Cursors["index"], err = cursor.Load(ctx, tx); err != nil {
			return err
		}
	}
	out.Journal.Next, err = s.base.frames.Next(ctx, 0)
	return err
}

// standing are the warnings that hold as long as their cause does.
func (s *Server) standing(root *link.Root) []string {
	s.mu.Lock()
	list := append([]string{}, s.warnings...)
	s.mu.Unlock()
	list = append(list, s.logWarnings(root)...)
	list = append(list, s.eventsWarnings()...)
	list = append(list, s.detectionWarnings()...)
	doubts := s.Authority.Doubts()
	for _, object := range slices.Sorted(maps.Keys(doubts)) {
		list = append(list, object+" is in stop-only: "+doubts[object])
	}
	list = append(list, s.doubtfulPeople()...)
	if why := s.consoleProblem.Load(); why != nil {
		list = append(list, *why)
	}
	if root.Mode == link.ModeSingleOperator {
		list = append(list, "single-operator mode: two-person controls are not met; a release waits instead")
	}
	if !reaches(root.Servers, s.Config.Listen.Agents) {
		list = append(list, "the trust root sends devices to "+strings.Join(root.Servers, ", ")+", and this server listens at "+s.Config.Listen.Agents+": unless something forwards them, none comes")
	}
	if root.Witness == "" {
		list = append(list, "unwitnessed: the trust root names no outside witness, so a captured server could show different logs to different readers")
	}
	return list
}

// reaches reports whether an address that devices go to has the port that the
// server listens at. Names are the network's business.
func reaches(servers []string, listen string) bool {
	_, port, err := net.SplitHostPort(listen)
	return err != nil || slices.ContainsFunc(servers, func(server string) bool { return strings.HasSuffix(server, ":"+port) })
}

// act carries an order out in a person's name.
func (s *Server) act(ctx context.Context, who core.Principal, device core.DeviceID, t link.OrderType, r api.ActRequest) (fleet.Order, error) {
	if err := s.presenceGiven(ctx, t, r.Presence); err != nil {
		return fleet.Order{}, err
	}
	params, wait, err := r.Params(t, s.clock.Now())
	if err != nil {
		return fleet.Order{}, err
	}
	q := action.Request{
		Key: "person/" + core.NewUUID(s.clock.Now()).String(), Kind: action.Kind(t), Device: device, By: who, Reason: r.Reason, Params: params, TTL: wait,
	}
	if r.Incident != "" {
		id, err := core.ParseUUID(r.Incident)
		if err != nil {
			return fleet.Order{}, fmt.Errorf("incident: %w", err)
		}
		q.Incident = id
	}
	return s.flow.Actions.Run(ctx, q)
}

// presenceGiven asks for the device's code before an order is made that the
// device would refuse without it (TRUST F22).
func (s *Server) presenceGiven(ctx context.Context, t link.OrderType, presence string) error {
	row, _ := link.DirectionOf(t)
	if !row.Direction.Away() || presence != "" {
		return nil
	}
	trust, err := s.Roots.Trust(ctx, s.Config.Tenant)
	if err != nil || trust.Root().Mode != link.ModeSingleOperator {
		return err
	}
	return core.E(core.KindInvalid, "app.act", "a single operator's "+string(t)+" takes the code that the device shows on its local socket").
		WithHint("read it at the machine with: interlock device local; then add --presence CODE")
}
