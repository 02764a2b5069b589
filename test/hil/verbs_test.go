package hil

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/test/hil/control"
)

// verb runs a verb of the whole program in the guest, as somebody at the machine
// does.
func (l *loop) verb(ctx context.Context, args ...string) (control.Ran, error) {
	var r control.Ran
	err := l.m.do(ctx, "run", control.Run{Program: control.Program, Args: append(args, "--config", control.AgentConfig)}, &r)
	return r, err
}

// live: what people see at the machine is what the chips feel.
func (l *loop) live(ctx context.Context) (string, error) {
	r, err := l.verb(ctx, "--json", "agent", "sensors")
	if err != nil {
		return "", err
	}
	var look struct {
		Sensors []struct {
			ID     string `json:"id"`
			State  string `json:"state"`
			Values []struct {
				Point string  `json:"point"`
				Value float64 `json:"value"`
				Unit  string  `json:"unit"`
			} `json:"values"`
		} `json:"sensors"`
	}
	if err := decode(r.Out, &look); err != nil || r.Code != 0 {
		return "", fmt.Errorf("exit code %d: %w\n%s%s", r.Code, err, r.Said, r.Out)
	}
	values := 0
	within := map[string][2]float64{"loop/voltage0": {0.98, 1.02}, "room/temp": {21.5, 22.5}, "room/humidityrelative": {20, 50}, "room/pressure": {99e3, 102e3}}
	for _, s := range look.Sensors {
		for _, v := range s.Values {
			values++
			name := s.ID + "/" + v.Point
			if b, ok := within[name]; ok && (v.Value < b[0] || v.Value > b[1]) {
				return "", fmt.Errorf("%s is %g %s", name, v.Value, v.Unit)
			}
			delete(within, name)
		}
	}
	if len(within) > 0 {
		return "", fmt.Errorf("it has no value of %v:\n%s", within, r.Out)
	}
	return fmt.Sprintf("%d sensors, %d values; those that the chips were given are there", len(look.Sensors), values), nil
}

// doctor is honest: in a virtual machine not everything can be tested, and it says
// so instead of calling it good.
func (l *loop) doctor(ctx context.Context) (string, error) {
	r, err := l.verb(ctx, "--json", "agent", "doctor")
	if err != nil {
		return "", err
	}
	var report struct {
		Running bool `json:"running"`
		Checks  []struct {
			Subject string `json:"subject"`
			Check   string `json:"check"`
			Result  string `json:"result"`
			Why     string `json:"why"`
		} `json:"checks"`
	}
	if err := decode(r.Out, &report); err != nil {
		return "", fmt.Errorf("%w\n%s%s", err, r.Said, r.Out)
	}
	count := map[string]int{}
	tested := map[string]bool{}
	var failed []string
	for _, c := range report.Checks {
		count[c.Result]++
		tested[c.Subject] = true
		if c.Result == "fail" {
			failed = append(failed, c.Subject+" "+c.Check+": "+c.Why)
		}
	}
	for _, id := range l.sensors {
		if !tested[id] {
			return "", fmt.Errorf("it says nothing of %s:\n%s", id, r.Out)
		}
	}
	if r.Code != 2 || !report.Running || len(failed) > 0 || count["skipped"]+count["warning"] == 0 || count["pass"] == 0 {
		return "", fmt.Errorf("exit code %d, failed: %s\n%s", r.Code, strings.Join(failed, "; "), r.Out)
	}
	kinds := []string{}
	for kind, n := range count {
		kinds = append(kinds, fmt.Sprintf("%d %s", n, kind))
	}
	slices.Sort(kinds)
	return fmt.Sprintf("exit code 2: %s", strings.Join(kinds, ", ")), nil
}

// cost is what the agent needs while nothing happens. The processor is emulated:
// how much slower it is than this host's is measured and printed beside, and
// judged by nobody. Memory is memory.
func (l *loop) cost(ctx context.Context) (string, error) {
	var from, to control.Cost
	var guest control.Paced
	var host time.Duration
	err := inTurn(
		func() error { return l.m.do(ctx, "agent.cost", nil, &from) },
		func() error {
			_, err := l.awaitEvents(ctx, "heartbeat", "heartbeat", "heartbeat", "heartbeat", "heartbeat")
			return err
		},
		func() error { return l.m.do(ctx, "agent.cost", nil, &to) },
		func() error { return l.m.do(ctx, "pace", nil, &guest) },
		func() (err error) { host, err = control.Pace(); return err },
	)
	if err != nil {
		return "", err
	}
	if to.RSS > mostMemory {
		return "", fmt.Errorf("%d sensors: %.1f MB resident, at most %.0f", len(l.sensors), float64(to.RSS)/1e6, mostMemory/1e6)
	}
	share := 100 * float64(to.CPU-from.CPU) / float64(to.At-from.At)
	slower := float64(guest.NS) / float64(host.Nanoseconds())
	return fmt.Sprintf("%d sensors: %.1f MB resident; %.0f %% of one emulated processor, which is about %.0f times slower than this host's: %.1f %%, a heartbeat and its fsync a second in it",
		len(l.sensors), float64(to.RSS)/1e6, share, slower, share/slower), nil
}

// mostMemory is what the agent may have resident, in bytes.
const mostMemory = 30e6
