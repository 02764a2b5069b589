package hunt

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

// Limits that hold whatever is asked for.
const (
	// MaxRecord is the longest line, document or event that is searched.
	MaxRecord = 16 << 20
	// MaxMatches is how many matches a hunt keeps unless told otherwise.
	MaxMatches = 1_000_000
	// MaxMemory is what the fields of matches may cost unless told otherwise.
	MaxMemory = 1 << 30

	maxFaults     = 10_000 // kept with their places; all are counted
	maxFieldBytes = 2048   // of one value in a match
	maxFields     = 32     // of one match
	maxEvents     = 100    // named by one firing of a correlation
)

// Config of a hunt.
type Config struct {
	Engine *sigma.Engine
	Paths  []string  // files and folders; "-" is Stdin
	Stdin  io.Reader // nil is an empty one

	// Force takes every event for this logsource instead of asking the routes.
	Force *sigma.Logsource
	// From and To keep matches outside of them out of the result; zero is open.
	From, To time.Time
	// Keep says whose matches are wanted; nil is every rule's. Rules that are
	// not kept still feed correlations.
	Keep func(*sigma.Rule) bool
	// Alone makes an engine of one rule, as Engine was made, so that matches say
	// which fields made it fire; nil leaves that out.
	Alone func(*sigma.Rule) *sigma.Engine
	// Zone is that of stamps which name none; nil is UTC.
	Zone *time.Location
	// Now is when the hunt began: the year of stamps that have none comes from
	// it where a file has no time of its own.
	Now time.Time
	// Matches bounds how many are kept; 0 is [MaxMatches].
	Matches int
	// Memory bounds, in bytes, the fields of the matches that are kept and of
	// those that wait for correlations; 0 is [MaxMemory].
	Memory int64
	// Workers match at the same time; 0 is one a core.
	Workers int
	// Progress is told what was done, nil if nobody looks.
	Progress *Progress
	// Log hears of what is no fault of the files; nil is nobody.
	Log *slog.Logger
}

// Progress can be read while a hunt runs.
type Progress struct {
	// Read is in bytes as they lie on disk, so that it can be held against the
	// size of the files.
	Read, Events, Matches, Files atomic.Int64
}

// Match is one rule that holds for one event, or one correlation that fired.
type Match struct {
	Rule  *sigma.Rule
	File  string
	Event int       // zero-based within the file
	Time  time.Time // zero if the event has none
	Host  string
	// Fields are those that the rule asks for, by the rule's names, in its order.
	Fields []sigma.Field
	// Why are the fields that made the rule fire, with the part of their values
	// that it looked for. Where a rule fires on very many events it is left out.
	Why []sigma.Field
	// Events are a correlation's, oldest first; Total is how many there were. A
	// correlation that goes on holding is one match, until Last.
	Events []EventRef
	Total  int
	Last   time.Time

	file int // order
}

// EventRef names one event.
type EventRef struct {
	File  string `json:"file"`
	Event int    `json:"event"`
}

// Fault is something that could not be read.
type Fault struct {
	File string `json:"file"`
	// Line counts from one, 0 where the file has no lines.
	Line int `json:"line,omitempty"`
	// Event is the number that the record took, -1 where it took none.
	Event int    `json:"event"`
	Why   string `json:"why"`
}

// Result of a hunt.
type Result struct {
	// Matches in order of time, file and event; those without a time are last.
	Matches []Match
	Files   int
	Bytes   int64
	Events  int
	// Unrouted events were asked every rule, because no route knows where they
	// come from.
	Unrouted int
	// Untimed matches have no time that could be read; Outside lie before From
	// or after To, or can't be told.
	Untimed, Outside int
	// Uncorrelated matches have no time, so that no correlation could count them.
	Uncorrelated int
	// Links are symbolic links in folders, which are not followed.
	Links int

	Faults     []Fault
	FaultCount int
	// Incomplete says why not everything was searched or kept, "" if it was.
	Incomplete string
}

// Run searches. The error is about the question (a path that is not there is a
// fault of the result, not an error).
func Run(ctx context.Context, c Config) (*Result, error) {
	if c.Engine == nil || len(c.Paths) == 0 {
		return nil, core.E(core.KindInvalid, "hunt.Run", "a hunt needs rules and at least one file")
	}
	c = c.withDefaults()
	h := &hunt{Config: c, res: &Result{}, every: c.Engine.Logsources()}
	h.run(ctx)
	return h.finish(ctx), nil
}

func (c Config) withDefaults() Config {
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Matches <= 0 {
		c.Matches = MaxMatches
	}
	if c.Memory <= 0 {
		c.Memory = MaxMemory
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.Keep == nil {
		c.Keep = func(*sigma.Rule) bool { return true }
	}
	if c.Progress == nil {
		c.Progress = &Progress{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
