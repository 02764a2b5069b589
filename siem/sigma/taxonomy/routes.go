package taxonomy

import "github.com/interlock-security/interlock/siem/sigma"

// Routes says how raw events tell which logsources they are of. The slice is
// the caller's own; the values in it are shared and are not changed.
func Routes() []sigma.Route {
	var out []sigma.Route
	out = append(out, windowsRoutes()...)
	return out
}

func is(field string, values ...string) sigma.Mark {
	return sigma.Mark{Field: field, Values: values}
}

func has(field string) sigma.Mark { return sigma.Mark{Field: field} }

func route(product, category, service string, when ...sigma.Mark) sigma.Route {
	return sigma.Route{When: when, Sources: []sigma.Logsource{{Product: product, Category: category, Service: service}}}
}

// windowsRoutes also knows every event that names channel, provider and number
// as one of product windows, so that an event of a channel that no rule names is
// asked the rules about all of Windows and no others.
func windowsRoutes() []sigma.Route {
	out := []sigma.Route{route("windows", "", "", has("Channel"), has("Provider_Name"), has("EventID"))}
	for _, s := range windowsChannels {
		out = append(out, route("windows", "", s.service, is("Channel", s.channels...)))
	}
	for _, c := range windowsCategories {
		r := sigma.Route{When: []sigma.Mark{is("Channel", c.channels...), is("EventID", c.ids...)}}
		for _, category := range c.categories {
			r.Sources = append(r.Sources, sigma.Logsource{Product: "windows", Category: category, Service: c.service})
		}
		out = append(out, r)
	}
	for _, c := range etwCategories {
		for _, category := range c.categories {
			out = append(out, route("windows", category, "", is("Provider_Name", c.provider), is("EventID", c.ids...)))
		}
	}
	return append(out, linuxSysmonRoutes()...)
}

func linuxSysmonRoutes() []sigma.Route {
	out := []sigma.Route{route("linux", "", "sysmon", is("Channel", linuxSysmon))}
	for _, c := range linuxSysmonCategories {
		out = append(out, route("linux", c.category, "sysmon", is("Channel", linuxSysmon), is("EventID", c.ids...)))
	}
	return out
}
