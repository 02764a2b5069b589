package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
)

// stopOrderLife is how long a stop order is good for on its way to a device. A
// stop that is in force is signed anew for every stream.
const stopOrderLife = 24 * time.Hour

// openStops brings up the stop path. A ring whose file can't be opened is
// replaced by one in memory: a stop must not wait for a disk.
func (s *Server) openStops() error {
	ring, err := stop.OpenRing(s.options.Paths.Ring(), stop.RingOptions{Clock: s.clock, Log: s.log})
	if err != nil {
		s.warn("the stop ring cannot be opened; stops are remembered in memory only: " + err.Error())
		ring = stop.NewMemoryRing(stop.RingOptions{Clock: s.clock, Log: s.log})
	}
	signer, err := s.base.keys.stopSigner()
	if err != nil {
		return err
	}
	s.hub = stop.NewHub(s.stopOrder(signer))
	s.Stops = stop.NewService(stop.Config{Ring: ring, Hub: s.hub, Clock: s.clock, Log: s.log, Roster: s.options.Paths.Roster()})
	s.ring = ring
	s.Stops.SetPersons(s.stoppers())
	return nil
}

// stopOrder signs a stop for one device, from memory alone.
func (s *Server) stopOrder(signer link.Signer) stop.Signer {
	return func(st stop.Stop, t stop.Target) ([]byte, error) {
		now := s.clock.Now()
		payload, err := link.EncodeOrder(&link.Order{
			V: 1, Type: link.OrderStop, ID: st.ID, Tenant: t.Tenant, Site: t.Site, Device: t.Device, Requester: st.By,
			Reason: st.Reason, RootVersion: s.rootVersion.Load(), Latches: []string{}, Params: json.RawMessage(`{}`),
			Issued: now.UnixMicro(), Expires: now.Add(stopOrderLife).UnixMicro(),
		})
		if err != nil {
			return nil, err
		}
		envelope, err := link.SealEnvelope(link.NamespaceOrder, payload, signer)
		if err != nil {
			return nil, err
		}
		return envelope.Encode()
	}
}

// stoppers are the persons that the configuration knows, each for every site.
func (s *Server) stoppers() []stop.Person {
	var list []stop.Person
	for _, o := range s.Config.Operators {
		list = append(list, stop.Person{ID: o.Person, Tenant: s.Config.Tenant, Sites: []core.SiteID{s.Config.Site}, UIDs: []uint32{o.UID}})
	}
	return list
}

// keepTargets tells the stop path which devices there are, so that it can name
// who has not confirmed.
func (s *Server) keepTargets(ctx context.Context) error {
	for {
		// While the database is away the last list stands.
		if targets, err := s.Registry.Targets(ctx); err == nil {
			s.Stops.SetTargets(targets)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.clock.After(5 * time.Second):
		}
	}
}

// drainStops moves stop records into the audit log, marked deferred: the stop
// took effect first (TRUST F06).
func (s *Server) drainStops(ctx context.Context) error {
	return s.Stops.Run(ctx, func(ctx context.Context, rec stop.Record) error {
		_, err := s.Audit.Append(ctx, audit.Entry{
			Type: audit.TypeFact, Time: rec.At, Actor: rec.By, Action: policy.DeviceStop, Object: "stop/" + rec.Stop.String(),
			Outcome: "deferred", Class: audit.ClassSecurity, Vital: audit.VitalStop, Body: rec,
		})
		return err
	})
}
