package carrier

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/device/sensor"
)

// SelfTest implements [sensor.SelfTester]: it reads each link once. That a pulled
// cable is noticed only a pulled cable proves.
func (s *Sensor) SelfTest(context.Context) []sensor.Finding {
	links, err := netlink.LinkList()
	if err != nil {
		return []sensor.Finding{sensor.Found("links", sensor.Fail, fmt.Sprintf("no rtnetlink here: %v", err))}
	}
	all := []sensor.Finding{sensor.Found("links", sensor.Pass, "the kernel lists them")}
	for _, l := range links {
		if s.watches(l) {
			all = append(all, tested(l))
		}
	}
	for _, name := range s.only {
		if !slices.ContainsFunc(links, func(l netlink.Link) bool { return l.Attrs().Name == name }) {
			all = append(all, sensor.Found(name, sensor.Fail, "there is no such interface"))
		}
	}
	return all
}

func tested(l netlink.Link) sensor.Finding {
	a := l.Attrs()
	if a.RawFlags&unix.IFF_LOWER_UP == 0 {
		return sensor.Found(a.Name, sensor.Warning, "it has no carrier now, so nothing can be noticed at it")
	}
	return sensor.Found(a.Name, sensor.Untried, "it has carrier; pull its cable once to see it noticed")
}
