package source

import (
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
)

// folder is one open folder of a tree. Names are those of its entries, never paths.
type folder interface {
	// list reads the entries in order of their names.
	list() (*listing, error)
	enter(name string) (folder, error)
	// open opens a regular file without waiting and without following a link.
	open(name string) (io.ReadCloser, fs.FileInfo, error)
	// pseudo reports whether the folder is of a file system without files of its
	// own: /proc, /sys.
	pseudo() bool
	close()
}

// rootFolder is a folder of the machine. It is reached from the one above through its
// descriptor, so that nobody who moves it or puts a link in its place leads elsewhere.
type rootFolder struct{ root *os.Root }

func (f rootFolder) list() (*listing, error) {
	d, err := f.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	return listAll(d)
}

func (f rootFolder) enter(name string) (folder, error) {
	r, err := f.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return rootFolder{r}, nil
}

func (f rootFolder) open(name string) (io.ReadCloser, fs.FileInfo, error) {
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, nil, err
	}
	return opened(file)
}

func (f rootFolder) close() { _ = f.root.Close() }

// pseudoMagic are file systems that the kernel makes up as they are read.
var pseudoMagic = map[int64]bool{
	0x9fa0: true, 0x62656572: true, 0x64626720: true, 0x74726163: true, // proc, sysfs, debugfs, tracefs
	0x27e0eb: true, 0x63677270: true, 0xcafe4a11: true, 0x1cd1: true, // cgroup, cgroup2, bpf, devpts
	0x73636673: true, 0x6165676c: true, 0x62656570: true, 0x19800202: true, // securityfs, pstore, configfs, mqueue
	0x42494e4d: true, 0x65735543: true, 0xf97cff8c: true, 0xde5e81e4: true, // binfmt_misc, fusectl, selinux, efivarfs
}

func (f rootFolder) pseudo() bool {
	d, err := f.root.Open(".")
	if err != nil {
		return false
	}
	defer func() { _ = d.Close() }()
	return madeUp(d)
}

// madeUp reports whether the kernel makes a file or folder up as it is read.
func madeUp(f *os.File) bool {
	var s syscall.Statfs_t
	return syscall.Fstatfs(int(f.Fd()), &s) == nil && pseudoMagic[int64(s.Type)]
}

// opened says what was opened, and closes what can't be asked.
func opened(file fs.File) (io.ReadCloser, fs.FileInfo, error) {
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// fsFolder is a folder of an [fs.FS].
type fsFolder struct {
	fsys fs.FS
}

func (f fsFolder) list() (*listing, error) {
	entries, err := fs.ReadDir(f.fsys, ".")
	l := new(listing)
	for _, e := range entries {
		l.add(e)
	}
	l.sort()
	return l, err
}

func (f fsFolder) enter(name string) (folder, error) {
	sub, err := fs.Sub(f.fsys, name)
	return fsFolder{sub}, err
}

func (f fsFolder) open(name string) (io.ReadCloser, fs.FileInfo, error) {
	file, err := f.fsys.Open(name)
	if err != nil {
		return nil, nil, err
	}
	return opened(file)
}

func (fsFolder) pseudo() bool { return false }
func (fsFolder) close()       {}

// shared closes a folder when the last of those who read in it has done.
type shared struct {
	folder
	users atomic.Int32
}

func (s *shared) hold() { s.users.Add(1) }

func (s *shared) release() {
	if s.users.Add(-1) == 0 {
		s.close()
	}
}
