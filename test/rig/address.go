package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports that are given out lie below those that kernels take by themselves
// for whoever asks for any (ip_local_port_range begins at 32768): what is free
// now stays free until its server is there, and while that is being restarted.
const firstPort, lastPort = 20000, 32000

// Hold finds a port of the loopback address, TCP's and UDP's, that nobody has, and
// gives it to no other test until it is released.
func Hold() (port string, release func(), err error) {
	for range 1000 {
		port = strconv.Itoa(firstPort + rand.IntN(lastPort-firstPort))
		// The name is the kernel's, of this network, and goes with this process.
		held, err := net.Listen("unix", "@interlock-test-port-"+port)
		if err != nil {
			continue
		}
		if free(port) {
			return port, func() { _ = held.Close() }, nil
		}
		_ = held.Close()
	}
	return "", nil, fmt.Errorf("no port between %d and %d is free", firstPort, lastPort)
}

// Port is Hold until the test ends.
func Port(t testing.TB) string {
	t.Helper()
	port, release, err := Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

// Address is a Port with the loopback address before it.
func Address(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", Port(t))
}

// free reports whether nobody listens at a port, of any address.
func free(port string) bool {
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return false
	}
	_ = l.Close()
	c, err := net.ListenPacket("udp", ":"+port)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// Listen is a configuration's section of listeners, each at an Address, with
// what comes after it.
func Listen(t testing.TB, more string) (text, agents, console string) {
	t.Helper()
	agents, console = Address(t), Address(t)
	return fmt.Sprintf("listen:\n  agents: %s\n  management: %s\n  console: %s\n%s", agents, Address(t), console, more), agents, console
}
