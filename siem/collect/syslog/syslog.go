// Package syslog receives syslog messages over UDP, TCP and TLS, in the forms
// of RFC 3164 and RFC 5424.
//
// A syslog sender proves nothing, so its events are unauthenticated and named
// after the address that they came from; the host name inside a message is a
// field. Only a TLS client whose certificate verifies is authenticated
// (provenance mtls), and then it is named after its certificate. TLS without a
// client certificate hides the messages and proves nothing.
//
// TCP and TLS wait when the journal is slow. UDP can't: what does not fit into
// the queue is dropped and counted, in all and per source, and the count is an
// event (collector_loss).
package syslog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/collect"
)

// Limits, stated.
const (
	// MaxMessage is where a message is cut; the event is marked.
	MaxMessage = 32 << 10
	maxQueue   = 8192
	maxConns   = 256
	// maxSources bounds how many sources are counted apart; what comes from
	// further ones is counted together.
	maxSources  = 1024
	idleTimeout = 15 * time.Minute
	// flushAfter is how long a message waits for others to share its frame.
	flushAfter = 100 * time.Millisecond
	// maxBatch bounds a frame: at worst each byte takes twelve as JSON.
	maxBatchBytes = 512 << 10
)

// Config says where to listen. Empty addresses are not listened on.
type Config struct {
	Tenant core.TenantID
	UDP    string
	TCP    string
	TLS    string
	// TLSConfig needs a certificate; with ClientCAs and
	// RequireAndVerifyClientCert the clients are authenticated.
	TLSConfig *tls.Config
	// Location is where stamps without a zone are from; default time.Local.
	Location  *time.Location
	Partition int32
	Clock     core.Clock
	Log       *slog.Logger
}

// Collector implements [collect.Collector].
type Collector struct {
	Config
	udp       net.PacketConn
	listeners []net.Listener
	queue     chan message
	conns     chan struct{}
	parse     *parser

	mu      sync.Mutex
	sources map[string]*SourceCounts
	open    map[net.Conn]struct{}

	records, cut, unparsed, lost, retries atomic.Uint64
	untold                                atomic.Uint64 // lost since the last loss event
}

// SourceCounts are what one source sent.
type SourceCounts struct{ Records, Lost, Unparsed uint64 }

// message is one message on its way to the journal.
type message struct {
	origin   collect.Origin
	bytes    []byte
	cut      bool
	received time.Time
}

// Listen opens the sockets, so that nothing is missed between start and Run.
func Listen(ctx context.Context, c Config) (*Collector, error) {
	if c.Tenant.IsZero() || c.Clock == nil || c.Log == nil || c.UDP == "" && c.TCP == "" && c.TLS == "" {
		return nil, core.E(core.KindInvalid, "syslog.Listen", "tenant, clock, log and at least one address are needed")
	}
	if c.TLS != "" && c.TLSConfig == nil {
		return nil, core.E(core.KindInvalid, "syslog.Listen", "an address for TLS needs a TLS configuration")
	}
	if c.Location == nil {
		c.Location = time.Local
	}
	s := &Collector{
		Config: c, queue: make(chan message, maxQueue), conns: make(chan struct{}, maxConns), parse: newParser(c.Location),
		sources: make(map[string]*SourceCounts), open: make(map[net.Conn]struct{}),
	}
	if err := s.listen(ctx); err != nil {
		s.closeAll()
		return nil, core.Wrap(core.KindUnavailable, "syslog.Listen", err)
	}
	return s, nil
}

func (s *Collector) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if s.UDP != "" {
		if s.udp, err = lc.ListenPacket(ctx, "udp", s.UDP); err != nil {
			return err
		}
	}
	for _, addr := range []string{s.TCP, s.TLS} {
		if addr == "" {
			continue
		}
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	if s.TLS != "" {
		last := len(s.listeners) - 1
		s.listeners[last] = tls.NewListener(s.listeners[last], s.TLSConfig)
	}
	return nil
}

// Addrs returns the addresses that are listened on: UDP, TCP, TLS, as far as
// configured.
func (s *Collector) Addrs() (out []net.Addr) {
	if s.udp != nil {
		out = append(out, s.udp.LocalAddr())
	}
	for _, l := range s.listeners {
		out = append(out, l.Addr())
	}
	return out
}

// Name implements [collect.Collector].
func (s *Collector) Name() string { return "syslog" }

// Capabilities implements [collect.Collector].
func (s *Collector) Capabilities() collect.Capabilities {
	p := core.ProvenanceUnauthenticated
	if s.TLS != "" && s.TLSConfig.ClientAuth >= tls.VerifyClientCertIfGiven {
		p = core.ProvenanceMTLS
	}
	return collect.Capabilities{Kind: "syslog", Provenance: p, Lossless: s.UDP == "", MaxRecord: MaxMessage}
}

// Probe implements [collect.Collector]: the sockets are open.
func (s *Collector) Probe(context.Context) collect.Presence { return collect.Presence{Present: true} }

// Counts implements [collect.Collector].
func (s *Collector) Counts() collect.Counts {
	return collect.Counts{Records: s.records.Load(), Cut: s.cut.Load(), Unparsed: s.unparsed.Load(), Lost: s.lost.Load(), Retries: s.retries.Load()}
}

// Sources returns what each source sent. Sources past the limit are counted
// under "others".
func (s *Collector) Sources() map[string]SourceCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]SourceCounts, len(s.sources))
	for name, c := range s.sources {
		out[name] = *c
	}
	return out
}

func (s *Collector) count(source string, fn func(*SourceCounts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.sources[source]
	if !ok && len(s.sources) >= maxSources {
		source = "others"
		c, ok = s.sources[source]
	}
	if !ok {
		c = &SourceCounts{}
		s.sources[source] = c
	}
	fn(c)
}

// Run receives until ctx ends, and then hands on what is queued.
func (s *Collector) Run(ctx context.Context, sink collect.Sink) error {
	receive, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	if s.udp != nil {
		wg.Go(func() { s.readPackets(receive) })
	}
	for _, l := range s.listeners {
		wg.Go(func() { s.accept(receive, l, &wg) })
	}
	closing := context.AfterFunc(receive, s.closeAll)
	defer closing()
	err := s.forward(ctx, sink)
	stop()
	wg.Wait()
	return err
}

func (s *Collector) closeAll() {
	if s.udp != nil {
		_ = s.udp.Close() // its reader ends by it
	}
	for _, l := range s.listeners {
		_ = l.Close() // its accept loop ends by it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close() // its reader ends by it
	}
}

// forward puts queued messages into frames.
func (s *Collector) forward(ctx context.Context, sink collect.Sink) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case first := <-s.queue:
			records, err := s.gather(ctx, first)
			if err != nil {
				return err
			}
			f := journal.Frame{Partition: s.Partition, Kind: journal.KindEvents, Tenant: s.Tenant, Source: s.Name(), Received: first.received, Records: records}
			err = collect.Deliver(ctx, s.Clock, sink, f, func(err error) {
				s.retries.Add(1)
				s.Log.Warn("the journal does not take syslog messages; trying again", slog.Any("error", err))
			})
			if err != nil {
				return err
			}
			s.records.Add(uint64(len(records)))
		}
	}
}

// gather waits a moment for more messages than the first.
func (s *Collector) gather(ctx context.Context, first message) ([][]byte, error) {
	timer := s.Clock.After(flushAfter)
	var records [][]byte
	size := 0
	take := func(m message) error {
		size += len(m.bytes)
		b, err := s.record(m)
		records = append(records, b)
		return err
	}
	if err := take(first); err != nil {
		return nil, err
	}
	for len(records) < journal.MaxRecords-1 && size < maxBatchBytes {
		select {
		case m := <-s.queue:
			if err := take(m); err != nil {
				return nil, err
			}
			continue
		case <-timer:
		case <-ctx.Done():
		}
		break
	}
	return s.withLoss(records)
}

// withLoss adds the event that says what was dropped since the last one.
func (s *Collector) withLoss(records [][]byte) ([][]byte, error) {
	n := s.untold.Swap(0)
	if n == 0 {
		return records, nil
	}
	o := collect.Origin{Tenant: s.Tenant, Source: s.Name()}
	b, err := o.Loss(s.Clock.Now(), n, "UDP messages came faster than the journal took them")
	return append(records, b), err
}

// push queues a message. Where the sender can't wait, it is dropped if the
// queue is full.
func (s *Collector) push(ctx context.Context, m message, canWait bool) bool {
	select {
	case s.queue <- m:
		return true
	default:
	}
	if !canWait {
		s.lost.Add(1)
		s.untold.Add(1)
		s.count(m.origin.Source, func(c *SourceCounts) { c.Lost++ })
		return false
	}
	select {
	case s.queue <- m:
		return true
	case <-ctx.Done():
		return false
	}
}

// readPackets receives datagrams: each is one message.
func (s *Collector) readPackets(ctx context.Context) {
	buf := make([]byte, 64<<10)
	for {
		n, addr, err := s.udp.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			s.Log.Warn("receiving syslog over UDP", slog.Any("error", err))
			continue
		}
		m := s.message(addr, core.ProvenanceUnauthenticated, "", buf[:min(n, MaxMessage)])
		m.cut = n > MaxMessage
		s.push(ctx, m, false)
	}
}

// message copies bytes that belong to a buffer.
func (s *Collector) message(peer net.Addr, p core.Provenance, name string, b []byte) message {
	source := "syslog/" + host(peer)
	if p == core.ProvenanceMTLS {
		source = "syslog-mtls/" + name // no address can look like it
	}
	o := collect.Origin{Tenant: s.Tenant, Source: source, Provenance: p}
	return message{origin: o, bytes: append([]byte(nil), b...), received: s.Clock.Now()}
}

func host(a net.Addr) string {
	h, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return "unknown"
	}
	return h
}

// accept serves connections, at most maxConns at once. Further ones are closed
// at once, which their senders see.
func (s *Collector) accept(ctx context.Context, l net.Listener, wg *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			s.Log.Warn("accepting a syslog connection", slog.Any("error", err))
			continue
		}
		select {
		case s.conns <- struct{}{}:
		default:
			s.Log.Warn("too many syslog connections; one was refused", slog.String("peer", conn.RemoteAddr().String()), slog.Any("limit", maxConns))
			_ = conn.Close() // refused
			continue
		}
		wg.Go(func() {
			defer func() { <-s.conns }()
			s.serve(ctx, conn)
		})
	}
}

func (s *Collector) track(conn net.Conn, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		s.open[conn] = struct{}{}
		return
	}
	delete(s.open, conn)
}

// serve reads one connection to its end.
func (s *Collector) serve(ctx context.Context, conn net.Conn) {
	s.track(conn, true)
	defer func() {
		s.track(conn, false)
		_ = conn.Close() // read to its end
	}()
	provenance, name, err := authenticate(ctx, conn)
	if err == nil {
		err = s.stream(ctx, conn, provenance, name)
	}
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("a syslog connection ended", slog.String("peer", conn.RemoteAddr().String()), slog.Any("error", err))
	}
}

// authenticate does the TLS handshake, where there is one, and says who the
// peer proved to be.
func authenticate(ctx context.Context, conn net.Conn) (core.Provenance, string, error) {
	tc, ok := conn.(*tls.Conn)
	if !ok {
		return core.ProvenanceUnauthenticated, "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := tc.HandshakeContext(ctx); err != nil {
		return "", "", fmt.Errorf("TLS: %w", err)
	}
	state := tc.ConnectionState()
	if len(state.VerifiedChains) == 0 {
		return core.ProvenanceUnauthenticated, "", nil
	}
	return core.ProvenanceMTLS, nameOf(state.VerifiedChains[0][0]), nil
}

// nameOf is what a verified certificate calls its holder.
func nameOf(leaf *x509.Certificate) string {
	name := leaf.Subject.CommonName
	if len(leaf.DNSNames) > 0 {
		name = leaf.DNSNames[0]
	}
	if len(leaf.URIs) > 0 {
		name = leaf.URIs[0].String()
	}
	if name == "" || len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }) {
		return fmt.Sprintf("serial-%x", leaf.SerialNumber)
	}
	return name
}
