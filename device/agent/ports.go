package agent

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// Interface is a physical interface of this machine as its sensors last told of
// it. One that no sensor watches is not in the list, and nothing is said of it.
type Interface struct {
	Sensor core.SensorID `json:"sensor"`
	Kind   string        `json:"kind"` // the sensor's: "network-carrier", "usb"
	Name   string        `json:"name"` // "eth0", "1-1.2"
	State  PortState     `json:"state"`
	// What it is, in the words of what is plugged in.
	What string `json:"what,omitempty"`
	// Changed is when it last changed since the agent started, zero if it did not.
	Changed time.Time `json:"changed,omitzero"`
}

// PortState is how an interface is.
type PortState string

// The states of an interface.
const (
	PortUp      PortState = "up"      // it has a carrier
	PortDown    PortState = "down"    // it has none
	PortInUse   PortState = "in-use"  // something is plugged in and may be used
	PortBlocked PortState = "blocked" // something is plugged in and may not
	PortGone    PortState = "gone"    // it was there, and is not now
)

// portKinds are the sensors whose points are interfaces.
var portKinds = []string{"network-carrier", "usb", "serial", "sd"}

// maxPorts bounds what is remembered: whoever plugs things in all day must not
// fill the memory.
const maxPorts = 128

// ports follows what the sensors say of interfaces.
type ports struct {
	mu  sync.Mutex
	all map[portKey]*Interface
}

type portKey struct {
	sensor core.SensorID
	name   string
}

// note takes an event of the monitor.
func (p *ports) note(kind string, e monitor.Event) {
	if !slices.Contains(portKinds, kind) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Type == "inventory" {
		p.inventory(kind, e)
		return
	}
	if state, says := stateOf(e); says && e.Point != "" {
		p.set(Interface{Sensor: e.Sensor, Kind: kind, Name: e.Point, State: state, Changed: e.At})
	}
}

// stateOf reads the state from an event's word.
func stateOf(e monitor.Event) (PortState, bool) {
	switch {
	case e.Type == "carrier_up":
		return PortUp, true
	case e.Type == "carrier_down":
		return PortDown, true
	case e.Type == "usb_blocked" || e.Type == "usb_unblocked": // that one is blocked again
		return PortBlocked, true
	case strings.HasSuffix(e.Type, "_removed"):
		return PortGone, true
	case strings.HasSuffix(e.Type, "_attached"):
		var f struct{ Action string }
		_ = json.Unmarshal(e.Fields, &f) // an object, made by the driver
		if f.Action == "blocked" {
			return PortBlocked, true
		}
		return PortInUse, true
	}
	return "", false
}

// inventory takes all that a sensor sees now.
func (p *ports) inventory(kind string, e monitor.Event) {
	var f struct {
		Interfaces []struct {
			Interface string
			Carrier   bool
		}
		Devices []map[string]any
		Parts   []sensor.Part
	}
	if json.Unmarshal(e.Fields, &f) != nil {
		return // a driver's own form that says nothing of interfaces
	}
	for _, i := range f.Interfaces {
		state := PortDown
		if i.Carrier {
			state = PortUp
		}
		p.set(Interface{Sensor: e.Sensor, Kind: kind, Name: i.Interface, State: state})
	}
	for _, d := range f.Devices {
		port, _ := d["port"].(string)
		product, _ := d["product"].(string)
		state := PortInUse
		if d["authorized"] == "0" {
			state = PortBlocked
		}
		p.set(Interface{Sensor: e.Sensor, Kind: kind, Name: port, State: state, What: sensor.Text(product)})
	}
	if len(f.Interfaces)+len(f.Devices) == 0 {
		for _, part := range f.Parts {
			p.set(Interface{Sensor: e.Sensor, Kind: kind, Name: part.Place, State: PortInUse, What: sensor.Text(part.Identity)})
		}
	}
}

// set keeps what is newer; an inventory changes a state and not when it changed.
func (p *ports) set(i Interface) {
	key := portKey{i.Sensor, i.Name}
	was := p.all[key]
	switch {
	case i.Name == "" || was == nil && len(p.all) >= maxPorts:
		return
	case p.all == nil:
		p.all = map[portKey]*Interface{}
	}
	if was != nil {
		i.What = cmp.Or(i.What, was.What)
		if i.Changed.IsZero() {
			i.Changed = was.Changed
		}
	}
	p.all[key] = &i
}

// list returns at most so many, by sensor and name.
func (p *ports) list(limit int) []Interface {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Interface, 0, len(p.all))
	for _, i := range p.all {
		all = append(all, *i)
	}
	slices.SortFunc(all, func(a, b Interface) int {
		return cmp.Or(cmp.Compare(a.Sensor.String(), b.Sensor.String()), cmp.Compare(a.Name, b.Name))
	})
	return all[:min(len(all), limit)]
}
