package component

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// finding is one difference. from is the part of the baseline, to the one that is
// there; the one that there is none of is zero.
type finding struct {
	kind     string
	from, to sensor.Part
	with     []string // what came or went with it
	allowed  bool     // the firmware is on the list
}

// part is the one that names the finding.
func (f finding) part() sensor.Part {
	if f.from.Class != "" {
		return f.from
	}
	return f.to
}

// words are the kinds as points have them.
var words = map[string]string{
	TypeRemoved: "removed", TypeAdded: "added", TypeSwapped: "swapped", TypeFirmware: "firmware", TypeUnlisted: "unlisted", TypeIncomplete: "incomplete",
}

// point is where the finding latches: a part that is pulled and one that is put
// in instead are two.
func (f finding) point() string { return sensor.Text(words[f.kind] + " " + key(f.part())) }

// level is the finding as a reading.
func (f finding) level(point, digest string, active bool) sensor.Reading {
	r := sensor.Reading{Kind: sensor.Level, Point: point, Type: f.kind, Clear: TypeRestored, Active: active, Alarm: true, Severity: core.SeverityHigh}
	if f.kind == TypeIncomplete || f.allowed {
		r.Alarm, r.Severity = false, core.SeverityMedium
	}
	fields := map[string]any{"sha256": digest}
	p := f.part()
	for k, v := range map[string]string{
		"component": p.Class, "place": p.Place, "from": f.from.Identity, "to": f.to.Identity,
		"firmware_from": firmware(f.from), "firmware_to": firmware(f.to),
	} {
		if v != "" {
			fields[k] = v
		}
	}
	if f.kind == TypeFirmware {
		fields["allowed"] = f.allowed
	}
	if len(f.with) > 0 {
		fields["with"], fields["with_count"] = f.with[:min(len(f.with), maxWith)], len(f.with)
	}
	r.Fields = sensor.Fields(fields)
	return r
}

// diff lists what differs, each act once, in order.
func diff(base, now []sensor.Part) []finding { return fold(differences(base, now)) }

// differences lists what differs, each part once, in order.
func differences(base, now []sensor.Part) []finding {
	var all []finding
	blind, wasBlind := blindClasses(now), blindClasses(base)
	for _, class := range union(base, now) {
		switch {
		case blind[class]:
			// The driver says that it can't be read, which is a fault; nothing is known.
		case wasBlind[class]:
			all = append(all, finding{kind: TypeIncomplete, to: sensor.Part{Class: class, Place: "*"}})
		default:
			all = append(all, diffClass(of(base, class), of(now, class))...)
		}
	}
	return all
}

// diffClass compares the parts of one class: first what is there in both, however
// it is numbered, then what is left over, by its place.
func diffClass(base, now []sensor.Part) []finding {
	pair := match(base, now)
	var all []finding
	for b, n := range pair.to {
		if firmware(base[b]) != firmware(now[n]) {
			all = append(all, finding{kind: TypeFirmware, from: base[b], to: now[n]})
		}
	}
	swapped := map[int]bool{}
	for n, p := range now {
		if _, known := pair.from[n]; known {
			continue
		}
		b, taken := pair.displaced(base, now, n)
		if !taken {
			all = append(all, finding{kind: TypeAdded, to: p})
			continue
		}
		swapped[b] = true
		all = append(all, swap(base[b], p))
	}
	for b, p := range base {
		if _, there := pair.to[b]; !there && !swapped[b] {
			all = append(all, finding{kind: TypeRemoved, from: p})
		}
	}
	slices.SortFunc(all, func(a, b finding) int { return cmp.Compare(a.point(), b.point()) })
	return all
}

// swap is another part in the place of one. How much memory there is is one part,
// which grows by what is put in and shrinks by what is taken out.
func swap(from, to sensor.Part) finding {
	f := finding{kind: TypeSwapped, from: from, to: to}
	was, err := strconv.ParseUint(strings.TrimPrefix(from.Identity, "mib="), 10, 64)
	is, err2 := strconv.ParseUint(strings.TrimPrefix(to.Identity, "mib="), 10, 64)
	if from.Class == "memory" && err == nil && err2 == nil {
		f.kind = TypeAdded
		if is < was {
			f.kind = TypeRemoved
		}
	}
	return f
}

// pairs are the parts that are in both inventories, by index.
type pairs struct{ to, from map[int]int }

// match finds each part again, the surest signs first. Among parts that are alike
// it is the number that counts.
func match(base, now []sensor.Part) pairs {
	p := pairs{map[int]int{}, map[int]int{}}
	for _, sign := range []func(sensor.Part) [3]string{
		func(x sensor.Part) [3]string { return [3]string{x.Identity, firmware(x), x.Place} },
		func(x sensor.Part) [3]string { return [3]string{x.Identity, firmware(x)} },
		func(x sensor.Part) [3]string { return [3]string{x.Identity, "", x.Place} },
		func(x sensor.Part) [3]string { return [3]string{x.Identity} },
	} {
		left := map[[3]string][]int{}
		for b, x := range base {
			if _, done := p.to[b]; !done {
				left[sign(x)] = append(left[sign(x)], b)
			}
		}
		for n, x := range now {
			if _, done := p.from[n]; done || len(left[sign(x)]) == 0 {
				continue
			}
			b := left[sign(x)][0]
			left[sign(x)] = left[sign(x)][1:]
			p.to[b], p.from[n] = n, b
		}
	}
	return p
}

// displaced finds the part that is gone and in whose stead the new part n is
// there. Where n sits another known part may have sat before, which sits
// elsewhere now, where again another one sat: the way ends at a part that is gone
// or at a place that was empty. No place comes twice, so it ends.
func (p pairs) displaced(base, now []sensor.Part, n int) (b int, ok bool) {
	at := map[string]int{}
	for i, x := range base {
		at[x.Place] = i
	}
	for range base {
		b, ok = at[now[n].Place]
		if !ok {
			return 0, false
		}
		next, there := p.to[b]
		if !there {
			return b, true
		}
		n = next
	}
	return 0, false
}

// fold puts what sits on a card that came or went to the finding of the card:
// it is one act.
func fold(all []finding) []finding {
	card := map[string]int{}
	for i, f := range all {
		if f.kind == TypeRemoved || f.kind == TypeAdded || f.kind == TypeSwapped {
			card[key(f.part())] = i
		}
	}
	var out []finding
	drop := map[int]bool{}
	for i, f := range all {
		if on, ok := card[f.part().About["on"]]; ok && on != i && f.kind != TypeFirmware {
			all[on].with = append(all[on].with, words[f.kind]+" "+key(f.part())+": "+f.part().Identity)
			drop[i] = true
		}
	}
	for i, f := range all {
		if !drop[i] {
			out = append(out, f)
		}
	}
	return out
}

// blindClasses are the classes that could not be read.
func blindClasses(parts []sensor.Part) map[string]bool {
	blind := map[string]bool{}
	for _, p := range parts {
		if p.Identity == "" {
			blind[p.Class] = true
		}
	}
	return blind
}

func unreadable(parts []sensor.Part) []string { return slices.Sorted(maps.Keys(blindClasses(parts))) }

// union lists the classes of both, in order.
func union(a, b []sensor.Part) []string {
	seen := map[string]bool{}
	for _, p := range slices.Concat(a, b) {
		seen[p.Class] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// of returns the parts of a class, each at a place of its own.
func of(parts []sensor.Part, class string) []sensor.Part {
	var some []sensor.Part
	taken := map[string]int{}
	for _, p := range parts {
		if p.Class != class {
			continue
		}
		if taken[p.Place]++; taken[p.Place] > 1 {
			p.Place = sensor.Text(p.Place + " (" + strconv.Itoa(taken[p.Place]) + ")")
		}
		some = append(some, p)
	}
	return some
}

func key(p sensor.Part) string { return p.Class + " " + p.Place }

func firmware(p sensor.Part) string { return p.About["firmware"] }

// sorted puts parts in the one order that their digest is of.
func sorted(parts []sensor.Part) []sensor.Part {
	all := slices.Clone(parts)
	if all == nil {
		all = []sensor.Part{}
	}
	slices.SortFunc(all, func(a, b sensor.Part) int {
		return slices.Compare([]string{a.Class, a.Place, a.Identity, firmware(a)}, []string{b.Class, b.Place, b.Identity, firmware(b)})
	})
	return all
}
