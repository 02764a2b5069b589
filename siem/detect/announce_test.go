package detect_test

import (
	"testing"

	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/detect"
)

// TestRulesThatWaitAreAnnouncedOver: a change of rules that no stage has read yet
// comes into force after what holds now. Who looks at what holds alone, as the
// server does when it starts, would leave it so.
func TestRulesThatWaitAreAnnouncedOver(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		one, err := detect.NewTuned(few(t), detect.Tuning{})
		if err != nil {
			t.Fatal(err)
		}
		two, err := detect.NewTuned(few(t), detect.Tuning{Disabled: []string{one.Rules[0].ID}})
		if err != nil {
			t.Fatal(err)
		}
		r := &raw{}
		cursor := journal.Cursor{Stage: "detect", Topic: r.Name()}
		if err := cursor.Register(t.Context(), db, 1); err != nil {
			t.Fatal(err)
		}
		p := newPipe(t, db, 1)
		read := uint64(1)
		step := func() { // the stage reads one frame
			p.feed(r.frames[read-1])
			if err := db.Tx(t.Context(), func(tx *store.Tx) error { return cursor.Save(t.Context(), tx, read, read+1) }); err != nil {
				t.Fatal(err)
			}
			read++
		}
		announce := func(set *detect.Ruleset, want bool) {
			t.Helper()
			if done, err := detect.Announce(t.Context(), r, db, set, sec(0)); err != nil || done != want {
				t.Errorf("announced: %t, %v; want %t", done, err, want)
			}
		}
		announce(one, true)
		announce(one, false) // it waits
		step()
		announce(one, false) // it holds
		r.frames = append(r.frames, tick(0, 1))
		announce(two, true)
		r.frames = append(r.frames, tick(0, 2))
		announce(two, false)
		announce(one, true) // it holds, but not for long
		for read <= uint64(len(r.frames)) {
			step()
		}
		announce(one, false)
		announce(two, true)
		for range 5000 {
			r.frames = append(r.frames, tick(0, 3))
		}
		announce(two, true) // too much waits to be sure
	})
}
