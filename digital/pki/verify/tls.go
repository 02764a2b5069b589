package verify

import (
	"crypto/tls"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Server verifies the peers of the agent listener.
type Server struct {
	Pins  func() Pins // asked for each handshake, so that a new root counts at once
	Clock core.Clock
}

// TLS returns the listener's configuration. A client may come without a
// certificate: it is then a stranger, who can enrol and nothing else. One that
// presents a certificate must present a good one, or one that has merely
// expired; whoever needs an identity asks [Server.Peer] on each request.
func (s Server) TLS(certificate func() (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true, // each connection proves itself anew
		ClientAuth:             tls.RequestClientCert,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate() },
		VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return nil
			}
			_, err := s.Renewing(&cs)
			return err
		},
	}
}

// Peer returns the device behind a connection. Without a certificate the error
// is of kind unauthenticated, with an expired one of kind expired.
func (s Server) Peer(cs *tls.ConnectionState) (*Peer, error) {
	return s.peer(cs, At(s.Clock.Now()))
}

// Renewing is [Server.Peer] for the renewal route alone: it takes an expired
// certificate too.
func (s Server) Renewing(cs *tls.ConnectionState) (*Peer, error) {
	return s.peer(cs, ExpiredBy(s.Clock.Now()))
}

func (s Server) peer(cs *tls.ConnectionState, v Validity) (*Peer, error) {
	if cs == nil {
		return nil, core.E(core.KindUnauthenticated, "verify.Peer", "the connection is not encrypted")
	}
	return Chain(cs.PeerCertificates, Want{Pins: s.Pins(), Profile: ProfileManagement, Validity: v})
}

// Agent verifies the server for a device.
type Agent struct {
	Pins func() Pins
	// Lower is the trusted lower bound of time: the build, the last persisted
	// state, a witness.
	Lower func() time.Time
	// Host is the server's name or address as the device dials it.
	Host string
	// Certificate is the management certificate, nil before enrolment.
	Certificate func() (*tls.Certificate, error)
}

// TLS returns the device's configuration. Pins replace the system's roots and
// [Since] replaces the device's clock, so the default verifier, which knows
// neither, is switched off and ours decides.
func (a Agent) TLS() *tls.Config {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		ServerName:         a.Host,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection below verifies, against pins
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, err := Chain(cs.PeerCertificates, Want{Pins: a.Pins(), Profile: ProfileServer, Validity: Since(a.Lower()), Host: a.Host})
			return err
		},
	}
	if a.Certificate != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := a.Certificate()
			if err == nil && cert == nil {
				return new(tls.Certificate), nil // a stranger's connection, for enrolment
			}
			return cert, err
		}
	}
	return c
}
