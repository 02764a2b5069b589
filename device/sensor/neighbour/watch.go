package neighbour

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	// burst and rate bound how many frames are looked at: what is beyond waits in
	// the kernel, which drops what doesn't fit and counts it.
	burst = 1000
	rate  = 200 // a second
	// seeAgain is how often a station that goes on is seen anew, aboutAgain how
	// soon if what is known of it changed.
	seeAgain   = 10 * time.Minute
	aboutAgain = time.Minute
	maxSeen    = 1024
)

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	emit   func(sensor.Reading)
	ears   *ears
	byLink map[int]string // interface index to name
	own    map[string]bool
	seen   map[string]*seen
	old    map[string]*seen
	down   map[string]string // why an interface can't be heard
	tokens float64
	filled time.Time
}

// seen is what was last told of a station.
type seen struct {
	at    time.Time
	about map[string]string
	told  bool
	fresh bool // about has changed since
}

// Run implements [sensor.Sensor]. It subscribes before it lists, so that no
// neighbour falls between the two.
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	updates := make(chan netlink.NeighUpdate, 256)
	lost := make(chan error, 1)
	err := netlink.NeighSubscribeWithOptions(updates, ctx.Done(), netlink.NeighSubscribeOptions{
		ListExisting: true, ReceiveBufferSize: rcvBuf,
		ErrorCallback: func(err error) {
			select {
			case lost <- err:
			default:
			}
		},
	})
	if err != nil {
		return core.Wrap(core.KindUnavailable, "neighbour.Run", fmt.Errorf("subscribe to neighbours: %w", err))
	}
	w := &watch{
		sensor: s, emit: emit, ears: newEars(ctx), byLink: map[int]string{}, own: map[string]bool{}, seen: map[string]*seen{},
		down: map[string]string{}, tokens: burst, filled: s.clock.Now(),
	}
	defer w.ears.close()
	defer stop() // before the ears close
	if err := w.look(true); err != nil {
		return err
	}
	return w.follow(ctx, updates, lost)
}

func (w *watch) follow(ctx context.Context, updates <-chan netlink.NeighUpdate, lost <-chan error) error {
	look := w.sensor.clock.After(lookEvery)
	var wait <-chan time.Time
	for {
		frames := w.ears.frames
		if w.tokens < 1 {
			frames = nil // until there is room again
			if wait == nil {
				wait = w.sensor.clock.After(time.Second)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case f := <-frames:
			w.tokens--
			w.frame(f)
		case <-wait:
			wait = nil
			w.refill()
		case u, ok := <-updates:
			if !ok && ctx.Err() != nil {
				return nil
			}
			if !ok {
				return errors.Join(core.E(core.KindUnavailable, "neighbour.Run", "the kernel closed the neighbour subscription"), first(lost))
			}
			w.kernel(u)
		case err := <-w.ears.failed:
			return core.Wrap(core.KindUnavailable, "neighbour.Run", err)
		case <-look:
			if err := w.look(false); err != nil {
				return err
			}
			look = w.sensor.clock.After(lookEvery)
		}
	}
}

func first(lost <-chan error) error {
	select {
	case err := <-lost:
		return err
	default:
		return nil
	}
}

func (w *watch) refill() {
	now := w.sensor.clock.Now()
	if passed := now.Sub(w.filled).Seconds(); passed > 0 {
		w.tokens = min(w.tokens+passed*rate, burst)
	}
	w.filled = now
}

// frame takes one frame of the wire.
func (w *watch) frame(f frame) {
	h, ok := parse(f.data)
	if !ok || w.own[h.mac] {
		return
	}
	w.take(f.ear.name, h)
}

// kernel takes one entry of the kernel's neighbour table. One that the kernel
// has not resolved, or that somebody wrote in by hand, was not heard.
func (w *watch) kernel(u netlink.NeighUpdate) {
	const resolved = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE
	name, watched := w.byLink[u.LinkIndex]
	if !watched || u.Type != unix.RTM_NEWNEIGH || u.State&resolved == 0 {
		return
	}
	mac, ok := station(u.HardwareAddr)
	ip, isIP := netip.AddrFromSlice(u.IP)
	if !ok || !isIP || w.own[mac] || !unicast(ip.Unmap()) {
		return
	}
	w.take(name, heard{via: viaKernel, mac: mac, ip: ip.Unmap()})
}

// take tells what contradicts what is believed, and who was seen.
func (w *watch) take(name string, h heard) {
	now, place := w.sensor.clock.Now(), sensor.Text(name)
	for _, r := range w.sensor.facts(name).take(now, h) {
		w.emit(r)
	}
	for _, p := range w.sensor.facts(name).roles(h) {
		p.place = place
		w.see(now, p, heard{via: h.via, host: h.host})
	}
	w.see(now, part{class: "neighbour", place: place, identity: h.mac}, h)
}

type part struct{ class, place, identity string }

// see tells of a station that is new, or of which something is, or that was not
// told of for a while.
func (w *watch) see(now time.Time, p part, h heard) {
	s := w.station(p)
	s.learn(h)
	due := seeAgain
	if s.fresh {
		due = aboutAgain
	}
	if s.told && now.Sub(s.at) < due {
		return
	}
	s.told, s.fresh, s.at = true, false, now
	about := map[string]string{"via": h.via}
	for k, v := range s.about {
		about[k] = v
	}
	if p.class == "neighbour" && randomised(p.identity) {
		about["randomised"] = "true"
	}
	w.emit(sensor.Reading{
		Kind: sensor.Sighting, Point: p.place, Parts: []sensor.Part{{Class: p.class, Place: p.place, Identity: p.identity, About: about}},
	})
}

func (s *seen) learn(h heard) {
	ip := ""
	if h.claimed == "" {
		ip = text(h.ip)
	}
	for key, value := range map[string]string{"ip": ip, "host": h.host, "vendor": h.vendor} {
		if value != "" && s.about[key] != value {
			// A station has several addresses, and tells them by turns: the one of
			// IPv4 stays where it has one.
			if key == "ip" && s.about["ip"] != "" && !h.ip.Is4() {
				continue
			}
			s.about[key], s.fresh = value, true
		}
	}
}

// station returns what was told of a station. Of more than are kept those not
// heard of for longest are forgotten, which tells them again.
func (w *watch) station(p part) *seen {
	key := p.class + " " + p.place + " " + p.identity
	if s := w.seen[key]; s != nil {
		return s
	}
	s := w.old[key]
	if s == nil {
		s = &seen{about: map[string]string{}}
	}
	if len(w.seen) >= maxSeen {
		w.old, w.seen = w.seen, map[string]*seen{}
	}
	w.seen[key] = s
	return s
}

// look finds the interfaces anew and says how each is. The number that goes with
// it is what the interface heard since the driver started.
func (w *watch) look(start bool) error {
	w.refill()
	links, err := netlink.LinkList()
	if err != nil {
		return core.Wrap(core.KindUnavailable, "neighbour.Run", fmt.Errorf("list links: %w", err))
	}
	clear(w.own)
	for _, l := range links {
		w.own[l.Attrs().HardwareAddr.String()] = true
	}
	links = slices.DeleteFunc(links, func(l netlink.Link) bool { return !w.sensor.watches(l) })
	if len(links) > maxInterfaces {
		links = links[:maxInterfaces]
	}
	w.attach(links)
	w.routes(links)
	if start {
		w.emit(w.inventory(links))
	}
	w.report()
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

// attach opens an ear at each interface that has none and closes those of
// interfaces that are gone or are others now.
func (w *watch) attach(links []netlink.Link) {
	w.byLink = map[int]string{}
	for _, name := range w.expected() {
		w.down[name] = "there is no such interface"
	}
	for _, l := range links {
		a := l.Attrs()
		w.byLink[a.Index] = a.Name
		delete(w.down, a.Name)
		if e := w.ears.open[a.Name]; e != nil && e.index != a.Index {
			w.ears.remove(a.Name)
		}
		switch {
		case a.Flags&net.FlagUp == 0:
			w.down[a.Name] = "the interface is switched off"
		case len(a.HardwareAddr) != 6:
			w.down[a.Name] = "this is no Ethernet"
		case w.ears.open[a.Name] == nil:
			e, err := listen(a.Name, a.Index)
			if err != nil {
				w.down[a.Name] = err.Error()
				continue
			}
			w.ears.add(e)
		}
	}
	for name := range w.down {
		w.ears.remove(name)
	}
}

// expected are the interfaces that are to be heard: those of the configuration,
// and each that was heard once.
func (w *watch) expected() []string {
	all := slices.Clone(w.sensor.cfg.Interfaces)
	for name := range w.sensor.segments {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// report says of each interface how much it heard, or why nothing.
func (w *watch) report() {
	for name, why := range w.down {
		w.emit(sensor.Reading{Kind: sensor.Broken, Point: sensor.Text(name), Fields: sensor.Fields(map[string]any{"why": sensor.Text(why)})})
	}
	for name, e := range w.ears.open {
		w.sensor.facts(name)
		w.emit(sensor.Reading{Kind: sensor.Measure, Point: sensor.Text(name), Value: float64(e.frames.Load()), Unit: sensor.UnitNone})
		if n := e.dropped(); n > 0 {
			w.emit(sensor.Reading{
				Kind: sensor.Pulse, Point: sensor.Text(name), Type: "frames_lost", Severity: core.SeverityMedium,
				Fields: sensor.Fields(map[string]any{"count": n, "interface": sensor.Text(name)}),
			})
		}
	}
}

// routes notes the gateways and this machine's own addresses.
func (w *watch) routes(links []netlink.Link) {
	for _, l := range links {
		f := w.sensor.facts(l.Attrs().Name)
		if routes, err := netlink.RouteList(l, netlink.FAMILY_ALL); err == nil {
			f.gateway(gateways(routes))
		}
		if addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL); err == nil {
			f.own(addresses(addrs))
		}
	}
}

func gateways(routes []netlink.Route) []netip.Addr {
	var all []netip.Addr
	for _, r := range routes {
		if ip, ok := netip.AddrFromSlice(r.Gw); ok {
			all = append(all, ip.Unmap())
		}
	}
	return all
}

func addresses(addrs []netlink.Addr) []netip.Addr {
	var all []netip.Addr
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			all = append(all, ip.Unmap())
		}
	}
	return all
}

func (w *watch) inventory(links []netlink.Link) sensor.Reading {
	names := []string{}
	for _, l := range links {
		names = append(names, sensor.Text(l.Attrs().Name))
	}
	slices.Sort(names)
	return sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]any{"kind": "segments", "interfaces": names, "sends": false}),
	}
}
