package taxonomy

import (
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/siem/sigma"
)

// Origins says in words which raw events are of a logsource, best known first:
// "Sysmon event 22", "channel Security, event 4688", "program is sshd". None
// where no route leads there.
func Origins(src sigma.Logsource) []string {
	if src.Product == "interlock" {
		return []string{"Interlock's own devices and server"}
	}
	var out []string
	for _, r := range Routes() {
		if !slices.ContainsFunc(r.Sources, src.Covers) {
			continue
		}
		if s := words(r.When); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// words writes marks as a person would say them.
func words(marks []sigma.Mark) string {
	var parts []string
	for _, m := range marks {
		switch {
		case m.Field == "Channel" && len(m.Values) == 1 && m.Values[0] == sysmon:
			parts = append(parts, "Sysmon")
		case m.Field == "Channel" && len(m.Values) == 1 && m.Values[0] == linuxSysmon:
			parts = append(parts, "Sysmon for Linux")
		case m.Field == "Channel" && len(m.Values) > 0:
			parts = append(parts, "channel "+either(m.Values))
		case m.Field == "EventID" && len(m.Values) > 0 && strings.HasPrefix(parts[0], "Sysmon"):
			parts[0] += " event " + either(m.Values)
		case m.Field == "EventID" && len(m.Values) > 0:
			parts = append(parts, "event "+either(m.Values))
		case len(m.Values) == 0:
			parts = append(parts, m.Field+" is there")
		default:
			parts = append(parts, m.Field+" is "+either(m.Values))
		}
	}
	return strings.Join(parts, ", ")
}

// maxNamed bounds how many values are named one by one.
const maxNamed = 4

func either(values []string) string {
	if len(values) <= 1 {
		return strings.Join(values, "")
	}
	if len(values) > maxNamed {
		return strings.Join(values[:maxNamed-1], ", ") + ", ..."
	}
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

// Known lists the logsources to which a route leads, in order.
func Known() []sigma.Logsource {
	var out []sigma.Logsource
	for _, r := range Routes() {
		out = append(out, r.Sources...)
	}
	slices.SortFunc(out, func(a, b sigma.Logsource) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

// Fields lists the fields of rules for a logsource that have other names beside
// those of the shapes.
func Fields(src sigma.Logsource) []string {
	var out []string
	for i := range tables {
		if t := &tables[i]; t.fits(src) {
			out = slices.AppendSeq(out, maps.Keys(t.own))
			out = slices.AppendSeq(out, maps.Keys(t.also))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Names is [Aliases] without the names that are only another shape of one that
// is listed.
func Names(src sigma.Logsource, field string) []string {
	all := Aliases(src, field)
	return slices.DeleteFunc(all, func(name string) bool {
		return slices.ContainsFunc(windowsPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	})
}

var windowsPrefixes = slices.Concat(windowsShapes, []string{"data.win.", "win.eventdata.", "Event.UserData.", "UserData."})
