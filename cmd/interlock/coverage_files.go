package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/coverage"
)

// eventFiles are the endings of files that a folder is searched for; a file that
// is named is read whatever it is called.
var eventFiles = []string{".json", ".ndjson", ".jsonl", ".log", ".txt"}

// coverageOf notes all events of files and of those below folders.
func coverageOf(e *env, paths []string) (*coverage.Seen, error) {
	files, err := filesOf(paths)
	if err != nil {
		return nil, err
	}
	all := coverage.NewSeen()
	work := make(chan string)
	var done atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, runtime.GOMAXPROCS(0))
	for i := range errs {
		wg.Go(func() { errs[i] = coverFiles(e, work, all, &done) })
	}
	stop := progress(e, func() string { return fmt.Sprintf("%d of %d files", done.Load(), len(files)) })
	for _, f := range files {
		work <- f
	}
	close(work)
	wg.Wait()
	stop()
	return all, errors.Join(errs...)
}

// coverFiles takes files until there are no more. One that can't be read is
// told at the end; the others are read all the same.
func coverFiles(e *env, work <-chan string, all *coverage.Seen, done *atomic.Int64) error {
	r, err := coverage.NewReader(coverage.NewSeen())
	if err != nil {
		for range work { // so that nobody waits
		}
		return err
	}
	var failed error
	for path := range work {
		if e.ctx.Err() == nil {
			failed = errors.Join(failed, coverFile(e, r, path))
		}
		done.Add(1)
	}
	all.Merge(r.Seen)
	return errors.Join(failed, e.ctx.Err())
}

func filesOf(paths []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, core.Wrap(core.KindNotFound, "rules coverage", err)
		}
		if !info.IsDir() {
			out = append(out, path)
			continue
		}
		err = filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
			name := strings.TrimSuffix(strings.ToLower(at), ".gz")
			if err == nil && d.Type().IsRegular() && slices.Contains(eventFiles, filepath.Ext(name)) {
				out = append(out, at)
			}
			return err
		})
		if err != nil {
			return nil, core.Wrap(core.KindUnavailable, "rules coverage", err)
		}
	}
	return out, nil
}

func coverFile(e *env, r *coverage.Reader, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return core.Wrap(core.KindUnavailable, "rules coverage", err)
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReaderSize(f, 1<<16)
	if head, _ := in.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return core.Wrap(core.KindDamaged, path, err)
		}
		in = bufio.NewReaderSize(io.LimitReader(z, maxLooked), 1<<16)
	}
	switch first, err := firstByte(in); {
	case errors.Is(err, io.EOF):
		return nil
	case first == '[' || first == '{' && !oneLineEach(in):
		err = jsonEvents(in, func(event []byte) bool { r.Object(time.Time{}, event); return e.ctx.Err() == nil })
		return core.Wrap(core.KindDamaged, path, err)
	}
	return core.Wrap(core.KindDamaged, path, coverLines(e, r, in))
}

// oneLineEach reports whether the first line is a whole object. A line that is
// longer than what can be looked at is taken for one.
func oneLineEach(in *bufio.Reader) bool {
	head, _ := in.Peek(in.Size())
	line, _, whole := bytes.Cut(head, []byte{'\n'})
	return !whole && len(head) == in.Size() || json.Valid(line)
}

func coverLines(e *env, r *coverage.Reader, in io.Reader) error {
	now := time.Now()
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, maxEventBytes)
	for sc.Scan() && e.ctx.Err() == nil {
		line := bytes.TrimSpace(sc.Bytes())
		switch {
		case len(line) == 0:
		case line[0] == '{':
			r.Object(time.Time{}, line)
		default:
			r.Line(now, string(line), time.Local)
		}
	}
	return sc.Err()
}

// progress tells on a terminal how far something is that takes more than a
// second. What it returns ends it and takes its line away.
func progress(e *env, how func() string) (stop func()) {
	if !bool(colourOn(e.err)) {
		return func() {}
	}
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for told := false; ; told = true {
			select {
			case <-ended:
				if told {
					_, _ = fmt.Fprint(e.err, "\r\x1b[K")
				}
				return
			case <-tick.C:
				_, _ = fmt.Fprintf(e.err, "\r\x1b[K%s", printable(how()))
			}
		}
	}()
	return func() { close(ended); <-gone }
}
