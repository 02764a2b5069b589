package e2e

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/app/demo"
	"github.com/interlock-security/interlock/test/rig"
)

// TestDemoOnce tells the story as a user sees it. That it takes less than a
// minute is a promise of its own.
func TestDemoOnce(t *testing.T) {
	s := newSite(t)
	rig.Program(t, "interlock") // the build is not part of the story
	t.Setenv("TMPDIR", s.Dir)
	began := time.Now()
	out, code := s.run("demo", "--once")
	took := time.Since(began)
	if code != 0 || took > time.Minute {
		t.Errorf("exit %d after %s\n%s", code, took, out)
	}
	for _, want := range []string{
		`incident [0-9a-f-]{36} closed; detected in [0-9.]+ s, contained [0-9.]+ s later, recovered [0-9.]+ s after detection`,
		`audit log: [1-9][0-9]+ entries; [1-9][0-9] lines told, each checked`, `[1-9][0-9]+ entries verified from the export alone`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the story lacks %s:\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(s.Dir); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v, %v", left, err)
	}
	t.Logf("told within %s", took.Round(time.Millisecond))
}

// tamper changes one kind of answer on its way to one chapter.
type tamper struct {
	chapter, name string
	path          string // a part of what is read
	change        func(answer []byte) []byte
}

// object changes a JSON object.
func object(change func(map[string]any)) func([]byte) []byte {
	return func(answer []byte) []byte {
		var v map[string]any
		if json.Unmarshal(answer, &v) != nil {
			return answer
		}
		change(v)
		return encoded(v)
	}
}

// list changes a JSON array.
func list(change func([]any) []any) func([]byte) []byte {
	return object(func(v map[string]any) {
		items, _ := v["items"].([]any)
		v["items"] = change(items)
		delete(v, "next")
	})
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it came from JSON
	}
	return b
}

func set(key string, value any) func([]byte) []byte {
	return object(func(v map[string]any) { v[key] = value })
}

var emptied = list(func([]any) []any { return []any{} })

// flipped changes one byte of a text, in the middle of it.
func flipped(answer []byte) []byte {
	out := slices.Clone(answer)
	out[len(out)/2] ^= 1
	return out
}

// event changes the fields of events of a type.
func event(kind, key string, value any) func([]byte) []byte {
	return object(func(v map[string]any) {
		if v["type"] == kind {
			v[key] = value
		}
	})
}

// forgedBatch changes what a device signed.
var forgedBatch = object(func(v map[string]any) {
	if f, ok := v["fields"].(map[string]any); ok && v["type"] == "device_batch" {
		if payload, ok := f["payload"].(string); ok {
			f["payload"] = strings.ReplaceAll(payload, `"severity":"critical"`, `"severity":"medium"`)
			f["payload"] = strings.ReplaceAll(f["payload"].(string), `"took_us":`, `"took_us":1`)
		}
	}
})

// step changes the step of a timeline into a state.
func step(to, key string, value any) func([]byte) []byte {
	return object(func(v map[string]any) {
		timeline, _ := v["timeline"].([]any)
		for _, s := range timeline {
			if s, ok := s.(map[string]any); ok && s["to"] == to {
				s[key] = value
			}
		}
	})
}

// elsewhere lets a step of a timeline name the entry that records another one.
func elsewhere(to, other string) func([]byte) []byte {
	return object(func(v map[string]any) {
		places := map[any]map[string]any{}
		timeline, _ := v["timeline"].([]any)
		for _, s := range timeline {
			if s, ok := s.(map[string]any); ok {
				places[s["to"]] = s
			}
		}
		if s, of := places[to], places[other]; s != nil && of != nil {
			s["audit"] = of["audit"]
		}
	})
}

const proofs, entries, events, devices, orders, incident = "/audit/proofs/", "/audit/entries", "/v1/events", "/v1/devices/", "/v1/orders/", "/v1/incidents/"

// tampers break every kind of line that the story tells, one at a time.
var tampers = []tamper{
	{"site", "another trust root", "/v1/status", set("root_hash", strings.Repeat("0", 64))},
	{"site", "a sick server", "/v1/status", set("health", "unhealthy")},
	{"site", "one person instead of three", "/v1/status", set("mode", "single-operator")},
	{"enrol", "a device that is offline", devices, set("state", "offline")},
	{"enrol", "a sensor that nobody heard of", devices, set("sensors", map[string]any{})},
	{"enrol", "no entry", entries, emptied},
	{"enrol", "a flipped byte in a proof", proofs, flipped},
	{"break-in", "another event", events, event("case_intrusion", "type", "case_closed")},
	{"break-in", "an event of nobody", events, event("case_intrusion", "provenance", "unauthenticated")},
	{"break-in", "a drill without its mark", events, event("case_intrusion", "simulated", false)},
	{"break-in", "an event that was not signed", events, event("case_intrusion", "id", "01a1ffda-e574-7e22-855b-276c0abe491d")},
	{"break-in", "a batch that was not signed", events, forgedBatch},
	{"break-in", "no leaf for the batch", entries, emptied},
	{"break-in", "a flipped byte in a proof", proofs, flipped},
	{"reflex", "no quarantine", events, event("quarantine_on", "type", "quarantine_planned")},
	{"reflex", "a quarantine that was not signed", events, forgedBatch},
	{"reflex", "a flipped byte in a proof", proofs, flipped},
	{"alert", "no alert", "/v1/alerts", emptied},
	{"alert", "two alerts", "/v1/alerts", list(func(v []any) []any { return append(v, v...) })},
	{"alert", "a rule of nobody", "/v1/alerts", list(func(v []any) []any {
		for _, a := range v {
			a.(map[string]any)["author"] = ""
		}
		return v
	})},
	{"incident", "no incident", "/v1/incidents", emptied},
	{"incident", "an incident without its alert", incident, set("alerts", []any{})},
	{"incident", "a step without proof", incident, step("contained", "audit", nil)},
	{"incident", "a step that another entry records", incident, elsewhere("contained", "triaged")},
	{"incident", "a flipped byte in a proof", proofs, flipped},
	{"first-approval", "no release", devices, set("orders", []any{})},
	{"first-approval", "an approval of somebody else", orders, set("approvals", []string{"bert"})},
	{"first-approval", "a release that one signature opened", orders, set("state", "done")},
	{"first-approval", "no entry", entries, emptied},
	{"first-approval", "a flipped byte in a proof", proofs, flipped},
	{"second-approval", "a release that is not done", orders, set("state", "awaiting")},
	{"second-approval", "a single approval", orders, set("approvals", []string{"anna"})},
	{"second-approval", "no entry", entries, emptied},
	{"second-approval", "a flipped byte in a proof", proofs, flipped},
	{"verified", "an incident that is open", incident, set("state", "verifying")},
	{"verified", "closed by somebody", incident, step("closed", "by", "person/anna")},
	{"verified", "a step that another entry records", incident, elsewhere("closed", "verifying")},
	{"verified", "a flipped byte in a proof", proofs, flipped},
	{"proof", "a log that is longer than its export", "/audit/state", set("size", 1<<40)},
}

// TestDemoTellsNothingUnchecked breaks each kind of line in each chapter in turn
// and sees the story end there.
func TestDemoTellsNothingUnchecked(t *testing.T) {
	for _, name := range demo.Chapters() {
		if !slices.ContainsFunc(tampers, func(x tamper) bool { return x.chapter == name }) {
			t.Errorf("nothing breaks chapter %s", name)
		}
	}
	for _, x := range tampers {
		t.Run(x.chapter+"/"+x.name, func(t *testing.T) {
			t.Parallel()
			x.run(t)
		})
	}
}

// notice is how long a chapter may look at a changed answer before it counts as
// having noticed. One that goes on to the next chapter has not.
const notice = time.Second

func (x tamper) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var changed sync.Once
	var patience *time.Timer
	err := demo.Run(ctx, demo.Options{
		Dir: rig.Short(t), Program: rig.Program(t, "interlock"), Out: io.Discard, Log: slog.New(slog.DiscardHandler), Patience: rig.Patience,
		Tamper: func(chapter, path string, answer []byte) []byte {
			if chapter != x.chapter {
				if patience != nil {
					patience.Stop() // the story went on
				}
				return answer
			}
			if !strings.Contains(path, x.path) {
				return answer
			}
			out := x.change(answer)
			if string(out) != string(answer) {
				changed.Do(func() { patience = time.AfterFunc(notice, cancel) })
			}
			return out
		},
	})
	if err == nil {
		t.Fatal("nobody noticed")
	}
	if patience == nil {
		t.Errorf("nothing was changed: %v", err)
	}
	if want := "demo: chapter " + x.chapter + ": "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("the story ended with %q, want %q", err, want)
	}
	t.Log(err)
}
