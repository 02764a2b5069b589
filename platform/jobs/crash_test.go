package jobs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

type helper struct {
	Engine, Path, DSN, Receiver string
	Round                       int
}

// ahead is a clock that is some time ahead: each new process finds the claims of
// the one before run out.
type ahead struct {
	core.SystemClock
	by time.Duration
}

func (a ahead) Now() time.Time { return a.SystemClock.Now().Add(a.by) }

// TestHelperProcess is not a test: it is the process that the next one kills.
func TestHelperProcess(t *testing.T) {
	var h helper
	if os.Getenv("JOBS_HELPER") == "" {
		return
	}
	if err := json.Unmarshal([]byte(os.Getenv("JOBS_HELPER")), &h); err != nil {
		t.Fatal(err)
	}
	db := storetest.Open(t, store.Config{Driver: h.Engine, Path: h.Path, DSN: h.DSN, Key: storetest.Key(), MaxConns: 4})
	send := func(_ context.Context, j jobs.Job) error { return deliver(h.Receiver, j) }
	r := &jobs.Runner{DB: db, Clock: ahead{by: time.Duration(h.Round) * time.Hour}, Concurrency: 2, Handlers: map[string]jobs.Handler{
		"webhook": {Idempotent: true, Attempts: 1000, Run: send},
		"relay":   {Run: send},
	}}
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// deliver is the outside: a line a delivery, in a file named by the key.
func deliver(dir string, j jobs.Job) error {
	f, err := os.OpenFile(filepath.Join(dir, j.Kind+"-"+j.Key), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f, "delivered"); err != nil {
		return err
	}
	_, err = os.Stdout.WriteString("delivered " + j.Kind + "\n")
	if err == nil {
		err = f.Close()
	}
	return err
}

// Statement 2. The process is killed at any moment, also between an effect and
// its record. What may be repeated is delivered at least once, under its key;
// what may not is delivered at most once, and is uncertain if nobody knows.
func TestOutsideEffectsThroughKills(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { killed(t, engine) })
	}
}

func killed(t *testing.T, engine string) {
	const count = 25
	config, receiver := storetest.Config(t, engine), t.TempDir()
	db := storetest.Open(t, config, schemas...)
	var list []jobs.Job
	for i := range count {
		key := fmt.Sprintf("%02d", i)
		list = append(list, jobs.Job{Kind: "webhook", Key: key}, jobs.Job{Kind: "relay", Key: key})
	}
	enqueue(t, db, list...)
	settled := func() int {
		return len(strings.Fields(listed(t, db, jobs.Done))) + len(strings.Fields(listed(t, db, jobs.Uncertain)))
	}
	kills := 0
	for round := 0; settled() < 2*count; round++ {
		h := helper{Engine: engine, Path: config.Path, DSN: config.DSN, Receiver: receiver, Round: round}
		if killAfter(t, h, 1+rand.IntN(6), func() bool { return settled() == 2*count }) {
			kills++
		}
	}
	if kills == 0 {
		t.Error("nothing was killed")
	}
	for _, j := range list {
		lines, _ := os.ReadFile(filepath.Join(receiver, j.Kind+"-"+j.Key))
		n := strings.Count(string(lines), "\n")
		if j.Kind == "webhook" && n == 0 || j.Kind == "relay" && n > 1 {
			t.Errorf("after %d kills, %s %s was delivered %d times", kills, j.Kind, j.Key, n)
		}
	}
	uncertain := strings.Fields(listed(t, db, jobs.Uncertain))
	if len(troubles(t, db)) != len(uncertain) {
		t.Errorf("%d are uncertain, %d were told", len(uncertain), len(troubles(t, db)))
	}
	t.Logf("%d kills, %d uncertain", kills, len(uncertain))
}

// killAfter kills the helper after some deliveries, or ends it when all is
// settled; it reports which.
func killAfter(t *testing.T, h helper, deliveries int, settled func() bool) bool {
	t.Helper()
	job, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$")
	cmd.Env = append(os.Environ(), "JOBS_HELPER="+string(job))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan struct{}, 1000)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- struct{}{}
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	killed := false
	for !killed {
		select {
		case <-lines:
			deliveries--
			killed = deliveries == 0
			continue
		case <-tick.C:
		}
		if settled() {
			break
		}
	}
	_ = cmd.Process.Kill()
	for range lines { // until the pipe is empty
	}
	_ = cmd.Wait()
	return killed
}
