package taxonomy

import (
	"slices"
	"strings"

	"github.com/interlock-security/interlock/siem/sigma"
)

// Aliases lists the names, besides its own, under which an event of a logsource
// may carry a field of a Sigma rule. It is asked while rules compile, for the
// logsource of the rule; for the fields of [Routes] it is asked for the empty
// one.
func Aliases(src sigma.Logsource, field string) []string {
	if src.Product == "interlock" {
		return slices.Clone(interlockNames[field])
	}
	if (src == sigma.Logsource{}) {
		return slices.Concat(windowsHeader[field], markNames[field])
	}
	var out []string
	own := []string{field} // what the event's own source calls it
	if src.Product != "windows" {
		out = append(out, loginNames[field]...)
	}
	for i := range tables {
		if t := &tables[i]; t.fits(src) {
			own = append(own, t.own[field]...)
			out = append(out, t.also[field]...)
			if t.shape != nil {
				out = append(out, t.shape(field)...)
			}
		}
	}
	if src.Product == "windows" || src.Product == "" && endpointCategories[src.Category] {
		out = appendWindows(out, src, own)
	}
	if src.Product == "linux" && endpointCategories[src.Category] { // Sysmon for Linux
		out = append(out, "Event.EventData."+field, "EventData."+field)
	}
	return distinct(field, append(own[1:], out...))
}

// table holds names that mean the same thing in the logsources that it is on.
type table struct {
	product, category, service string
	// own are names that the same source uses in another record, and that come
	// in every shape in which the source's records do.
	own map[string][]string
	// also are names of another scheme, as they stand.
	also map[string][]string
	// shape makes names that follow from the field's.
	shape func(field string) []string
}

// fits reports whether a rule for src may use the table. A rule that names a
// category and no product is about all products that have it.
func (t *table) fits(src sigma.Logsource) bool {
	return (t.category == "" || t.category == src.Category) &&
		(t.service == "" || t.service == src.Service) &&
		(t.product == "" || t.product == src.Product || src.Product == "" && t.category != "")
}

// distinct keeps the first of each name and drops the field itself.
func distinct(field string, names []string) []string {
	out := names[:0]
	for _, n := range names {
		if n != field && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// endpointCategories are those that events of Windows have even where a rule
// names no product.
var endpointCategories = func() map[string]bool {
	out := make(map[string]bool)
	for _, c := range windowsCategories {
		for _, name := range c.categories {
			out[name] = true
		}
	}
	for _, c := range etwCategories {
		for _, name := range c.categories {
			out[name] = true
		}
	}
	return out
}()

// appendWindows lays names out in the shapes in which events of Windows come.
func appendWindows(out []string, src sigma.Logsource, names []string) []string {
	if header, ok := windowsHeader[names[0]]; ok {
		return append(out, header...)
	}
	for _, name := range names {
		for _, prefix := range windowsShapes {
			out = append(out, prefix+name)
		}
		for _, element := range windowsUserData[src.Service] {
			out = append(out, "Event.UserData."+element+"."+name, "UserData."+element+"."+name)
		}
		camel := strings.ToLower(name[:min(1, len(name))]) + name[min(1, len(name)):]
		out = append(out, "data.win.eventdata."+camel, "win.eventdata."+camel)
	}
	return out
}
