package parts

import (
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/identity"
)

// nics are the network interfaces that have hardware behind them, by the address
// that is burnt into them: the one in use can be set by anybody.
func (s *Sensor) nics() ([]sensor.Part, error) {
	burnt, err := s.permanent()
	if err != nil {
		return nil, err
	}
	return s.each("class/net", func(path, name string) (sensor.Part, bool) {
		if !s.tree.has(path+"/device") || s.tree.has(path+"/device/physfn") {
			return sensor.Part{}, false
		}
		mac := burnt[name]
		if mac == "" && s.tree.text(path, "addr_assign_type") == "0" {
			mac = s.tree.text(path, "address")
		}
		if mac == "" {
			mac = "none of its own"
		}
		on := s.tree.device(path)
		return sensor.Part{
			Class: "nic", Place: s.tree.place(on) + port(s.tree.text(path, "dev_port")),
			Identity: identity.Of("mac", mac), About: about("name", name, "on", s.upstream(on)),
		}, true
	})
}

// port tells the ports of one card apart.
func port(n string) string {
	if n == "" || n == "0" {
		return ""
	}
	return " port " + sensor.Text(n)
}

// permanentAddresses asks the kernel for the burnt-in addresses, by name of the
// interface.
func permanentAddresses() (map[string]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "parts.nics", fmt.Errorf("list links: %w", err))
	}
	all := map[string]string{}
	for _, l := range links {
		if a := l.Attrs(); len(a.PermHWAddr) > 0 {
			all[a.Name] = a.PermHWAddr.String()
		}
	}
	return all, nil
}
