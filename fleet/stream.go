package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
)

// Line is one line of a device's stream. The cursor is what the device asks to
// go on after; stops, roots and pings repeat the last one.
type Line struct {
	Cursor   uint64          `json:"cursor"`
	Kind     string          `json:"kind"` // order root ping
	Envelope json.RawMessage `json:"envelope,omitempty"`
	Proof    []byte          `json:"proof,omitempty"` // base64 of a tlog-proof
}

// The kinds of line.
const (
	LineOrder = "order"
	LineRoot  = "root"
	LinePing  = "ping"
)

const (
	pingEvery = 15 * time.Second
	// lookEvery is how often a stream looks by itself. Wake-ups come at once;
	// this is for the one that was lost with a connection to the database.
	lookEvery = 5 * time.Second
	// writeTimeout ends a stream whose peer doesn't read.
	writeTimeout = 20 * time.Second
	// firstRoot is the trust root that every device has from its enrolment.
	firstRoot = 1
	// retrySign is the pause after the stop key could not sign.
	retrySign = 200 * time.Millisecond
)

// streams knows each device's one stream. A second one takes the place of the
// first, which may be a connection that died unnoticed.
type streams struct {
	mu   sync.Mutex
	open map[string]*running
	site map[string]core.SiteID // remembered for when the database is away
}

type running struct{ cancel context.CancelCauseFunc }

func newStreams() *streams {
	return &streams{open: map[string]*running{}, site: map[string]core.SiteID{}}
}

var errReplaced = core.E(core.KindConflict, "fleet.Stream", "the device opened another stream")

func (s *streams) begin(name string, cancel context.CancelCauseFunc) (end func()) {
	me := &running{cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.open[name]; old != nil {
		old.cancel(errReplaced)
	}
	s.open[name] = me
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[name] == me {
			delete(s.open, name)
		}
	}
}

func (s *streams) remember(name string, site core.SiteID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.site[name] = site
}

func (s *streams) siteOf(name string) (core.SiteID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	site, ok := s.site[name]
	return site, ok
}

// stream is GET /agent/v1/orders.
func (l *Listener) stream(w http.ResponseWriter, r *http.Request) error {
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		return core.E(core.KindInvalid, "fleet.Stream", fmt.Sprintf("after=%.40q is not a cursor", r.URL.Query().Get("after"))).WithHint("begin with after=0")
	}
	c, err := l.admitStream(r)
	if err != nil {
		return err
	}
	done, err := l.quotas.device(streamName(c.device), 0)
	if err != nil {
		return err
	}
	done() // a stream is not a request under way
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer l.streams.begin(streamName(c.device), cancel)()
	return l.run(ctx, cancel, c, after, w)
}

func streamName(d Device) string { return d.Tenant.String() + "/" + d.ID.String() }

// admitStream lets a device open its stream. If the registry can't be asked, a
// device whose place is remembered gets a stream that carries stops: a stop
// needs no database, and the certificate says who it is (F06). Orders wait
// until the registry has answered. The Guard is asked before the first of them
// and not here: a stop needs no policy either.
func (l *Listener) admitStream(r *http.Request) (caller, error) {
	c, err := l.admit(r.Context(), r)
	if err == nil {
		l.streams.remember(streamName(c.device), c.device.Site)
		return c, nil
	}
	if kind := core.KindOf(err); kind == core.KindDenied {
		l.refuse(r.Context(), c, policy.OrderFetch, err)
		return c, err
	}
	peer, peerErr := l.peer(r)
	if peerErr != nil {
		return c, peerErr
	}
	d := Device{Tenant: peer.Identity.Tenant, ID: peer.Identity.Device}
	site, ok := l.streams.siteOf(streamName(d))
	if !ok {
		return c, err
	}
	d.Site = site
	l.Warn.Warn("a stream carries stops only until the registry answers", slog.Any("device", d.ID), slog.Any("error", err))
	return caller{d, peer}, nil
}

// run writes the stream. What comes from the database comes from a goroutine of
// its own, so that a database which hangs holds up no stop.
func (l *Listener) run(ctx context.Context, cancel context.CancelCauseFunc, c caller, after uint64, w http.ResponseWriter) error {
	out := &lineWriter{rc: http.NewResponseController(w), w: w, clock: l.Clock, cursor: after}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	if err := out.write(Line{Cursor: after, Kind: LinePing}); err != nil {
		return nil //nolint:nilerr // the peer is gone; there is nobody to tell
	}
	lines := make(chan Line)
	go func() { cancel(l.feed(ctx, c, after, lines)) }()
	sub := l.Stops.Subscribe(stop.Target{Tenant: c.device.Tenant, Site: c.device.Site, Device: c.device.ID})
	defer sub.Close()
	l.pump(ctx, sub, lines, out)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		l.Warn.Info("stream ended", slog.Any("device", c.device.ID), slog.Any("cause", cause))
	}
	return nil
}

// pump carries stops, lines and pings until one of them can't be written.
func (l *Listener) pump(ctx context.Context, sub *stop.Subscription, lines <-chan Line, out *lineWriter) {
	ping, retry := l.Clock.After(pingEvery), (<-chan time.Time)(nil)
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		default:
		}
		select {
		case <-ctx.Done():
			return
		case <-sub.C():
			retry, err = l.stops(sub, out)
		case <-retry:
			retry, err = l.stops(sub, out)
		case line := <-lines:
			err = out.write(line)
		case <-ping:
			ping, err = l.Clock.After(pingEvery), out.write(Line{Cursor: out.cursor, Kind: LinePing})
		}
		if err != nil {
			return
		}
	}
}

// stops writes the stops that this stream has not had. If the key could not
// sign it asks to be called again.
func (l *Listener) stops(sub *stop.Subscription, out *lineWriter) (retry <-chan time.Time, err error) {
	deliveries, signErr := sub.Take()
	for _, d := range deliveries {
		if err := out.write(Line{Cursor: out.cursor, Kind: LineOrder, Envelope: d.Order}); err != nil {
			return nil, err
		}
	}
	if signErr != nil {
		l.Warn.Error("a stop could not be signed yet", slog.Any("error", signErr))
		return l.Clock.After(retrySign), nil
	}
	return nil, nil
}

// feed sends what the database has for a device: trust roots first, since the
// orders after them may need them. It returns why the stream must end.
func (l *Listener) feed(ctx context.Context, c caller, cursor uint64, lines chan<- Line) error {
	root, known, door, told := uint64(0), false, fetching{}, false
	for {
		device, roots := l.signal(c.device)
		d, err := l.still(ctx, c)
		if core.KindOf(err) == core.KindDenied || ctx.Err() != nil {
			return err
		}
		if err == nil && !l.mayFetch(ctx, d, &door) {
			err = errNotPermitted
		}
		if err == nil && !known {
			if cursor, err = l.Orders.resume(ctx, d, cursor); err == nil {
				root, known = max(d.Known.RootVersion, firstRoot), true
			}
		}
		if err == nil {
			root, cursor, err = l.send(ctx, c, root, cursor, lines)
		}
		if core.KindOf(err) == core.KindDenied {
			return err
		}
		if err != nil && !told && ctx.Err() == nil {
			l.Warn.Warn("orders of a stream wait", slog.Any("device", c.device.ID), slog.Any("error", err))
		}
		told = err != nil
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-device:
		case <-roots:
		case <-l.Clock.After(lookEvery):
		}
	}
}

// fetching is what the Guard said about a device's taking its orders.
type fetching struct {
	permitted bool
	asked     time.Time
}

// askAgain is how long a stream waits after the Guard refused or could not be
// asked: refusals are on record each.
const askAgain = time.Minute

var errNotPermitted = core.E(core.KindUnavailable, "fleet.Stream", "the Guard has not permitted this device its orders")

// mayFetch asks the Guard until it permits.
func (l *Listener) mayFetch(ctx context.Context, d Device, door *fetching) bool {
	now := l.Clock.Now()
	if door.permitted || !door.asked.IsZero() && now.Sub(door.asked) < askAgain {
		return door.permitted
	}
	_, err := permit(ctx, l.Guard, principalOf(d.Tenant, d.ID), policy.OrderFetch, ResourceOf(d))
	if err != nil && ctx.Err() == nil {
		l.Warn.Warn("a stream carries stops only", slog.Any("device", d.ID), slog.Any("error", err))
	}
	door.permitted, door.asked = err == nil, now
	return door.permitted
}

// still asks again who the device is.
func (l *Listener) still(ctx context.Context, c caller) (Device, error) {
	d, err := l.Registry.Get(ctx, c.device.Tenant, c.device.ID)
	if core.KindOf(err) == core.KindNotFound {
		return d, core.E(core.KindDenied, "fleet.Stream", fmt.Sprintf("device %q is not in the registry", c.device.ID))
	}
	if err != nil {
		return d, err
	}
	return d, l.stillPeer(d, c.peer)
}

// stillPeer checks registry state and that the certificate has not run out
// while the stream was open.
func (l *Listener) stillPeer(d Device, peer *verify.Peer) error {
	if l.Clock.Now().After(peer.Leaf.NotAfter) {
		return core.E(core.KindDenied, "fleet.Stream", fmt.Sprintf("the certificate of device %q ran out", d.ID)).WithHint("renew it")
	}
	return current(d, peer)
}

// send sends what is new, asking before each order whether the device may still
// have it (F30).
func (l *Listener) send(ctx context.Context, c caller, root, cursor uint64, lines chan<- Line) (newRoot, newCursor uint64, err error) {
	versions, err := l.Roots.Since(ctx, c.device.Tenant, root)
	if err != nil {
		return root, cursor, err
	}
	for _, v := range versions {
		if !put(ctx, lines, Line{Cursor: cursor, Kind: LineRoot, Envelope: v.Envelope, Proof: v.Proof}) {
			return root, cursor, ctx.Err()
		}
		root = v.Version
	}
	orders, err := l.Orders.after(ctx, c.device.Tenant, c.device.ID, cursor)
	if err != nil {
		return root, cursor, err
	}
	for _, ord := range orders {
		d, err := l.still(ctx, c)
		if err != nil {
			return root, cursor, err
		}
		if goes, err := l.Orders.mayGo(ctx, d, ord); err != nil {
			return root, cursor, err
		} else if !goes {
			continue
		}
		env, err := ord.Envelope()
		if err != nil {
			return root, cursor, err
		}
		if !put(ctx, lines, Line{Cursor: ord.Cursor, Kind: LineOrder, Envelope: env}) {
			return root, cursor, ctx.Err()
		}
		cursor = ord.Cursor
	}
	return root, cursor, nil
}

func put(ctx context.Context, lines chan<- Line, line Line) bool {
	select {
	case lines <- line:
		return true
	case <-ctx.Done():
		return false
	}
}

// lineWriter writes lines, each flushed and under a time limit of its own.
type lineWriter struct {
	rc     *http.ResponseController
	w      http.ResponseWriter
	clock  core.Clock
	cursor uint64
}

func (o *lineWriter) write(line Line) error {
	b, err := link.Encode(line)
	if err != nil {
		return err
	}
	// The limit is the kernel's business, so it is real time whatever the
	// clock of a test says. A recorder in a test has no limits to set.
	_ = o.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	_ = o.rc.SetReadDeadline(time.Time{})
	if _, err := o.w.Write(append(b, '\n')); err != nil {
		return err
	}
	o.cursor = max(o.cursor, line.Cursor)
	return o.rc.Flush()
}
