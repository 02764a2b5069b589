// Package ipmitest runs a real management controller in software (OpenIPMI's
// ipmi_sim) on the loopback, for the tests of what asks one. Nothing outside
// tests imports it.
package ipmitest

import (
	"bytes"
	"fmt"
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

// The account that has the least rights, and one that has all of them.
const (
	User     = "monitor"
	Admin    = "root"
	Password = "hunter2"
)

// BMC is a controller that runs.
type BMC struct {
	t       testing.TB
	dir     string
	Address string // of its IPMI port
	console net.Conn
	kill    func()
}

const lan = `name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %s
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  user 2 true "` + User + `" "` + Password + `" user 10 none md2 md5 straight
  user 3 true "` + Admin + `" "` + Password + `" admin 10 none md2 md5 straight
console 127.0.0.1 %s
chassis_control "/bin/sh %s"
`

// chassis is what the controller has to do the machine's booting: it keeps what
// it is told in a file beside it.
const chassis = `#!/bin/sh
kept="$(dirname "$0")/boot"
op="$1"
shift
while [ $# -gt 0 ]; do
  case "$op" in
    get) echo "$1:$(cat "$kept" 2>/dev/null || echo none)"; shift ;;
    set) echo "$2" >"$kept"; shift 2 ;;
    *) shift 2 ;;
  esac
done
`

// emulation is a controller with sensor 1 of physical security, which its
// repository calls Lid, and sensor 2, a temperature.
const emulation = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 100 0x0a
sensor_add 0x20 0 1 0x05 0x6f
sensor_set_event_support 0x20 0 1 enable scanning per-state 000000001111111 000000001111111 000000001111111 000000001111111
sensor_add 0x20 0 2 0x01 0x01
main_sdr_add 0x20 %s
main_sdr_add 0x20 %s
mc_enable 0x20
`

// sdr is a compact record of a sensor.
func sdr(number, kind, event byte, name string) string {
	b := make([]byte, 32, 32+len(name))
	b[2], b[3], b[4] = 0x51, 0x02, byte(27+len(name))
	b[5], b[7], b[8], b[9], b[12], b[13], b[31] = 0x20, number, 0x17, 1, kind, event, 0xc0|byte(len(name))
	var text strings.Builder
	for _, v := range append(b, name...) {
		_, _ = fmt.Fprintf(&text, "%#02x ", v)
	}
	return text.String()
}

// Start runs a controller.
func Start(t testing.TB) *BMC {
	t.Helper()
	if _, err := exec.LookPath("ipmi_sim"); err != nil {
		devicetest.Without(t, "ipmi_sim (apt-get install openipmi)")
	}
	dir := t.TempDir()
	port, console := freePort(t, "udp"), freePort(t, "tcp")
	write(t, filepath.Join(dir, "lan.conf"), fmt.Sprintf(lan, port, console, filepath.Join(dir, "chassis")))
	write(t, filepath.Join(dir, "chassis"), chassis)
	write(t, filepath.Join(dir, "bmc.emu"), fmt.Sprintf(emulation, sdr(2, 1, 1, "Inlet"), sdr(1, 5, 0x6f, "Lid")))
	var said bytes.Buffer
	cmd := exec.Command("ipmi_sim", "-c", filepath.Join(dir, "lan.conf"), "-f", filepath.Join(dir, "bmc.emu"), "-s", dir, "-n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &BMC{t: t, dir: dir, Address: net.JoinHostPort("127.0.0.1", port)}
	b.kill = sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	t.Cleanup(b.kill)
	b.connect(net.JoinHostPort("127.0.0.1", console))
	return b
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freePort(t testing.TB, network string) string {
	t.Helper()
	var addr net.Addr
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		addr = c.LocalAddr()
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		addr = l.Addr()
	}
	_, port, _ := net.SplitHostPort(addr.String())
	return port
}

// connect opens the console, which is there once the emulation is read.
func (b *BMC) connect(address string) {
	b.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			b.console = conn
			b.t.Cleanup(func() { _ = conn.Close() })
			b.prompt()
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	b.t.Fatal("ipmi_sim does not start")
}

// prompt reads until the console waits for a command.
func (b *BMC) prompt() string {
	b.t.Helper()
	if err := b.console.SetReadDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		b.t.Fatal(err)
	}
	var all []byte
	buf := make([]byte, 1024)
	for !bytes.HasSuffix(all, []byte("> ")) {
		n, err := b.console.Read(buf)
		if err != nil {
			b.t.Fatalf("the console of ipmi_sim: %v; it said %q", err, all)
		}
		all = append(all, buf[:n]...)
	}
	return string(all)
}

// Do has the controller do something: sensor_set_bit 0x20 0 1 0 1 1 opens the
// lid.
func (b *BMC) Do(command string) {
	b.t.Helper()
	if _, err := fmt.Fprintf(b.console, "%s\n", command); err != nil {
		b.t.Fatal(err)
	}
	if said := b.prompt(); strings.Contains(strings.ToLower(said), "error") || strings.Contains(said, "Invalid") {
		b.t.Fatalf("%s: %s", command, said)
	}
}

// Lid opens and closes the lid. The controller writes it down.
func (b *BMC) Lid(open bool) {
	b.t.Helper()
	bit := 0
	if open {
		bit = 1
	}
	b.Do(fmt.Sprintf("sensor_set_bit 0x20 0 1 0 %d 1", bit))
}

// BreakBoot has the controller tell nothing of what the machine boots.
func (b *BMC) BreakBoot() {
	b.t.Helper()
	write(b.t, filepath.Join(b.dir, "chassis"), "#!/bin/sh\nexit 1\n")
}

// Kill ends the controller.
func (b *BMC) Kill() { b.kill() }
