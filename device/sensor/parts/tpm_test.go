package parts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"github.com/interlock-security/interlock/core/clocktest"
)

// power starts a real TPM 2.0 in software on the state in a folder.
func power(t *testing.T, dir string) (socket string, off func()) {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		t.Fatal("swtpm is missing; apt-get install swtpm")
	}
	socket = filepath.Join(dir, "s")
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket,
		"--ctrl", "type=unixio,path="+filepath.Join(dir, "c"), "--flags", "startup-clear,not-need-init")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	off = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.Remove(socket)
	}
	t.Cleanup(off)
	deadline := time.Now().Add(3 * time.Minute)
	for _, err := os.Stat(socket); err != nil; _, err = os.Stat(socket) {
		if time.Now().After(deadline) {
			t.Fatal("swtpm did not open its socket")
		}
		<-time.After(10 * time.Millisecond)
	}
	return socket, off
}

func stateFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tpm") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// withTPM is a machine whose kernel shows a TPM, which answers at a socket.
func withTPM(t *testing.T, socket string) *Sensor {
	t.Helper()
	root := plant(t, "virtual-machine.txt")
	if err := os.MkdirAll(filepath.Join(root, "sys/class/tpm/tpm0"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := newSensor(t, root)
	s.openTPM = func(path string) (transport.TPMCloser, error) {
		if path != filepath.Join(root, "dev/tpmrm0") {
			return nil, errors.New(path)
		}
		return linuxudstpm.Open(socket)
	}
	return s
}

func tpmOf(t *testing.T, s *Sensor) string {
	t.Helper()
	parts, err := s.tpm()
	if err != nil || len(parts) != 1 {
		t.Fatalf("%v, %v", parts, err)
	}
	return lines(parts)
}

func TestATPMIsKnownByTheKeyThatItsSeedGives(t *testing.T) {
	dir := stateFolder(t)
	socket, off := power(t, dir)
	first := tpmOf(t, withTPM(t, socket))
	if !strings.HasPrefix(first, "tpm | tpm0 | maker=IBM ek=p256:") || !strings.Contains(first, "firmware ") {
		t.Errorf("it says %s", first)
	}
	off()
	socket, off = power(t, dir)
	if again := tpmOf(t, withTPM(t, socket)); again != first {
		t.Errorf("after a restart it says %s, before %s", again, first)
	}
	off()
	socket, _ = power(t, stateFolder(t))
	if other := tpmOf(t, withTPM(t, socket)); other == first {
		t.Errorf("another TPM says the same: %s", other)
	}
}

func TestTheCertificateIsToldAndIsNoIdentity(t *testing.T) {
	socket, _ := power(t, stateFolder(t))
	tpm, err := linuxudstpm.Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tpm.Close() }()
	before, err := askTPM(tpm)
	if err != nil {
		t.Fatal(err)
	}
	if before.About["certificate"] != "" {
		t.Errorf("about %v", before.About)
	}
	writeNV(t, tpm, certificates[1], make([]byte, 700))
	after, err := askTPM(tpm)
	if err != nil {
		t.Fatal(err)
	}
	if after.About["certificate"] == "" || after.Identity != before.Identity {
		t.Errorf("%+v, before %+v", after, before)
	}
}

// writeNV puts bytes where makers put the certificate.
func writeNV(t *testing.T, tpm transport.TPM, index tpm2.TPMHandle, b []byte) {
	t.Helper()
	public := tpm2.New2B(tpm2.TPMSNVPublic{
		NVIndex: index, NameAlg: tpm2.TPMAlgSHA256, DataSize: uint16(len(b)),
		Attributes: tpm2.TPMANV{OwnerWrite: true, OwnerRead: true, AuthRead: true, AuthWrite: true, NoDA: true},
	})
	if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: public}).Execute(tpm); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(b); at += chunk {
		made, err := tpm2.NVReadPublic{NVIndex: index}.Execute(tpm) // its name changes with the first write
		if err != nil {
			t.Fatal(err)
		}
		_, err = tpm2.NVWrite{
			AuthHandle: tpm2.AuthHandle{Handle: index, Name: made.NVName, Auth: tpm2.PasswordAuth(nil)},
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: made.NVName},
			Data:       tpm2.TPM2BMaxNVBuffer{Buffer: b[at:min(len(b), at+chunk)]}, Offset: uint16(at),
		}.Execute(tpm)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestATPMThatCannotBeAskedIsBrokenAndNotMissing(t *testing.T) {
	s := withTPM(t, "/nowhere")
	s.openTPM = func(string) (transport.TPMCloser, error) { return nil, os.ErrPermission }
	inv := s.scan()
	if inv.broken["tpm"] == "" || inv.missing["tpm"] != "" {
		t.Errorf("broken %v, missing %v", inv.broken, inv.missing)
	}
	// Its file gone while the kernel still shows it is no machine without one.
	s.openTPM = func(string) (transport.TPMCloser, error) { return nil, os.ErrNotExist }
	s.asked = nil
	if inv := s.scan(); inv.broken["tpm"] == "" {
		t.Errorf("broken %v, missing %v", inv.broken, inv.missing)
	}
}

// A TPM that takes a question and says nothing must not hide the other parts.
func TestATPMThatHangsIsBrokenAndTheOthersAreCounted(t *testing.T) {
	s := withTPM(t, "/nowhere")
	clock, _ := s.env.Clock.(*clocktest.Clock)
	hang, asked := make(chan struct{}), make(chan struct{}, 10)
	s.openTPM = func(string) (transport.TPMCloser, error) {
		asked <- struct{}{}
		<-hang
		panic("and then this")
	}
	for range 2 { // the second look waits for the first question
		done := make(chan findings, 1)
		go func() { done <- s.scan() }()
		deadline := time.Now().Add(3 * time.Minute)
		for clock.Waiters() == 0 {
			if time.Now().After(deadline) {
				t.Fatal("it does not wait")
			}
			runtime.Gosched()
		}
		clock.Advance(patience)
		if inv := <-done; inv.broken["tpm"] == "" || inv.counts["pci"] != 6 {
			t.Errorf("broken %v, counts %v", inv.broken, inv.counts)
		}
	}
	if len(asked) != 1 {
		t.Errorf("asked %d times", len(asked))
	}
	close(hang)
	if inv := s.scan(); inv.broken["tpm"] == "" {
		t.Errorf("broken %v", inv.broken)
	}
}
