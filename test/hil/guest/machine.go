//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/test/hil/control"
)

// machine is what the host plays with.
type machine struct {
	verbs map[string]func(json.RawMessage) (any, error)
	agent *exec.Cmd
	chip  chip
	world *world
}

func newMachine() *machine {
	m := &machine{world: newWorld()}
	m.verbs = map[string]func(json.RawMessage) (any, error){
		"file.write":   with(writeFile),
		"list":         with(list),
		"read":         with(read),
		"agent.key":    func(json.RawMessage) (any, error) { return m.agentKey() },
		"agent.start":  with(m.agentStart),
		"agent.kill":   func(json.RawMessage) (any, error) { return nil, m.agentKill() },
		"agent.status": func(json.RawMessage) (any, error) { return agentStatus() },
		"gpio.make":    func(json.RawMessage) (any, error) { return m.chip.make() },
		"gpio.remove":  func(json.RawMessage) (any, error) { return nil, m.chip.remove() },
		"gpio.pull":    with(func(p control.Pull) (any, error) { return nil, m.chip.pull(p.Line, p.Up) }),
		"gpio.bounce":  with(m.chip.bounce),
		"chip.make":    with(m.world.make),
		"chip.unplug":  with(m.world.unplug),
		"chip.alarm":   with(m.world.alarm),
		"world.set":    with(m.world.set),
		"world.shake":  with(m.world.jolt),
		"trigger.make": with(makeTrigger),
		"clock.step":   with(stepClock),
		"run":          with(run),
		"agent.cost":   func(json.RawMessage) (any, error) { return m.agentCost() },
		"pace":         func(json.RawMessage) (any, error) { return pace() },
		"nft":          func(json.RawMessage) (any, error) { return ruleset() },
		"dial":         with(dial),
		"trips":        with(m.trips),
	}
	return m
}

func (m *machine) do(r control.Request) (any, error) {
	verb, ok := m.verbs[r.Do]
	if !ok {
		return nil, fmt.Errorf("the guest can't %q", r.Do)
	}
	return verb(r.Args)
}

// with decodes a verb's arguments.
func with[T any](fn func(T) (any, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var args T
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, err
		}
		return fn(args)
	}
}

// writeFile writes a file that outlives a power cut.
func writeFile(f control.File) (any, error) {
	if err := os.WriteFile(f.Path, []byte(f.Text), 0o600); err != nil {
		return nil, err
	}
	unix.Sync()
	return nil, nil
}

func list(f control.File) (any, error) {
	names, err := filepath.Glob(f.Path)
	return control.Listing{Names: names}, err
}

func read(f control.File) (any, error) {
	b, err := os.ReadFile(f.Path)
	return control.File{Path: f.Path, Text: string(b)}, err
}

// agentBinary is the product's own cmd/interlock-agent.
const agentBinary = "/bin/interlock-agent"

func (m *machine) agentKey() (any, error) {
	out, err := exec.Command(agentBinary, "--config", control.AgentConfig, "--print-key").Output()
	if err != nil {
		return nil, commandError(err)
	}
	for line := range strings.Lines(string(out)) {
		if fact, ok := strings.CutPrefix(line, "fact "); ok {
			return control.File{Text: strings.TrimSpace(fact)}, nil
		}
	}
	return nil, fmt.Errorf("the agent printed no fact: %q", out)
}

func commandError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}

func (m *machine) agentStart(s control.Start) (any, error) {
	if m.agent != nil {
		return nil, errors.New("the agent runs already")
	}
	cmd := exec.Command(agentBinary, "--config", control.AgentConfig)
	if s.Enrolment != "" {
		cmd.Env = append(os.Environ(), "INTERLOCK_ENROL="+s.Enrolment)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	m.agent = cmd
	return nil, nil
}

// agentKill kills the agent as nothing it could have prepared for.
func (m *machine) agentKill() error {
	if m.agent == nil {
		return errors.New("no agent runs")
	}
	cmd := m.agent
	m.agent = nil
	if err := cmd.Process.Kill(); err != nil {
		return fmt.Errorf("the agent had ended by itself: %w", err)
	}
	_ = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		return fmt.Errorf("the agent had ended by itself: %s", cmd.ProcessState)
	}
	return nil
}

// agentStatus asks as people at the machine do.
func agentStatus() (any, error) {
	out, err := exec.Command(agentBinary, "--config", control.AgentConfig, "--status").Output()
	return json.RawMessage(out), commandError(err)
}

// run runs one of the product's own programs, as somebody at the machine does.
// How it ends is the host's to judge.
func run(r control.Run) (any, error) {
	var out, said strings.Builder
	cmd := exec.Command(r.Program, r.Args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	return control.Ran{Code: cmd.ProcessState.ExitCode(), Out: out.String(), Said: said.String()}, nil
}

// stepClock sets the machine's clock by so much, as settimeofday(2) does.
func stepClock(s control.Step) (any, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return nil, err
	}
	to := unix.NsecToTimespec(now.Nano() + s.MS*int64(time.Millisecond))
	return nil, unix.ClockSettime(unix.CLOCK_REALTIME, &to)
}

func pace() (any, error) {
	d, err := control.Pace()
	return control.Paced{NS: d.Nanoseconds()}, err
}

// agentCost is what the agent has used, as the kernel counts it.
func (m *machine) agentCost() (any, error) {
	if m.agent == nil {
		return nil, errors.New("no agent runs")
	}
	dir := filepath.Join("/proc", strconv.Itoa(m.agent.Process.Pid))
	stat, err := text(dir + "/stat")
	if err != nil {
		return nil, err
	}
	_, after, _ := strings.Cut(stat, ") ") // its name may have spaces
	f := strings.Fields(after)
	if len(f) < 22 {
		return nil, fmt.Errorf("%s/stat has %d fields", dir, len(f))
	}
	var user, system, pages int64
	if _, err := fmt.Sscan(f[11]+" "+f[12]+" "+f[21], &user, &system, &pages); err != nil {
		return nil, err
	}
	return control.Cost{CPU: (user + system) * 10, RSS: pages * int64(os.Getpagesize()), At: monotonic().Milliseconds()}, nil
}

// ruleset is what the kernel's firewall holds, in the words of nft(8): a
// program that has nothing of ours in it.
func ruleset() (any, error) {
	out, err := exec.Command("/usr/sbin/nft", "list", "ruleset").Output()
	return control.File{Text: string(out)}, commandError(err)
}

// dial connects and reads what the peer says first.
func dial(d control.Dial) (any, error) {
	patience := time.Duration(d.WaitMS) * time.Millisecond
	c, err := net.DialTimeout("tcp", d.Address, patience)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	said, err := io.ReadAll(io.LimitReader(c, 64))
	return control.Dialled{Said: string(said)}, err
}
