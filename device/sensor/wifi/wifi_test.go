package wifi

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

func attr(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func u32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// result is a message as the kernel makes them; it is made up, no radio was at
// hand.
func result(name string) []byte {
	bss := attr(bssID, []byte{0x00, 0x1b, 0x21, 1, 2, 3})
	bss = append(bss, attr(bssFrequency, u32(2437))...)
	bss = append(bss, attr(bssElements, append([]byte{elementSSID, byte(len(name))}, name...))...)
	bss = append(bss, attr(bssSignal, u32(^uint32(5500-1)))...)
	bss = append(bss, attr(bssSeen, u32(1500))...)
	m := append([]byte{34, 1, 0, 0}, attr(attrInterface, u32(3))...)
	return append(m, attr(attrBSS|0x8000, bss)...)
}

func TestAScansResultIsRead(t *testing.T) {
	ap, ok := parseScan(result("hall-1"))
	if want := (accessPoint{"00:1b:21:01:02:03", "hall-1", 2437, -55, 1500 * time.Millisecond}); !ok || ap != want {
		t.Errorf("%+v", ap)
	}
	if ap, _ := parseScan(result("\x1b[2J")); strings.Contains(ap.ssid, "\x1b") {
		t.Errorf("%q", ap.ssid)
	}
	whole := result("hall-1")
	for n := range len(whole) {
		parseScan(whole[:n])
	}
}

// machine has a radio wlan0 that hears what the test says.
func machine(t *testing.T, heard func() ([]accessPoint, error)) *Sensor {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "sys/class/net/wlan0")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "phy80211"), 0o700), os.WriteFile(filepath.Join(dir, "ifindex"), []byte("3\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("air"), Clock: clocktest.New(time.Unix(1_800_000_000, 0)), Root: root}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.scan = func(int) ([]accessPoint, error) { return heard() }
	return s
}

// round is what a driver says until it first waits.
func round(t *testing.T, s *Sensor) (said []sensor.Reading) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	err := s.Run(ctx, func(r sensor.Reading) {
		if r.Kind == sensor.Beat {
			stop()
			return
		}
		said = append(said, r)
	})
	if err != nil {
		t.Error(err)
	}
	return said
}

func TestAccessPointsAreSightedAndARadioThatHearsNothingIsAFault(t *testing.T) {
	var answer []accessPoint
	var failure error
	s := machine(t, func() ([]accessPoint, error) { return answer, failure })
	answer = []accessPoint{{mac: "00:1b:21:01:02:03", ssid: "hall-1"}, {mac: "02:1b:21:01:02:04", seen: time.Hour}}
	said := round(t, s)
	if len(said) != 3 || said[2].Kind != sensor.Sighting || said[2].Parts[0].Identity != "00:1b:21:01:02:03" || said[2].Parts[0].Class != "access-point" {
		t.Errorf("%+v", said)
	}
	for _, failure = range []error{nil, errors.New("network is down")} {
		answer = nil
		if said := round(t, s); len(said) != 2 || said[1].Kind != sensor.Broken || said[1].Point != "wlan0" {
			t.Errorf("%+v", said)
		}
	}
}

func TestTheKernelIsAskedAndAnInterfaceThatIsNoRadioIsAnError(t *testing.T) {
	if all, err := scanResults(1); err == nil {
		t.Errorf("the loopback hears %+v", all)
	}
}

func TestAMachineWithoutARadioIsSkipped(t *testing.T) {
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("air"), Clock: core.SystemClock{}, Root: t.TempDir()}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if p := s.Probe(); p.Present {
		t.Errorf("%+v", p)
	}
	for _, name := range []string{"", "..", "a/b", "\x1b"} {
		if (Config{Interfaces: []string{name}}).Validate() == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add(result("hall-1"))
	f.Fuzz(func(t *testing.T, m []byte) {
		if ap, ok := parseScan(m); ok && (len(ap.mac) != 17 || len(ap.ssid) > sensor.MaxText || sensor.Text(ap.ssid) != ap.ssid) {
			t.Errorf("%+v", ap)
		}
	})
}
