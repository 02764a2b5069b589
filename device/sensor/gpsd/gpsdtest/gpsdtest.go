// Package gpsdtest runs a real gpsd over a receiver's recorded or made-up words,
// for the tests of what asks it. Nothing outside tests imports it.
package gpsdtest

import (
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/internal/devicetest"
)

// Step is one second of a receiver's life.
type Step struct {
	Lat, Lon float64
	NoFix    bool
	// Signals are the strengths of its satellites; none means five ordinary ones.
	Signals []int
}

// NMEA is what a receiver says on its way, one step a second from start.
func NMEA(start time.Time, steps ...Step) []byte {
	var b strings.Builder
	for i, s := range steps {
		at := start.Add(time.Duration(i) * time.Second).UTC()
		clock, date := at.Format("150405.00"), at.Format("020106")
		if s.NoFix {
			sentence(&b, "GPGGA,%s,,,,,0,00,99.9,,,,,,", clock)
			sentence(&b, "GPGSA,A,1,,,,,,,,,,,,,99.9,99.9,99.9")
			sentence(&b, "GPGSV,1,1,00")
			sentence(&b, "GPRMC,%s,V,,,,,,,%s,,,N", clock, date)
			continue
		}
		where := degrees(s.Lat, 2, "N", "S") + "," + degrees(s.Lon, 3, "E", "W")
		sentence(&b, "GPGGA,%s,%s,1,05,1.2,35.0,M,40.0,M,,", clock, where)
		sentence(&b, "GPGSA,A,3,04,05,09,12,24,,,,,,,,2.5,1.3,2.1")
		sky(&b, s.Signals)
		sentence(&b, "GPRMC,%s,A,%s,000.0,084.4,%s,003.1,W", clock, where, date)
	}
	return []byte(b.String())
}

var satellites = []string{"04,40,083", "05,17,308", "09,07,344", "12,22,228", "24,60,100"}

func sky(b *strings.Builder, signals []int) {
	if signals == nil {
		signals = []int{46, 41, 39, 45, 40}
	}
	for part := 0; part*4 < len(satellites); part++ {
		text := ""
		for i := part * 4; i < min(part*4+4, len(satellites)); i++ {
			text += fmt.Sprintf(",%s,%02d", satellites[i], signals[i%len(signals)])
		}
		sentence(b, "GPGSV,2,%d,05%s", part+1, text)
	}
}

func degrees(v float64, width int, positive, negative string) string {
	side := positive
	if v < 0 {
		v, side = -v, negative
	}
	whole := math.Floor(v)
	return fmt.Sprintf("%0*d%07.4f,%s", width, int(whole), (v-whole)*60, side)
}

func sentence(b *strings.Builder, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	var sum byte
	for i := range len(text) {
		sum ^= text[i]
	}
	_, _ = fmt.Fprintf(b, "$%s*%02X\r\n", text, sum)
}

// Start runs gpsd over what a receiver says, again and again and many times as
// fast, when somebody asks. gpsd may need some of it to find out what it hears. It returns gpsd's address, and what kills it.
func Start(t testing.TB, nmea []byte) (address string, kill func()) {
	t.Helper()
	for _, tool := range []string{"gpsd", "gpsfake"} {
		if _, err := exec.LookPath(tool); err != nil {
			if _, err := os.Stat("/usr/sbin/" + tool); err != nil {
				devicetest.Without(t, tool+" (apt-get install gpsd gpsd-clients)")
			}
		}
	}
	log := filepath.Join(t.TempDir(), "track.nmea")
	if err := os.WriteFile(log, nmea, 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	cmd := exec.Command("gpsfake", "-q", "-c", "0.02", "-P", port, log)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // gpsd is its child
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	address = net.JoinHostPort("127.0.0.1", port)
	awaitListener(t, address)
	return address, kill
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// awaitListener waits until gpsd listens, without asking it anything: gpsfake
// begins when somebody asks.
func awaitListener(t testing.TB, address string) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("gpsd does not listen at %s", address)
}
