package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
)

// ownerLease is how long the owner of a stage may be away before another server
// on the same database takes over.
const ownerLease = 15 * time.Second

// runOwned runs a stage that one server at a time may run. A server that finds
// the lease with another one waits and goes on with everything else; one that
// loses it waits for its turn again. A server that starts again after a crash
// is the owner that it was.
func (s *Server) runOwned(ctx context.Context, stage journal.Stage) error {
	return s.owned(ctx, stage.Name, func(ctx context.Context, lease *journal.Lease) error {
		stage.Lease = lease
		return journal.Run(ctx, s.base.state, stage)
	})
}

// owned is [Server.runOwned] for what drives itself: run goes on until its
// context ends, which it does when the lease is somebody else's.
func (s *Server) owned(ctx context.Context, stage string, run func(context.Context, *journal.Lease) error) error {
	name := stage + "/" + s.Config.Tenant.String()
	for {
		lease, err := journal.Acquire(ctx, s.base.state, s.clock, name, s.instance, ownerLease)
		if err == nil {
			err = s.own(ctx, lease, run)
		}
		if ctx.Err() != nil {
			return nil
		}
		s.log.Warn("a stage waits for its lease", slog.String("stage", stage), slog.Any("err", err))
		select {
		case <-ctx.Done():
			return nil
		case <-s.clock.After(ownerLease / 3):
		}
	}
}

// own runs a stage until ctx ends or the lease is somebody else's.
func (s *Server) own(ctx context.Context, lease *journal.Lease, run func(context.Context, *journal.Lease) error) error {
	ctx, cancel := context.WithCancel(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		s.keepLease(ctx, lease)
		cancel()
	}()
	err := run(ctx, lease)
	cancel()
	<-renewed
	return err
}

// keepLease renews a lease at a third of its life until ctx ends, and gives it
// back, or until it is somebody else's. While the database is away it goes on
// trying: nobody else can take the lease there either.
func (s *Server) keepLease(ctx context.Context, lease *journal.Lease) {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if err := lease.Release(last, s.base.state); err != nil {
				s.log.Info("a lease could not be given back; it runs out by itself", slog.String("lease", lease.Name), slog.Any("err", err))
			}
			return
		case <-s.clock.After(ownerLease / 3):
			err := lease.Renew(ctx, s.base.state, s.clock, ownerLease)
			if core.KindOf(err) == core.KindExpired {
				return
			}
		}
	}
}
