package tpm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

// chip is a real TPM 2.0 in software, started by the test.
type chip struct {
	t      *testing.T
	dir    string
	socket string
	cmd    *exec.Cmd
}

func newChip(t *testing.T) *chip {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		t.Fatal("swtpm is missing; apt-get install swtpm")
	}
	dir, err := os.MkdirTemp("", "tpm") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &chip{t: t, dir: dir, socket: filepath.Join(dir, "s")}
	c.power()
	t.Cleanup(c.off)
	return c
}

// power switches the TPM on, which is a reset.
func (c *chip) power() {
	c.t.Helper()
	c.cmd = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+c.dir, "--server", "type=unixio,path="+c.socket,
		"--ctrl", "type=unixio,path="+filepath.Join(c.dir, "c"), "--flags", "startup-clear,not-need-init")
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	deadline := time.Now().Add(3 * time.Minute)
	for _, err := os.Stat(c.socket); err != nil; _, err = os.Stat(c.socket) {
		if time.Now().After(deadline) {
			c.t.Fatal("swtpm did not open its socket")
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (c *chip) off() {
	if c.cmd != nil && c.cmd.Process != nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
	_ = os.Remove(c.socket)
}

func (c *chip) sensor() *Sensor {
	s := newSensor(sensor.Env{ID: core.MustID[core.SensorID]("tpm"), Clock: clocktest.New(time.Unix(1_700_000_000, 0))}, Config{Device: c.socket})
	s.open = linuxudstpm.Open
	return s
}

func look(s *Sensor) (types []string, value float64) {
	s.look(func(r sensor.Reading) {
		switch {
		case r.Kind == sensor.Measure:
			value = r.Value
		case r.Kind == sensor.Broken:
			types = append(types, "broken")
		case r.Kind == sensor.Pulse, r.Active:
			types = append(types, r.Type)
		}
	})
	return types, value
}

func (c *chip) watched() *Sensor {
	c.t.Helper()
	s := c.sensor()
	first, err := s.read()
	if err != nil {
		c.t.Fatal(err)
	}
	s.last = first
	return s
}

func TestATPMThatIsLeftAloneSaysNothing(t *testing.T) {
	s := newChip(t).watched()
	var before float64
	for range 3 {
		types, value := look(s)
		if len(types) != 0 || value < before {
			t.Fatalf("told %v, clock %v after %v", types, value, before)
		}
		before = value
	}
}

func TestATPMThatIsResetWhileTheSystemRuns(t *testing.T) {
	c := newChip(t)
	s := c.watched()
	c.off()
	if types, _ := look(s); strings.Join(types, " ") != "tpm_removed" {
		t.Fatalf("a TPM that is gone: %v", types)
	}
	c.power()
	if types, _ := look(s); strings.Join(types, " ") != "tpm_reset" {
		t.Fatalf("a TPM that was reset: %v", types)
	}
	if types, _ := look(s); len(types) != 0 {
		t.Fatalf("told twice: %v", types)
	}
}

func TestABootRegisterThatChanges(t *testing.T) {
	c := newChip(t)
	s := c.watched()
	tpm, err := linuxudstpm.Open(c.socket)
	if err != nil {
		t.Fatal(err)
	}
	extend(t, tpm, 4)
	if types, _ := look(s); strings.Join(types, " ") != "pcr_changed" {
		t.Fatalf("told %v", types)
	}
	extend(t, tpm, 16) // no boot register
	if types, _ := look(s); len(types) != 0 {
		t.Fatalf("told %v", types)
	}
}

func extend(t *testing.T, tpm transport.TPM, pcr uint32) {
	t.Helper()
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}},
	}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
}

func TestATPMThatCannotBeSpokenToIsBrokenNotGone(t *testing.T) {
	c := newChip(t)
	s := c.watched()
	c.off()
	if err := os.WriteFile(c.socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if types, _ := look(s); strings.Join(types, " ") != "broken" {
		t.Fatalf("told %v", types)
	}
}

func TestProbe(t *testing.T) {
	env := sensor.Env{ID: core.MustID[core.SensorID]("tpm"), Clock: core.SystemClock{}, Root: t.TempDir()}
	if p := newSensor(env, Config{}).Probe(); p.Present || p.Reason == "" {
		t.Errorf("a machine without a TPM has one: %+v", p)
	}
	s := newSensor(env, Config{})
	s.last = &state{}
	if p := s.Probe(); !p.Present {
		t.Error("a TPM that was there and is gone was skipped")
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []Config{{Device: "tpm0"}, {Device: "/dev/../tpm0"}} {
		if core.KindOf(bad.Validate()) != core.KindInvalid {
			t.Errorf("%+v was taken", bad)
		}
	}
}
