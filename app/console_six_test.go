package app

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestTheConsoleHasBothLoopbackAddresses: whoever had the other one would stand
// at the console's own origin.
func TestTheConsoleHasBothLoopbackAddresses(t *testing.T) {
	s := &Server{}
	s.Config.Listen = Listen{Console: "127.0.0.1:0", ConsoleName: "localhost"}
	l, six, err := s.consoleListeners()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if six == nil {
		probe, err := net.Listen("tcp", "[::1]:0")
		if err == nil {
			_ = probe.Close()
			t.Fatal("this machine has IPv6, and the console is not there")
		}
		return // no IPv6 on this machine: nobody can be there either
	}
	_, port, err := net.SplitHostPort(six.Addr().String())
	if err != nil || six.Close() != nil || l.Close() != nil {
		t.Fatal(err)
	}
	squatter, err := net.Listen("tcp", net.JoinHostPort("::1", port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = squatter.Close() }()
	s.Config.Listen.Console = net.JoinHostPort("127.0.0.1", port)
	if _, _, err := s.consoleListeners(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("beside a squatter: %v", err)
	}
}
