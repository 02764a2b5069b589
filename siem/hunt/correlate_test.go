package hunt_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/sigma"
)

const correlations = `
title: Failed
id: 00000000-0000-4000-8000-000000000001
name: failed
author: Test
level: informational
logsource: {product: test}
detection:
  selection: {what: failed}
  condition: selection
---
title: Came in
id: 00000000-0000-4000-8000-000000000002
name: came_in
author: Test
logsource: {product: test}
detection:
  selection: {what: in}
  condition: selection
---
title: Many failed
id: 00000000-0000-4000-8000-000000000003
name: many_failed
author: Test
level: high
correlation:
  type: event_count
  rules: [failed]
  group-by: [user]
  timespan: 1m
  condition: {gte: 3}
---
title: Guessed
id: 00000000-0000-4000-8000-000000000004
author: Test
level: critical
correlation:
  type: temporal_ordered
  rules: [many_failed, came_in]
  group-by: [user]
  timespan: 5m
  generate: true
`

// attempts writes lines of JSON: seconds, what, user.
func attempts(at time.Time, lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		var s int
		var what, user string
		if _, err := fmt.Sscan(l, &s, &what, &user); err != nil {
			panic(err)
		}
		fmt.Fprintf(&b, "{\"time\":%q,\"what\":%q,\"user\":%q,\"host\":\"h-%s\"}\n", at.Add(time.Duration(s)*time.Second).Format(time.RFC3339), what, user, user)
	}
	return b.String()
}

// TestCorrelationsRunOverAllFiles: events of one group lie in several files and
// in no order; they count in the order of their time.
func TestCorrelationsRunOverAllFiles(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"b": attempts(at, "50 in anna", "0 failed anna", "500 failed ben", "10 failed ben"),
		"a": attempts(at, "20 failed anna", "1000 in ben"),
		"c": "{\"what\":\"failed\",\"user\":\"anna\"}\n" + attempts(at, "30 failed anna"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := engine(t, correlations)
	want := ""
	for workers := 1; workers < 9; workers *= 2 {
		res := runConfig(t, hunt.Config{
			Engine: e, Paths: []string{dir}, Workers: workers,
			Keep: func(r *sigma.Rule) bool { return r.Correlation != nil },
		})
		got := ""
		for _, m := range res.Matches {
			got += fmt.Sprintf("%s %s %s %v:", m.Time.Format(time.TimeOnly), m.Rule.Title, m.Host, m.Fields)
			for _, ev := range m.Events {
				got += fmt.Sprintf(" %s:%d", filepath.Base(ev.File), ev.Event)
			}
			got += "\n"
		}
		if want == "" {
			want = "12:00:30 Many failed h-anna [{user anna}]: b:1 a:0 c:1\n12:00:50 Guessed h-anna [{user anna}]: c:1 b:0\n"
		}
		if got != want || res.Uncorrelated != 1 {
			t.Errorf("%d workers: %d without a time, matches\n%s\nwant\n%s", workers, res.Uncorrelated, got, want)
		}
	}
}

// TestLevelsDoNotStarveCorrelations: a rule that is not wanted in the result
// still feeds those that are.
func TestLevelsDoNotStarveCorrelations(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	content := attempts(at, "0 failed anna", "1 failed anna", "2 failed anna")
	res := runConfig(t, hunt.Config{
		Engine: engine(t, correlations), Paths: []string{"-"}, Stdin: strings.NewReader(content),
		Keep: func(r *sigma.Rule) bool { return r.Level == sigma.LevelHigh },
	})
	if len(res.Matches) != 1 || res.Matches[0].Rule.Title != "Many failed" || res.Matches[0].Total != 3 {
		t.Errorf("%+v", res.Matches)
	}
}

// TestABurstIsOneMatch: while a correlation goes on holding nothing new is told,
// but how long and of how many events.
func TestABurstIsOneMatch(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var lines []string
	for i := range 300 {
		lines = append(lines, fmt.Sprintf("%d failed anna", i))
	}
	for i := range 3 {
		lines = append(lines, fmt.Sprintf("%d failed anna", 5000+i))
	}
	res := runConfig(t, hunt.Config{
		Engine: engine(t, correlations), Paths: []string{"-"}, Stdin: strings.NewReader(attempts(at, lines...)),
		Keep: func(r *sigma.Rule) bool { return r.Level == sigma.LevelHigh },
	})
	if len(res.Matches) != 2 {
		t.Fatalf("%d matches", len(res.Matches))
	}
	m := res.Matches[0]
	if m.Total != 300 || len(m.Events) != 100 || m.Last.Sub(m.Time) != 297*time.Second || res.Matches[1].Total != 3 || m.Host != "h-anna" {
		t.Errorf("%d of %d events from %s to %s, then %d", len(m.Events), m.Total, m.Time, m.Last, res.Matches[1].Total)
	}
}
