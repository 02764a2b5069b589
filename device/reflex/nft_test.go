package reflex_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/device/reflex"
)

// world is two machines on one cable: the device, and a host that is its server
// at one port and everybody else at the others.
type world struct {
	t      *testing.T
	device netns.NsHandle
	host   netns.NsHandle
}

const (
	deviceIP = "10.77.0.2"
	hostIP   = "10.77.0.1"
	linkPort = 8443
)

func newWorld(t *testing.T) *world {
	t.Helper()
	devicetest.NeedsRoot(t, "network namespaces")
	w := &world{t: t, device: makeNS(t), host: makeNS(t)}
	in(t, w.host, func() error {
		err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "host0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(w.device)})
		if err != nil {
			return err
		}
		return up("host0", hostIP+"/24", "fd77::1/64")
	})
	in(t, w.device, func() error { return up("eth0", deviceIP+"/24", "fd77::2/64") })
	return w
}

// makeNS makes a namespace on a thread that ends with its goroutine.
func makeNS(t *testing.T) netns.NsHandle {
	t.Helper()
	type made struct {
		ns  netns.NsHandle
		err error
	}
	answer := make(chan made, 1)
	go func() {
		runtime.LockOSThread()
		ns, err := netns.New()
		if err == nil {
			err = up("lo")
		}
		answer <- made{ns, err}
	}()
	m := <-answer
	if m.err != nil {
		t.Fatal(m.err)
	}
	t.Cleanup(func() { _ = m.ns.Close() })
	return m.ns
}

func up(name string, addrs ...string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return err
		}
		if addr.IP.To4() == nil {
			addr.Flags = syscall.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(l, addr); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(l)
}

// in runs fn on a thread inside a namespace.
func in(t *testing.T, ns netns.NsHandle, fn func() error) {
	t.Helper()
	if err := within(ns, fn); err != nil {
		t.Fatal(err)
	}
}

func within(ns netns.NsHandle, fn func() error) error {
	answer := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		if err := netns.Set(ns); err != nil {
			answer <- err
			return
		}
		answer <- fn()
	}()
	return <-answer
}

// echo serves a port in a namespace: whatever comes goes back.
func (w *world) echo(ns netns.NsHandle, addr string) {
	w.t.Helper()
	var l net.Listener
	in(w.t, ns, func() (err error) { l, err = net.Listen("tcp", addr); return err })
	w.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 64)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					if _, err := c.Write(b[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
}

func dial(ns netns.NsHandle, addr string, wait time.Duration) (conn net.Conn, err error) {
	err = within(ns, func() (err error) { conn, err = net.DialTimeout("tcp", addr, wait); return err })
	return conn, err
}

// talk sends a word and waits for it to come back.
func talk(c net.Conn, wait time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 64))
	return err
}

func (w *world) reaches(ns netns.NsHandle, addr string, wait time.Duration) error {
	c, err := dial(ns, addr, wait)
	if err != nil {
		return err
	}
	defer c.Close()
	return talk(c, wait)
}

// How long a packet that should arrive may take, and how long it takes to
// believe that one does not.
const (
	long  = time.Minute
	short = 400 * time.Millisecond
)

func (w *world) mustReach(what string, ns netns.NsHandle, addr string) {
	w.t.Helper()
	if err := w.reaches(ns, addr, long); err != nil {
		w.t.Errorf("%s: %v", what, err)
	}
}

func (w *world) mustNotReach(what string, ns netns.NsHandle, addr string) {
	w.t.Helper()
	if err := w.reaches(ns, addr, short); err == nil {
		w.t.Errorf("%s: passes", what)
	}
}

func TestQuarantineKeepsTheServerLinkAndDropsTheRestBothWays(t *testing.T) {
	w := newWorld(t)
	for _, addr := range []string{hostIP + ":8443", hostIP + ":80", "[fd77::1]:8443", "[fd77::1]:80"} {
		w.echo(w.host, addr)
	}
	w.echo(w.device, "0.0.0.0:22")
	w.echo(w.device, "127.0.0.1:9000")
	allow := reflex.Allow{Servers: []netip.AddrPort{netip.MustParseAddrPort(hostIP + ":8443"), netip.MustParseAddrPort("[fd77::1]:8443")}}
	c := reflex.New(reflex.NFT{NetNS: int(w.device)}, func() reflex.Allow { return allow })

	outside := []struct {
		what string
		from netns.NsHandle
		to   string
	}{
		{"device to another port of the server", w.device, hostIP + ":80"},
		{"device to another port of the server, IPv6", w.device, "[fd77::1]:80"},
		{"world to the device", w.host, deviceIP + ":22"},
	}
	inside := []struct {
		what string
		to   string
	}{{"server link", hostIP + ":8443"}, {"server link, IPv6", "[fd77::1]:8443"}, {"loopback", "127.0.0.1:9000"}}
	for _, r := range outside {
		w.mustReach("before, "+r.what, r.from, r.to)
	}
	established := w.flow(w.device, hostIP+":80")
	inwards := w.flow(w.host, deviceIP+":22")
	linked := w.flow(w.device, hostIP+":8443")

	effect := c.Contain()
	if effect.Err != nil || !effect.Enforced {
		t.Fatalf("Contain: %+v", effect)
	}
	t.Logf("applied in %v", effect.Took)
	for _, r := range outside {
		w.mustNotReach("quarantined, "+r.what, r.from, r.to)
	}
	for _, r := range inside {
		w.mustReach("quarantined, "+r.what, w.device, r.to)
	}
	for name, flow := range map[string]net.Conn{"outwards": established, "inwards": inwards} {
		if err := talk(flow, short); err == nil {
			t.Errorf("a connection from before goes on, %s", name)
		}
	}
	if err := talk(linked, long); err != nil {
		t.Errorf("the server link from before: %v", err)
	}
	w.mustNotReach("a connection from the server's own port", w.host, deviceIP+":22")
	if err := within(w.host, func() error { return fromPort(linkPort, deviceIP+":22") }); err == nil {
		t.Error("the server's address and port open a connection to the device")
	}
	st, err := c.Status()
	if err != nil || !st.Intact {
		t.Errorf("Status = %+v, %v", st, err)
	}

	if e := c.Release(); e.Err != nil {
		t.Fatal(e.Err)
	}
	for _, r := range outside {
		w.mustReach("released, "+r.what, r.from, r.to)
	}
	if st, err := c.Status(); err != nil || st.Present {
		t.Errorf("Status after release = %+v, %v", st, err)
	}
}

func (w *world) flow(ns netns.NsHandle, addr string) net.Conn {
	w.t.Helper()
	c, err := dial(ns, addr, long)
	if err == nil {
		err = talk(c, long)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// fromPort connects from a given source port.
func fromPort(port int, to string) error {
	d := net.Dialer{Timeout: short, LocalAddr: &net.TCPAddr{IP: net.ParseIP(hostIP), Port: port}, Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		ctl := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
			if err == nil {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, 15 /* SO_REUSEPORT */, 1)
			}
		})
		if ctl != nil {
			return ctl
		}
		return err
	}}
	c, err := d.DialContext(context.Background(), "tcp", to)
	if err != nil {
		return err
	}
	return c.Close()
}

func needsNFT(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		devicetest.Without(t, "nft(8)")
	}
}

func nft(ns netns.NsHandle, args ...string) (string, error) {
	var out []byte
	err := within(ns, func() (err error) {
		out, err = exec.Command("nft", args...).CombinedOutput()
		return err
	})
	if err != nil {
		err = fmt.Errorf("nft %v: %w: %s", args, err, out)
	}
	return string(out), err
}

func TestChangedRulesAreNoticedAndMended(t *testing.T) {
	w := newWorld(t)
	needsNFT(t)
	allow := reflex.Allow{Servers: []netip.AddrPort{netip.MustParseAddrPort(hostIP + ":8443"), netip.MustParseAddrPort("[fd77::1]:8443")}, DHCP: true}
	c := reflex.New(reflex.NFT{NetNS: int(w.device)}, func() reflex.Allow { return allow })
	if e := c.Contain(); e.Err != nil {
		t.Fatal(e.Err)
	}
	if wrong, err := c.Check(); wrong != "" || err != nil {
		t.Fatalf("untouched rules: %q, %v", wrong, err)
	}
	attacks := [][]string{
		{"flush", "ruleset"},
		{"delete", "table", "inet", "interlock"},
		{"insert", "rule", "inet", "interlock", "output", "accept"},
		{"flush", "chain", "inet", "interlock", "input"},
		{"chain", "inet", "interlock", "input", "{ policy accept ; }"},
		{"add", "chain", "inet", "interlock", "x", "{ type filter hook input priority -300 ; }"},
		{"add", "table", "inet", "interlock", "{ flags dormant ; }"},
	}
	for _, a := range attacks {
		if _, err := nft(w.device, a...); err != nil {
			t.Fatal(err)
		}
		if wrong, err := c.Check(); wrong == "" || err != nil {
			t.Errorf("nft %v goes unnoticed: %v", a, err)
		}
		if st, err := c.Status(); err != nil || !st.Intact {
			t.Errorf("nft %v was not mended: %+v, %v", a, st, err)
		}
	}
}

// What Plan prints is what the kernel has: nft(8) reads the plan, and lists the
// same rules after Apply as after reading the plan.
func TestThePlanEqualsTheRules(t *testing.T) {
	w := newWorld(t)
	needsNFT(t)
	allow := reflex.Allow{Servers: []netip.AddrPort{netip.MustParseAddrPort(hostIP + ":8443"), netip.MustParseAddrPort("[fd77::1]:8443")}, DHCP: true}
	fw := reflex.NFT{NetNS: int(w.device)}
	if err := fw.Apply(allow); err != nil {
		t.Fatal(err)
	}
	applied, err := nft(w.device, "list", "table", "inet", "interlock")
	if err != nil {
		t.Fatal(err)
	}
	if err := fw.Remove(); err != nil {
		t.Fatal(err)
	}
	plan := t.TempDir() + "/plan.nft"
	if err := os.WriteFile(plan, []byte(reflex.Plan(allow)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := nft(w.device, "-f", plan); err != nil {
		t.Fatal(err)
	}
	planned, err := nft(w.device, "list", "table", "inet", "interlock")
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(applied) != strings.TrimSpace(planned) {
		t.Errorf("applied:\n%s\nplanned:\n%s", applied, planned)
	}
}

func TestOtherTablesAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	needsNFT(t)
	if _, err := nft(w.device, "add", "table", "inet", "theirs"); err != nil {
		t.Fatal(err)
	}
	fw := reflex.NFT{NetNS: int(w.device)}
	for range 2 {
		if err := fw.Apply(reflex.Allow{}); err != nil {
			t.Fatal(err)
		}
		if err := fw.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if err := fw.Remove(); err != nil {
		t.Errorf("removing nothing: %v", err)
	}
	if out, err := nft(w.device, "list", "tables"); err != nil || strings.TrimSpace(out) != "table inet theirs" {
		t.Errorf("tables %q, %v", out, err)
	}
}
