package hil

import (
	"io"
	"net"
	"os"
	"testing"

	"github.com/interlock-security/interlock/test/rig"
)

// TestMain also is the helper that QEMU starts for each connection out of the
// guest: "forward ADDRESS" joins its standard streams, which are the guest's
// connection, to an address of this host.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "forward" {
		os.Exit(forward(os.Args[2]))
	}
	rig.Main(m)
}

// forward never writes to standard error: QEMU gives it the guest's connection.
func forward(address string) int {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return 1
	}
	go func() {
		_, _ = io.Copy(c, os.Stdin)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(os.Stdout, c)
	return 0
}
