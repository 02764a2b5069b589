package neighbour

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/interlock-security/interlock/device/sensor"
)

// testFor is how long a self-test waits for somebody to speak.
const testFor = 5 * time.Second

// SelfTest implements [sensor.SelfTester]: it listens for a while. It sends
// nothing, so on a segment where nobody speaks it proves nothing, and says so.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	links, err := netlink.LinkList()
	if err != nil {
		return []sensor.Finding{sensor.Found("interfaces", sensor.Fail, fmt.Sprintf("no rtnetlink here: %v", err))}
	}
	here, all := map[string]bool{}, []sensor.Finding{}
	ctx, stop := context.WithTimeout(ctx, testFor)
	defer stop()
	listening := newEars(ctx)
	defer listening.close()
	defer stop() // before the ears close
	for _, l := range links {
		a := l.Attrs()
		if !s.watches(l) || len(here) >= maxInterfaces {
			continue
		}
		here[a.Name] = true
		if why := open(listening, a); why != "" {
			all = append(all, sensor.Found(a.Name, sensor.Fail, why))
		}
	}
	for _, name := range s.cfg.Interfaces {
		if !here[name] {
			all = append(all, sensor.Found(name, sensor.Fail, "there is no such interface"))
		}
	}
	return append(all, heardAt(ctx, listening)...)
}

// open begins to listen at an interface, or says why it can't.
func open(listening *ears, a *netlink.LinkAttrs) (why string) {
	if a.Flags&net.FlagUp == 0 {
		return "the interface is switched off"
	}
	e, err := listen(a.Name, a.Index)
	if err != nil {
		return err.Error()
	}
	listening.add(e)
	return ""
}

// heardAt waits until each interface has heard somebody, or the time is over.
func heardAt(ctx context.Context, listening *ears) []sensor.Finding {
	silent := map[string]bool{}
	for name := range listening.open {
		silent[name] = true
	}
	var all []sensor.Finding
	for len(silent) > 0 {
		select {
		case f := <-listening.frames:
			if h, ok := parse(f.data); ok && silent[f.ear.name] {
				delete(silent, f.ear.name)
				all = append(all, sensor.Found(f.ear.name, sensor.Pass, "heard "+h.mac+" by "+h.via))
			}
		case err := <-listening.failed:
			return append(all, sensor.Found("listening", sensor.Fail, err.Error()))
		case <-ctx.Done():
			for name := range silent {
				all = append(all, sensor.Found(name, sensor.Untried, "it listens, and nobody spoke; the driver sends nothing to have them do it"))
			}
			return all
		}
	}
	return all
}
