package store

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// pgChannel is the one LISTEN channel; the payload names ours.
const pgChannel = "interlock"

// signals wakes whoever waits for a channel. Wake-ups are hints: a waiter also
// looks from time to time.
type signals struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
	cancel  context.CancelFunc
	stopped chan struct{}
}

// Notify wakes the waiters of a channel once the transaction is durable: in
// this process, and on PostgreSQL in every other.
func (tx *Tx) Notify(ctx context.Context, channel string) error {
	if tx.notified[channel] {
		return nil
	}
	if tx.notified == nil {
		tx.notified = make(map[string]bool)
	}
	tx.notified[channel] = true
	if tx.db.dialect != Postgres {
		return nil
	}
	_, err := tx.Exec(ctx, "SELECT pg_notify($1, $2)", pgChannel, channel)
	return err
}

// Signal returns a channel that is closed at the next [Tx.Notify]. Take it
// before looking, so that nothing falls in between.
func (db *DB) Signal(channel string) <-chan struct{} {
	s := &db.signals
	s.mu.Lock()
	defer s.mu.Unlock()
	if db.dialect == Postgres && s.cancel == nil {
		var ctx context.Context
		ctx, s.cancel = context.WithCancel(context.Background())
		s.stopped = make(chan struct{})
		go db.listen(ctx, s.stopped)
	}
	if s.waiting == nil {
		s.waiting = make(map[string]chan struct{})
	}
	ch, ok := s.waiting[channel]
	if !ok {
		ch = make(chan struct{})
		s.waiting[channel] = ch
	}
	return ch
}

func (s *signals) wake(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch, ok := s.waiting[channel]; ok {
		close(ch)
		delete(s.waiting, channel)
	}
}

func (s *signals) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel, ch := range s.waiting {
		close(ch)
		delete(s.waiting, channel)
	}
}

func (s *signals) stop() {
	s.mu.Lock()
	cancel, stopped := s.cancel, s.stopped
	s.mu.Unlock()
	if cancel != nil {
		cancel()
		<-stopped
	}
}

// listen passes PostgreSQL's notifications on until ctx ends. After every break
// it wakes everybody, for it can't know what it missed.
func (db *DB) listen(ctx context.Context, stopped chan<- struct{}) {
	defer close(stopped)
	for ctx.Err() == nil {
		_ = db.listenOnce(ctx) // whatever broke it, the answer is to connect again
		db.signals.wakeAll()
		t := time.NewTimer(time.Second)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

func (db *DB) listenOnce(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, db.dsn)
	if err != nil {
		return err
	}
	defer func() {
		done, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(done)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+pgChannel); err != nil {
		return err
	}
	db.signals.wakeAll()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		db.signals.wake(n.Payload)
	}
}
