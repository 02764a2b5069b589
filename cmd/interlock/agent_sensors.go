package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/monitor"
)

type agentSensorsCmd struct {
	agentAt
	Watch bool          `help:"Go on until interrupted, and draw the last values of each point." short:"w"`
	Every time.Duration `help:"How often to look." default:"1s"`
	Times int           `help:"End after so many looks; 0 for never." default:"0" placeholder:"N"`
}

// Help implements kong's long help.
func (agentSensorsCmd) Help() string {
	return `Shows what the sensors of this machine's agent say now: state, last sign of life, what is active, and every value with its unit.

Example:
  interlock agent sensors
  interlock agent sensors --watch
  interlock agent sensors --watch --json | jq -c '.sensors[] | {id, state}'`
}

// seen is one look, as a line of JSON.
type seen struct {
	At      time.Time        `json:"at"`
	Arming  core.Arming      `json:"arming"`
	Risk    float64          `json:"risk"`
	Sensors []monitor.Status `json:"sensors"`
}

// Run shows the sensors once, or goes on.
func (c *agentSensorsCmd) Run(e *env) error {
	cfg, err := c.configure(e)
	if err != nil {
		return err
	}
	if c.Every < 100*time.Millisecond || c.Every > time.Hour || c.Times < 0 {
		return core.E(core.KindInvalid, "agent sensors", "--every is 100ms to 1h, and --times is not negative")
	}
	history := new(agent.History)
	for n := 1; ; n++ {
		st, err := agent.Ask(e.ctx, cfg.SocketPath())
		if err != nil {
			return err
		}
		if err := c.tell(e, st, history); err != nil || !c.Watch || n == c.Times {
			return err
		}
		select {
		case <-e.ctx.Done():
			return nil
		case <-time.After(c.Every):
		}
	}
}

// tell shows one look: a line of JSON while it goes on, a table that is drawn
// over the one before where a person looks on.
func (c *agentSensorsCmd) tell(e *env, st *agent.Status, h *agent.History) error {
	now := time.Now()
	if e.global.JSON {
		look := seen{now.UTC(), st.Arming, st.Risk.Score, st.Sensors}
		if !c.Watch {
			return e.show(look, func(io.Writer) {})
		}
		return json.NewEncoder(e.out).Encode(look)
	}
	colour := colourOn(e.out)
	if !c.Watch {
		return agent.WriteSensors(e.out, st, now, colour, nil)
	}
	h.Note(st.Sensors)
	if colour {
		if _, err := fmt.Fprint(e.out, "\x1b[H\x1b[2J"); err != nil {
			return core.Wrap(core.KindUnavailable, "agent sensors", err)
		}
	}
	return agent.WriteSensors(e.out, st, now, colour, h)
}
