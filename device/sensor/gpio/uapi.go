package gpio

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/interlock-security/interlock/core"
)

// The kernel's GPIO interface, version 2 (include/uapi/linux/gpio.h), as bytes.
// The layouts are the same on every 64-bit and 32-bit machine: the kernel pads
// them itself. testdata holds them as a C compiler laid them out.
const (
	ioctlChipInfo  = 0x8044b401 // GPIO_GET_CHIPINFO_IOCTL
	ioctlLineInfo  = 0xc100b405 // GPIO_V2_GET_LINEINFO_IOCTL
	ioctlGetLine   = 0xc250b407 // GPIO_V2_GET_LINE_IOCTL
	ioctlGetValues = 0xc010b40e // GPIO_V2_LINE_GET_VALUES_IOCTL
	ioctlSetValues = 0xc010b40f // GPIO_V2_LINE_SET_VALUES_IOCTL

	sizeChipInfo = 68
	sizeLineInfo = 256
	sizeRequest  = 592
	sizeValues   = 16
	sizeEvent    = 48

	flagUsed      = 1 << 0
	flagActiveLow = 1 << 1
	flagInput     = 1 << 2
	flagOutput    = 1 << 3
	flagRising    = 1 << 4
	flagFalling   = 1 << 5
	flagBiasUp    = 1 << 8
	flagBiasDown  = 1 << 9
	flagBiasOff   = 1 << 10

	attrDebounce = 3

	edgeRising  = 1
	edgeFalling = 2
)

// eventBuffer is how many edges the kernel keeps for a line that nobody reads.
const eventBuffer = 256

var native = binary.NativeEndian

// chipInfo is struct gpiochip_info.
type chipInfo struct {
	name, label string
	lines       uint32
}

func parseChipInfo(b []byte) chipInfo {
	return chipInfo{name: text(b[0:32]), label: text(b[32:64]), lines: native.Uint32(b[64:])}
}

// text is a C string in a field of fixed size.
func text(b []byte) string {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}

// lineUser returns who holds a line, from struct gpio_v2_line_info.
func lineUser(b []byte) (who string, used bool) {
	return text(b[32:64]), native.Uint64(b[72:])&flagUsed != 0
}

func lineInfoOf(offset uint32) []byte {
	b := make([]byte, sizeLineInfo)
	native.PutUint32(b[64:], offset)
	return b
}

// request is struct gpio_v2_line_request for one line. debounceUS 0 asks for no
// debounce of the kernel's.
func request(offset uint32, flags uint64, debounceUS uint32) []byte {
	b := make([]byte, sizeRequest)
	native.PutUint32(b[0:], offset) // offsets[64]
	copy(b[256:287], "interlock")   // consumer[32]
	native.PutUint64(b[288:], flags)
	if debounceUS > 0 {
		native.PutUint32(b[296:], 1) // num_attrs
		attr := b[320:]              // attrs[0]: id, padding, value, mask of lines
		native.PutUint32(attr[0:], attrDebounce)
		native.PutUint32(attr[8:], debounceUS)
		native.PutUint64(attr[16:], 1)
	}
	native.PutUint32(b[560:], 1) // num_lines
	native.PutUint32(b[564:], eventBuffer)
	return b
}

// requestFD is the line's own descriptor, which the kernel put into the request.
func requestFD(b []byte) int { return int(int32(native.Uint32(b[588:]))) }

// valuesOfOne is struct gpio_v2_line_values that asks for the first line.
func valuesOfOne() []byte {
	b := make([]byte, sizeValues)
	native.PutUint64(b[8:], 1)
	return b
}

func valueOf(b []byte) bool { return native.Uint64(b[0:])&1 != 0 }

// edge is struct gpio_v2_line_event.
type edge struct {
	at     uint64 // nanoseconds of the monotonic clock
	closed bool   // the line became active
	seqno  uint32 // of this line, from 1
}

// parseEdges reads whole events; the kernel gives nothing else.
func parseEdges(b []byte) ([]edge, error) {
	if len(b)%sizeEvent != 0 {
		return nil, core.E(core.KindDamaged, "gpio.parseEdges", fmt.Sprintf("%d bytes are no whole number of line events", len(b)))
	}
	var all []edge
	for ; len(b) > 0; b = b[sizeEvent:] {
		id := native.Uint32(b[8:])
		if id != edgeRising && id != edgeFalling {
			return nil, core.E(core.KindDamaged, "gpio.parseEdges", fmt.Sprintf("line event of kind %d", id))
		}
		all = append(all, edge{at: native.Uint64(b[0:]), closed: id == edgeRising, seqno: native.Uint32(b[20:])})
	}
	return all, nil
}
