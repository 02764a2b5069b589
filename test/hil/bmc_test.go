package hil

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/test/rig"
)

// bmc is ipmi_sim, OpenIPMI's management controller: the machine's /dev/ipmi0
// leads to it, and so does the network of this host.
type bmc struct {
	serial string // where the machine's interface comes to
	// console is where its case is opened. It stays open: ipmi_sim dies of a
	// SIGPIPE where somebody hangs up on it.
	console net.Conn
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
	b := &bmc{serial: rig.Address(t)}
	console := rig.Address(t)
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
`, spaced(rig.Address(t)), spaced(b.serial), spaced(console))
	for name, text := range map[string]string{"lan.conf": config, "bmc.emu": bmcEmulation} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("ipmi_sim", "-c", filepath.Join(folder, "lan.conf"), "-f", filepath.Join(folder, "bmc.emu"), "-s", filepath.Join(folder, "state"), "-n")
	said := new(rig.Output)
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
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("ipmi_sim said: %s\nand ended: %s", rig.Tail(said.String(), 2000), cmd.ProcessState)
		}
	})
	err := await(t.Context(), func() (err error) {
		b.console, err = net.Dial("tcp", console)
		return err
	})
	if err == nil {
		t.Cleanup(func() { _ = b.console.Close() })
		err = prompted(b.console)
	}
	if err != nil {
		t.Fatalf("ipmi_sim: %v\n%s", err, rig.Tail(said.String(), 2000))
	}
	return b
}

// open opens the case as the controller sees it, or closes it.
func (b *bmc) open(opened bool) error {
	command := fmt.Sprintf("sensor_set_bit 0x20 0 %d 0 %d 1\r\n", bmcSensor, map[bool]int{true: 1}[opened])
	if err := b.console.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(b.console, command); err != nil {
		return err
	}
	return prompted(b.console)
}

// prompted reads until the console waits for a command.
func prompted(c net.Conn) error {
	var said []byte
	one := make([]byte, 1)
	for len(said) < 4096 {
		if _, err := c.Read(one); err != nil {
			return fmt.Errorf("the console said %q: %w", said, err)
		}
		if said = append(said, one...); strings.HasSuffix(string(said), "> ") {
			return nil
		}
	}
	return errors.New("the console does not prompt")
}
