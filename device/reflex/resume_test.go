package reflex_test

import (
	"errors"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/reflex"
)

// overtaken is an output during whose resuming a stop comes, and is over before
// the resuming is.
type overtaken struct {
	output
	stop func()
}

func (o *overtaken) Resume() error {
	o.stop()
	return o.output.Resume()
}

func TestAStopInTheMiddleOfAResetWins(t *testing.T) {
	stopped := error(nil)
	o := &overtaken{output: output{id: "motor", safe: true}}
	c := reflex.New(reflex.Dry{}, func() reflex.Allow { return reflex.Allow{} }, o)
	o.stop = func() {
		stopped = errors.New("a stop was requested")
		c.Stop(clocktest.New(time.Unix(1_700_000_000, 0)), time.Second)
	}
	if err := c.Resume(func() error { return stopped }); !errors.Is(err, stopped) || err == nil || !o.safe {
		t.Errorf("Resume: %v, safe %v", err, o.safe)
	}
	o.stop = func() { t.Error("an output was touched although a stop stands") }
	if err := c.Resume(func() error { return stopped }); err == nil {
		t.Error("a reset went over a stop")
	}
	o.stop = func() {}
	if err := c.Resume(func() error { return nil }); err != nil || o.safe {
		t.Errorf("Resume: %v, safe %v", err, o.safe)
	}
}
