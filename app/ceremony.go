package app

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/keys"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
)

// Ceremony is what a first run needs to know of its people.
type Ceremony struct {
	// Dir is where person and recovery keys go: the user's own directory,
	// outside the data directory.
	Dir string
	// Persons are who there are; none means one owner, who works alone until
	// the trust root names more (F22).
	Persons []ceremony.Person
	// ReleaseDelay is how long a release by a single operator waits; 0 means
	// ten minutes.
	ReleaseDelay time.Duration
}

// trustRoot installs the first trust root where there is none, and returns the
// one in force. The document is signed by persons' recovery keys, which this
// process makes in a first run and never opens again.
func (s *Server) trustRoot(ctx context.Context) (*link.Trust, error) {
	trust, err := s.Roots.Trust(ctx, s.Config.Tenant)
	if core.KindOf(err) != core.KindNotFound {
		return trust, err
	}
	info, err := s.Keys.PublicInfo(ctx)
	if err != nil {
		return nil, err
	}
	envelope, hash, err := s.holdCeremony(info)
	if err != nil {
		return nil, noCeremony(err)
	}
	if err := s.Keys.AdoptRoot(ctx, envelope, nil); err != nil {
		return nil, fmt.Errorf("first-run ceremony: %w", err)
	}
	if err := s.Roots.Install(ctx, envelope, hash); err != nil {
		return nil, fmt.Errorf("first-run ceremony: %w", err)
	}
	return s.Roots.Trust(ctx, s.Config.Tenant)
}

// noCeremony says where a first run goes on that could not make persons' keys,
// for example because a service may write nothing but its data.
func noCeremony(err error) error {
	hint := core.HintOf(err)
	if hint == "" {
		hint = "hold the ceremony first, with keys in a directory that can be made: interlock root init --keys DIR"
	}
	return &core.Error{Kind: core.KindOf(err), Op: "first-run ceremony", Err: err, Hint: hint}
}

// holdCeremony makes the root, or takes up the one that a run before this made
// and did not get to install.
func (s *Server) holdCeremony(info keys.PublicInfo) (envelope []byte, hash string, err error) {
	envelope, err = ceremony.LoadRoot(s.options.Ceremony.Dir)
	if err == nil {
		return s.resumeCeremony(envelope, info)
	}
	if core.KindOf(err) != core.KindNotFound {
		return nil, "", err
	}
	stopKey, err := s.base.keys.stopSigner()
	if err != nil {
		return nil, "", err
	}
	logKey, err := s.base.logVerifier(s.Config)
	if err != nil {
		return nil, "", err
	}
	made, err := ceremony.NewInstallation(ceremony.Options{
		Dir: s.options.Ceremony.Dir, Installation: s.Config.Installation.String(), Tenant: s.Config.Tenant,
		Persons: s.options.Ceremony.Persons, ReleaseDelay: s.options.Ceremony.ReleaseDelay, Now: s.clock.Now(),
		CommandKey: info.CommandKey, StopKey: link.AuthorizedKey(stopKey.PublicKey()), LogKey: logKey, LogOrigin: logOrigin(s.Config),
		CAPins: info.CAPins, Servers: serverAddresses(s.Config.Listen),
	})
	if err != nil {
		return nil, "", err
	}
	return made.Root, made.RootHash, nil
}

// resumeCeremony takes the root in the user's directory if it is for these very
// keys. One that is for another server's is not touched.
func (s *Server) resumeCeremony(envelope []byte, info keys.PublicInfo) ([]byte, string, error) {
	trust, err := ceremony.LoadTrust(s.options.Ceremony.Dir)
	if err != nil {
		return nil, "", err
	}
	if trust.Root().CommandKey != info.CommandKey {
		return nil, "", core.E(core.KindConflict, "app.ceremony", s.options.Ceremony.Dir+" holds the keys and trust root of another installation").
			WithHint("name another directory with --keys, or the data directory that belongs to it with --data")
	}
	return envelope, trust.Hash(), nil
}

// serverAddresses is how devices reach the listener: each name with its port.
func serverAddresses(l Listen) []string {
	_, port, err := net.SplitHostPort(l.Agents)
	if err != nil {
		return nil
	}
	var list []string
	for _, name := range l.Names {
		list = append(list, net.JoinHostPort(name, port))
	}
	return list
}

// RootOf returns the root in force as people see it.
func (s *Server) RootOf(ctx context.Context) (fleet.RootVersion, error) {
	return s.Roots.Current(ctx, s.Config.Tenant)
}
