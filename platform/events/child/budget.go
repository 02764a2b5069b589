package child

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"
)

// measureEvery is how often the folder is measured.
const measureEvery = 10 * time.Second

// budget is how much of the disk the store may take. VictoriaLogs drops whole
// days, and never the last two, so a flood within one day is ours to refuse: the
// events wait in the journal.
type budget struct {
	dir  string
	most int64
	used atomic.Int64
}

// watch measures until ctx ends.
func (b *budget) watch(ctx context.Context) {
	ticker := time.NewTicker(measureEvery)
	defer ticker.Stop()
	for {
		b.used.Store(size(b.dir))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// full says why nothing more is taken in, or "".
func (b *budget) full() string {
	if used := b.used.Load(); used >= b.most {
		return fmt.Sprintf("the event store holds %d bytes and may hold %d", used, b.most)
	}
	return ""
}

// size is what the files under dir take. Files that go away meanwhile count for
// nothing.
func size(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
