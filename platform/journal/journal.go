// Package journal hands records from stage to stage: durable, in order, each
// effect once.
//
// Its unit is a [Frame]: up to [MaxRecords] records of one source, compressed,
// with one offset. [Raw] holds what came in, with a tick every second; a
// [Topic] is a table in the state database. Both are read the same way. [Run]
// drives a stage: it commits the cursor, the stage's effects and the records it
// sends on in one transaction of the state database.
//
// # What is promised
//
//   - When [Raw.Append] returns, the frames are on disk.
//   - Offsets of a partition begin at 1, have no gaps and appear in order: a
//     reader that has seen offset n will never find a smaller one that is new.
//   - A frame with a [Key] is stored once. The same key again is a duplicate;
//     another hash for sequence numbers already seen is a fork, and both are
//     kept.
//   - A stage's effects in the state database happen once. What it does outside
//     is done at least once and must carry a key (see platform/jobs).
//   - Time comes in as records: a stage that goes by [Frame.Received] and ticks
//     alone gives the same output whenever it is run over the same journal.
//   - Nothing is dropped: a frame that a stage can't handle is parked with its
//     bytes, and trimming stops at the slowest cursor.
//
// On SQLite raw has a database file of its own, so that a flood of events does
// not hold up a login. No transaction spans the two files: a stage reads from
// one and writes to the other.
package journal

import (
	"context"
	"embed"
	"io/fs"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Kind says what a frame's records are.
type Kind uint8

// The kinds of frame.
const (
	// KindEvents holds records of a source.
	KindEvents Kind = iota + 1
	// KindTick holds nothing: Received is the point. Its tenant is none.
	KindTick
	// KindRules holds a change of rules, so that replay changes them at the
	// same place.
	KindRules
)

// Key names what a device sent, so that sending it again changes nothing.
type Key struct {
	Tenant core.TenantID `json:"tenant"`
	Device core.DeviceID `json:"device"`
	Epoch  string        `json:"epoch"`
	First  uint64        `json:"first"`
	Last   uint64        `json:"last"`
	// Hash is over the bytes as they were signed.
	Hash [32]byte `json:"hash"`
}

// Frame is up to [MaxRecords] records that came together.
type Frame struct {
	Partition int32
	// Offset is given by the journal.
	Offset uint64
	Kind   Kind
	// Tenant is whose records these are; none for ticks, which are everybody's.
	Tenant core.TenantID
	// Source is the authenticated peer; in a topic, the stage that published.
	Source string
	// Received is when this server took it in; in a topic, when the frame
	// was received that led to it.
	Received time.Time
	Key      *Key
	Records  [][]byte
}

// Appended says what became of a frame. For a duplicate, Offset is where the
// first one is, and Fork whether that one was a fork.
type Appended struct {
	Offset          uint64
	Duplicate, Fork bool
}

// Reader is where a stage reads from. An offset of 0 means the oldest frame
// that is kept.
type Reader interface {
	// Name is part of the cursor's key.
	Name() string
	// Read returns at most max frames with offsets of from and up, fewer
	// where they are large, none where there are none yet. A frame that
	// does not decode is a KindDamaged error naming its offset, a trimmed
	// one KindExpired.
	Read(ctx context.Context, partition int32, from uint64, max int) ([]Frame, error)
	// Wait returns when there is an offset above after.
	Wait(ctx context.Context, partition int32, after uint64) error
}

//go:embed migrations
var migrations embed.FS

// Migrations is the schema in the state database: topics, cursors, leases,
// parked frames.
func Migrations() store.Migrations { return owned("journal", "migrations/state") }

// RawMigrations is the schema of the raw journal.
func RawMigrations() store.Migrations { return owned("journal_raw", "migrations/raw") }

func owned(owner, dir string) store.Migrations {
	sub, err := fs.Sub(migrations, dir)
	if err != nil {
		return store.Migrations{Owner: owner} // refused by Migrate; the path is a constant
	}
	return store.Migrations{Owner: owner, FS: sub}
}
