package keys

import (
	"cmp"
	"context"
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
	probeEvery   = 10 * time.Second
	probeTimeout = 5 * time.Second
	startTimeout = 30 * time.Second // making keys on the first run, on a slow disk
)

// Supervisor keeps a keys process running.
type Supervisor struct {
	// Args follow the program's own path: "child", "keys" and what the verb
	// needs. The child finds its socket at ChildFD.
	Args []string
	// Program is the binary to start; "" means this one.
	Program string
	Env     []string  // of the child; nil means none
	Stderr  io.Writer // of the child; nil means discard
	Clock   core.Clock
	Log     *slog.Logger

	patience time.Duration // how long a probe may take; 0 means probeTimeout

	client  Client
	once    sync.Once
	process supervise.Process
}

// child is the process, made of what the supervisor was told.
func (s *Supervisor) child() *supervise.Process {
	s.once.Do(func() {
		s.process.Name, s.process.Attend = "keys", s.attend
		s.process.Args, s.process.Program, s.process.Env, s.process.Stderr = s.Args, s.Program, s.Env, s.Stderr
		s.process.Clock, s.process.Log = s.Clock, s.Log
	})
	return &s.process
}

// Client returns the client of whichever child is running.
func (s *Supervisor) Client() *Client { return &s.client }

// Health returns how the process is and, where it is not healthy, why.
func (s *Supervisor) Health() (core.Health, string) { return s.child().Health() }

// Starts returns how often a child was started.
func (s *Supervisor) Starts() int { return s.child().Starts() }

// Run starts the child and starts it again, with back-off, until ctx ends; then
// it ends the child and returns nil.
func (s *Supervisor) Run(ctx context.Context) error { return s.child().Run(ctx) }

// attend is with one child until it should be ended, or has ended by itself.
func (s *Supervisor) attend(ctx context.Context, conn net.Conn, up func()) error {
	session := newSession(conn)
	err := s.watch(ctx, session, up)
	if err != nil && !session.ended() {
		err = errors.Join(err, supervise.ErrHangs)
	}
	session.end(errDown()) // the child sees the end of its input and leaves
	s.client.use(nil)
	return err
}

// watch asks the child how it is: one that hangs is as useless as a dead one.
func (s *Supervisor) watch(ctx context.Context, session *session, up func()) error {
	if err := s.probe(ctx, session, startTimeout); err != nil {
		return fmt.Errorf("it did not start: %w", err)
	}
	s.client.use(session)
	up()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-session.done:
			return session.why()
		case <-s.Clock.After(probeEvery):
		}
		if err := s.probe(ctx, session, cmp.Or(s.patience, probeTimeout)); err != nil {
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// probe asks for the status directly on the session, with a deadline of real
// time: it is a child that may hang, not a clock.
func (s *Supervisor) probe(ctx context.Context, session *session, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	_, err := session.ask(ctx, opStatus, []byte("{}"))
	return err
}
