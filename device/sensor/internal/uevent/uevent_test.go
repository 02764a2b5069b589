package uevent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/device/internal/devicetest"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/uevents", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordedMessages(t *testing.T) {
	entries, err := os.ReadDir("testdata/uevents")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		u, err := Parse(recorded(t, e.Name()))
		if good := strings.HasPrefix(e.Name(), "good-"); good != (err == nil) {
			t.Errorf("%s: %v", e.Name(), err)
		}
		if strings.HasPrefix(e.Name(), "good-") && u.Is("usb", "usb_device") && u.Name() != "1-1" {
			t.Errorf("%s: name %q", e.Name(), u.Name())
		}
	}
}

func FuzzParse(f *testing.F) {
	entries, err := os.ReadDir("testdata/uevents")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		f.Add(recorded(f, e.Name()))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		u, err := Parse(msg)
		if err == nil && (!strings.HasPrefix(u.Path, "/devices/") || strings.Contains(u.Path, "/../") || strings.ContainsRune(u.Name(), '/')) {
			t.Errorf("Parse(%q) let the path %q through", msg, u.Path)
		}
	})
}

func TestOnlyTheKernelIsBelieved(t *testing.T) {
	rows := []struct {
		name string
		from unix.Sockaddr
		err  error
		want error
	}{
		{"kernel", &unix.SockaddrNetlink{Pid: 0}, nil, nil},
		{"a process", &unix.SockaddrNetlink{Pid: 4711}, nil, ErrForeign},
		{"no sender", nil, nil, ErrForeign},
		{"another family", &unix.SockaddrUnix{}, nil, ErrForeign},
		{"overrun", nil, unix.ENOBUFS, ErrOverrun},
	}
	for _, r := range rows {
		if _, err := received(9, r.from, r.err); !errors.Is(err, r.want) || (r.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", r.name, err, r.want)
		}
	}
}

func TestTheRealSocketOpensAndEndsWithItsContext(t *testing.T) {
	src, err := Open()
	if err != nil {
		t.Fatalf("this kernel gives no uevent socket (CONFIG_NET): %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := src.Recv(ctx, make([]byte, 64)); err == nil {
		t.Error("Recv went on after its context")
	}
}

// TestTheRealKernelIsHeard has the kernel say something of a device that every
// machine has.
func TestTheRealKernelIsHeard(t *testing.T) {
	devicetest.NeedsRoot(t, "writing to an uevent file")
	src, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	const path = "/devices/virtual/mem/null"
	if err := os.WriteFile("/sys"+path+"/uevent", []byte("change"), 0); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, maxMessage+1)
	for {
		n, err := src.Recv(ctx, buf)
		if errors.Is(err, ErrForeign) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, err := Parse(buf[:n]); err != nil {
			t.Errorf("the kernel's own message: %v: %q", err, buf[:n])
		} else if e.Path == path && e.Action == "change" && e.Vars["SUBSYSTEM"] == "mem" && e.Name() == "null" {
			return
		}
	}
}
