package file

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// checkpoint is where a file has been read to, and which file it is.
type checkpoint struct {
	V    int    `json:"v"` // 1
	Path string `json:"path"`
	// Epoch is random and new for each file that the path has named.
	Epoch string `json:"epoch"`
	Dev   uint64 `json:"dev"`
	Inode uint64 `json:"inode"`
	// HeadLen and Head are the length and the SHA-256 of the beginning.
	HeadLen int64  `json:"head_len"`
	Head    string `json:"head"`
	// Offset is the first byte that is not in the journal.
	Offset int64 `json:"offset"`
	// Skipping is true inside a line that was cut.
	Skipping bool `json:"skipping"`
	// Pending is the end of the frame that was on its way, 0 for none.
	Pending int64 `json:"pending"`
	// Final is true where that frame ends with a line without an end.
	Final bool `json:"final"`
}

func (c *Collector) checkpointPath() string {
	sum := sha256.Sum256([]byte(c.Path))
	return filepath.Join(c.Checkpoints, "file-"+hex.EncodeToString(sum[:8])+".json")
}

// load returns nil where there is no checkpoint. One that can't be read is an
// error: beginning anew would repeat or lose lines without a word.
func (c *Collector) load() (*checkpoint, error) {
	b, err := os.ReadFile(c.checkpointPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "file.load", err)
	}
	var cp checkpoint
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&cp); err != nil || cp.V != 1 || cp.Path != c.Path || cp.Epoch == "" || cp.Offset < 0 || cp.Pending < 0 {
		return nil, core.E(core.KindDamaged, "file.load", fmt.Sprintf("checkpoint %s of %s is damaged", c.checkpointPath(), c.Path)).
			WithHint("remove the checkpoint to begin at the end of the file, or set from_start to read all of it")
	}
	return &cp, nil
}

func (c *Collector) save(cp *checkpoint) error {
	b, err := json.Marshal(cp)
	if err != nil {
		return core.Wrap(core.KindInternal, "file.save", err)
	}
	return core.Wrap(core.KindUnavailable, "file.save", atomicfile.WriteFile(c.checkpointPath(), b, 0o600))
}

// identify begins a checkpoint for an open file.
func identify(path string, f *os.File) (*checkpoint, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, core.E(core.KindInvalid, "file.identify", path+" is not a regular file")
	}
	cp := &checkpoint{V: 1, Path: path, Epoch: newEpoch()}
	cp.Dev, cp.Inode = inode(info)
	return cp, cp.grow(f, info.Size())
}

func newEpoch() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

func inode(info os.FileInfo) (dev, ino uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Dev, st.Ino
	}
	return 0, 0
}

// grow takes more of the file's beginning into its fingerprint while there is
// less than maxHead of it.
func (cp *checkpoint) grow(f *os.File, size int64) error {
	want := min(size, maxHead)
	if want <= cp.HeadLen {
		return nil
	}
	sum, err := headOf(f, want)
	if err == nil {
		cp.HeadLen, cp.Head = want, sum
	}
	return err
}

func headOf(f *os.File, n int64) (string, error) {
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// is reports whether f is the file of the checkpoint and has not been cut short
// of what was read.
func (cp *checkpoint) is(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if dev, ino := inode(info); dev != cp.Dev || ino != cp.Inode {
		return false, nil
	}
	return cp.intact(f, info.Size())
}

// intact reports whether the beginning is unchanged and nothing that was read
// is missing.
func (cp *checkpoint) intact(f *os.File, size int64) (bool, error) {
	if size < max(cp.Offset, cp.Pending) || size < cp.HeadLen {
		return false, nil
	}
	sum, err := headOf(f, cp.HeadLen)
	return sum == cp.Head || cp.HeadLen == 0, err
}
