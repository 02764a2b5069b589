package hil

import (
	"bufio"
	"context"
	"encoding/json"
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

	"github.com/interlock-security/interlock/test/hil/control"
	"github.com/interlock-security/interlock/test/rig"
)

// machine is a running virtual machine: what is in it obeys over the control
// line, what is around it is changed over QEMU's monitor.
type machine struct {
	dir   string
	qemu  *exec.Cmd
	tpm   *exec.Cmd
	ended chan struct{} // closed when QEMU has ended
	ctl   *line
	qmp   *line
	hello control.Hello
	// heard are the monitor's events that nobody has waited for yet, by name.
	heard map[string]int
}

// wiring is what the guest can reach: one port of this host's loopback each. bmc
// is its management controller's end.
type wiring struct{ server, peer, bmc string }

// start boots the machine in the background. The folder's path must be short:
// it holds unix sockets.
func start(t *testing.T, dir, kernel string, w wiring) *machine {
	t.Helper()
	m := &machine{dir: dir, ended: make(chan struct{}), heard: map[string]int{}}
	if err := m.startTPM(t); err != nil {
		t.Fatal(err)
	}
	ctl, monitor := m.listen(t, "ctl"), m.listen(t, "qmp")
	args, err := m.arguments(kernel, w)
	if err != nil {
		t.Fatal(err)
	}
	m.qemu = exec.Command("qemu-system-x86_64", args...)
	said := &strings.Builder{}
	m.qemu.Stderr = said
	// The machine dies with the test, however that ends.
	m.qemu.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := m.qemu.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = m.qemu.Wait()
		close(m.ended)
	}()
	t.Cleanup(func() {
		_ = m.qemu.Process.Kill()
		<-m.ended
		if t.Failed() {
			t.Logf("QEMU said: %s\nthe guest's console, its end:\n%s", said, m.console(6000))
		}
	})
	m.ctl, m.qmp = m.accept(t, ctl, said), m.accept(t, monitor, said)
	if err := m.monitor(t.Context(), "qmp_capabilities", nil); err != nil { // which makes it take commands
		t.Fatal(err)
	}
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

// listen opens a unix socket that QEMU comes to.
func (m *machine) listen(t *testing.T, name string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: m.path(name), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (m *machine) accept(t *testing.T, l *net.UnixListener, said fmt.Stringer) *line {
	t.Helper()
	defer func() { _ = l.Close() }()
	if err := l.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("QEMU did not come to its line: %v\n%s", err, said)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &line{conn: c, in: bufio.NewReaderSize(c, 1<<20)}
}

// startTPM starts a software TPM 2.0 with a state of its own.
func (m *machine) startTPM(t *testing.T) error {
	state := m.path("tpmstate")
	if err := os.Mkdir(state, 0o700); err != nil {
		return err
	}
	m.tpm = exec.Command("swtpm", "socket", "--tpm2", "--terminate", "--tpmstate", "dir="+state, "--ctrl", "type=unixio,path="+m.path("tpm"))
	m.tpm.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.tpm.Start(); err != nil {
		return err
	}
	t.Cleanup(func() {
		_ = m.tpm.Process.Kill()
		_ = m.tpm.Wait()
	})
	return await(t.Context(), func() error {
		_, err := os.Stat(m.path("tpm"))
		return err
	})
}

// commandLine is the kernel's. Mitigations protect nothing here and cost time. The
// clock is the HPET: how fast the TSC runs is measured at boot, and on a busy host
// that measurement may be wrong by a factor.
const commandLine = "console=ttyS0 quiet loglevel=4 panic=-1 rdinit=/init random.trust_cpu=on clocksource=hpet no_timer_check mitigations=off audit=0 apparmor=0 acpi_enforce_resources=lax"

func (m *machine) arguments(kernel string, w wiring) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(w.server)
	if err != nil {
		return nil, err
	}
	// restrict=on cuts everything; what is forwarded by name stays. Each
	// connection of the guest starts one forwarder.
	netdev := fmt.Sprintf("user,id=net0,restrict=on,net=10.0.2.0/24,guestfwd=tcp:%s:%s-cmd:%s forward %s,guestfwd=tcp:%s:7-cmd:%s forward %s",
		control.GuestServer, port, self, w.server, control.GuestPeer, self, w.peer)
	return append([]string{
		"-accel", "tcg,thread=multi,tb-size=256", "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "512,slots=2,maxmem=1G",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-rtc", "base=utc", "-action", "watchdog=none",
		"-kernel", filepath.Join(kernel, "vmlinuz"), "-initrd", m.path("initramfs"), "-append", commandLine,
		"-serial", "file:" + m.path("console"),
		"-chardev", "socket,id=ctl,path=" + m.path("ctl"), "-serial", "chardev:ctl",
		"-chardev", "socket,id=qmp,path=" + m.path("qmp"), "-mon", "chardev=qmp,mode=control",
		"-netdev", netdev, "-device", "virtio-net-pci,netdev=net0,id=nic0,mac=52:54:00:00:00:01,romfile=",
		"-blockdev", "driver=file,filename=" + m.path("state.img") + ",node-name=state", "-device", "virtio-blk-pci,drive=state,serial=STATE",
	}, m.devices(w)...), nil
}

// devices are what the machine has to be sensed: two disks, sockets for cards, a
// slot that takes a card while it runs, a watchdog, a management controller, and
// serial numbers of its own.
func (m *machine) devices(w wiring) []string {
	host, port, _ := strings.Cut(w.bmc, ":")
	return []string{
		"-chardev", "socket,id=tpm,path=" + m.path("tpm"), "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0",
		"-device", "virtio-scsi-pci,id=scsi0",
		"-blockdev", "driver=null-co,node-name=case,size=67108864,read-zeroes=on", "-device", "scsi-hd,drive=case,id=disk0,bus=scsi0.0,serial=CASEDISK1",
		"-blockdev", "driver=null-co,node-name=data,size=67108864,read-zeroes=on", "-device", "scsi-hd,drive=data,id=disk1,bus=scsi0.0,scsi-id=1,serial=DATADISK1",
		"-device", "qemu-xhci,id=usb0,p2=8,p3=8",
		"-device", "pcie-root-port,id=slot1,bus=pcie.0,chassis=1,slot=1",
		"-drive", "if=none,id=card", "-device", "sdhci-pci", "-device", "sd-card,id=sdslot,drive=card",
		"-device", "i6300esb,id=watchdog0",
		"-chardev", "socket,id=bmc,reconnect=1,host=" + host + ",port=" + port, "-device", "ipmi-bmc-extern,id=bmc0,chardev=bmc", "-device", "isa-ipmi-kcs,bmc=bmc0",
		"-smbios", "type=1,serial=MACHINE-0001", "-smbios", "type=3,serial=CASE-0001", "-smbios", "type=17,manufacturer=Emulated,serial=DIMM-0001,part=P512",
	}
}

// up waits until the guest has booted.
func (m *machine) up(ctx context.Context) error {
	a, err := m.ctl.answer(ctx, 2*rig.Patience)
	if err != nil {
		return fmt.Errorf("the guest did not come up: %w", err)
	}
	if a.Error != "" {
		return fmt.Errorf("the guest came up broken: %s", a.Error)
	}
	return json.Unmarshal(a.Result, &m.hello)
}

// reset is the button on the machine's case: the guest is told nothing.
func (m *machine) reset(ctx context.Context) error {
	// Without word to the contrary QEMU ends instead, so that a guest that
	// panics does not come back unnoticed.
	if err := m.monitor(ctx, "set-action", map[string]any{"reboot": "reset"}); err != nil {
		return err
	}
	if err := m.monitor(ctx, "system_reset", nil); err != nil {
		return err
	}
	if err := m.up(ctx); err != nil {
		return err
	}
	return m.monitor(ctx, "set-action", map[string]any{"reboot": "shutdown"})
}

// do has the guest do something; result may be nil.
func (m *machine) do(ctx context.Context, verb string, args, result any) error {
	m.ctl.id++
	id := m.ctl.id
	if args == nil {
		args = struct{}{}
	}
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	if err := m.ctl.write(control.Request{ID: id, Do: verb, Args: raw}); err != nil {
		return err
	}
	a, err := m.ctl.answer(ctx, 2*rig.Patience)
	switch {
	case err != nil:
		return fmt.Errorf("guest %s: %w", verb, err)
	case a.ID != id:
		return fmt.Errorf("guest %s: answer %d to request %d", verb, a.ID, id)
	case a.Error != "":
		return fmt.Errorf("guest %s: %s", verb, a.Error)
	case result == nil:
		return nil
	}
	return json.Unmarshal(a.Result, result)
}

// monitor gives QEMU a command.
func (m *machine) monitor(ctx context.Context, command string, args map[string]any) error {
	request := map[string]any{"execute": command}
	if args != nil {
		request["arguments"] = args
	}
	if err := m.qmp.write(request); err != nil {
		return err
	}
	for {
		got, err := m.listenTo(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("QEMU %s: %w", command, err)
		case got.Error != nil:
			return fmt.Errorf("QEMU %s: %s", command, got.Error)
		case got.Return != nil:
			return nil
		}
	}
}

// said is a line of QEMU's monitor.
type said struct {
	Event string `json:"event"`
	Data  struct {
		Device string `json:"device"`
	} `json:"data"`
	Return json.RawMessage `json:"return"`
	Error  json.RawMessage `json:"error"`
}

// listenTo reads a line of the monitor and keeps in mind which event it was.
func (m *machine) listenTo(ctx context.Context) (said, error) {
	var got said
	text, err := m.qmp.read(ctx, rig.Patience)
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if got.Event != "" {
		m.heard[strings.TrimSpace(got.Event+" "+got.Data.Device)]++
	}
	return got, err
}

// awaitEvent waits until the monitor tells of an event that nobody waited for yet:
// its name, and the device's where it is about one.
func (m *machine) awaitEvent(ctx context.Context, name string) error {
	for m.heard[name] == 0 {
		if _, err := m.listenTo(ctx); err != nil {
			return fmt.Errorf("no event %s of QEMU's: %w", name, err)
		}
	}
	m.heard[name]--
	return nil
}

// console is the end of what the guest printed.
func (m *machine) console(limit int) string {
	b, err := os.ReadFile(m.path("console"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-limit):])
}

// line is a connection on which each message is a line of JSON.
type line struct {
	conn net.Conn
	in   *bufio.Reader
	id   uint64
}

func (l *line) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = l.conn.Write(append(b, '\n'))
	return err
}

func (l *line) read(ctx context.Context, patience time.Duration) ([]byte, error) {
	deadline := time.Now().Add(patience)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	if err := l.conn.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	text, err := l.in.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the machine has ended")
	}
	return text, err
}

func (l *line) answer(ctx context.Context, patience time.Duration) (control.Answer, error) {
	var a control.Answer
	text, err := l.read(ctx, patience)
	if err != nil {
		return a, err
	}
	// Firmware and kernel may have sent something before the guest's program
	// opened the line.
	if i := strings.IndexByte(string(text), '{'); i > 0 {
		text = text[i:]
	}
	return a, json.Unmarshal(text, &a)
}
