package source

import (
	"runtime"
	"sync/atomic"

	"github.com/interlock-security/interlock/secrets/detect"
)

// Detector finds leaks in a text. It is safe for concurrent use and keeps no part of
// the text when it returns. *detect.Detector is one.
type Detector interface {
	Scan(t detect.Text, emit func(*detect.Leak)) []detect.Gap
}

// Reason groups gaps; the words are those of scanning.Reason.
type Reason string

// The reasons.
const (
	Unreadable  Reason = "unreadable"
	TooLarge    Reason = "too-large"
	TooDeep     Reason = "too-deep"
	TooMany     Reason = "too-many"
	Malformed   Reason = "malformed"
	MissingTool Reason = "missing-tool"
	Unsupported Reason = "unsupported"
)

// Gap is something that was not read, or not to its end.
type Gap struct {
	// What is a path, in archives with the path within after it; Why is a sentence.
	What, Why string
	Reason    Reason
}

// Found is a leak and what its source adds.
type Found struct {
	*detect.Leak
	// Gone is set for a leak of a repository's history that is no more in HEAD. It is
	// leaked all the same.
	Gone bool
	// Note says more of the place for people: the number of a process.
	Note string
}

// Sink takes what is found. Its functions are called from one goroutine, in order.
type Sink struct {
	Leak func(Found)
	Gap  func(Gap)
}

// Progress counts what was read so far. It may be read at any time.
type Progress struct {
	Files, Bytes, Leaks      atomic.Int64
	Binary, Archives, Blobs  atomic.Int64
	Commits, Links, Vanished atomic.Int64
	Special, Processes       atomic.Int64
	// Same counts files that the history was found to have as they are.
	Same atomic.Int64
	// Worktrees counts the folders elsewhere into which a repository is checked out
	// too, Borrowed the repositories elsewhere whose objects it uses.
	Worktrees, Borrowed atomic.Int64
	// Unopened counts archives that were left closed because Config.Archives is off.
	Unopened atomic.Int64
}

// Limits bound what is read. Zero values stand for the defaults.
type Limits struct {
	// File is how much of one file is read. 1 GiB.
	File int64
	// Depth is how many folders deep a tree is read. 200.
	Depth int
	// Leaks is how many leaks of one file are told, All how many of one scan: all of
	// them are kept until the end. 10 000 and 20 000.
	Leaks, All int
	// Nested is how many archives deep an archive is opened. 6.
	Nested int
	// Entries is how many entries of one archive are read. 200 000.
	Entries int
	// Unpacked is how many bytes one archive, with all that is nested in it, may
	// unpack to; what is in an archive within another counts in both. 8 GiB.
	Unpacked int64
	// Ratio is how many times its own size an archive may unpack to, once that is
	// over Small. 500 and 64 MiB.
	Ratio, Small int64
	// Spool is how large an archive within another may be that can only be read at
	// random; it is kept on the disk meanwhile. 512 MiB.
	Spool int64
	// Blobs is how many versions of files a repository may have. 4 million.
	Blobs int
}

func (l Limits) filled() Limits {
	fill(&l.File, 1<<30)
	fill(&l.Depth, 200)
	fill(&l.Leaks, 10_000)
	fill(&l.All, 20_000)
	fill(&l.Nested, 6)
	fill(&l.Entries, 200_000)
	fill(&l.Unpacked, 8<<30)
	fill(&l.Ratio, 500)
	fill(&l.Small, 64<<20)
	fill(&l.Spool, 512<<20)
	fill(&l.Blobs, 4_000_000)
	return l
}

func fill[T int | int64](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// Config says with what and how to read.
type Config struct {
	Detector Detector
	// Keep, if set, has the last word on each leak when its place is complete. It is
	// called from many goroutines.
	Keep func(*detect.Leak) bool
	// Exclude, if set, leaves out paths on purpose; a folder with all below it.
	Exclude func(path string, folder bool) bool
	// Archives opens archives. Without it they count as [Progress].Unopened.
	Archives bool
	// Binary looks at the printable runs of binary files too.
	Binary bool
	// Workers is how many texts are read at once; 0 means one for each processor.
	Workers  int
	Limits   Limits
	Progress *Progress
	// Versions, if set, is filled by [History] and keeps [Folder] from looking again
	// at files that stand as the history's last version has them.
	Versions *Versions
}

func (c Config) filled() Config {
	c.Limits = c.Limits.filled()
	fill(&c.Workers, runtime.GOMAXPROCS(0))
	if c.Progress == nil {
		c.Progress = new(Progress)
	}
	return c
}

// excluder is Exclude for the whole path of a file, as git names it, whose folders
// nobody has walked through.
func (c *Config) excluder() func(path string) bool {
	if c.Exclude == nil {
		return nil
	}
	return func(path string) bool {
		for i := range len(path) {
			if path[i] == '/' && c.Exclude(path[:i], true) {
				return true
			}
		}
		return c.Exclude(path, false)
	}
}
