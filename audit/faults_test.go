package audit

import "os"

// WithFaults returns c with a disk that fails as told.
func WithFaults(c Config, alloc func(*os.File, int64) error, sync func(*os.File) error) Config {
	c.walOptions.Alloc, c.walOptions.Sync = alloc, sync
	return c
}

// Opened reports whether a log that is not the current one has been read.
func (l *Log) Opened(origin string) bool {
	for _, g := range l.chain {
		if g.origin == origin {
			return g.wal != nil
		}
	}
	return false
}

// LookAt makes a page look at no more than n entries until the test ends.
func LookAt(t interface{ Cleanup(func()) }, n int) {
	before := pageScan
	pageScan = n
	t.Cleanup(func() { pageScan = before })
}
