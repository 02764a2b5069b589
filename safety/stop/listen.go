package stop

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/platform/httpd"
)

// Limits of the stop path's own listener. A peer that hangs loses its oldest
// connection to its newest, so hanging connections, whoever opened them, keep
// nobody from a trip.
const (
	maxPerPeer    = 32
	maxUnknown    = 64  // connections of all uids that are nobody
	maxAll        = 256 // the rest is reserved for persons
	spareFiles    = 8   // descriptors kept for the day when there are none left
	headerTimeout = 2 * time.Second
	bodyTimeout   = 5 * time.Second
)

// Serve answers on l, a unix socket, until ctx ends.
func (s *Service) Serve(ctx context.Context, l net.Listener) error {
	g := &gate{Listener: l, known: func(uid uint32) bool { _, ok := s.PersonOf(uid); return ok }}
	g.refill()
	defer g.drop()
	srv := httpd.NewServer(s.Mux(), slog.New(slog.DiscardHandler))
	srv.ReadHeaderTimeout, srv.ReadTimeout, srv.WriteTimeout = headerTimeout, bodyTimeout, bodyTimeout
	srv.MaxHeaderBytes = 4 << 10
	srv.SetKeepAlivesEnabled(false)
	withPeer := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(withPeer(ctx, c), guestKey{}, g.find(c))
	}
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			g.left(c)
		}
	}
	return httpd.Serve(ctx, srv, g)
}

// gate is the listener: it decides which connections stay.
type gate struct {
	net.Listener
	known func(uid uint32) bool

	mu     sync.Mutex
	guests []*guest // oldest first
	spare  []*os.File
	closed bool
}

// guest is a connection. One whose request is complete is busy and is not
// evicted: its answer takes microseconds.
type guest struct {
	net.Conn
	uid   uint32
	known bool

	mu   sync.Mutex
	busy bool
}

type guestKey struct{}

// finish marks the request's connection as busy.
func finish(ctx context.Context) {
	if g, ok := ctx.Value(guestKey{}).(*guest); ok && g != nil {
		g.mu.Lock()
		g.busy = true
		g.mu.Unlock()
	}
}

func (g *guest) evictable() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.busy
}

// Accept returns the next connection that may stay. It returns the connection
// itself: what the server does with it needs its type.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			if g.makeRoom() {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		uid, ok := peer(c)
		if !ok {
			_ = c.Close()
			continue
		}
		g.enter(&guest{Conn: c, uid: uid, known: g.known(uid)})
		return c, nil
	}
}

// enter takes a guest in and evicts who is over a limit because of it.
func (g *gate) enter(n *guest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guests = append(g.guests, n)
	g.evict(maxPerPeer, func(o *guest) bool { return o.uid == n.uid })
	g.evict(maxUnknown, func(o *guest) bool { return !o.known })
	g.evict(maxAll, func(*guest) bool { return true })
}

// evict closes the oldest of those selected until at most limit are left. The
// newest is never evicted.
func (g *gate) evict(limit int, selected func(*guest) bool) {
	n := 0
	for _, o := range g.guests {
		if selected(o) {
			n++
		}
	}
	for ; n > limit; n-- {
		i := slices.IndexFunc(g.guests[:len(g.guests)-1], func(o *guest) bool { return selected(o) && o.evictable() })
		if i < 0 {
			return
		}
		_ = g.guests[i].Close()
		g.guests = slices.Delete(g.guests, i, i+1)
	}
}

func (g *gate) left(c net.Conn) {
	g.mu.Lock()
	g.guests = slices.DeleteFunc(g.guests, func(o *guest) bool { return o.Conn == c })
	g.mu.Unlock()
	g.refill()
}

func (g *gate) find(c net.Conn) *guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.IndexFunc(g.guests, func(o *guest) bool { return o.Conn == c }); i >= 0 {
		return g.guests[i]
	}
	return nil
}

// makeRoom frees a descriptor when the process has none left: a spare one, else
// the oldest connection.
func (g *gate) makeRoom() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.spare); n > 0 {
		_ = g.spare[n-1].Close()
		g.spare = g.spare[:n-1]
		return true
	}
	for i, o := range g.guests {
		if o.evictable() {
			_ = o.Close()
			g.guests = slices.Delete(g.guests, i, i+1)
			return true
		}
	}
	return false
}

func (g *gate) refill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.spare) < spareFiles && !g.closed {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return // none to be had now; the next connection that ends tries again
		}
		g.spare = append(g.spare, f)
	}
}

func (g *gate) drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.spare {
		_ = f.Close()
	}
	g.spare, g.closed = nil, true
}

// peer returns the uid at the other end, as the kernel says.
func peer(c net.Conn) (uint32, bool) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, false
	}
	var cred *syscall.Ucred
	if raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}) != nil || err != nil {
		return 0, false
	}
	return cred.Uid, true
}
