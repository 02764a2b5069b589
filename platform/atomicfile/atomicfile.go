// Package atomicfile replaces small files so that a reader, or a machine that
// lost power, sees either the whole old content or the whole new one.
//
// It stands under everything that keeps a small file on disk: keyrings, trust
// roots, agent state, checkpoints. Large or growing data belongs in
// platform/wal or platform/store.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// WriteFile writes data to path by way of a temporary file in the same folder,
// which must exist. When it returns nil, the content, its name and its mode
// (exactly perm, whatever the umask) are on disk. When it fails, path is as it
// was. A device or a pipe is written to as it is: root's /dev/null stays one.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	if info, err := os.Stat(path); err == nil {
		switch mode := info.Mode(); {
		case mode&(fs.ModeCharDevice|fs.ModeNamedPipe) != 0:
			return writeInto(path, data)
		case mode&fs.ModeDevice != 0: // a disk is neither replaced nor overwritten
			return fmt.Errorf("atomicfile.WriteFile: %s is a disk", path)
		}
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return fmt.Errorf("atomicfile.WriteFile: %w", err)
	}
	if err := fill(tmp, data, perm); err != nil {
		return errors.Join(fmt.Errorf("atomicfile.WriteFile: %s: %w", path, err), os.Remove(tmp.Name()))
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return errors.Join(fmt.Errorf("atomicfile.WriteFile: %w", err), os.Remove(tmp.Name()))
	}
	return SyncDir(filepath.Dir(path))
}

func writeInto(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("atomicfile.WriteFile: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("atomicfile.WriteFile: %s: %w", path, err)
	}
	return nil
}

// fill writes, syncs and closes f. CreateTemp made it 0600, so the bytes are
// never readable by others on the way to a wider perm.
func fill(f *os.File, data []byte, perm os.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// MkdirAll makes path and what is missing above it, each with perm, and syncs
// every parent, so that a folder that was reported made is there after a power
// loss. Folders that exist keep their mode.
func MkdirAll(path string, perm os.FileMode) error {
	path = filepath.Clean(path)
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("atomicfile.MkdirAll: %w", &fs.PathError{Op: "mkdir", Path: path, Err: unix.ENOTDIR})
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("atomicfile.MkdirAll: %w", err)
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("atomicfile.MkdirAll: %w", err)
	}
	return SyncDir(parent)
}

// SyncDir makes the names in a folder durable: files created, renamed or
// removed in it before the call.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("atomicfile.SyncDir: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("atomicfile.SyncDir: %s: %w", dir, err)
	}
	return nil
}
