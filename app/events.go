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
	// indexPatience is how far the index may trail before people are told, and
	// before a search says that it would miss something.
	indexPatience = time.Minute
	// problemPatience is the same for a store that takes nothing in.
	problemPatience = 10 * time.Second
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
	e.index = index.New(index.Config{Name: s.indexName(), Frames: s.base.frames, State: s.base.state, Store: e.client, Flush: c.Flush(), Clock: s.clock, Log: s.log})
	s.events = e
	return nil
}

// indexName is the index stage's. Servers on one database that have an event
// store each fill it each, so that every one of them can search everything; a
// cluster is filled by one of them.
func (s *Server) indexName() string {
	if s.Config.Store.Driver == "sqlite" || s.Config.Events.Cluster() {
		return index.StageName
	}
	return index.StageName + "-" + s.instance
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
		return journal.Cursor{Stage: s.indexName(), Topic: s.base.frames.Name()}.Forget(ctx, s.base.state)
	}
	if err := e.index.Register(ctx); err != nil {
		return err
	}
	if e.child != nil {
		s.background(ctx, "events", e.child.Run)
	}
	name := s.indexName()
	s.background(ctx, "stage "+name, func(ctx context.Context) error { return s.owned(ctx, name, e.index.Run) })
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
	return searches{s}
}

// searches asks the store only for what it is known to hold: an answer with a
// hole in it looks like any other.
type searches struct{ server *Server }

// Search implements searcher.
func (x searches) Search(ctx context.Context, q events.Query) ([]events.Hit, error) {
	if err := x.server.indexed(ctx, q.To); err != nil {
		return nil, err
	}
	return x.server.events.client.Search(ctx, q)
}

// Histogram implements searcher.
func (x searches) Histogram(ctx context.Context, q events.Query, step time.Duration) ([]events.Bucket, error) {
	if err := x.server.indexed(ctx, q.To); err != nil {
		return nil, err
	}
	return x.server.events.client.Histogram(ctx, q, step)
}

// indexed says why a search up to a time would miss something, nil if it would
// not.
func (s *Server) indexed(ctx context.Context, to time.Time) error {
	held, why, late := s.indexTrails(ctx)
	if !late || !to.IsZero() && !held.IsZero() && !to.After(held) {
		return nil
	}
	e := core.E(core.KindUnavailable, "app.search", "the event store does not hold the latest events yet; nothing is lost, the journal has them"+why)
	if held.IsZero() {
		return e.WithHint("interlock events tail reads the journal")
	}
	return e.WithHint("search up to " + held.UTC().Format(time.RFC3339) + ", or read the journal: interlock events tail")
}

// indexTrails tells up to when all that was received is in the store, and, if
// that is too long ago, why.
func (s *Server) indexTrails(ctx context.Context) (held time.Time, why string, late bool) {
	state, now, held := s.events.index.State(), s.clock.Now(), s.events.index.Held(ctx)
	if state.Problem != "" {
		why = ": " + state.Problem
	}
	late = now.Sub(later(held, s.started)) > indexPatience || !state.Since.IsZero() && now.Sub(state.Since) > problemPatience
	return held, why, late
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// eventsHealth is how searching is. While it is away the rest goes on, so it is
// degraded at worst, until the journal, which keeps what is not indexed, runs
// out of disk.
func (s *Server) eventsHealth() core.Health {
	health := core.HealthHealthy
	if child := s.events.child; child != nil {
		health, _ = child.Health()
	}
	ctx, cancel := context.WithTimeout(context.Background(), stateProbe)
	defer cancel()
	if _, _, late := s.indexTrails(ctx); late || health == core.HealthUnhealthy {
		health = core.HealthDegraded
		if _, percent := freeDisk(s.options.Paths.Dir); percent < lowDisk {
			health = core.HealthUnhealthy
		}
	}
	return health
}

// eventsWarnings tell since when events could not be indexed, and what that
// costs.
func (s *Server) eventsWarnings() (list []string) {
	if s.events == nil {
		return nil
	}
	if child := s.events.child; child != nil {
		if h, why := child.Health(); h == core.HealthUnhealthy {
			list = append(list, "searching is unavailable: the events process ended: "+why)
		}
	}
	state := s.events.index.State()
	ctx, cancel := context.WithTimeout(context.Background(), stateProbe)
	defer cancel()
	if held, why, late := s.indexTrails(ctx); late {
		free, percent := freeDisk(s.options.Paths.Dir)
		list = append(list, fmt.Sprintf("events are indexed up to %s only%s; the journal keeps the others, and its disk has %d MB left (%d%%)",
			held.UTC().Format(time.RFC3339), why, free>>20, percent))
	}
	if state.Missing > 0 {
		list = append(list, fmt.Sprintf("the event store does not keep %d events that it was sent; are they older than events.retention_days?", state.Missing))
	}
	return list
}

// eventsMetrics are the event store's figures.
func (s *Server) eventsMetrics(gauge func(name, help string, value func() float64)) {
	if s.events == nil {
		return
	}
	index := s.events.index
	gauge("events_indexed_total", "Events that the event store took in.", func() float64 { return float64(index.State().Sent) })
	gauge("events_missing_total", "Events that the event store does not keep, though it was sent them.", func() float64 { return float64(index.State().Missing) })
	gauge("events_index_trails_seconds", "How old the newest event is before which the event store holds all.", func() float64 {
		return s.clock.Now().Sub(later(index.Held(context.Background()), s.started)).Seconds()
	})
	if child := s.events.child; child != nil {
		gauge("events_starts_total", "How often the events process was started.", func() float64 { return float64(child.Starts()) })
	}
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
