package detect

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

// Appender is the raw journal as far as rules are put into it.
type Appender interface {
	Append(ctx context.Context, frames ...journal.Frame) ([]journal.Appended, error)
}

// Announce puts a set of rules into the journal where a partition has another one
// in force, or will have when its stage has read what waits for it: from that
// record on they are the rules. It reports whether any had.
func Announce(ctx context.Context, raw interface {
	Journal
	Appender
}, state *store.DB, set *Ruleset, now time.Time,
) (bool, error) {
	body, err := set.packed()
	if err != nil {
		return false, err
	}
	var frames []journal.Frame
	for p := range raw.Partitions() {
		holds, err := willHold(ctx, raw, state, p, set)
		if err != nil {
			return false, fmt.Errorf("detect.Announce: %w", err)
		}
		if !holds {
			frames = append(frames, journal.Frame{Partition: p, Kind: journal.KindRules, Source: sourceOf(set), Received: now, Records: [][]byte{body}})
		}
	}
	if len(frames) == 0 {
		return false, nil
	}
	if _, err := raw.Append(ctx, frames...); err != nil {
		return false, fmt.Errorf("detect.Announce: %w", err)
	}
	return true, nil
}

func sourceOf(set *Ruleset) string { return "rules/" + set.Hash[:12] }

// willHold reports whether a set is in force in a partition when all is read that
// is in the journal now. In doubt it is not: a set that is announced once too
// often changes nothing.
func willHold(ctx context.Context, raw Journal, state *store.DB, part int32, set *Ruleset) (bool, error) {
	var next uint64
	var hash string
	err := state.View(ctx, func(tx *store.Tx) (err error) {
		// The cursor first: what the stage does meanwhile is then read again.
		if next, err = (journal.Cursor{Stage: detectName, Topic: raw.Name(), Partition: part}).Load(ctx, tx); err == nil {
			hash, err = inForce(ctx, tx, part)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	source, err := lastRules(ctx, raw, part, next)
	switch {
	case core.KindOf(err) == core.KindTooLarge || core.KindOf(err) == core.KindDamaged || core.KindOf(err) == core.KindExpired:
		return false, nil
	case err != nil:
		return false, err
	case source != "":
		return source == sourceOf(set), nil
	}
	return hash == set.Hash, nil
}

// maxWaiting is how many frames are looked through for rules.
const maxWaiting = 4096

// lastRules is the source of the last rules in a partition from an offset on, ""
// for none.
func lastRules(ctx context.Context, raw Journal, part int32, from uint64) (source string, err error) {
	end, err := raw.Next(ctx, part)
	if err != nil {
		return "", err
	}
	for n := 0; from < end; {
		frames, err := raw.Read(ctx, part, from, historyBatch)
		if err != nil || len(frames) == 0 {
			return source, err
		}
		for _, f := range frames {
			if f.Kind == journal.KindRules {
				source = f.Source
			}
		}
		from = frames[len(frames)-1].Offset + 1
		if n += len(frames); n > maxWaiting {
			return "", core.E(core.KindTooLarge, "detect.Announce", "too much waits in the journal to look through")
		}
	}
	return source, nil
}
