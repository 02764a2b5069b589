package hil

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bmc is ipmi_sim, OpenIPMI's management controller: the machine's /dev/ipmi0
// leads to it, and so does the network of this host.
type bmc struct {
	serial  string // where the machine's interface comes to
	console string // where its case is opened
	lan     string
}

// bmcSensor is the controller's sensor of the case, by its number.
const bmcSensor = 1

// bmcEmulation makes a controller with one sensor, "Intrusion", of the type
// Physical Security; a record describes it to those who ask what is there.
const bmcEmulation = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
sensor_add 0x20 0 1 0x05 0x6f
sensor_set_event_support 0x20 0 1 enable scanning per-state 000000000000001 000000000000001 000000000000001 000000000000001
main_sdr_add 0x20 0x00 0x00 0x51 0x02 0x24 0x20 0x00 0x01 0x17 0x01 0x67 0x40 0x05 0x6f 0x01 0x00 0x01 0x00 0x01 0x00 0xc0 0x00 0x00 0x01 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0xc9 0x49 0x6e 0x74 0x72 0x75 0x73 0x69 0x6f 0x6e
mc_enable 0x20
`

// startBMC starts the controller; it ends with the test.
func startBMC(t *testing.T, dir string) *bmc {
	t.Helper()
	b := &bmc{serial: freePort(t), console: freePort(t), lan: freeUDP(t)}
	folder := filepath.Join(dir, "bmc")
	if err := os.MkdirAll(filepath.Join(folder, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	spaced := func(address string) string { return strings.Replace(address, ":", " ", 1) }
	config := fmt.Sprintf(`name "case"
set_working_mc 0x20
  startlan 1
    addr %s
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  serial 15 %s codec VM
  user 2 true "interlock" "for-the-test" admin 10 none md2 md5 straight
console %s
`, spaced(b.lan), spaced(b.serial), spaced(b.console))
	for name, text := range map[string]string{"lan.conf": config, "bmc.emu": bmcEmulation} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("ipmi_sim", "-c", filepath.Join(folder, "lan.conf"), "-f", filepath.Join(folder, "bmc.emu"), "-s", filepath.Join(folder, "state"), "-n")
	said := new(output)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		select {
		case <-ended:
			t.Errorf("ipmi_sim ended by itself: %s\n%s", cmd.ProcessState, said.tail(2000))
		default:
		}
		_ = cmd.Process.Kill()
		<-ended
	})
	if err := await(t.Context(), func() error { return b.say(t.Context(), "") }); err != nil {
		t.Fatalf("ipmi_sim: %v\n%s", err, said.tail(2000))
	}
	return b
}

// open opens the case as the controller sees it, or closes it.
func (b *bmc) open(ctx context.Context, opened bool) error {
	return b.say(ctx, fmt.Sprintf("sensor_set_bit 0x20 0 %d 0 %d 1", bmcSensor, map[bool]int{true: 1}[opened]))
}

// say gives the controller's console a command and waits until it was done: the
// console prompts again.
func (b *bmc) say(ctx context.Context, command string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", b.console)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if err := prompted(c); err != nil || command == "" {
		return err
	}
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		return err
	}
	return prompted(c)
}

func prompted(c net.Conn) error {
	var said []byte
	one := make([]byte, 1)
	for len(said) < 4096 {
		if _, err := c.Read(one); err != nil {
			return fmt.Errorf("the console said %q: %w", said, err)
		}
		if said = append(said, one...); one[0] == '>' {
			return nil
		}
	}
	return errors.New("the console does not prompt")
}

// freeUDP returns a loopback address on which nobody listens for datagrams.
func freeUDP(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().String()
}
