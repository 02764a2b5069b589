// Package sysfs reads and writes the kernel's one-value files for the drivers
// that have nothing better. What a file says is what a chip or its driver said,
// so its size is bounded and a number is a finite number or an error.
package sysfs

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
)

// maxSize is the size of a page, which no attribute exceeds.
const maxSize = 4 << 10

// Read returns what a file says, without the space around it. It is what drivers
// do all day, so it goes to the kernel without the detour of an [os.File].
func Read(path string) (string, error) {
	fd, err := open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(fd) }()
	return readAll(fd, path)
}

// readAll reads from the beginning, where the kernel makes the text anew.
func readAll(fd int, path string) (string, error) {
	var b [maxSize]byte
	n := 0
	for n < len(b) {
		more, err := retry(func() (int, error) { return unix.Pread(fd, b[n:], int64(n)) })
		if err != nil {
			return "", &os.PathError{Op: "read", Path: path, Err: err}
		}
		if more <= 0 {
			break
		}
		n += more
	}
	return strings.TrimSpace(string(b[:n])), nil
}

// Files are attributes that are read many times a second: each is opened once and
// read anew until Close. A file that was put in the place of another one is seen
// after that.
type Files struct{ open map[string]int }

// Float returns the number that a file says now.
func (f *Files) Float(path string) (float64, error) {
	fd, known := f.open[path]
	if !known {
		var err error
		if fd, err = open(path); err != nil {
			return 0, err
		}
		if f.open == nil {
			f.open = map[string]int{}
		}
		f.open[path] = fd
	}
	text, err := readAll(fd, path)
	if err != nil {
		return 0, err
	}
	return Number(text)
}

// Close closes them; the next read opens anew.
func (f *Files) Close() {
	for path, fd := range f.open {
		_ = unix.Close(fd)
		delete(f.open, path)
	}
}

func open(path string) (int, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) })
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// retry does again what a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// Float returns the number that a file says.
func Float(path string) (float64, error) {
	text, err := Read(path)
	if err != nil {
		return 0, err
	}
	return Number(text)
}

// Number reads a number as the kernel writes it: decimal, finite.
func Number(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.ContainsAny(text, "xXpP_") {
		return 0, core.E(core.KindDamaged, "sysfs.Number", fmt.Sprintf("%.40q is no number", text))
	}
	return v, nil
}

// Write sets a file that exists. The kernel takes nothing from an empty write,
// so the line's end is always written.
func Write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	return errors.Join(err, f.Close())
}

// Gone tells what is no longer there from what can't be read.
func Gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENXIO)
}
