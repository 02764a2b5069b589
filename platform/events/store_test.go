package events_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/events/child"
)

// TestMain lets the test binary be the events process, and a node of a cluster.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "child" && os.Args[2] == "events":
		err = child.Main(context.Background())
	case len(os.Args) > 3 && os.Args[1] == "victoria-logs":
		err = victoriaLogs(os.Args[2], os.Args[3:])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		slog.Error("ended", "error", err.Error())
		os.Exit(1)
	}
}

// patience bounds every wait; the machine may be busy with others.
const patience = 3 * time.Minute

// await polls until ok.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// said is what a child prints.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// store is a running child.
type store struct {
	*events.Supervisor
	said *said
	stop func()
}

var (
	ours   = core.MustID[core.TenantID]("ours")
	theirs = core.MustID[core.TenantID]("theirs")
)

func startOf(dir string) events.Start {
	return events.Start{Dir: dir, Memory: 32 << 20, Disk: 1 << 30, Retention: 90 * 24 * time.Hour, Flush: time.Second}
}

// newStore starts a child of its own and waits until it serves.
func newStore(t *testing.T) *store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "events"))
}

func openStore(t *testing.T, dir string, change ...func(*events.Supervisor)) *store {
	t.Helper()
	s := &store{said: new(said)}
	s.Supervisor = &events.Supervisor{
		Args: []string{"child", "events"}, Start: startOf(dir), Installation: core.MustID[core.ServiceID]("test"),
		Stderr: s.said, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(s.Supervisor)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	s.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Log(s.said.String())
		}
	})
	await(t, "the store", s.up)
	return s
}

func (s *store) up() bool { return s.Client().Health(context.Background()) == nil }

// put inserts rows and makes them visible.
func (s *store) put(t *testing.T, rows ...events.Row) {
	t.Helper()
	if err := s.Client().Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	if err := s.Client().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// search fails the test where the store refuses.
func (s *store) search(t *testing.T, tenant core.TenantID, logsQL string) []events.Hit {
	t.Helper()
	hits, err := s.Client().Search(t.Context(), events.Query{Tenant: tenant, LogsQL: logsQL})
	if err != nil {
		t.Fatalf("%s: %v", logsQL, err)
	}
	return hits
}

// row is an event of a tenant.
func row(tenant core.TenantID, offset uint64, index int, at time.Time, message string, fields ...events.Field) events.Row {
	return events.Row{Tenant: tenant, Offset: offset, Index: index, Time: at, Source: "device/press-7", Message: message, Fields: fields}
}
