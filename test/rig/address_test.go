package rig

import (
	"net"
	"testing"
)

// TestAPortIsGivenOnce: what one test holds no other is given, and what somebody
// listens at is given to nobody.
func TestAPortIsGivenOnce(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		address := Address(t)
		if seen[address] {
			t.Fatalf("%s was given twice", address)
		}
		seen[address] = true
	}
	l, err := net.Listen("tcp", Address(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, port, _ := net.SplitHostPort(l.Addr().String()); free(port) {
		t.Errorf("port %s is free, and somebody listens there", port)
	}
}
