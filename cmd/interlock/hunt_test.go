package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
)

// huntFor runs the verb and returns its lines.
func huntFor(t *testing.T, wantCode int, args ...string) []huntLine {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := run(context.Background(), append([]string{"hunt", "--json"}, args...), strings.NewReader(""), &out, &errOut); code != wantCode {
		t.Fatalf("hunt %v: exit code %d, want %d: %s", args, code, wantCode, errOut.String())
	}
	var lines []huntLine
	for dec := json.NewDecoder(&out); dec.More(); {
		var l huntLine
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// commands of the recording of rule 47e4bab7 that are other ones than it is
// about: icacls, and findstr for "(M)". The rule's text does not hold for them.
const otherCommands = "47e4bab7-c626-47dc-967b-255608c9a920"

// TestHuntFindsTheRegressionCases hunts for SigmaHQ's own positive cases with
// all of its rules, as a user would.
func TestHuntFindsTheRegressionCases(t *testing.T) {
	rules := corpustest.Path(t, corpustest.SigmaHQ)
	events := filepath.Join(t.TempDir(), "events")
	var b bytes.Buffer
	var want []string
	for _, c := range corpustest.Cases(t) {
		want = append(want, c.Rule)
		b.Write(c.Event)
		b.WriteByte('\n')
	}
	if err := os.WriteFile(events, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	fired := make(map[string]bool)
	for _, l := range huntFor(t, 1, "--rules", rules, events) {
		fired[fmt.Sprintf("%s %d", l.Rule, *l.Event)] = true
		if l.Author == "" || l.Link == "" || l.Title == "" || l.Level == "" || l.File != events {
			t.Errorf("a match lacks what it must say: %+v", l)
		}
	}
	hits, others := 0, 0
	for i, rule := range want {
		switch {
		case fired[fmt.Sprintf("%s %d", rule, i)]:
			hits++
		case rule == otherCommands:
			others++
		default:
			t.Errorf("event %d: rule %s did not fire", i, rule)
		}
	}
	t.Logf("SigmaHQ regression through the verb: %d of %d fire, %d are other commands", hits, len(want), others)
	if len(want) != 106 || hits+others != 106 || others > 2 {
		t.Errorf("%d of %d fire", hits, len(want))
	}
}

// TestHuntInRealEvents hunts in ten thousand events of Windows and in an event
// log.
func TestHuntInRealEvents(t *testing.T) {
	rules := corpustest.Path(t, corpustest.SigmaHQ)
	lines := huntFor(t, 1, "--rules", rules, corpustest.Path(t, corpustest.Windows))
	var last time.Time
	for _, l := range lines {
		at, err := time.Parse(time.RFC3339Nano, l.Time)
		if err != nil || at.Before(last) {
			t.Errorf("%q comes after %s", l.Time, last)
		}
		last = at
	}
	t.Logf("%d matches in windows-10k", len(lines))
	if len(lines) < 100 {
		t.Errorf("only %d matches", len(lines))
	}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "www.velocidex.com/golang/evtx").Output()
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(strings.TrimSpace(string(dir)), "testdata", "Security.evtx")
	cleared := false
	for _, l := range huntFor(t, 1, "--rules", rules, log) {
		cleared = cleared || l.Title == "Security Eventlog Cleared" && *l.Event == 0 && l.Host == "TestComputer" && l.Time == "2019-02-06T14:17:53.3172597Z"
	}
	if !cleared {
		t.Error("that the log was cleared is the log's first record, and was not found")
	}
}

// TestHuntIsInterrupted: what was found is told and marked, even while standard
// input says nothing.
func TestHuntIsInterrupted(t *testing.T) {
	in, never := io.Pipe()
	defer never.Close()
	ctx, stop := context.WithCancel(context.Background())
	stop()
	var out, errOut bytes.Buffer
	if code := run(ctx, []string{"hunt", "-"}, in, &out, &errOut); code != exitBroken || !strings.Contains(out.String(), "INCOMPLETE: interrupted") {
		t.Errorf("exit code %d, %s, %s", code, out.String(), errOut.String())
	}
}

// TestHuntBar: what it says at the beginning, in the middle and past the end.
func TestHuntBar(t *testing.T) {
	began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	b := &huntBar{p: &hunt.Progress{}, began: began}
	for _, c := range []struct {
		read, total, events int64
		want                string
	}{
		{0, 0, 0, "0 B  0 events, 0/s, 0 matches"},
		{1 << 20, 0, 1000, "1048.6 kB  1 000 events, 100/s, 0 matches"},
		{25 << 20, 100 << 20, 123_456, " 25% 26.2 MB of 104.9 MB  123 456 events, 12 345/s, 0 matches, 30s left"},
		{200, 100, 1, "100% 200 B of 100 B  1 events, 0/s, 0 matches, 0s left"},
	} {
		b.p.Read.Store(c.read)
		b.p.Events.Store(c.events)
		b.total.Store(c.total)
		if got := b.line(began.Add(10 * time.Second)); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
