package gpio

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core/clocktest"
)

// board is the kernel of a machine with one chip: it takes and gives the very
// bytes that the real one does.
type board struct {
	t     *testing.T
	clock *clocktest.Clock

	mu      sync.Mutex
	path    string
	label   string
	lines   uint32
	gone    bool
	silent  bool            // poll does not tell that it is gone
	noIRQ   bool            // the chip has no interrupts
	busy    map[uint32]bool // lines that somebody else has
	high    map[uint32]bool // electrical levels
	loops   map[uint32]loop // what a driven line does to another
	open    map[int]*handle
	next    int
	changed chan struct{}
}

// loop is a line that opens another one's contact.
type loop struct {
	of      uint32
	welded  bool // the contact stays closed
	jammed  bool // it opens and stays open
	pulling bool
}

// handle is an open descriptor: of the chip, or of a line.
type handle struct {
	line     bool
	offset   uint32
	flags    uint64
	debounce uint32
	seqno    uint32
	queue    []byte
}

func newBoard(t *testing.T) *board {
	return &board{
		t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), path: "/dev/gpiochip0", label: "gpio-sim.0-node0", lines: 8,
		busy: map[uint32]bool{}, high: map[uint32]bool{}, loops: map[uint32]loop{}, open: map[int]*handle{}, next: 100, changed: make(chan struct{}),
	}
}

func (b *board) note() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *board) Devices() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return nil
	}
	return []string{b.path}
}

func (b *board) add(h *handle) int {
	b.next++
	b.open[b.next] = h
	return b.next
}

func (b *board) Open(path string) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone || path != b.path {
		return -1, unix.ENOENT
	}
	return b.add(&handle{}), nil
}

func (b *board) Ioctl(fd int, request uint, arg []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.open[fd]
	sizes := map[uint]int{ioctlChipInfo: sizeChipInfo, ioctlLineInfo: sizeLineInfo, ioctlGetLine: sizeRequest, ioctlGetValues: sizeValues, ioctlSetValues: sizeValues}
	switch {
	case h == nil:
		return unix.EBADF
	case b.gone:
		return unix.ENODEV
	case len(arg) != sizes[request]:
		return unix.EFAULT
	}
	switch request {
	case ioctlChipInfo:
		copy(arg[0:], "gpiochip0")
		copy(arg[32:], b.label)
		native.PutUint32(arg[64:], b.lines)
	case ioctlLineInfo:
		if b.busy[native.Uint32(arg[64:])] {
			copy(arg[32:], "somebody")
			native.PutUint64(arg[72:], flagUsed)
		}
	case ioctlGetLine:
		return b.request(arg)
	case ioctlGetValues:
		if b.level(h) {
			native.PutUint64(arg, 1)
		}
	case ioctlSetValues:
		if h.flags&flagOutput == 0 {
			return unix.EPERM
		}
		b.pull(h.offset, native.Uint64(arg)&1 != 0)
	}
	return nil
}

// pull drives a line that opens a contact to ground, or lets go of it.
func (b *board) pull(offset uint32, open bool) {
	l, wired := b.loops[offset]
	if !wired || l.welded || l.pulling == open || (l.jammed && !open) {
		return
	}
	l.pulling = open
	b.loops[offset] = l
	b.setLevel(l.of, open)
}

func (b *board) request(arg []byte) error {
	h := &handle{line: true, offset: native.Uint32(arg), flags: native.Uint64(arg[288:])}
	if native.Uint32(arg[296:]) == 1 {
		h.debounce = native.Uint32(arg[328:])
	}
	switch {
	case native.Uint32(arg[560:]) != 1 || h.flags&(flagInput|flagOutput) == 0 || h.offset >= b.lines:
		return unix.EINVAL
	case b.busy[h.offset]:
		return unix.EBUSY
	case b.noIRQ && (h.debounce > 0 || h.flags&(flagRising|flagFalling) != 0):
		return unix.ENXIO
	}
	native.PutUint32(arg[588:], uint32(b.add(h)))
	return nil
}

// level is what the kernel says of a line: active or not.
func (b *board) level(h *handle) bool {
	return b.high[h.offset] != (h.flags&flagActiveLow != 0)
}

func (b *board) Read(fd int, into []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.open[fd]
	if h == nil || b.gone {
		return -1, unix.ENODEV
	}
	n := copy(into[:len(into)/sizeEvent*sizeEvent], h.queue)
	h.queue = h.queue[n:]
	return n, nil
}

// Poll waits for the test to change something; the time that it may take passes
// on the test's clock alone.
func (b *board) Poll(fds []int, wake int, limit time.Duration) ([]int16, error) {
	over := b.clock.After(limit)
	for {
		b.mu.Lock()
		revents, some, changed := b.ready(fds)
		b.mu.Unlock()
		if some {
			return revents, nil
		}
		select {
		case <-changed:
		case <-over:
			return revents, nil
		case <-time.After(time.Millisecond): // the real pipe, which no channel tells of
			set := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}
			if n, _ := unix.Poll(set, 0); n > 0 {
				return revents, nil
			}
		}
	}
}

func (b *board) ready(fds []int) (revents []int16, some bool, changed chan struct{}) {
	revents = make([]int16, len(fds))
	for i, fd := range fds {
		switch h := b.open[fd]; {
		case fd < 0:
		case h == nil:
			revents[i] = unix.POLLNVAL
		case b.gone && b.silent:
		case b.gone:
			revents[i] = unix.POLLERR | unix.POLLHUP
		case len(h.queue) > 0:
			revents[i] = unix.POLLIN
		}
		some = some || revents[i] != 0
	}
	return revents, some, b.changed
}

func (b *board) Close(fd int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[fd] == nil {
		b.t.Errorf("descriptor %d is closed twice", fd)
	}
	delete(b.open, fd)
	return nil
}

// drive sets the electrical level of a line; whoever watches its edges hears.
func (b *board) drive(offset uint32, high bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.setLevel(offset, high)
}

func (b *board) setLevel(offset uint32, high bool) {
	b.high[offset] = high
	for _, h := range b.open {
		if h.line && h.offset == offset && h.flags&flagRising != 0 {
			h.push(b.level(h))
		}
	}
	b.note()
}

func (h *handle) push(active bool) {
	e := make([]byte, sizeEvent)
	h.seqno++
	id := uint32(edgeFalling)
	if active {
		id = edgeRising
	}
	native.PutUint64(e, 1000*uint64(h.seqno))
	native.PutUint32(e[8:], id)
	native.PutUint32(e[20:], h.seqno)
	h.queue = append(h.queue, e...)
}

// swallow makes edges that the kernel has no room for.
func (b *board) swallow(offset uint32, count uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.open {
		if h.line && h.offset == offset {
			h.seqno += count
		}
	}
}

func (b *board) unplug(gone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = gone
	b.note()
}
