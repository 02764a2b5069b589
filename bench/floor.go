package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// rawSize is what a raw file is preallocated to, as the audit log's segments.
const rawSize = 64 << 20

// rawFile is the least that can be durable: bytes into a file of zeros, and
// fdatasync. When it is full it begins again at its start, so it never pays for
// a new one. It shares no code with what it is compared with.
type rawFile struct {
	f  *os.File
	at int64

	mu   sync.Mutex
	next *rawGroup
	busy bool
}

// rawGroup is what shares a sync.
type rawGroup struct {
	bytes []byte
	done  chan struct{}
	err   error
}

func newRawFile(path string) (*rawFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for range rawSize / len(zeros) {
		if _, err := f.Write(zeros); err != nil {
			return nil, fmt.Errorf("preallocating %s: %w", path, err)
		}
	}
	return &rawFile{f: f, next: newRawGroup()}, f.Sync()
}

func newRawGroup() *rawGroup { return &rawGroup{done: make(chan struct{})} }

func (r *rawFile) close() error { return r.f.Close() }

// write is durable when it returns. It is for one caller at a time.
func (r *rawFile) write(b []byte) error {
	if r.at+int64(len(b)) > rawSize {
		r.at = 0
	}
	if _, err := r.f.WriteAt(b, r.at); err != nil {
		return err
	}
	r.at += int64(len(b))
	return unix.Fdatasync(int(r.f.Fd()))
}

// append is write for any number of callers: those who come while a sync runs
// share the next one.
func (r *rawFile) append(b []byte) error {
	r.mu.Lock()
	g := r.next
	g.bytes = append(g.bytes, b...)
	if !r.busy {
		r.busy = true
		go r.commit()
	}
	r.mu.Unlock()
	<-g.done
	return g.err
}

func (r *rawFile) commit() {
	for {
		g := r.gather()
		if g == nil {
			return
		}
		g.err = r.write(g.bytes)
		close(g.done)
	}
}

// gather takes the next group once it has stopped growing: those who were just
// woken may join.
func (r *rawFile) gather() *rawGroup {
	for n := -1; ; runtime.Gosched() {
		r.mu.Lock()
		if len(r.next.bytes) == n {
			break
		}
		n = len(r.next.bytes)
		r.mu.Unlock()
	}
	defer r.mu.Unlock()
	g := r.next
	if r.busy = len(g.bytes) > 0; !r.busy {
		return nil
	}
	r.next = newRawGroup()
	return g
}
