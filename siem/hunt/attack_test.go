package hunt_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/siem/hunt"
)

// faults joins what a hunt could not read.
func faults(res *hunt.Result) string {
	var b strings.Builder
	for _, f := range res.Faults {
		fmt.Fprintf(&b, "%s:%d: %s\n", f.File, f.Line, f.Why)
	}
	return b.String()
}

// TestGzip: members one after the other are one file; damage and bombs are
// faults, and what came before them was searched.
func TestGzip(t *testing.T) {
	two := slices.Concat(zipped([]byte(evil+"\n")), zipped([]byte(good+"\n"+evil+"\n")))
	if res := run(t, two); !slices.Equal(found(res), []int{0, 2}) || res.FaultCount > 0 {
		t.Errorf("two members: %+v", res)
	}
	many := zipped([]byte(strings.Repeat(evil+"\n", 1000)))
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"cut":       {many[:len(many)-9], "unexpected EOF"},
		"checksum":  {append(bytes.Clone(many[:len(many)-8]), 1, 2, 3, 4, 5, 6, 7, 8), "invalid checksum"},
		"rest":      {append(bytes.Clone(many), "rest"...), "gzip: "},
		"no header": {[]byte{0x1f, 0x8b}, "EOF"},
		"twice":     {zipped(many), "compressed twice"},
	} {
		res := run(t, c.content)
		if !strings.Contains(faults(res), c.want) || res.FaultCount != 1 {
			t.Errorf("%s: %s", name, faults(res))
		}
		if name == "rest" && res.Events != 1000 {
			t.Errorf("%s: only %d events", name, res.Events)
		}
	}
}

// TestBomb: a gigabyte of nothing costs little time and no memory.
func TestBomb(t *testing.T) {
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression)
	zeros := make([]byte, 1<<20)
	copy(zeros, evil+"\n")
	for range 100 {
		_, _ = w.Write(zeros)
	}
	_ = w.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res := run(t, z.Bytes())
	runtime.ReadMemStats(&after)
	if !strings.Contains(faults(res), "bomb") {
		t.Errorf("%s", faults(res))
	}
	if used := int64(after.HeapSys) - int64(before.HeapSys); used > 300<<20 {
		t.Errorf("%d MB for a bomb of 100 MB", used>>20)
	}
	if len(res.Matches) == 0 {
		t.Error("what came before was not searched")
	}
}

// TestNesting: depth is refused by the engine and not a matter of the stack.
func TestNesting(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 1<<20) + "1" + strings.Repeat("}", 1<<20)
	res := run(t, []byte(evil+"\n"+deep+"\n"+strings.Repeat("[", 1<<20)+"\n"+evil))
	if !slices.Equal(found(res), []int{0, 3}) || res.FaultCount != 2 {
		t.Errorf("matches %v, %s", found(res), faults(res))
	}
	res = run(t, []byte("["+deep+","+evil+"]"))
	if !slices.Equal(found(res), []int{1}) || res.FaultCount != 1 {
		t.Errorf("in an array: matches %v, %s", found(res), faults(res))
	}
}

// TestUnbalanced: a file made of beginnings is given up and not looked at for
// ever.
func TestUnbalanced(t *testing.T) {
	began := time.Now()
	res := run(t, []byte("[\n"+strings.Repeat("{\n", 1<<20)))
	if !strings.Contains(faults(res), "too many places") {
		t.Errorf("%s", faults(res))
	}
	t.Logf("took %v", time.Since(began))
}

// TestOddFiles: what is no log says what it is; nothing that is not a file is
// opened.
func TestOddFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("zip", "PK\x03\x04....")
	put("noise", "\x01\x02\x03\x00\x00\x00\x07\x08\x00\xfe\xff\xfd")
	put("journal", "LPKSHHRH........")
	put("log\nwith a name", evil)
	put("empty", "")
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte(evil), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Symlink(outside, filepath.Join(dir, "link")),
		os.Symlink(dir, filepath.Join(dir, "loop")),
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	res := runConfig(t, hunt.Config{Engine: engine(t, evilRule), Paths: []string{dir, "/dev/zero", filepath.Join(dir, "nowhere")}})
	if len(res.Matches) != 1 || res.Links != 2 || res.FaultCount != 6 {
		t.Errorf("%d matches, %d links, faults:\n%s", len(res.Matches), res.Links, faults(res))
	}
	for _, want := range []string{"zip archive", "binary content", "journalctl", "pipe:0: is not a regular file", "neither a file nor a folder", "no such file"} {
		if !strings.Contains(faults(res), want) {
			t.Errorf("nobody says %q:\n%s", want, faults(res))
		}
	}
	// A link that the user names himself is followed.
	if res := runConfig(t, hunt.Config{Engine: engine(t, evilRule), Paths: []string{filepath.Join(dir, "link")}}); len(res.Matches) != 1 {
		t.Errorf("%+v", res)
	}
}

// TestManySmallFiles: each is its own, in the order of names.
func TestManySmallFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 3000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d", i)), []byte(evil), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	res := runConfig(t, hunt.Config{Engine: engine(t, evilRule), Paths: []string{dir}})
	if res.Files != 3000 || len(res.Matches) != 3000 || !strings.HasSuffix(res.Matches[1234].File, "1234") {
		t.Errorf("%d files, %d matches", res.Files, len(res.Matches))
	}
}

// TestLimitOfMatches: what is kept is the same on any number of cores, and the
// rest is not silent.
func TestLimitOfMatches(t *testing.T) {
	content := strings.Repeat(evil+"\n", 80_000)
	for _, workers := range []int{1, 7} {
		res := runConfig(t, hunt.Config{Engine: engine(t, evilRule), Paths: []string{"-"}, Stdin: strings.NewReader(content), Matches: 10, Workers: workers})
		if got := found(res); len(got) != 10 || got[9] != 9 || !strings.Contains(res.Incomplete, "more matches") {
			t.Errorf("%v, %q", got, res.Incomplete)
		}
	}
}

// endless gives events for ever.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	e.n++
	return copy(p, strings.Repeat(evil+"\n", 100)), nil
}

// TestInterrupt: what was found so far is kept and marked, also when a reader
// waits for somebody who never writes.
func TestInterrupt(t *testing.T) {
	silent, never := io.Pipe()
	defer never.Close()
	for name, stdin := range map[string]io.Reader{"endless": &endless{}, "silent": silent} {
		ctx, stop := context.WithCancel(context.Background())
		progress := &hunt.Progress{}
		done := make(chan *hunt.Result)
		go func() {
			res, err := hunt.Run(ctx, hunt.Config{Engine: engine(t, evilRule), Paths: []string{"-"}, Stdin: stdin, Progress: progress})
			if err != nil {
				t.Error(err)
			}
			done <- res
		}()
		for name == "endless" && progress.Matches.Load() < 100 {
			runtime.Gosched()
		}
		stop()
		select {
		case res := <-done:
			if res.Incomplete != "interrupted" || name == "endless" && len(res.Matches) < 100 {
				t.Errorf("%s: %q with %d matches", name, res.Incomplete, len(res.Matches))
			}
		case <-time.After(3 * time.Minute):
			t.Fatalf("%s: it does not end", name)
		}
	}
}

// FuzzHunt: any bytes are searched or said to be unread, and in lines and in an
// array the same events are found.
func FuzzHunt(f *testing.F) {
	for _, s := range []string{
		evil, "[" + evil + "]", evil + evil, "{\n\"Records\":[" + evil + "]}", "\xff\xfe{\x00}\x00", "\x1f\x8b\x08", "ElfFile\x00", "ElfChnk\x00",
		"type=EXECVE msg=audit(1.2:3): a0=\"x", "<13>1 - - - - - - hi", "Mar  1 00:00:00 h p[1]: m", "[[[", "{\"a\":\"\\", "\x00\x00\x00",
	} {
		f.Add([]byte(s))
		f.Add(zipped([]byte(s)))
	}
	e := engine(f, evilRule)
	f.Fuzz(func(t *testing.T, content []byte) {
		res, err := hunt.Run(context.Background(), hunt.Config{Engine: e, Paths: []string{"-"}, Stdin: bytes.NewReader(content), Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range res.Matches {
			if m.Event < 0 || m.Event >= res.Events {
				t.Fatalf("event %d of %d", m.Event, res.Events)
			}
		}
		for _, x := range res.Faults {
			if x.Event >= res.Events || x.Why == "" || x.Line > bytes.Count(content, []byte("\n"))+1 && content[0] != 0x1f && content[0] < 0x80 {
				t.Fatalf("%+v of %d events", x, res.Events)
			}
		}
		again, _ := hunt.Run(context.Background(), hunt.Config{Engine: e, Paths: []string{"-"}, Stdin: &slow{b: content}, Workers: 2})
		if again.Events != res.Events || len(again.Matches) != len(res.Matches) || again.FaultCount != res.FaultCount {
			t.Fatalf("read slowly: %+v, at once: %+v", again, res)
		}
	})
}
