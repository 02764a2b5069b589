package app

import (
	"context"
	"log/slog"
	"slices"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
)

// openPeople brings up who there is beside the users of this machine. What the
// log says of them is read when the server runs; until then everybody who is
// known may stop, and nothing else.
func (s *Server) openPeople() (err error) {
	s.People, err = identity.NewPeople(identity.Parts{
		State: s.base.state, Log: s.Audit, Facts: audit.Put, Guard: s.Guard, Sealer: s.base.keys.ring, Clock: s.clock, Warn: s.log,
		Tenant: s.Config.Tenant, Operators: s.Config.people(), Console: s.consoleURL(), Name: "Interlock " + s.Config.Installation.String(),
		Reachable: s.consoleListens, Socket: peer, SingleOperator: s.singleOperator, Stops: s.Stops, Caps: s.Guard.Caps(), Alarm: s.peopleAlarm,
	})
	return err
}

// consoleURL is how browsers call the console; where there is none, passkeys
// have nothing to be for, and people still approve over the socket.
func (s *Server) consoleURL() string {
	if url := s.Config.Listen.ConsoleURL(); url != "" {
		return url
	}
	return "http://localhost"
}

// consoleListens says whether this server has the console's address: a link that
// is opened while another program has it tells that program its secret.
func (s *Server) consoleListens() error {
	if s.consoleUp.Load() {
		return nil
	}
	if s.Config.Listen.Console == "" {
		return core.E(core.KindConflict, "app.console", "there is no console here, so nothing for a link to open").WithHint("set listen.console")
	}
	e := core.E(core.KindUnavailable, "app.console", "the console does not listen yet").WithHint("try again in a moment")
	if why := s.consoleProblem.Load(); why != nil {
		e = core.E(core.KindUnavailable, "app.console", *why)
	}
	return e
}

// people are the operators as persons, each on the installation's site.
func (c *Config) people() []identity.Operator {
	list := make([]identity.Operator, 0, len(c.Operators))
	for _, o := range c.Operators {
		list = append(list, identity.Operator{UID: o.UID, Person: o.Person, Roles: slices.Clone(o.Roles), Sites: []core.SiteID{c.Site}})
	}
	return list
}

// peer is the user of this machine who sent a request by the unix socket.
func peer(ctx context.Context) (uint32, bool) {
	uid, err := httpd.PeerUID(ctx)
	return uid, err == nil
}

// singleOperator says whether the trust root in force is one for a person alone.
// Where it can't be read, two are wanted.
func (s *Server) singleOperator() bool {
	trust := s.trust.Load()
	return trust != nil && trust.Root().Mode == link.ModeSingleOperator
}

// peopleAlarm makes an event of what people must see.
func (s *Server) peopleAlarm(ctx context.Context, tx *store.Tx, a identity.Alarm) error {
	return s.Registry.Raise(ctx, tx, fleet.Notice{Tenant: s.Config.Tenant, Kind: a.Kind, Severity: a.Severity, Fields: a.Fields})
}

// loadPeople reads people from the log before anybody can sign in. A longer log
// is read while the server works.
func (s *Server) loadPeople(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	if err := s.People.Load(ctx); err != nil {
		s.log.Warn("people were not yet read from the audit log", slog.Any("err", err))
	}
}

// doubtfulPeople are the warnings about people of whom the database says other
// than the log.
func (s *Server) doubtfulPeople() []string {
	var list []string
	for person, why := range s.People.Doubts() {
		list = append(list, "person/"+person.String()+" is in stop-only: "+why+"; look, then: interlock people restore "+person.String())
	}
	slices.Sort(list)
	return list
}
