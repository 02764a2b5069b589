package httpd

import (
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// Source is whom a connection is counted against: the address, of an IPv6 one
// the network, because whoever has one address there has 2^64.
func Source(address string) string {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return address
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		if net, err := ip.Prefix(64); err == nil {
			return net.String()
		}
	}
	return ip.String()
}

// Limits bound the connections of a listener.
type Limits struct {
	// Total is how many may be open, PerSource how many of one [Source].
	Total, PerSource int
}

// DefaultLimits leave a quarter of the process's descriptors to everything else
// (databases, logs, the stop path), and three quarters of the rest to others
// than any one source.
func DefaultLimits() Limits {
	total := 64 << 10
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil && files.Cur/4*3 < uint64(total) {
		total = int(files.Cur / 4 * 3)
	}
	return Limits{total, max(total/4, 1)}
}

// Limit closes what comes over the limits at once and calls refused with its
// source. A connection counts until it is closed.
func Limit(l net.Listener, limits Limits, refused func(source string)) net.Listener {
	return &limited{Listener: l, limits: limits, refused: refused, open: map[string]int{}}
}

type limited struct {
	net.Listener
	limits  Limits
	refused func(string)

	mu    sync.Mutex
	total int
	open  map[string]int
}

// Accept returns the next connection within the limits.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := Source(c.RemoteAddr().String())
		if l.enter(source) {
			return &counted{Conn: c, left: sync.OnceFunc(func() { l.leave(source) })}, nil
		}
		_ = c.Close()
		l.refused(source)
	}
}

func (l *limited) enter(source string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.limits.Total || l.open[source] >= l.limits.PerSource {
		return false
	}
	l.total++
	l.open[source]++
	return true
}

func (l *limited) leave(source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.open[source]--; l.open[source] == 0 {
		delete(l.open, source)
	}
}

// counted is a connection that counts.
type counted struct {
	net.Conn
	left func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.left()
	return c.Conn.Close()
}
