package app

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/index"
)

// eventStore is what searching stands on: the events process, or a cluster, and
// the stage that fills it. Nothing else waits for it.
type eventStore struct {
	client *events.Client
	child  *events.Supervisor // nil with a cluster
	index  *index.Index
}

const (
	// indexPatience is how long sending may fail before people are told.
	indexPatience = time.Minute
	// lowDisk is the share of the journal's disk, in percent, below which a
	// store that is away becomes everybody's matter.
	lowDisk = 10
)

// openEvents makes the event store's parts; startEvents runs them.
func (s *Server) openEvents() error {
	c := s.Config.Events
	if c.Off {
		return nil
	}
	e := &eventStore{}
	if c.Cluster() {
		password, err := passwordIn(c.PasswordFile)
		if err != nil {
			return err
		}
		e.client = events.NewClient(events.Config{Insert: c.Insert, Select: c.Select, User: c.User, Password: password, Installation: s.Config.Installation, Lag: events.ClusterLag})
	} else {
		args := append([]string{}, s.options.Child[:max(0, len(s.options.Child)-1)]...)
		e.child = &events.Supervisor{
			Program: s.options.Program, Args: append(args, "events"), Start: c.Start(s.options.Paths.Events()), Installation: s.Config.Installation,
			Stderr: s.options.ChildErr, Clock: s.clock, Log: s.log,
		}
		e.client = e.child.Client()
	}
	e.index = index.New(index.Config{Frames: s.base.frames, State: s.base.state, Store: e.client, Flush: c.Flush(), Clock: s.clock, Log: s.log})
	s.events = e
	return nil
}

// maxPassword bounds a password file.
const maxPassword = 4 << 10

// passwordIn reads the first line of a file.
func passwordIn(path string) (core.Secret, error) {
	if path == "" {
		return core.Secret{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return core.Secret{}, core.Wrap(core.KindUnavailable, "events.password_file", err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	if line = bytes.TrimRight(line, "\r"); len(line) == 0 || len(line) > maxPassword {
		return core.Secret{}, core.E(core.KindInvalid, "events.password_file", fmt.Sprintf("%s holds no password on its first line", path))
	}
	return core.NewSecret(line), nil
}

// startEvents runs the store and the index, or, without a store, lets the
// journal forget that there was an index.
func (s *Server) startEvents(ctx context.Context) error {
	e := s.events
	if e == nil {
		return journal.Cursor{Stage: index.StageName, Topic: s.base.frames.Name()}.Forget(ctx, s.base.state)
	}
	if err := e.index.Register(ctx); err != nil {
		return err
	}
	if e.child != nil {
		s.background(ctx, "events", e.child.Run)
	}
	s.background(ctx, "stage "+index.StageName, func(ctx context.Context) error { return s.owned(ctx, index.StageName, e.index.Run) })
	return nil
}

// searcher finds events again.
type searcher interface {
	Search(ctx context.Context, q events.Query) ([]events.Hit, error)
	Histogram(ctx context.Context, q events.Query, step time.Duration) ([]events.Bucket, error)
}

// searcher is the event store for the API; nil where there is none.
func (s *Server) searcher() searcher {
	if s.events == nil {
		return nil
	}
	return s.events.client
}

// eventsHealth is how searching is. While it is away the rest goes on, so it is
// degraded at worst, until the journal, which keeps what is not indexed, runs
// out of disk.
func (s *Server) eventsHealth() core.Health {
	if e := s.events; e.child != nil {
		switch h, _ := e.child.Health(); h {
		case core.HealthHealthy:
		case core.HealthStarting:
			return h
		default:
			return s.awayHealth()
		}
	}
	if state := s.events.index.State(); !state.Since.IsZero() && s.clock.Now().Sub(state.Since) >= indexPatience {
		return s.awayHealth()
	}
	return core.HealthHealthy
}

func (s *Server) awayHealth() core.Health {
	if _, percent := freeDisk(s.options.Paths.Dir); percent < lowDisk {
		return core.HealthUnhealthy
	}
	return core.HealthDegraded
}

// eventsWarnings tell for how long events could not be indexed, and what that
// costs.
func (s *Server) eventsWarnings() (list []string) {
	if s.events == nil {
		return nil
	}
	state := s.events.index.State()
	if !state.Since.IsZero() && s.clock.Now().Sub(state.Since) >= indexPatience {
		free, percent := freeDisk(s.options.Paths.Dir)
		text := fmt.Sprintf("events could not be indexed since %s: %s; the journal keeps them", state.Since.UTC().Format(time.RFC3339), state.Problem)
		list = append(list, text+fmt.Sprintf(", and its disk has %d MB left (%d%%)", free>>20, percent))
	}
	if state.Missing > 0 {
		list = append(list, fmt.Sprintf("the event store does not keep %d events that it was sent; are they older than events.retention_days?", state.Missing))
	}
	return list
}

// freeDisk is what is left of the disk under dir. A disk that can't be asked is
// full: unknown is never healthy.
func freeDisk(dir string) (free uint64, percent uint64) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Blocks == 0 {
		return 0, 0
	}
	return fs.Bavail * uint64(fs.Bsize), 100 * fs.Bavail / fs.Blocks
}
