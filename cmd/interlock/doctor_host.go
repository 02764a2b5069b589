package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link/ceremony"
)

// The free space below which the server is in danger, and below which it stops
// taking events.
const (
	littleSpace = 1 << 30
	noSpace     = 128 << 20
)

// maxLayers bounds how far volumes may stand on volumes.
const maxLayers = 16

func (p *patient) keyDirectory() finding {
	return permissions(p.keys, "interlock up, or interlock root init", func(string) bool { return true })
}

// dataDirectory wants the folder closed, which closes all in it, and the
// folders of keys closed by themselves.
func (p *patient) dataDirectory() finding {
	return permissions(p.data, "interlock up", func(name string) bool {
		first, _, _ := strings.Cut(filepath.ToSlash(name), "/")
		return slices.Contains([]string{".", "host", "keys", "agent"}, first)
	})
}

// permissions checks that the folder and what strict selects in it is its
// owner's alone.
func permissions(dir, maker string, strict func(name string) bool) finding {
	var open []string
	var owner *uint32
	err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it came and went
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, at)
		if err != nil || !strict(name) {
			return err
		}
		if owner == nil {
			owner = ownerID(info)
		}
		if wrong := exposed(info, owner); wrong != "" {
			open = append(open, at+" "+wrong)
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return skipped(maker, "%s does not exist", dir)
	case err != nil:
		return skipped("look as the user whose it is", "%v", err)
	case len(open) > 0:
		return failed("chmod -R go-rwx "+dir, "%s", atMost(3, open))
	}
	return pass("%s is its owner's alone", dir)
}

func ownerID(info fs.FileInfo) *uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return &st.Uid
	}
	return nil
}

// exposed says what is wrong with a file's owner or mode.
func exposed(info fs.FileInfo, owner *uint32) string {
	if info.Mode()&fs.ModeSymlink != 0 {
		return ""
	}
	if id := ownerID(info); id != nil && owner != nil && *id != *owner {
		return fmt.Sprintf("belongs to uid %d", *id)
	}
	// What listen.group opens to a group: the way through a folder, and sockets,
	// where the peer's uid says who it is.
	open := fs.FileMode(0)
	switch {
	case info.IsDir():
		open = 0o010
	case info.Mode()&fs.ModeSocket != 0:
		open = 0o060
	}
	if mode := info.Mode().Perm(); mode&^open&0o077 != 0 {
		return fmt.Sprintf("has mode %#o", mode)
	}
	return ""
}

func atMost(n int, list []string) string {
	if len(list) <= n {
		return strings.Join(list, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(list[:n], "; "), len(list)-n)
}

func (p *patient) diskSpace() finding {
	var st unix.Statfs_t
	if err := unix.Statfs(p.data, &st); err != nil {
		return skipped("interlock up", "%s: %v", p.data, err)
	}
	free := st.Bavail * uint64(st.Bsize)
	says := fmt.Sprintf("%d MiB free for %s", free>>20, p.data)
	switch next := "make room; stops go on with a full disk, records do not"; {
	case free < noSpace:
		return failed(next, "%s", says)
	case free < littleSpace:
		return warning(next, "%s", says)
	}
	return pass("%s", says)
}

// diskEncryption tells whether the volume below the data directory is encrypted,
// as the kernel shows it. It is never assumed.
func (p *patient) diskEncryption() finding {
	var st unix.Stat_t
	if err := unix.Stat(p.data, &st); err != nil {
		return skipped("interlock up", "%s: %v", p.data, err)
	}
	major, minor := unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev))
	encrypted, known := volumeEncrypted(p.sys, path.Join("dev/block", fmt.Sprintf("%d:%d", major, minor)), 0)
	switch {
	case !known:
		return skipped("look at the volume yourself", "%s is on a file system (%d:%d) whose volume the kernel does not show", p.data, major, minor)
	case !encrypted:
		return warning("put the data directory on an encrypted volume (LUKS)", "the volume of %s is not encrypted; databases and keys in it are, under a key that lies beside them", p.data)
	}
	return pass("the volume of %s is encrypted", p.data)
}

// volumeEncrypted follows a volume down to the disks. It is encrypted if it is a
// dm-crypt mapping itself, or if all that it stands on is.
func volumeEncrypted(sys fs.FS, dir string, depth int) (encrypted, known bool) {
	if _, err := fs.Stat(sys, dir); err != nil || depth > maxLayers {
		return false, false
	}
	id, err := fs.ReadFile(sys, path.Join(dir, "dm/uuid"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, false
	}
	if isCrypt(string(id)) {
		return true, true
	}
	below, err := fs.ReadDir(sys, path.Join(dir, "slaves"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, false
	}
	for _, b := range below {
		encrypted, known := volumeEncrypted(sys, path.Join(dir, "slaves", b.Name()), depth+1)
		if !known || !encrypted {
			return false, known
		}
	}
	return len(below) > 0, true
}

// isCrypt tells dm-crypt from the other targets that share its prefix.
func isCrypt(id string) bool {
	return strings.HasPrefix(id, "CRYPT-") && !strings.HasPrefix(id, "CRYPT-VERITY-") && !strings.HasPrefix(id, "CRYPT-INTEGRITY-")
}

func (p *patient) clock() finding {
	const next = "run a time service (chrony, systemd-timesyncd)"
	if trust, err := ceremony.LoadTrust(p.keys); err == nil {
		if issued := time.UnixMicro(trust.Root().Issued); p.now.Before(issued) {
			return failed(next, "it is %s here, before the trust root was made (%s)", p.now.UTC().Format(time.RFC3339), issued.UTC().Format(time.RFC3339))
		}
	}
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		return skipped("compare it with another clock", "the kernel does not say whether the clock is right: %v", err)
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		return warning(next, "%s; no other clock keeps this one right", p.now.UTC().Format(time.RFC3339))
	}
	return pass("%s, synchronised", p.now.UTC().Format(time.RFC3339))
}

// keysProcess checks that the process which holds the CA and the order key runs
// and that no debugger of the same user can read it.
func (p *patient) keysProcess() finding {
	if p.status == nil {
		return skipped("start the server", "the server did not answer")
	}
	if h := p.status.Parts["keys"]; h != core.HealthHealthy {
		return failed("interlock status", "the server says it is %s", h)
	}
	pid, found := findProcess(p.proc, "child", "keys", app.Paths{Dir: p.data}.Keys())
	if !found {
		return skipped("run interlock doctor as the server's user", "healthy, but not seen among this user's processes")
	}
	open, err := memoryOpen(p.proc, pid)
	switch {
	case err != nil:
		return skipped("run interlock doctor as the server's user", "healthy; %v", err)
	case open:
		return failed("stop the server; what runs there is not the program that was shipped", "process %d can be read by a debugger", pid)
	}
	return pass("healthy; process %d can't be read by a debugger", pid)
}

// findProcess finds the process whose last arguments are these.
func findProcess(proc fs.FS, args ...string) (pid int, found bool) {
	end := []byte("\x00" + strings.Join(args, "\x00") + "\x00")
	entries, err := fs.ReadDir(proc, ".")
	if err != nil {
		return 0, false
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, err := fs.ReadFile(proc, path.Join(entry.Name(), "cmdline"))
		if err == nil && bytes.HasSuffix(line, end) {
			return pid, true
		}
	}
	return 0, false
}

// memoryOpen reports whether a process of the same user may read a process's
// memory. The kernel shows it by the owner of its files: root, where the process
// is not dumpable. Of a process of root's own that tells nothing.
func memoryOpen(proc fs.FS, pid int) (bool, error) {
	dir := strconv.Itoa(pid)
	folder, err := fs.Stat(proc, dir)
	if err != nil {
		return false, fmt.Errorf("process %d: %w", pid, err)
	}
	file, err := fs.Stat(proc, path.Join(dir, "environ"))
	if err != nil {
		return false, fmt.Errorf("process %d: %w", pid, err)
	}
	user, owner := ownerID(folder), ownerID(file)
	if user == nil || owner == nil || *user == 0 {
		return false, fmt.Errorf("process %d runs as root, of which the kernel does not show whether it can be read", pid)
	}
	return *owner != 0, nil
}
