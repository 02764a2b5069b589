package redfish

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/credential"
	"github.com/interlock-security/interlock/digital/pki/verify"
)

// maxBody bounds one answer; a Thermal of a large server has 60 kB.
const maxBody = 1 << 20

// client asks one controller.
type client struct {
	base string
	with credential.Credential
	http *http.Client
}

func (s *Sensor) dial() (*client, error) {
	with, err := credential.Load(s.cfg.Credentials)
	if err != nil {
		return nil, err
	}
	trust, err := s.cfg.trust()
	if err != nil {
		return nil, err
	}
	return &client{base: s.cfg.URL, with: with, http: &http.Client{
		Timeout: askTimeout,
		// No proxy of the environment sees the password.
		Transport: &http.Transport{TLSClientConfig: trust, MaxIdleConns: 1, MaxResponseHeaderBytes: 64 << 10, TLSHandshakeTimeout: askTimeout},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the controller sends its clients elsewhere")
		},
	}}, nil
}

func (c *client) close() {
	c.http.CloseIdleConnections()
	c.with.Password.Wipe()
}

// trust says which controller is believed.
func (c Config) trust() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case c.Pin != "":
		// The pin takes the place of names and chains, which a controller's own
		// certificate has none of. Whoever has another key is refused.
		t.InsecureSkipVerify = true
		t.VerifyConnection = func(s tls.ConnectionState) error { return pinned(s, c.Pin) }
	case c.CA != "":
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, core.Wrap(core.KindUnavailable, "redfish.Run", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, core.E(core.KindInvalid, "redfish.Run", c.CA+" has no certificate in it")
		}
	}
	return t, nil
}

func pinned(s tls.ConnectionState, pin string) error {
	if len(s.PeerCertificates) == 0 {
		return core.E(core.KindUnauthenticated, "redfish.Run", "the controller shows no certificate")
	}
	if got := verify.PinOf(s.PeerCertificates[0]).String(); got != strings.ToLower(pin) {
		return core.E(core.KindUnauthenticated, "redfish.Run", "the controller has another key than the pinned one: "+got)
	}
	return nil
}

// inService says whether a path that the controller gave is one of its own
// Redfish service, and nothing that climbs out of it.
func inService(p string) bool {
	return strings.HasPrefix(p, service+"/") && len(p) <= sensor.MaxText && path.Clean(p) == strings.TrimSuffix(p, "/") && !strings.ContainsAny(p, "?#%\\ ")
}

// get asks for one resource.
func (c *client) get(ctx context.Context, p string, into any) error {
	const op = "redfish.Run"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+(&url.URL{Path: p}).EscapedPath(), nil)
	if err != nil {
		return core.Wrap(core.KindInvalid, op, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("OData-Version", "4.0")
	req.SetBasicAuth(c.with.User, string(c.with.Password.Reveal()))
	resp, err := c.http.Do(req)
	if err != nil {
		return core.Wrap(core.KindUnavailable, op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return core.E(core.KindDenied, op, fmt.Sprintf("the controller refuses the account (%s)", resp.Status)).WithHint("look at the credentials file, and at the account's rights")
	case resp.StatusCode != http.StatusOK:
		return core.E(core.KindUnavailable, op, fmt.Sprintf("GET %s: %s", p, sensor.Text(resp.Status)))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return core.Wrap(core.KindUnavailable, op, err)
	case len(body) > maxBody:
		return core.E(core.KindTooLarge, op, fmt.Sprintf("GET %s: more than %d bytes", p, maxBody))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return core.Wrap(core.KindDamaged, op, fmt.Errorf("GET %s: %w", p, err))
	}
	return nil
}

// SelfTest implements [sensor.SelfTester]: it asks once. That the switch moves
// nobody can test from here.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	c, err := s.dial()
	if err != nil {
		return []sensor.Finding{sensor.Found("controller answers", sensor.Fail, err.Error())}
	}
	defer c.close()
	had := map[string]bool{}
	var all []sensor.Finding
	w := &watch{sensor: &Sensor{cfg: s.cfg, had: had}, client: c, told: true, emit: func(r sensor.Reading) {
		switch {
		case r.Kind == sensor.Broken:
			all = append(all, sensor.Found(r.Point, sensor.Fail, string(r.Fields)))
		case r.Kind == sensor.Level && r.Active:
			all = append(all, sensor.Found(r.Point, sensor.Warning, "the controller says open"))
		case r.Kind == sensor.Level:
			all = append(all, sensor.Found(r.Point, sensor.Untried, "it reads closed; open the case once to see it move"))
		}
	}}
	if err := w.look(ctx); err != nil {
		return append(all, sensor.Found("controller answers", sensor.Fail, err.Error()))
	}
	return append([]sensor.Finding{sensor.Found("controller answers", sensor.Pass, "")}, all...)
}
