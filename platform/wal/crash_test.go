package wal_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/interlock-security/interlock/platform/wal"
)

type queued interface{ Queued() int }

func waitQueued(t *testing.T, g queued, n int) {
	t.Helper()
	for g.Queued() < n {
		if t.Context().Err() != nil {
			t.Fatal("the crowd never came")
		}
		runtime.Gosched()
	}
}

func TestGoldenBytes(t *testing.T) {
	path := filepath.Join("testdata", "segment.hex")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := hex.Dump(wal.EncodeForGolden())
	if got != string(want) {
		t.Errorf("the format changed; it is decided for good. got\n%s", got)
	}
}

// The child appends for ever and prints each number after it was acknowledged.
func TestMain(m *testing.M) {
	if dir := os.Getenv("WAL_CRASH_CHILD"); dir != "" {
		crashChild(dir)
	}
	os.Exit(m.Run())
}

func crashOptions() wal.Options {
	return wal.Options{SegmentSize: 64 << 10, Prealloc: true}
}

func crashChild(dir string) {
	l, err := wal.Open(dir, crashOptions())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	next := 0
	if err := l.Scan(wal.Pos{}, func(wal.Pos, []byte) error { next++; return nil }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
	for ; ; next++ {
		if _, err := l.Append(record(next)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(5)
		}
		fmt.Println(next)
	}
}

// kill -9 at many moments: every acknowledged frame is there, in order, once.
func TestKillNine(t *testing.T) {
	dir, acked := t.TempDir(), -1
	for round := range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "WAL_CRASH_CHILD="+dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for until := acked + 37 + 53*round; acked < until && lines.Scan(); {
			acked = number(t, lines.Text())
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it had acknowledged by then
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				acked = max(acked, n)
			}
		}
		_ = cmd.Wait() // killed
		if stderr.Len() > 0 {
			t.Fatalf("round %d: %s", round, stderr.String())
		}
	}
	l := open(t, dir, crashOptions())
	n := 0
	err := l.Scan(wal.Pos{}, func(_ wal.Pos, b []byte) error {
		if !bytes.Equal(b, record(n)) {
			t.Errorf("frame %d reads %.20q", n, b)
		}
		n++
		return nil
	})
	if err != nil || n <= acked || acked < 500 {
		t.Errorf("%d frames, %v; %d were acknowledged", n, err, acked+1)
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
