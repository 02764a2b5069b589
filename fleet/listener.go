package fleet

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// maxEnrolBody is the largest body of a stranger's request, in bytes.
const maxEnrolBody = 16 << 10

// checkTimeout bounds how long a request waits for the registry.
const checkTimeout = 5 * time.Second

// Parts are what a [Listener] stands on.
type Parts struct {
	Registry  *Registry
	Enrolment *Enrolment
	Intake    *Intake
	Orders    *Orders
	Roots     *Roots
	Peers     Peers
	Stops     Stops
	Confirmer Confirmer
	Guard     core.Guard
	Log       Log
	Clock     core.Clock
	Quota     QuotaConfig
	Warn      *slog.Logger
}

// Listener is the door for devices. Limits come before parsing, and who a
// device is, and whether it may still be spoken to, is looked up on every
// request and before every order of a stream.
type Listener struct {
	Parts
	mux      *httpd.Mux
	quotas   *quotas
	refusals *refusals
	renewals *renewals
	streams  *streams
}

// NewListener returns the listener's routes.
func NewListener(p Parts) (*Listener, error) {
	if err := p.Quota.Validate(); err != nil {
		return nil, err
	}
	l := &Listener{
		Parts: p, quotas: newQuotas(p.Quota, p.Clock), refusals: newRefusals(p.Registry, p.Log, p.Clock, p.Warn),
		renewals: newRenewals(p.Clock), streams: newStreams(),
	}
	l.mux = httpd.NewMux(httpd.Options{Authenticate: l.authenticate, Guard: p.Guard, Log: p.Warn})
	l.mux.HandleFunc("POST /agent/v1/enrol", policy.DeviceEnrol, l.enrol)
	l.mux.HandleFunc("POST /agent/v1/batches", policy.BatchAppend, l.device(policy.BatchAppend, l.batches))
	l.mux.HandleFunc("POST /agent/v1/results", policy.ResultAppend, l.device(policy.ResultAppend, l.results))
	l.mux.HandleFunc("GET /agent/v1/orders", policy.OrderFetch, l.stream)
	l.mux.HandleFunc("GET /agent/v1/renew", policy.IdentityRenew, l.challenge)
	l.mux.HandleFunc("POST /agent/v1/renew", policy.IdentityRenew, l.renew)
	l.mux.HandleFunc("POST /agent/v1/workloads", policy.IdentityWorkload, l.workload)
	return l, nil
}

// Handler returns the routes, for tests and for Serve.
func (l *Listener) Handler() http.Handler { return l.mux }

// Routes returns the route table.
func (l *Listener) Routes() []httpd.Route { return l.mux.Routes() }

// Serve answers devices on tcp until ctx ends. cfg is TLS 1.3 with a check of
// client certificates (verify.Server.TLS); what it refuses is counted with the
// address that it came from. Connections are bounded before TLS, so that who
// only connects takes no descriptors from logs, databases and the stop path.
func (l *Listener) Serve(ctx context.Context, tcp net.Listener, cfg *tls.Config) error {
	if cfg.MinVersion < tls.VersionTLS13 {
		return core.E(core.KindInvalid, "fleet.Listener", "the agent listener speaks TLS 1.3 only")
	}
	tcp = httpd.Limit(tcp, httpd.DefaultLimits(), func(source string) {
		l.refusals.stranger(source, core.E(core.KindUnavailable, "fleet.Listener", "too many connections"))
	})
	server := httpd.NewServer(l.mux, l.Warn)
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	return httpd.Serve(ctx, server, tls.NewListener(tcp, l.counted(cfg)))
}

// counted wraps the check of client certificates so that a refusal is known by
// its address: a certificate of another authority is worth noticing.
func (l *Listener) counted(cfg *tls.Config) *tls.Config {
	outer := cfg.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		inner, address := cfg.Clone(), httpd.Source(hello.Conn.RemoteAddr().String())
		if check := cfg.VerifyConnection; check != nil {
			inner.VerifyConnection = func(cs tls.ConnectionState) error {
				err := check(cs)
				if err != nil {
					l.refusals.stranger(address, fmt.Errorf("TLS: %w", err))
				}
				return err
			}
		}
		return inner, nil
	}
	return outer
}

// Flush writes summaries of refusals; it is called every few seconds.
func (l *Listener) Flush(ctx context.Context) error { return l.refusals.Flush(ctx) }

// authenticate names the peer by its certificate. Only enrolment is open to
// strangers, only renewal to certificates that have run out.
func (l *Listener) authenticate(r *http.Request) (core.Principal, error) {
	if r.URL.Path == "/agent/v1/enrol" {
		return core.Principal{Kind: core.KindStranger, ID: addressWord(httpd.Source(r.RemoteAddr))}, nil
	}
	peer, err := l.peer(r)
	if err != nil {
		l.refusals.stranger(httpd.Source(r.RemoteAddr), err)
		return core.Principal{}, err
	}
	return principalOf(peer.Identity.Tenant, peer.Identity.Device), nil
}

func (l *Listener) peer(r *http.Request) (*verify.Peer, error) {
	if r.TLS == nil {
		return nil, core.E(core.KindUnauthenticated, "fleet.Listener", "not a TLS connection")
	}
	if r.URL.Path == "/agent/v1/renew" {
		return l.Peers.Renewing(r.TLS)
	}
	return l.Peers.Peer(r.TLS)
}

func principalOf(tenant core.TenantID, id core.DeviceID) core.Principal {
	return core.Principal{Kind: core.KindDevice, ID: id.String(), Tenant: tenant}
}

// caller is a device at the door, checked against the registry.
type caller struct {
	device Device
	peer   *verify.Peer
}

// admit looks the device up: it must be active, and its certificate must be for
// the key that the registry knows.
func (l *Listener) admit(ctx context.Context, r *http.Request) (caller, error) {
	peer, err := l.peer(r)
	if err != nil {
		return caller{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	d, err := l.Registry.Get(ctx, peer.Identity.Tenant, peer.Identity.Device)
	if core.KindOf(err) == core.KindNotFound {
		return caller{}, core.E(core.KindDenied, "fleet.Listener", fmt.Sprintf("device %q holds a certificate and is not in the registry", peer.Identity.Device))
	}
	if err != nil {
		return caller{}, err
	}
	return caller{d, peer}, current(d, peer)
}

// current says whether a device may be spoken to, now.
func current(d Device, peer *verify.Peer) error {
	if d.Identity != IdentityActive {
		return core.E(core.KindDenied, "fleet.Listener", fmt.Sprintf("device %q is %s", d.ID, d.Identity)).
			WithHint("a person decides: interlock device show " + d.ID.String())
	}
	if keyHash(peer.Leaf.RawSubjectPublicKeyInfo) != d.Key {
		return core.E(core.KindDenied, "fleet.Listener", fmt.Sprintf("the certificate of device %q is for another key than the registered one", d.ID))
	}
	return nil
}

// device wraps a route of an admitted device: quota before the body, Guard
// before the effect, refusals on record.
func (l *Listener) device(action core.Action, h func(context.Context, caller, http.ResponseWriter, []byte) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		c, err := l.admit(r.Context(), r)
		if err != nil {
			l.refuse(r.Context(), c, action, err)
			return err
		}
		err = l.handle(c, action, h, w, r)
		if err != nil {
			l.refuse(r.Context(), c, action, err)
		}
		return err
	}
}

func (l *Listener) handle(c caller, action core.Action, h func(context.Context, caller, http.ResponseWriter, []byte) error, w http.ResponseWriter, r *http.Request) error {
	size := r.ContentLength
	if size < 0 || size > MaxBody {
		size = MaxBody // unknown, or refused below
	}
	done, err := l.quotas.device(c.device.Tenant.String()+"/"+c.device.ID.String(), size)
	if err != nil {
		return err
	}
	defer done()
	body, err := httpd.ReadBody(w, r, MaxBody)
	if err != nil {
		return err
	}
	if _, err := permit(r.Context(), l.Guard, principalOf(c.device.Tenant, c.device.ID), action, ResourceOf(c.device)); err != nil {
		return err
	}
	return h(r.Context(), c, w, body)
}

// refuse puts on record what says something about the device. That the server
// is busy does not.
func (l *Listener) refuse(ctx context.Context, c caller, action core.Action, err error) {
	switch core.KindOf(err) {
	case core.KindInternal, core.KindNotFound:
		l.Warn.Error("request of a device failed", slog.Any("device", c.device.ID), slog.Any("action", action), slog.Any("error", err))
	case core.KindUnavailable:
		l.Warn.Warn("request of a device waits", slog.Any("device", c.device.ID), slog.Any("action", action), slog.Any("error", err))
	default:
		if !c.device.ID.IsZero() {
			l.refusals.device(ctx, c.device, action, err)
		}
	}
}

func (l *Listener) batches(ctx context.Context, c caller, w http.ResponseWriter, body []byte) error {
	receipt, err := l.Intake.Take(ctx, c.device, c.peer.Leaf.PublicKey, body)
	if err != nil {
		return err
	}
	return writeLink(w, receipt)
}

func (l *Listener) results(ctx context.Context, c caller, w http.ResponseWriter, body []byte) error {
	env, err := openSigned(c.peer.Leaf.PublicKey, body)
	if err != nil {
		return fmt.Errorf("fleet: result of device %q: %w", c.device.ID, err)
	}
	res, err := link.DecodeResult(env.Payload)
	if err != nil {
		return fmt.Errorf("fleet: result of device %q: %w", c.device.ID, err)
	}
	if res.Tenant != c.device.Tenant || res.Device != c.device.ID {
		return core.E(core.KindDenied, "fleet.Result", fmt.Sprintf("device %q sent a result of device %q of tenant %q", c.device.ID, res.Device, res.Tenant))
	}
	done := res.Outcome == link.OutcomeDone || res.Outcome == link.OutcomeDuplicate
	if l.Confirmer != nil && done && l.Confirmer.Confirm(res.Tenant, res.Device, res.Order) {
		return writeLink(w, accepted{V: 1, Order: res.Order, State: OrderDone})
	}
	ord, err := l.Orders.Answered(ctx, c.device, res, body)
	if err != nil {
		return err
	}
	return writeLink(w, accepted{V: 1, Order: ord.ID, State: ord.State})
}

// accepted is the answer to a result.
type accepted struct {
	V     int        `json:"v"`
	Order core.UUID  `json:"order"`
	State OrderState `json:"state"`
}

// writeLink answers in the form that the other end decodes strictly.
func writeLink(w http.ResponseWriter, v any) error {
	b, err := link.Encode(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(b, '\n'))
	return err
}

func (l *Listener) enrol(w http.ResponseWriter, r *http.Request) error {
	address := httpd.Source(r.RemoteAddr)
	if err := l.quotas.stranger(address); err != nil {
		return err
	}
	body, err := httpd.ReadBody(w, r, maxEnrolBody)
	if err != nil {
		l.refusals.stranger(address, err)
		return err
	}
	var req EnrolRequest
	if err := link.DecodeStrict(body, &req); err != nil {
		err = fmt.Errorf("fleet.Enrol: %w", err)
		l.refusals.stranger(address, err)
		return err
	}
	answer, pending, err := l.Enrolment.Enrol(r.Context(), req)
	if err != nil {
		if core.KindOf(err) != core.KindUnavailable {
			l.refusals.stranger(address, err)
		}
		return err
	}
	if pending != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		return json.NewEncoder(w).Encode(pending)
	}
	return writeLink(w, answer)
}

// signal returns a channel that is closed when something about the device or
// its trust root changes.
func (l *Listener) signal(d Device) (device, root <-chan struct{}) {
	return l.db().Signal(deviceChannel(d.Tenant, d.ID)), l.db().Signal(rootChannel(d.Tenant))
}

func (l *Listener) db() *store.DB { return l.Registry.db }
