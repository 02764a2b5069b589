package detect_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/collect"
	"github.com/interlock-security/interlock/siem/collect/file"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
)

// childDir tells the test binary to be the pipeline, until it is killed.
const childDir = "INTERLOCK_DETECT_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := pipeline(dir); err != nil {
			slog.Error("child", "error", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// databases opens both files in dir.
func databases(dir string) (rawDB, state *store.DB, err error) {
	ctx := context.Background()
	open := func(name string, m ...store.Migrations) (*store.DB, error) {
		db, err := store.Open(ctx, store.Config{Driver: "sqlite", Path: filepath.Join(dir, name), Key: storetest.Key()})
		if err != nil {
			return nil, err
		}
		return db, db.Migrate(ctx, m...)
	}
	if rawDB, err = open("journal.db", journal.RawMigrations()); err != nil {
		return nil, nil, err
	}
	state, err = open("state.db", journal.Migrations(), alert.Migrations(), detect.Migrations())
	return rawDB, state, err
}

// pipeline is the whole way from a log file to alerts, over the real journal.
// Each line on standard output is how many events the alerts have counted.
func pipeline(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rawDB, state, err := databases(dir)
	if err != nil {
		return err
	}
	raw, err := journal.OpenRaw(ctx, rawDB, journal.RawOptions{State: state})
	if err != nil {
		return err
	}
	files, err := rules.Shipped()
	if err != nil {
		return err
	}
	set, err := detect.NewRuleset(files)
	if err != nil {
		return err
	}
	lines, err := file.New(file.Config{
		Tenant: tenant, Path: filepath.Join(dir, "auth.log"), Checkpoints: filepath.Join(dir, "cp"), FromStart: true, Poll: 5 * time.Millisecond,
		Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	cfg := detect.Config{Initial: set, Partitions: 1, Normaliser: normalise.New(), Stats: &detect.Stats{}}
	matches := journal.NewTopic("matches")
	lease, err := journal.Acquire(ctx, state, core.SystemClock{}, "correlate", "child", time.Hour)
	if err != nil {
		return err
	}
	correlate := detect.Correlate(cfg, matches.Bind(state), alert.NewStore(journal.NewTopic("alerts")))
	correlate.Lease = lease
	failures := make(chan error, 100)
	var wg sync.WaitGroup
	for _, run := range []func() error{
		func() error { return lines.Run(ctx, collect.Journal(raw)) },
		func() error { return journal.Run(ctx, state, watched(detect.Stage(cfg, raw, 0, matches), failures)) },
		func() error { return journal.Run(ctx, state, watched(correlate, failures)) },
		func() error { return report(ctx, state, failures) },
	} {
		wg.Go(func() {
			if err := run(); err != nil && !errors.Is(err, context.Canceled) {
				failures <- err
			}
			cancel()
		})
	}
	wg.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

func watched(s journal.Stage, failures chan<- error) journal.Stage {
	s.OnFailure = func(f journal.Failure) { failures <- fmt.Errorf("stage %s, offset %d: %w", f.Stage, f.Offset, f.Err) }
	return s
}

// report prints the counts until its standard input ends.
func report(ctx context.Context, state *store.DB, failures <-chan error) error {
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is the message
		close(ended)
	}()
	for {
		select {
		case err := <-failures:
			return err
		case <-ended:
			return nil
		case <-time.After(5 * time.Millisecond):
		}
		all, err := alertsOf(ctx, state)
		if err != nil {
			return err
		}
		var n uint64
		for _, a := range all {
			n += a.Count
		}
		if _, err := fmt.Fprintln(os.Stdout, n); err != nil {
			return err
		}
	}
}

func alertsOf(ctx context.Context, state *store.DB) (out []alert.Alert, err error) {
	err = state.View(ctx, func(tx *store.Tx) (err error) {
		out, err = alert.List(ctx, tx, tenant, alert.Query{})
		return err
	})
	return out, err
}

// TestKilledAtAnyMoment writes failed logins while the pipeline is killed with
// SIGKILL again and again: in the end every line is in the journal once, and
// every alert has counted each of its events once.
func TestKilledAtAnyMoment(t *testing.T) {
	const rounds, each, users = 8, 60, 20
	dir := t.TempDir()
	log, err := os.OpenFile(filepath.Join(dir, "auth.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	total := 0
	for round := range rounds {
		c := startChild(t, dir)
		for range each {
			// One line every tenth of a second of the log's own time.
			at := begin.Add(time.Duration(total) * 100 * time.Millisecond)
			_, err := fmt.Fprintf(log, "%s host sshd[%d]: Failed password for u%d from 203.0.113.9 port %d ssh2\n", at.Format(time.RFC3339Nano), total, total%users, 1024+total)
			if err != nil {
				t.Fatal(err)
			}
			total++
		}
		if round == 0 {
			c.working(t) // a file that is rotated before it was ever seen is another matter
		}
		go c.drain()
		if round == 2 {
			if err := os.Rename(log.Name(), log.Name()+".1"); err != nil {
				t.Fatal(err)
			}
			if log, err = os.OpenFile(filepath.Join(dir, "auth.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(rand.N(250 * time.Millisecond)) // at any moment: that is the test
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.cmd.Wait() // killed
	}
	// The scan counts all, and so do the alerts of the accounts together.
	c := startChild(t, dir)
	c.until(t, uint64(2*total))
	_ = c.stdin.Close() // ends it
	if err := c.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	verify(t, dir, total, users)
}

type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	counts *bufio.Scanner
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &child{cmd, in, bufio.NewScanner(out)}
}

func (c *child) drain() {
	for c.counts.Scan() {
	}
}

// working waits until something was counted.
func (c *child) working(t *testing.T) {
	t.Helper()
	for c.counts.Scan() {
		if c.counts.Text() != "0" {
			return
		}
	}
	t.Fatal("the child ended")
}

func (c *child) until(t *testing.T, want uint64) {
	t.Helper()
	late := time.AfterFunc(time.Minute, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	last := ""
	for c.counts.Scan() {
		if last = c.counts.Text(); last == fmt.Sprint(want) {
			return
		}
	}
	t.Fatalf("the alerts counted %s events, want %d", last, want)
}

func verify(t *testing.T, dir string, total, users int) {
	t.Helper()
	rawDB, state, err := databases(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(rawDB.Close(), state.Close()) }()
	raw, err := journal.OpenRaw(context.Background(), rawDB, journal.RawOptions{State: state})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for from := uint64(1); ; {
		frames, err := raw.Read(context.Background(), 0, from, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(frames) == 0 {
			break
		}
		for _, f := range frames {
			from = f.Offset + 1
			for _, r := range f.Records {
				var e core.Event
				if err := json.Unmarshal(r, &e); err != nil {
					t.Fatal(err)
				}
				seen[string(e.Fields)]++
			}
		}
	}
	for line, n := range seen {
		if n != 1 || !strings.Contains(line, "Failed password") {
			t.Errorf("%d times in the journal: %s", n, line)
		}
	}
	if len(seen) != total {
		t.Errorf("%d of %d lines are in the journal", len(seen), total)
	}
	all, err := alertsOf(context.Background(), state)
	if err != nil {
		t.Fatal(err)
	}
	byRule := make(map[string]uint64)
	for _, a := range all {
		byRule[a.Rule.Name] += a.Count
	}
	if len(all) != users+1 || byRule["sshd-credential-stuffing"] != uint64(total) || byRule["sshd-bruteforce-one-account"] != uint64(total) {
		t.Errorf("%d alerts: %v", len(all), byRule)
	}
}
