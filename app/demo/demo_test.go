package demo

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/keys"
	"github.com/interlock-security/interlock/policy"
)

// TestMain lets this test binary be the keys process of its server.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "child" && os.Args[2] == "keys" {
		if err := keys.Main(context.Background(), keys.ChildFD, os.Args[3], keys.Options{Policy: policy.Default(), Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler)}); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestAnAddressThatSomebodyTookIsChosenAnew: between finding an address and
// listening there, somebody else may have come.
func TestAnAddressThatSomebodyTookIsChosenAnew(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	asked := 0
	address = func() (string, error) {
		if asked++; asked == 1 {
			return taken.Addr().String(), nil
		}
		return freeAddress()
	}
	defer func() { address = freeAddress }()
	dir, err := os.MkdirTemp("", "il") // short: unix sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithCancel(t.Context())
	st := &story{o: Options{Dir: dir, Program: os.Args[0], Out: io.Discard, Log: slog.New(slog.DiscardHandler)}}
	serving, err := st.serve(ctx)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-serving; err != nil {
		t.Error(err)
	}
	if err := st.server.Close(); err != nil {
		t.Error(err)
	}
	if asked < 3 {
		t.Errorf("%d addresses were asked for", asked)
	}
}
