package policy

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Limits on what strangers can make us remember.
const (
	maxSources       = 4096
	maxActionsListed = 16
	maxSourceName    = 128
)

// OtherSources stands for the strangers beyond the number that is told apart.
const OtherSources = "others"

// Summary tells of the refusals of one stranger in one minute.
type Summary struct {
	// Source is the stranger's name: an address or a uid, as the door saw it.
	Source string
	// From and To are the first and the last refusal.
	From, To time.Time
	Count    int
	// Actions are what was tried, sorted, the first 16 different ones.
	Actions []core.Action
}

// strangers counts refusals by source. Strangers cost nothing but a count: no
// disk, no unbounded memory.
type strangers struct {
	mu     sync.Mutex
	source map[string]*Summary
}

func newStrangers() *strangers { return &strangers{source: make(map[string]*Summary)} }

func (s *strangers) refuse(who core.Principal, action core.Action, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := sourceName(who)
	sum := s.source[name]
	if sum == nil && len(s.source) >= maxSources {
		name = OtherSources
		sum = s.source[name]
	}
	if sum == nil {
		sum = &Summary{Source: name, From: now}
		s.source[name] = sum
	}
	sum.To = now
	sum.Count++
	if _, exists := ClassOf(action); exists && len(sum.Actions) < maxActionsListed && !slices.Contains(sum.Actions, action) {
		sum.Actions = append(sum.Actions, action)
	}
}

// sourceName is printable and short whatever the stranger called itself.
func sourceName(who core.Principal) string {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return '.'
		}
		return r
	}, who.ID)
	if len(name) > maxSourceName {
		name = strings.ToValidUTF8(name[:maxSourceName], ".")
	}
	if name == "" {
		return "unnamed"
	}
	return name
}

func (s *strangers) take() []Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Summary, 0, len(s.source))
	for _, sum := range s.source {
		slices.Sort(sum.Actions)
		out = append(out, *sum)
	}
	clear(s.source)
	slices.SortFunc(out, func(a, b Summary) int { return strings.Compare(a.Source, b.Source) })
	return out
}

// putBack keeps a summary that could not be written for the next minute.
func (s *strangers) putBack(sum Summary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.source[sum.Source]
	if old == nil {
		s.source[sum.Source] = &sum
		return
	}
	old.From = sum.From
	old.Count += sum.Count
}

func (g *Guard) flushStrangers(ctx context.Context) {
	for _, sum := range g.strangers.take() {
		if g.o.Summary == nil {
			continue
		}
		if err := g.o.Summary(ctx, sum); err != nil {
			g.o.Log.Warn("a summary of refused strangers waits for the audit log", slog.String("source", sum.Source), slog.Any("err", err))
			g.strangers.putBack(sum)
		}
	}
}
