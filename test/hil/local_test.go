package hil

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/interlock-security/interlock/core"
)

// local is the part of the agent's own status that the checks look at.
type local struct {
	Sensors   []localSensor `json:"sensors"`
	Latches   []localLatch  `json:"latches"`
	Contained bool          `json:"contained"`
	Firewall  struct {
		Present bool   `json:"present"`
		Intact  bool   `json:"intact"`
		Why     string `json:"why"`
	} `json:"firewall"`
	Mode string `json:"mode"`
}

type localSensor struct {
	ID     string   `json:"id"`
	State  string   `json:"state"`
	Why    string   `json:"why"`
	Active []string `json:"active"`
}

type localLatch struct {
	ID     string `json:"id"`
	Sensor string `json:"sensor"`
	Type   string `json:"type"`
}

// local asks the agent in the guest, as somebody at the machine does.
func (l *loop) local(ctx context.Context) (local, error) {
	var st local
	return st, l.m.do(ctx, "agent.status", nil, &st)
}

// watching waits until every sensor of an agent that was just started has looked:
// what is there at that moment is its inventory, what comes later is news. One
// whose latch was set before is in alarm from the start.
func (l *loop) watching(ctx context.Context) error {
	return await(ctx, func() error {
		st, err := l.local(ctx)
		if err != nil {
			return err
		}
		for _, id := range l.sensors {
			if !slices.ContainsFunc(st.Sensors, func(s localSensor) bool {
				return s.ID == id && (s.State == string(core.SensorOK) || s.State == string(core.SensorAlarm))
			}) {
				return fmt.Errorf("%s has not looked: %+v", id, st.Sensors)
			}
		}
		return nil
	})
}

func decode(text string, into any) error { return json.Unmarshal([]byte(text), into) }
