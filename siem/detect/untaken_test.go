package detect_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"testing"

	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/detect"
)

// TestRulesOfAnotherVersionHoldNothingUp: a change of rules that waits in the
// journal while the server is upgraded may be one that the new version refuses.
// Detection goes on with the rules it has, live and in a replay.
func TestRulesOfAnotherVersionHoldNothingUp(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(`{"v":1,"files":[{"name":"x.yml","text":"title: a rule that is refused"}]}`))
	if err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	change := journal.Frame{Kind: journal.KindRules, Received: sec(0), Records: [][]byte{packed.Bytes()}}
	each(t, func(t *testing.T, db *store.DB) {
		p := newPipe(t, db, 1)
		eventCount = 0
		frames := []journal.Frame{change}
		for i := range 12 {
			frames = append(frames, eventsFrame(0, i, login(i, fmt.Sprint("u", i), "203.0.113.9")))
		}
		p.feed(frames...)
		live := len(p.alerts())
		r := detect.NewReplayer(p.cfg.Initial, 1)
		r.Follow = true
		for _, f := range frames {
			if err := r.Take(f); err != nil {
				t.Fatal(err)
			}
		}
		if live == 0 || len(r.Alerts()) != live {
			t.Errorf("%d alerts live, %d replayed", live, len(r.Alerts()))
		}
	})
}
