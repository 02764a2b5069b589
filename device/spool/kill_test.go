package spool_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/spool"
)

// TestKilledAtAnyMoment kills a child that appends and sends, again and again,
// and delivers in the parent what it leaves. Every event that the child said
// was durable arrives once, in order, under one sequence.
func TestKilledAtAnyMoment(t *testing.T) {
	if dir := os.Getenv("INTERLOCK_SPOOL_CHILD"); dir != "" {
		spoolChild(t, dir)
		return
	}
	r := newRig(t, func(o *spool.Options) { o.WAL.SegmentSize = 128 << 10 })
	acknowledged := 0
	for round := range 12 {
		r.must(r.Close())
		r.Spool = nil
		acknowledged = runChild(t, r.o.Dir, acknowledged, 20+13*round)
		r.reopen()
		for range round % 4 {
			r.deliver()
		}
	}
	r.drain()
	if len(r.taken) < acknowledged {
		t.Fatalf("%d arrived, %d were durable", len(r.taken), acknowledged)
	}
	for i, e := range r.taken {
		if numberOf(t, e) != i+1 || e.Seq != uint64(i+1) {
			t.Fatalf("place %d: number %d, sequence %d", i+1, numberOf(t, e), e.Seq)
		}
	}
}

// runChild starts the child after the last number that is durable and kills it
// after it said some more; it returns the last number said.
func runChild(t *testing.T, dir string, after, say int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAtAnyMoment$")
	cmd.Env = append(os.Environ(), "INTERLOCK_SPOOL_CHILD="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	said := after
	for range say {
		if !lines.Scan() {
			break
		}
		if said, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatalf("the child said %q", lines.Text())
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			said = n
		}
	}
	_ = cmd.Wait()
	return said
}

// spoolChild goes on from the last event that is in the spool or was delivered:
// its number stands in a file that the parent does not touch, written before
// the event.
func spoolChild(t *testing.T, dir string) {
	o := options(dir, deviceKey(t), func() string { return epochOne })
	o.WAL.SegmentSize = 128 << 10
	s, err := spool.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	st := s.Stats()
	n := int(s.Tail().Last) + st.Waiting
	for {
		n++
		if err := s.Append(event(n, "case_opened", core.SeverityHigh, n%700)); err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Println(n)
		if n%7 == 0 {
			if _, err := s.Next(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
