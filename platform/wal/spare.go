package wal

import (
	"os"
	"path/filepath"
	"sync"
)

// spare is a segment file that is made ready beforehand. A log has one so that
// a new segment costs no zero filling on the hot path, and with
// [Options.Reserve] a second, so that there is room when the disk has none.
type spare struct {
	dir   string
	name  string
	size  int64
	alloc func(*os.File, int64) error
	ahead bool

	mu     sync.Mutex
	ready  bool
	making chan struct{} // closed when the maker is done; nil if there is none
	err    error         // why the last making failed
}

func (s *spare) init(l *Log, name string) {
	s.dir, s.name, s.alloc, s.ahead = l.dir, name, l.o.Alloc, l.o.Prealloc
	if s.ahead {
		s.size = l.o.SegmentSize
	}
	info, err := os.Stat(filepath.Join(s.dir, s.name))
	s.ready = err == nil && info.Size() == s.size
}

// prepare makes a spare in the background, if there is none.
func (s *spare) prepare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ahead || s.ready || s.making != nil {
		return
	}
	done := make(chan struct{})
	s.making = done
	go func() {
		err := makeFile(s.dir, s.name, s.size, s.alloc)
		s.mu.Lock()
		s.ready, s.err, s.making = err == nil, err, nil
		s.mu.Unlock()
		close(done)
	}()
}

// wait returns when nothing is being made.
func (s *spare) wait() {
	s.mu.Lock()
	making := s.making
	s.mu.Unlock()
	if making != nil {
		<-making
	}
}

// make makes a spare now, unless there is one.
func (s *spare) make() error {
	s.wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		return nil
	}
	s.err = makeFile(s.dir, s.name, s.size, s.alloc)
	s.ready = s.err == nil
	return s.err
}

// take makes sure of a spare and marks it used; the caller gives it its name.
func (s *spare) take() error {
	if err := s.make(); err != nil {
		return err
	}
	s.mu.Lock()
	s.ready = false
	s.mu.Unlock()
	return nil
}
