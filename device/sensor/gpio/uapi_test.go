package gpio

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
)

// golden reads the structures as a C compiler laid them out.
func golden(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("testdata/uapi.golden")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), " ")
		all[name] = value
	}
	return all
}

func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) == 0 {
		t.Fatalf("golden %q: %v", text, err)
	}
	return b
}

func TestTheStructuresAreTheKernels(t *testing.T) {
	want := golden(t)
	flags := uint64(flagInput | flagActiveLow | flagBiasUp | flagRising | flagFalling)
	for name, got := range map[string][]byte{
		"request-plain":     request(5, flags, 0),
		"request-debounced": request(5, flags, 30000),
		"values-asked":      valuesOfOne(),
		"line-asked":        lineInfoOf(5),
	} {
		if hex.EncodeToString(got) != want[name] {
			t.Errorf("%s\n%x\nwant\n%s", name, got, want[name])
		}
	}
	for name, number := range map[string]uint{
		"GPIO_GET_CHIPINFO_IOCTL": ioctlChipInfo, "GPIO_V2_GET_LINEINFO_IOCTL": ioctlLineInfo,
		"GPIO_V2_GET_LINE_IOCTL": ioctlGetLine, "GPIO_V2_LINE_GET_VALUES_IOCTL": ioctlGetValues,
	} {
		if fmt.Sprintf("%x", number) != want[name] {
			t.Errorf("%s is %x, want %s", name, number, want[name])
		}
	}
}

func TestWhatTheKernelAnswersIsRead(t *testing.T) {
	given := golden(t)
	if fd := requestFD(bytesOf(t, given["request-answered"])); fd != 42 {
		t.Errorf("descriptor %d", fd)
	}
	if !valueOf(bytesOf(t, given["values-active"])) || valueOf(bytesOf(t, given["values-asked"])) {
		t.Error("values")
	}
	if c := parseChipInfo(bytesOf(t, given["chip"])); c != (chipInfo{"gpiochip0", "gpio-sim.0-node0", 8}) {
		t.Errorf("chip %+v", c)
	}
	if who, used := lineUser(bytesOf(t, given["line-used"])); who != "somebody" || !used {
		t.Errorf("line %q, %v", who, used)
	}
	edges, err := parseEdges(bytesOf(t, given["events"]))
	want := []edge{{123456789012345, true, 7}, {123456789912345, false, 8}}
	if err != nil || len(edges) != 2 || edges[0] != want[0] || edges[1] != want[1] {
		t.Errorf("edges %+v, %v", edges, err)
	}
	if _, err := parseEdges(make([]byte, sizeEvent)); err == nil {
		t.Error("an event of no kind is taken")
	}
	if _, err := parseEdges(make([]byte, sizeEvent-1)); err == nil {
		t.Error("half an event is taken")
	}
}

func FuzzParseEdges(f *testing.F) {
	f.Add(make([]byte, sizeEvent))
	f.Fuzz(func(t *testing.T, b []byte) {
		edges, err := parseEdges(b)
		if err == nil && len(edges)*sizeEvent != len(b) {
			t.Errorf("%d edges of %d bytes", len(edges), len(b))
		}
	})
}
