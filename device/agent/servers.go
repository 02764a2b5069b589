package agent

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/device/reflex"
)

// touch notes that the authenticated server did its work.
func (a *Agent) touch() { a.contact.Store(int64(max(1, a.cfg.Elapsed()))) }

func (a *Agent) heard(server time.Time) { a.store.Heard(server, a.cfg.Clock.Now()) }

// hosts returns the addresses of the server: those that an order set, or those
// of the trust root and of the enrolment.
func (a *Agent) hosts() []string {
	var hosts []string
	a.view(func(_ string, b *body) { hosts = slices.Clone(b.Servers) })
	if len(hosts) > 0 {
		return hosts
	}
	hosts = slices.Clone(a.trust.Load().Root().Servers)
	if own := strings.TrimPrefix(a.id.URL, "https://"); !slices.Contains(hosts, own) {
		hosts = append(hosts, own)
	}
	return hosts
}

// dialled remembers where a server's name led, for the time when nobody can be
// asked.
func (a *Agent) dialled(host string, at netip.AddrPort) {
	ip := at.Addr().Unmap().String()
	known := false
	a.view(func(_ string, b *body) { known = host == ip || slices.Contains(b.Known[host], ip) })
	if known {
		return
	}
	a.later(func(b *body) error {
		if b.Known == nil {
			b.Known = map[string][]string{}
		}
		if !slices.Contains(b.Known[host], ip) {
			b.Known[host] = append([]string{ip}, b.Known[host][:min(len(b.Known[host]), 3)]...)
		}
		if len(b.Known) > 16 {
			b.Known = map[string][]string{host: b.Known[host]}
		}
		return nil
	})
}

// allow is what stays open in quarantine. It asks nobody: a name that was never
// looked up stays closed.
func (a *Agent) allow() reflex.Allow {
	allow := reflex.Allow{DHCP: a.cfg.DHCP}
	known := map[string][]string{}
	a.view(func(_ string, b *body) { known = maps.Clone(b.Known) })
	for _, hostport := range a.hosts() {
		host, port, ok := splitHostPort(hostport)
		if !ok {
			continue
		}
		for _, ip := range append([]string{host}, known[host]...) {
			addr, err := netip.ParseAddr(ip)
			if server := netip.AddrPortFrom(addr, port); err == nil && !slices.Contains(allow.Servers, server) {
				allow.Servers = append(allow.Servers, server)
			}
		}
	}
	return allow
}
