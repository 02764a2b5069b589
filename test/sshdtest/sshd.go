// Package sshdtest runs a real OpenSSH server on a loopback port, with its log
// written by a real rsyslog in the form of /var/log/auth.log, and attacks it
// with the real ssh client. Everything lives in the test's own folder and ends
// with the test.
package sshdtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a running sshd.
type Server struct {
	Port int
	// Log is the file that rsyslog writes.
	Log string
	dir string
}

const sshdConfig = `Port %d
ListenAddress 127.0.0.1
HostKey %s/hostkey
PidFile none
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
MaxAuthTries 20
MaxStartups 100
`

const rsyslogConfig = `module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="%[1]s/log.sock" CreatePath="on")
action(type="omfile" template="RSYSLOG_TraditionalFileFormat" file="%[1]s/auth.log")
`

// Start runs sshd and rsyslog until the test ends. A machine without them fails
// the test.
func Start(t *testing.T) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "sshd") // a short path: socket names are limited to 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{Port: freePort(t), Log: filepath.Join(dir, "auth.log"), dir: dir}
	s.write(t, "sshd.conf", fmt.Sprintf(sshdConfig, s.Port, dir), 0o600)
	s.write(t, "rsyslog.conf", fmt.Sprintf(rsyslogConfig, dir), 0o600)
	s.write(t, "askpass", "#!/bin/sh\necho not-the-password\n", 0o700)
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "hostkey"))
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd's privilege separation folder
		t.Fatal(err)
	}
	daemon(t, "rsyslogd", "-n", "-f", filepath.Join(dir, "rsyslog.conf"), "-i", filepath.Join(dir, "rsyslog.pid"))
	await(t, "rsyslog's socket", func() bool {
		_, err := os.Stat(filepath.Join(dir, "log.sock"))
		return err == nil
	})
	daemon(t, "sh", "-c", fmt.Sprintf("/usr/sbin/sshd -D -e -f %[1]s/sshd.conf 2>&1 | sed -u 's/\\r$//' | logger -t sshd --id -p auth.info -u %[1]s/log.sock", dir))
	await(t, "sshd", func() bool { return s.dial() == nil })
	return s
}

func (s *Server) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) dial() error {
	c, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(s.Port), time.Minute)
	if err != nil {
		return err
	}
	return c.Close()
}

// FailLogin tries one login as user with a wrong password through the ssh
// client, and waits until the failure stands in the log.
func (s *Server) FailLogin(t *testing.T, user string) {
	t.Helper()
	before := s.failures()
	cmd := exec.Command("ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "NumberOfPasswordPrompts=1", "-o", "PreferredAuthentications=password", "-o", "LogLevel=ERROR",
		"-l", user, "-p", strconv.Itoa(s.Port), "127.0.0.1", "true")
	cmd.Env = append(os.Environ(), "SSH_ASKPASS_REQUIRE=force", "SSH_ASKPASS="+filepath.Join(s.dir, "askpass"))
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Fatalf("ssh as %s was let in: %s", user, out)
	}
	await(t, "the failed login in sshd's log", func() bool { return s.failures() > before })
}

func (s *Server) failures() int {
	text, err := os.ReadFile(s.Log)
	if err != nil {
		return 0
	}
	return strings.Count(string(text), ": Failed password for ")
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// daemon starts a program in a process group of its own and ends the group with
// the test.
func daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v (install it with: make deps)", name, err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
}

// await polls until ok or four minutes have gone: only what never comes needs them.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s did not come", what)
		}
	}
}
