package neighbour

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
)

// groups are the link-layer groups that the network card is asked to let
// through beside what it lets through anyway: mDNS, all nodes, all routers, the
// reports of hosts that join a group, LLDP. Asking sends nothing, which joining
// the group in the kernel's IP layer would.
var groups = [][]byte{
	{0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb},
	{0x33, 0x33, 0x00, 0x00, 0x00, 0xfb},
	{0x33, 0x33, 0x00, 0x00, 0x00, 0x01},
	{0x33, 0x33, 0x00, 0x00, 0x00, 0x02},
	{0x33, 0x33, 0x00, 0x00, 0x00, 0x16},
	{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e},
}

// ear is a packet socket on one interface. It is never written to.
type ear struct {
	name   string
	index  int
	file   *os.File
	frames atomic.Uint64
}

// frame is what an ear took in.
type frame struct {
	ear  *ear
	data []byte
}

// listen opens an ear. The filter is in place before the socket is bound, so
// that no frame passes it.
func listen(name string, index int) (*ear, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "neighbour.listen", fmt.Errorf("packet socket: %w", err))
	}
	if err := tune(fd, index); err != nil {
		_ = unix.Close(fd)
		return nil, core.Wrap(core.KindUnavailable, "neighbour.listen", fmt.Errorf("%s: %w", name, err))
	}
	return &ear{name: name, index: index, file: os.NewFile(uintptr(fd), "packet:"+name)}, nil
}

func tune(fd, index int) error {
	program := assemble(steps)
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	for _, g := range groups {
		m := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_MULTICAST, Alen: 6}
		copy(m.Address[:], g)
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("group %x: %w", g, err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// hear reads until the ear is closed, and hands over what it reads. An interface
// that goes down is no end: it may come up again.
func (e *ear) hear(ctx context.Context, out chan<- frame) error {
	buf := make([]byte, keep)
	for {
		n, err := e.file.Read(buf)
		switch {
		case errors.Is(err, fs.ErrClosed):
			return nil
		case errors.Is(err, unix.ENETDOWN):
			continue // the error is told once, then the socket waits
		case err != nil:
			return fmt.Errorf("%s: %w", e.name, err)
		}
		e.frames.Add(1)
		select {
		case out <- frame{e, append([]byte(nil), buf[:n]...)}:
		case <-ctx.Done():
			return nil
		}
	}
}

// dropped returns how many frames the kernel dropped since it was last asked,
// because nobody read them in time.
func (e *ear) dropped() (count uint64) {
	raw, err := e.file.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if s, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			count = uint64(s.Drops)
		}
	})
	return count
}

// ears are the ears of one run.
type ears struct {
	ctx    context.Context
	open   map[string]*ear
	frames chan frame
	failed chan error
	wg     sync.WaitGroup
}

func newEars(ctx context.Context) *ears {
	return &ears{ctx: ctx, open: map[string]*ear{}, frames: make(chan frame), failed: make(chan error, 1)}
}

func (all *ears) add(e *ear) {
	all.open[e.name] = e
	all.wg.Go(func() {
		if err := e.hear(all.ctx, all.frames); err != nil {
			select {
			case all.failed <- err:
			default:
			}
		}
	})
}

func (all *ears) remove(name string) {
	if e := all.open[name]; e != nil {
		_ = e.file.Close()
		delete(all.open, name)
	}
}

// close ends all of them; ctx must be over, for they may be handing over.
func (all *ears) close() {
	for name := range all.open {
		all.remove(name)
	}
	all.wg.Wait()
}
