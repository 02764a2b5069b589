package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/safety/stop"
)

var (
	tenant = core.MustID[core.TenantID]("main")
	site   = core.MustID[core.SiteID]("hall-2")
)

// stopPath serves a real stop path, with two devices, at a data directory's
// socket.
func stopPath(t *testing.T) (data string, s *stop.Service) {
	t.Helper()
	data = t.TempDir()
	clock, log := clocktest.New(epoch), slog.New(slog.DiscardHandler)
	ring := stop.NewMemoryRing(stop.RingOptions{Clock: clock, Log: log})
	hub := stop.NewHub(func(stop.Stop, stop.Target) ([]byte, error) { return []byte("order"), nil })
	s = stop.NewService(stop.Config{Ring: ring, Hub: hub, Clock: clock, Log: log})
	s.SetPersons([]stop.Person{{ID: core.MustID[core.PersonID]("owner"), Tenant: tenant, Sites: []core.SiteID{site}, UIDs: []uint32{uint32(os.Getuid())}}})
	for _, name := range []string{"press-7", "press-8"} {
		targets = append(targets, stop.Target{Tenant: tenant, Site: site, Device: core.MustID[core.DeviceID](name)})
	}
	s.SetTargets(targets)
	l, err := httpd.ListenUnix(app.Paths{Dir: data}.Stop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, ring.Close()); err != nil {
			t.Error(err)
		}
	})
	return data, s
}
