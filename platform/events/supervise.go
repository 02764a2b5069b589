package events

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/supervise"
)

// How the child is watched.
const (
	probeEvery   = 5 * time.Second
	probeTimeout = 10 * time.Second
	startTimeout = time.Minute // a large store on a slow disk
	leaveTimeout = 20 * time.Second
)

// Supervisor keeps an events process running and its [Client] pointed at it.
type Supervisor struct {
	// Args follow the program's own path: "child", "events".
	Args    []string
	Program string // "" means this binary
	// Start is what the child is told; user and password are made for each.
	Start        Start
	Installation core.ServiceID
	Stderr       io.Writer
	Clock        core.Clock
	Log          *slog.Logger

	probeFor time.Duration // of a test; 0 means probeEvery and probeTimeout

	once    sync.Once
	client  *Client
	process supervise.Process
}

func (s *Supervisor) setup() *supervise.Process {
	s.once.Do(func() {
		s.client = NewClient(Config{Installation: s.Installation})
		s.process.Name, s.process.Attend, s.process.Patience = "events", s.attend, leaveTimeout
		s.process.Args, s.process.Program, s.process.Stderr = s.Args, s.Program, s.Stderr
		s.process.Clock, s.process.Log = s.Clock, s.Log
	})
	return &s.process
}

// Client returns the client of whichever child is running.
func (s *Supervisor) Client() *Client {
	s.setup()
	return s.client
}

// Health returns how the process is and, where it is not healthy, why.
func (s *Supervisor) Health() (core.Health, string) { return s.setup().Health() }

// Starts returns how often a child was started.
func (s *Supervisor) Starts() int { return s.setup().Starts() }

// PID returns the process id of the child that was started last.
func (s *Supervisor) PID() int { return s.setup().PID() }

// Run keeps a child running until ctx ends; then it lets it write what it holds,
// and returns nil.
func (s *Supervisor) Run(ctx context.Context) error { return s.setup().Run(ctx) }

// attend is with one child: tells it what it is, waits until it serves, and asks
// it now and then.
func (s *Supervisor) attend(ctx context.Context, conn net.Conn, up func()) error {
	defer conn.Close()
	to, err := s.greet(ctx, conn)
	if err != nil {
		return fmt.Errorf("it did not start: %w", err)
	}
	s.client.use(to)
	defer s.client.use(nil)
	up()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, conn) // ends with the child, or with conn
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
			return core.E(core.KindUnavailable, "events.Supervisor", "it went away")
		case <-s.Clock.After(cmp.Or(s.probeFor, probeEvery)):
		}
		if err := s.probe(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("it does not answer: %w", errors.Join(err, supervise.ErrHangs))
		}
	}
}

// greet hands the child its orders and returns where it serves.
func (s *Supervisor) greet(ctx context.Context, conn net.Conn) (*Config, error) {
	// Real time: a child may hang whatever the clock says.
	if err := conn.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return nil, errors.Join(err, supervise.ErrHangs)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	start := s.Start
	password := make([]byte, 32)
	rand.Read(password) // never fails
	start.User, start.Password = "interlock", []byte(hex.EncodeToString(password))
	if err := start.Validate(); err != nil {
		return nil, err
	}
	var ready Ready
	if err := errors.Join(WriteHello(conn, start), ReadHello(conn, &ready), conn.SetDeadline(time.Time{})); err != nil {
		return nil, errors.Join(err, supervise.ErrHangs)
	}
	if !loopback(ready.Address) {
		return nil, errors.Join(core.E(core.KindDamaged, "events.Supervisor", fmt.Sprintf("it serves at %.100q, which is not this machine's own", ready.Address)), supervise.ErrHangs)
	}
	base := "http://" + ready.Address
	return &Config{Insert: base, Select: base, User: start.User, Password: core.NewSecret(start.Password), fresh: ready.Fresh}, nil
}

// probe asks with a deadline of real time.
func (s *Supervisor) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.probeFor, probeTimeout))
	defer cancel()
	return s.client.Health(ctx)
}
