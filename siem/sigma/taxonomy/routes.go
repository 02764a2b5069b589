package taxonomy

import (
	"slices"

	"github.com/interlock-security/interlock/siem/sigma"
)

// Routes says how raw events tell which logsources they are of. The slice is
// the caller's own; the values in it are shared and are not changed.
func Routes() []sigma.Route {
	// Best known first, for [Origins].
	return slices.Concat(windowsRoutes(), linuxSysmonRoutes(), auditRoutes(), programRoutes(), cloudRoutes, networkRoutes, zeekRoutes(),
		ecsRoutes(), datasetRoutes(), ocsfRoutes(), declaredRoutes())
}

func is(field string, values ...string) sigma.Mark {
	return sigma.Mark{Field: field, Values: values}
}

func has(field string) sigma.Mark { return sigma.Mark{Field: field} }

func source(product, category, service string) sigma.Logsource {
	return sigma.Logsource{Product: product, Category: category, Service: service}
}

func route(product, category, service string, when ...sigma.Mark) sigma.Route {
	return sigma.Route{When: when, Sources: []sigma.Logsource{source(product, category, service)}}
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
			r.Sources = append(r.Sources, source("windows", category, c.service))
		}
		out = append(out, r)
	}
	for _, c := range etwCategories {
		for _, category := range c.categories {
			out = append(out, route("windows", category, "", is("Provider_Name", c.provider), is("EventID", c.ids...)))
		}
	}
	return out
}

func linuxSysmonRoutes() []sigma.Route {
	out := []sigma.Route{route("linux", "", "sysmon", is("Channel", linuxSysmon))}
	for _, c := range linuxSysmonCategories {
		out = append(out, route("linux", c.category, "sysmon", is("Channel", linuxSysmon), is("EventID", c.ids...)))
	}
	return out
}

// markNames are the names of what routes ask that is no field of rules.
var markNames = map[string][]string{
	// What wrote a line, as syslog daemons and forwarders name it.
	"program": {"SYSLOG_IDENTIFIER", "_COMM", "programname", "appname", "app_name", "log.syslog.appname", "ident"},
	// An event of the journal, whatever wrote it.
	"_BOOT_ID":     {"__REALTIME_TIMESTAMP", "_SYSTEMD_UNIT", "_TRANSPORT", "systemd.unit"},
	"host.os.type": {"host.os.family", "host.os.platform", "device.os.type"},
	"type":         {"_AUDIT_TYPE_NAME", "auditd.log.record_type", "auditd.message_type"},
	"_path":        {"@path"},
}

// operating lists, for each product, what ECS and OCSF call the system.
var operating = []struct {
	product string
	values  []string
}{
	{"windows", []string{"windows"}},
	{"linux", []string{
		"linux", "debian", "ubuntu", "raspbian", "redhat", "rhel", "centos", "fedora", "rocky", "almalinux",
		"amazon", "amzn", "suse", "sles", "opensuse", "arch", "alpine", "oracle",
	}},
	{"macos", []string{"macos", "darwin"}},
}

// ecsCategories are the pairs of event.category and event.type (or, where the
// type doesn't tell, event.action) that are a category of rules.
var ecsCategories = []struct {
	when       []sigma.Mark
	categories []string
}{
	{[]sigma.Mark{is("event.category", "process"), is("event.type", "start")}, []string{"process_creation"}},
	{[]sigma.Mark{is("event.category", "process"), is("event.type", "end")}, []string{"process_termination"}},
	{[]sigma.Mark{is("event.category", "file"), is("event.type", "creation")}, []string{"file_event"}},
	{[]sigma.Mark{is("event.category", "file"), is("event.action", "overwrite", "creation", "created")}, []string{"file_event"}},
	{[]sigma.Mark{is("event.category", "file"), is("event.type", "deletion")}, []string{"file_delete"}},
	{[]sigma.Mark{is("event.category", "file"), is("event.type", "access")}, []string{"file_access"}},
	{[]sigma.Mark{is("event.category", "file"), is("event.action", "rename")}, []string{"file_rename"}},
	{[]sigma.Mark{is("event.category", "network"), is("event.type", "start", "connection")}, []string{"network_connection"}},
	{[]sigma.Mark{is("event.category", "network", "dns"), has("dns.question.name")}, []string{"dns_query"}},
	{[]sigma.Mark{is("event.category", "registry"), is("event.type", "change")}, []string{"registry_set", "registry_event"}},
	{[]sigma.Mark{is("event.category", "registry"), is("event.type", "creation")}, []string{"registry_add", "registry_event"}},
	{[]sigma.Mark{is("event.category", "registry"), is("event.type", "deletion")}, []string{"registry_delete", "registry_event"}},
	{[]sigma.Mark{is("event.category", "library"), is("event.type", "start")}, []string{"image_load"}},
	{[]sigma.Mark{is("event.category", "driver"), is("event.type", "start")}, []string{"driver_load"}},
}

// ocsfCategories are the activities of OCSF's classes that are a category of
// rules where the event names the system.
var ocsfCategories = []struct {
	class      string
	activities []string
	categories []string
}{
	{"1001", []string{"1"}, []string{"file_event"}},
	{"1001", []string{"2"}, []string{"file_access"}},
	{"1001", []string{"4"}, []string{"file_delete"}},
	{"1001", []string{"5"}, []string{"file_rename"}},
	{"1002", []string{"1"}, []string{"driver_load"}},
	{"1005", []string{"1"}, []string{"image_load"}},
	{"1007", []string{"1"}, []string{"process_creation"}},
	{"1007", []string{"2"}, []string{"process_termination"}},
	{"1007", []string{"3"}, []string{"process_access"}},
	{"1007", []string{"4"}, []string{"create_remote_thread"}},
	{"4001", []string{"1"}, []string{"network_connection"}},
	{"4003", []string{"1", "2", "6"}, []string{"dns_query"}},
	{"201001", []string{"1"}, []string{"registry_add", "registry_event"}},
	{"201001", []string{"4"}, []string{"registry_delete", "registry_event"}},
	{"201001", []string{"5"}, []string{"registry_rename", "registry_event"}},
	{"201002", []string{"2", "3"}, []string{"registry_set", "registry_event"}},
	{"201002", []string{"4"}, []string{"registry_delete", "registry_event"}},
}

func ecsRoutes() []sigma.Route {
	var out []sigma.Route
	for _, os := range operating {
		for _, c := range ecsCategories {
			r := sigma.Route{When: append(slices.Clone(c.when), is("host.os.type", os.values...))}
			for _, category := range c.categories {
				r.Sources = append(r.Sources, source(os.product, category, ""))
			}
			out = append(out, r)
		}
	}
	return append(out,
		route("", "dns", "", is("event.category", "network", "dns"), has("dns.question.name")),
		route("", "antivirus", "", is("event.category", "malware"), has("file.path")),
		// Apple's own recorder (eslogger) says no more of the system than its form.
		route("macos", "process_creation", "", has("event.exec.target.executable.path")),
		route("macos", "file_event", "", has("event.create.destination.existing_file.path")),
	)
}

func ocsfRoutes() []sigma.Route {
	var out []sigma.Route
	for _, os := range operating {
		for _, c := range ocsfCategories {
			r := sigma.Route{When: []sigma.Mark{is("class_uid", c.class), is("activity_id", c.activities...), is("host.os.type", os.values...)}}
			for _, category := range c.categories {
				r.Sources = append(r.Sources, source(os.product, category, ""))
			}
			out = append(out, r)
		}
	}
	return append(out,
		route("", "firewall", "", is("class_uid", "4001")),
		route("", "proxy", "", is("class_uid", "4002")),
		route("", "webserver", "", is("class_uid", "4002")),
		route("", "dns", "", is("class_uid", "4003")),
		route("", "antivirus", "", has("class_uid"), has("malware.name")),
		route("aws", "", "cloudtrail", is("class_uid", "6003", "3002", "3001", "3004"), is("metadata.product.name", "CloudTrail")),
	)
}
