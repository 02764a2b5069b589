package detect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/rules"
)

// everyKind is a rule set with each type of correlation, chained ones, absence
// and each window.
func everyKind(threshold int) []rules.File {
	id := 0
	var b strings.Builder
	doc := func(name, body string) {
		id++
		fmt.Fprintf(&b, "---\ntitle: %s\nid: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a50%02d\nname: %s\nauthor: A\nlevel: medium\n%s", name, id, name, body)
	}
	for _, word := range []string{"alpha", "beta", "gamma"} {
		doc(word, "logsource:\n  product: linux\n  service: plant\ndetection:\n  selection:\n    word: "+word+"\n  condition: selection\n")
	}
	doc("lone", "logsource:\n  product: linux\n  service: plant\ndetection:\n  selection:\n    word: lone\n  condition: selection\n")
	corr := func(name, kind, names, more string) {
		doc(name, "correlation:\n  type: "+kind+"\n  rules:\n    - "+strings.ReplaceAll(names, " ", "\n    - ")+"\n  group-by:\n    - user\n"+more)
	}
	corr("count", "event_count", "alpha", fmt.Sprintf("  timespan: 1m\n  condition:\n    gte: %d\n", threshold))
	corr("few", "event_count", "beta", "  timespan: 1m\n  condition:\n    lt: 3\n")
	corr("values", "value_count", "alpha beta", "  timespan: 2m\n  condition:\n    field: ip\n    gte: 3\n")
	corr("together", "temporal", "alpha beta gamma", "  timespan: 1m\n")
	corr("ordered", "temporal_ordered", "alpha gamma", "  timespan: 1m\n")
	corr("sum", "value_sum", "gamma", "  timespan: 1m\n  condition:\n    field: size\n    gte: 120\n")
	corr("average", "value_avg", "gamma", "  timespan: 1m\n  condition:\n    field: size\n    gte: 60\n")
	corr("percentile", "value_percentile", "gamma", "  timespan: 1m\n  condition:\n    field: size\n    percentile: 90\n    gte: 80\n")
	corr("median", "value_median", "gamma", "  timespan: 1m\n  condition:\n    field: size\n    gte: 60\n")
	corr("missing", "temporal_ordered", "alpha beta", "  timespan: 1m\n  condition: alpha and not beta\n")
	corr("chain", "temporal", "count values", "  timespan: 5m\n  generate: true\n")
	return []rules.File{{Name: "all.yml", Text: b.String()}}
}

// plantEvent is a line of a program, on time or late, and when it arrives.
func plantEvent(r *rand.Rand, at int) (core.Event, int) {
	eventCount++
	late := 0
	if r.IntN(5) == 0 {
		late = r.IntN(200)
	}
	word := []string{"alpha", "beta", "gamma", "lone"}[min(3, r.IntN(13)/4)]
	fields := fmt.Sprintf(`{"program":"plant","word":%q,"user":"u%d","ip":"192.0.2.%d","size":%d}`, word, r.IntN(3), r.IntN(5), r.IntN(100))
	e := core.Event{
		ID: eventID(eventCount), Time: sec(at), Received: sec(at + late), Tenant: tenant, Source: "syslog/192.0.2.1", Provenance: core.Provenances[r.IntN(len(core.Provenances))],
		Type: "plant", Severity: core.SeverityInfo, Fields: json.RawMessage(fields), Simulated: r.IntN(10) == 0,
	}
	return e, at + late
}

// plant is a journal with events on time and late, ticks, and two changes of
// rules between them.
func plant(t *testing.T, db *store.DB, seed uint64) []journal.Frame {
	t.Helper()
	eventCount = 0
	r := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test repeats itself
	type arrival struct {
		at   int
		body []byte
	}
	var all []arrival
	for at := 0; at < 900; at += 1 + r.IntN(6) {
		e, got := plantEvent(r, at)
		all = append(all, arrival{got, event(e)})
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return a.at - b.at })
	var out []journal.Frame
	next := 0
	for at := 0; at < 1600; at += 20 {
		for next < len(all) && all[next].at <= at {
			n := min(len(all)-next, 1+r.IntN(4))
			var records [][]byte
			for i := range n {
				records = append(records, all[next+i].body)
			}
			next += n
			f := eventsFrame(0, at, records...)
			f.Source = "syslog/192.0.2.1"
			out = append(out, f)
		}
		if at == 300 || at == 600 {
			out = append(out, change(t, db, everyKind(3+at/300), at)...)
		}
		out = append(out, tick(0, at))
	}
	return out
}

// change is the record that puts other rules in force.
func change(t *testing.T, db *store.DB, files []rules.File, at int) []journal.Frame {
	t.Helper()
	set, err := detect.NewRuleset(files)
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{}
	if _, err := detect.Announce(context.Background(), r, db, set, sec(at)); err != nil {
		t.Fatal(err)
	}
	return r.frames
}

func asText(t *testing.T, list []alert.Alert) (out []string) {
	t.Helper()
	for _, a := range list {
		a.Notice = alert.KindNone
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	slices.Sort(out)
	return out
}

// TestReplayedAsItWas (Y11) is TestBatchEqualsStream over every type of
// correlation, events late and on time, ticks, and rules that change meanwhile:
// what the stages raised live, with restarts and with crashes, is what a replay of
// the journal raises, ids and all.
func TestReplayedAsItWas(t *testing.T) {
	seen := map[string]bool{}
	each(t, func(t *testing.T, db *store.DB) {
		for seed, mode := range []string{"one go", "restarts", "crashes"} {
			if seed > 0 {
				db = storetest.Open(t, storetest.Config(t, db.Dialect().String()), journal.Migrations(), alert.Migrations(), detect.Migrations())
			}
			first, err := detect.NewRuleset(everyKind(4))
			if err != nil {
				t.Fatal(err)
			}
			frames := plant(t, db, uint64(seed))
			p := newPipe(t, db, 1)
			p.cfg.Initial = first
			p.restart, p.crash = mode == "restarts", mode == "crashes"
			p.renew()
			p.feed(frames...)
			r := detect.NewReplayer(first, 1)
			r.Follow = true
			for _, f := range frames {
				if err := r.Take(f); err != nil {
					t.Fatal(err)
				}
			}
			live, again := asText(t, p.alerts()), asText(t, r.Alerts())
			if !slices.Equal(live, again) {
				t.Errorf("%s: %d alerts live, %d replayed\nlive     %s\nreplayed %s", mode, len(live), len(again), without(live, again), without(again, live))
			}
			for _, a := range r.Alerts() {
				seen[a.Rule.Name] = true
			}
		}
	})
	for _, name := range []string{"lone", "count", "few", "values", "together", "ordered", "sum", "average", "percentile", "median", "missing", "chain"} {
		if !seen[name] {
			t.Errorf("%s never fired: the test says nothing about it", name)
		}
	}
}

// without lists the first of a that are not in b.
func without(a, b []string) string {
	a = slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	return strings.Join(a[:min(3, len(a))], "\n")
}

// TestReplayOfTheJournal: the same through a real journal, by its time of arrival,
// twice.
func TestReplayOfTheJournal(t *testing.T) {
	db := storetest.Open(t, storetest.Config(t, "sqlite"), journal.Migrations(), alert.Migrations(), detect.Migrations())
	set, err := detect.NewRuleset(everyKind(4))
	if err != nil {
		t.Fatal(err)
	}
	j := journalOf(t, 1, plant(t, db, 5)...)
	one, err := detect.Replay(t.Context(), j, detect.Span{}, set)
	if err != nil || len(one) == 0 {
		t.Fatalf("%v, %d alerts", err, len(one))
	}
	two, err := detect.Replay(t.Context(), j, detect.Span{}, set)
	if err != nil || !slices.Equal(asText(t, one), asText(t, two)) {
		t.Errorf("%v: the second replay gives %d alerts, the first %d", err, len(two), len(one))
	}
	if part, err := detect.Replay(t.Context(), j, detect.Span{From: sec(600)}, set); err != nil || len(part) >= len(one) {
		t.Errorf("%v: a part gives %d alerts, the whole %d", err, len(part), len(one))
	}
}
