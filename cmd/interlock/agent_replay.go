package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/trace/replay"
)

type agentReplayCmd struct {
	Traces   []string `arg:"" help:"Recordings, one JSON object a line, plain or gzipped; - is the standard input." placeholder:"TRACE" name:"trace"`
	Baseline string   `help:"A recording of normal running: what the vibration is held against, and how loud this place is." placeholder:"TRACE" type:"path"`
}

// Help implements kong's long help.
func (agentReplayCmd) Help() string {
	return `Shows recordings of motion to the judges that the agent runs and prints one line an event: what it is taken for, how sure, and why,
in numbers. A line of a recording is {"t":seconds,"ax":g,"ay":g,"az":g}; any rate from 20 a second up will do, further keys are skipped.
Classes: footsteps, door_slam, knock, disturbed and earthquake alarm nobody (an earthquake asks the fleet first); lift, carry, handling,
tilt, drop, drill, orientation, vibration (against a baseline) and fault do, while armed. No event at all is said as still.

Exit code 0 without an alarm, 1 with one, 2 when a recording could not be read.

Example:
  interlock agent replay lift.ndjson door.ndjson.gz
  interlock agent replay --json --baseline fan-normal.ndjson fan-today.ndjson`
}

// Run judges the recordings. One that can't be read does not keep the others
// from being judged.
func (c *agentReplayCmd) Run(e *env) error {
	base, err := c.learn(e)
	if err != nil {
		return err
	}
	var failed error
	alarm := false
	for _, name := range c.Traces {
		res, err := judgeTrace(e, name, base)
		if err != nil {
			_, _ = fmt.Fprintf(e.err, "interlock: %s\n", printable(err.Error()))
			failed = err
			continue
		}
		alarm = alarm || res.Alarm()
		if err := c.tell(e, name, res); err != nil {
			return err
		}
	}
	switch {
	case failed != nil && len(c.Traces) > 1:
		return core.E(core.KindInvalid, "agent replay", "not all recordings could be read, see above").WithHint(core.HintOf(failed))
	case failed != nil:
		return core.E(core.KindOf(failed), "agent replay", "the recording could not be read").WithHint(core.HintOf(failed))
	case alarm:
		return errFindings
	}
	return nil
}

func (c *agentReplayCmd) learn(e *env) (base *replay.Baseline, err error) {
	if c.Baseline == "" {
		return base, nil
	}
	err = openTrace(e, c.Baseline, func(r io.Reader) error {
		base, err = replay.Learn(r)
		return err
	})
	return base, err
}

func judgeTrace(e *env, name string, base *replay.Baseline) (res replay.Result, err error) {
	err = openTrace(e, name, func(r io.Reader) error {
		res, err = replay.Run(name, r, base)
		return err
	})
	return res, err
}

// openTrace opens a recording and names it in what goes wrong.
func openTrace(e *env, name string, use func(io.Reader) error) error {
	from := e.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return core.Wrap(core.KindNotFound, "agent replay", err)
		}
		defer f.Close()
		from = f
	}
	if err := use(from); err != nil {
		return core.Wrap(core.KindOf(err), name, err)
	}
	return nil
}

// tell prints what one recording gave: with --json one object a line, so that a
// stream of them can be filtered.
func (c *agentReplayCmd) tell(e *env, name string, res replay.Result) error {
	notes(e.err, name, res)
	if e.global.JSON {
		enc := json.NewEncoder(e.out)
		enc.SetEscapeHTML(false)
		for _, l := range res.Lines {
			if err := enc.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	_, _ = fmt.Fprintf(e.out, "%s (%.1f s, %d samples)\n", printable(name), res.Seconds, res.Notes.Samples)
	for _, l := range res.Lines {
		_, _ = fmt.Fprintln(e.out, printable(l.String()))
	}
	if len(res.Lines) == 0 {
		_, _ = fmt.Fprintln(e.out, "  still: no event")
	}
	return nil
}

// notes tells what was odd about a recording; it is judged all the same.
func notes(w io.Writer, name string, res replay.Result) {
	if n := res.Notes; n.Duplicate+n.Backward > 0 {
		_, _ = fmt.Fprintf(w, "%s: %d times are not later than the one before (%d equal, %d earlier), first in line %d; samples of one time are taken as read together, earlier ones are left out\n",
			printable(name), n.Duplicate+n.Backward, n.Duplicate, n.Backward, n.OddLine)
	}
	if res.Short {
		_, _ = fmt.Fprintf(w, "%s: too short to be held against the baseline\n", printable(name))
	}
}
