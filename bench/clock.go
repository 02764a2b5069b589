package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// span is how long one side of a round runs.
const span = 450 * time.Millisecond

// loop runs writers in a closed loop for a span and returns operations a second
// and their median latency in milliseconds.
func loop(writers int, write func(writer int) error) (rate, p50 float64, err error) {
	took, failed := make([][]time.Duration, writers), make([]error, writers)
	begin := time.Now()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for last := begin; last.Sub(begin) < span; {
				if failed[w] = write(w); failed[w] != nil {
					return
				}
				now := time.Now()
				took[w], last = append(took[w], now.Sub(last)), now
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begin)
	for _, err := range failed {
		if err != nil {
			return 0, 0, err
		}
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	return float64(len(all)) / elapsed.Seconds(), float64(all[len(all)/2].Microseconds()) / 1000, nil
}

// spend repeats op in one goroutine for a span and returns the processor time
// of one in seconds, the collector's share included. It is what an operation
// costs while others use the machine too.
func spend(op func() error) (float64, error) {
	const stride = 16 // operations between two looks at the clock
	begin, used := time.Now(), processorTime()
	for n := 1; ; n++ {
		if err := op(); err != nil {
			return 0, err
		}
		if n%stride == 0 && time.Since(begin) >= span {
			return (processorTime() - used).Seconds() / float64(n), nil
		}
	}
}

// micros is spend in microseconds, as a side.
func micros(op func() error) func() ([]float64, error) {
	return func() ([]float64, error) {
		s, err := spend(op)
		return []float64{s * 1e6}, err
	}
}

// perSecond is how often op, which counts for n, can be had for a second of
// processor time, as a side.
func perSecond(n int, op func() error) func() ([]float64, error) {
	return func() ([]float64, error) {
		s, err := spend(op)
		return []float64{float64(n) / s}, err
	}
}

// processorTime is what this process has used, in user and in kernel mode.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // no such call can fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// machine says where the figures come from: they mean nothing without it. Above
// all the time of a sync decides how much of an append is the disk's.
func machine(dir string) (string, error) {
	load := "unknown"
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(b), " ")
	}
	took, err := syncTime(dir)
	return fmt.Sprintf("%s %s/%s, %d processors, load %s, %s on %s, a sync takes %.2g ms, %d rounds",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), load, dir, fileSystem(dir), took, rounds), err
}

// syncTime is the median time in milliseconds of a page written and synced, by
// one writer, without new metadata.
func syncTime(dir string) (float64, error) {
	raw, err := newRawFile(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	page := make([]byte, 4096)
	took := make([]float64, 200)
	for i := range took {
		begin := time.Now()
		if err := raw.write(page); err != nil {
			return 0, errors.Join(err, raw.close())
		}
		took[i] = time.Since(begin).Seconds() * 1000
	}
	return median(took), raw.close()
}

// fileSystem names what durable means here: on a tmpfs a sync costs nothing.
func fileSystem(dir string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "an unknown file system"
	}
	switch s.Type {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	case unix.TMPFS_MAGIC:
		return "tmpfs (nothing is durable here)"
	}
	return fmt.Sprintf("file system %#x", s.Type)
}
