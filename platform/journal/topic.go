package journal

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

var validName = regexp.MustCompile(`^[a-z][a-z0-9_./-]{0,127}$`)

// Topic is a named sequence of records in the state database: what a stage
// sends on commits together with its cursor and its effects. A topic has one
// partition, 0.
type Topic struct {
	log log
	db  *store.DB
}

// NewTopic names a topic. It can be published to at once; to read from it,
// [Topic.Bind] it, or give it to [Run], which does.
func NewTopic(name string) *Topic { return &Topic{log: log{"journal_topic", name}} }

// Bind says which state database to read from. It returns a copy.
func (t *Topic) Bind(state *store.DB) *Topic {
	bound := *t
	bound.db = state
	return &bound
}

// Name implements [Reader].
func (t *Topic) Name() string { return t.log.name }

// Publish appends records to the topic in tx. Inside a stage the frame bears the
// stage's name and the time of the frame that it handles, so that a replay
// publishes the same. A tenant of none means everybody's.
func (t *Topic) Publish(ctx context.Context, tx *store.Tx, tenant core.TenantID, records ...[]byte) error {
	if !validName.MatchString(t.log.name) || t.log.name == "raw" {
		return core.E(core.KindInvalid, "journal.Publish", fmt.Sprintf("%.64q is no name for a topic", t.log.name))
	}
	var rows []*stored
	for len(records) > 0 {
		n := frameOf(records)
		in := handling(ctx)
		s, err := encode(Frame{Kind: KindEvents, Tenant: tenant, Source: in.stage, Received: in.at, Records: records[:n]})
		if err != nil {
			return err
		}
		rows = append(rows, &s)
		records = records[n:]
	}
	if len(rows) == 0 {
		return nil
	}
	first, err := t.log.reserve(ctx, tx, 0, len(rows))
	if err != nil {
		return err
	}
	for i, s := range rows {
		s.Offset = first + uint64(i)
	}
	if err := t.log.insert(ctx, tx, rows); err != nil {
		return err
	}
	return tx.Notify(ctx, t.log.channel(0))
}

// frameOf returns how many of the records go into one frame.
func frameOf(records [][]byte) int {
	size := 0
	for i, r := range records {
		size += len(r) + 10
		if i == MaxRecords || i > 0 && size > MaxFrameBytes {
			return i
		}
	}
	return len(records)
}

// Read implements [Reader].
func (t *Topic) Read(ctx context.Context, partition int32, from uint64, limit int) ([]Frame, error) {
	rows, err := t.readStored(ctx, partition, from, limit)
	if err != nil {
		return nil, err
	}
	return decodeAll(rows)
}

func (t *Topic) readStored(ctx context.Context, partition int32, from uint64, limit int) ([]stored, error) {
	if err := t.bound(); err != nil {
		return nil, err
	}
	return t.log.read(ctx, t.db, partition, from, limit)
}

// Wait implements [Reader].
func (t *Topic) Wait(ctx context.Context, partition int32, after uint64) error {
	if err := t.bound(); err != nil {
		return err
	}
	return t.log.wait(ctx, t.db, partition, after)
}

// Trim deletes what lies below before, and never a frame that a registered
// cursor has not passed.
func (t *Topic) Trim(ctx context.Context, before uint64) error {
	if err := t.bound(); err != nil {
		return err
	}
	return trimBehind(ctx, t.db, t.db, t.log, 0, before)
}

func (t *Topic) oldest(ctx context.Context, partition int32) (uint64, error) {
	if err := t.bound(); err != nil {
		return 0, err
	}
	return t.log.oldest(ctx, t.db, partition)
}

func (t *Topic) bound() error {
	if t.db == nil {
		return core.E(core.KindInternal, "journal.Topic", fmt.Sprintf("topic %s is not bound to a state database", t.log.name))
	}
	return nil
}

// handled is the frame that a stage is at, for what it publishes meanwhile.
type handled struct {
	stage string
	at    time.Time
}

type handledKey struct{}

func withHandled(ctx context.Context, stage string, f Frame) context.Context {
	return context.WithValue(ctx, handledKey{}, handled{stage, f.Received})
}

// handling says which stage publishes and at which time; outside a stage it is
// nobody, now.
func handling(ctx context.Context) handled {
	if in, ok := ctx.Value(handledKey{}).(handled); ok {
		return in
	}
	return handled{at: core.SystemClock{}.Now()}
}
