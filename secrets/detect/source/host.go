package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// configured are the places in which a machine's services are given secrets. All of
// them are text, and small.
var configured = []string{
	"etc/crontab", "etc/anacrontab", "var/spool/at", "etc/init.d", "etc/conf.d", "etc/systemd/system.conf", "etc/systemd/system.conf.d", "etc/cron.d", "etc/cron.hourly", "etc/cron.daily", "etc/cron.weekly", "etc/cron.monthly", "var/spool/cron",
	"etc/environment", "etc/profile", "etc/profile.d", "etc/default", "etc/sysconfig",
	"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "lib/systemd/system", "etc/systemd/user",
}

// largestEnvironment bounds what is read of one process; the kernel allows a quarter
// of the stack.
const largestEnvironment = 8 << 20

// Running scans what a machine runs with: environments and command lines of its
// processes, its units, its crontabs. root is "/" but in tests.
func Running(ctx context.Context, root string, c Config, sink Sink) error {
	c = c.filled()
	machine, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer func() { _ = machine.Close() }()
	h := &running{tree: &tree{Config: &c}, root: machine}
	return perform(ctx, c, sink, func(_ context.Context, put submit) error {
		h.put = put
		if err := h.processes(); err != nil {
			return err
		}
		for _, place := range configured {
			if err := h.place(place); err != nil {
				return err
			}
		}
		return nil
	})
}

type running struct {
	*tree
	root *os.Root
}

// place scans one file or folder of the machine's configuration.
func (h *running) place(path string) error {
	info, err := h.root.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return h.gap("/"+path, whyNot(err), Unreadable)
	case info.IsDir():
		return h.folder(path)
	case !info.Mode().IsRegular():
		h.Progress.Links.Add(1)
		return nil
	}
	return h.put(func(w *worker) { w.file(rootFolder{h.root}, path, "/"+path) })
}

func (h *running) folder(path string) error {
	sub, err := h.root.OpenRoot(path)
	if err != nil {
		return h.gap("/"+path, whyNot(err), Unreadable)
	}
	return h.walk(rootFolder{sub}, "/"+path, 0)
}

// process is what one process was started with.
type process struct {
	id           int
	name         string
	environ, cmd []byte
}

// processes scans processes by name. Those of one name have one place, whatever their
// numbers, so that the same leak is the same after a restart.
func (h *running) processes() error {
	proc, err := h.root.OpenRoot("proc")
	if err != nil {
		return h.gap("processes", whyNot(err), Unreadable)
	}
	defer func() { _ = proc.Close() }()
	all, hidden, err := readProcesses(proc)
	if err != nil {
		return h.gap("processes", whyNot(err), Unreadable)
	}
	h.Progress.Processes.Add(int64(len(all)))
	if hidden > 0 {
		why := fmt.Sprintf("the environments of %d processes can't be read, which are of other users: run it as root", hidden)
		if err := h.gap("processes", why, Unreadable); err != nil {
			return err
		}
	}
	if othersHidden(proc) {
		if err := h.gap("processes", "those of other users are not even shown (hidepid): run it as root", Unreadable); err != nil {
			return err
		}
	}
	return h.put(func(w *worker) {
		told := map[string]bool{}
		for i := range all {
			w.process(&all[i], told)
		}
	})
}

func readProcesses(proc *os.Root) (all []process, hidden int, err error) {
	d, err := proc.Open(".")
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	for _, name := range names {
		id, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		p, err := readProcess(proc, name)
		if err != nil && !ended(err) {
			hidden++
		}
		if p.id = id; len(p.environ)+len(p.cmd) > 0 {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b process) int { return a.id - b.id })
	return all, hidden, err
}

// ended reports whether a process was not there any more when it was asked.
func ended(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

// othersHidden reports whether the kernel shows us no processes but our own.
func othersHidden(proc *os.Root) bool {
	mounts, err := readSome(proc, "self/mounts")
	if err != nil || os.Geteuid() == 0 {
		return false
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 3 && f[1] == "/proc" && (strings.Contains(f[3], "hidepid=2") || strings.Contains(f[3], "hidepid=invisible") || strings.Contains(f[3], "hidepid=4") || strings.Contains(f[3], "hidepid=ptraceable")) {
			return true
		}
	}
	return false
}

// readProcess reads what it may. A process that ends meanwhile has nothing.
func readProcess(proc *os.Root, id string) (process, error) {
	var p process
	comm, _ := readSome(proc, id+"/comm")
	p.name = strings.TrimSpace(string(comm))
	var err, failed error
	p.cmd, failed = readSome(proc, id+"/cmdline")
	p.environ, err = readSome(proc, id+"/environ")
	return p, cmp.Or(err, failed)
}

func readSome(root *os.Root, path string) ([]byte, error) {
	f, err := root.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, largestEnvironment))
}

// process scans an environment as lines and a command line as one. What a child has
// from its parent is told once a name.
func (w *worker) process(p *process, told map[string]bool) {
	name := "/proc/" + strings.ReplaceAll(p.name, "/", "_")
	w.given(p, name+"/environ", lines(p.environ), told)
	w.given(p, name+"/cmdline", oneLine(p.cmd), told)
}

func (w *worker) given(p *process, path string, body []byte, told map[string]bool) {
	key := path + "\x00" + string(body)
	if len(body) == 0 || told[key] {
		return
	}
	told[key] = true
	at := placeOf(path)
	at.note = fmt.Sprintf("process %d", p.id)
	w.kept = 0
	w.Progress.Bytes.Add(int64(len(body)))
	if len(body) >= largestEnvironment {
		w.gap(path, "it is longer than "+size(largestEnvironment)+", what follows was not read", TooLarge)
	}
	w.whole(at, body)
}

// lines makes a line of each variable.
func lines(environ []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(environ, []byte{'\n'}, []byte(`\n`)), []byte{0}, []byte{'\n'})
}

// oneLine writes arguments as a shell would read them.
func oneLine(cmdline []byte) []byte {
	var b []byte
	for arg := range bytes.SplitSeq(bytes.TrimRight(cmdline, "\x00"), []byte{0}) {
		if len(b) > 0 {
			b = append(b, ' ')
		}
		if bytes.ContainsAny(arg, " \t\n'\"\\$") {
			arg = []byte("'" + strings.ReplaceAll(strings.ReplaceAll(string(arg), "'", `'\''`), "\n", `\n`) + "'")
		}
		b = append(b, arg...)
	}
	return b
}
