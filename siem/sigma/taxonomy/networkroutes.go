package taxonomy

import "github.com/interlock-security/interlock/siem/sigma"

var networkRoutes = []sigma.Route{
	// The W3C form: a web server names the stem, a proxy the whole address or,
	// beside the stem, where it went and what it filtered.
	route("", "webserver", "", has("cs-uri-stem"), has("sc-status")),
	route("", "webserver", "", has("cs-uri-query"), has("cs-method")),
	route("", "webserver", "", has("request_uri"), has("request_method"), has("status")),
	route("", "proxy", "", has("c-uri")),
	route("", "proxy", "", has("cs-host"), has("sc-filter-result")),
	route("", "proxy", "", has("cs-host"), has("cs-uri-scheme")),
	route("", "proxy", "", has("cs-uri-scheme"), has("s-action")),

	route("", "dns", "", has("query"), has("record_type")),
	route("", "firewall", "", has("src_ip"), has("dst_ip"), has("dst_port"), has("action")),
	route("", "firewall", "", is("event.category", "network"), is("observer.type", "firewall")),
	route("", "antivirus", "", has("Signature"), has("Filename")),

	route("fortigate", "", "event", is("type", "event"), has("devid"), has("logid")),
	route("fortigate", "", "event", has("cfgpath"), has("action")),
	route("fortigate", "firewall", "traffic", is("type", "traffic"), has("devid"), has("logid")),

	route("suricata", "dns", "", is("event_type", "dns"), has("flow_id")),
	route("suricata", "proxy", "http", is("event_type", "http"), has("flow_id")),
	route("suricata", "webserver", "http", is("event_type", "http"), has("flow_id")),
	route("suricata", "firewall", "flow", is("event_type", "flow"), has("flow_id")),
	route("suricata", "", "alert", is("event_type", "alert"), has("flow_id")),

	route("", "authentication", "", is("event.category", "authentication"), has("event.outcome")),
	route("vault", "", "audit", is("type", "request", "response"), has("request.operation"), has("request.path")),
	route("opencanary", "application", "", has("logtype"), has("node_id")),
	route("rpc_firewall", "application", "", is("EventLog", "RPCFW")),
	route("rpc_firewall", "application", "", is("Channel", "RPCFW")),
}

// zeekLogs are the logs of Zeek that rules name, and what else such a log is: a
// request or a question that passed by is one to whoever watches a proxy. The
// field is one that the log has and others lack, for events that lost their
// path.
var zeekLogs = []struct {
	name       string
	field      string
	categories []string
}{
	{"dns", "qtype_name", []string{"dns"}},
	{"http", "trans_depth", []string{"proxy", "webserver"}},
	{"conn", "conn_state", []string{"firewall"}},
	{"dce_rpc", "operation", nil},
	{"kerberos", "request_type", nil},
	{"rdp", "security_protocol", nil},
	{"smb_files", "times.modified", nil},
	{"x509", "certificate.serial", nil},
	{"ssl", "cipher", nil},
	{"files", "fuid", nil},
	{"notice", "note", nil},
	{"weird", "", nil},
	{"ssh", "auth_attempts", nil},
	{"ftp", "reply_code", nil},
	{"smtp", "mailfrom", nil},
	{"ntlm", "ntlm_success", nil},
	{"smb_mapping", "share_type", nil},
	{"modbus", "func", nil},
}

func zeekRoutes() []sigma.Route {
	var out []sigma.Route
	for _, l := range zeekLogs {
		sources := []sigma.Logsource{source("zeek", "", l.name)}
		for _, c := range l.categories {
			sources = append(sources, source("zeek", c, l.name))
		}
		add := func(when ...sigma.Mark) { out = append(out, sigma.Route{When: when, Sources: sources}) }
		add(is("_path", l.name), has("uid"))
		add(is("_path", l.name), has("ts"))
		add(is("event.dataset", "zeek."+l.name, "corelight."+l.name))
		switch {
		case l.name == "x509": // a certificate is not a connection's
			add(has("certificate.serial"), has("certificate.subject"), has("certificate.not_valid_after"))
		case l.field != "":
			add(has("uid"), has("id.orig_h"), has(l.field))
		}
	}
	return out
}

// datasets are what Elastic's modules and those who write like them call the
// logs that have no other mark.
var datasets = []struct {
	names   []string
	sources []sigma.Logsource
}{
	{[]string{"apache.error", "apache_http_server.error"}, []sigma.Logsource{source("", "", "apache")}},
	{[]string{"nginx.error", "nginx_ingress_controller.error"}, []sigma.Logsource{source("", "", "nginx")}},
	{[]string{"apache.access", "nginx.access", "iis.access", "nginx_ingress_controller.access", "apache_tomcat.access", "traefik.access", "haproxy.log"}, []sigma.Logsource{source("", "webserver", "")}},
	{[]string{"squid.log", "squid.access", "zscaler.zia", "zscaler_zia.web", "bluecoat.director", "cisco_umbrella.log", "cisco.umbrella", "netskope.events", "forcepoint_web.logs", "mcafee_web_gateway.log"}, []sigma.Logsource{source("", "proxy", "")}},
	{[]string{"mysql.error", "mysql.slowlog", "mysql_enterprise.audit", "postgresql.log", "mssql.log", "microsoft_sqlserver.audit", "microsoft_sqlserver.log", "oracle.database_audit", "mongodb.log"}, []sigma.Logsource{source("", "database", "")}},
	{[]string{"panw.panos", "checkpoint.firewall", "cisco_asa.log", "cisco.asa", "cisco_ftd.log", "cisco.ftd", "iptables.log", "pfsense.log", "sophos.xg", "juniper.srx", "juniper_srx.log", "sonicwall_firewall.log"}, []sigma.Logsource{source("", "firewall", "")}},
	{[]string{"fortinet.firewall", "fortinet_fortigate.log"}, []sigma.Logsource{source("fortigate", "", "event"), source("fortigate", "firewall", "traffic")}},
	{[]string{"panw.globalprotect"}, []sigma.Logsource{source("paloalto", "appliance", "globalprotect")}},
	{[]string{"cisco.ios", "cisco_ios.log"}, []sigma.Logsource{source("cisco", "", "syslog"), source("cisco", "", "aaa"), source("cisco", "", "bgp"), source("cisco", "", "ldp")}},
	{[]string{"juniper.junos", "juniper_junos.log"}, []sigma.Logsource{source("juniper", "", "bgp")}},
	{[]string{"cisco_duo.auth", "duo.auth"}, []sigma.Logsource{source("cisco", "", "duo")}},
	{[]string{"aws.cloudtrail"}, []sigma.Logsource{source("aws", "", "cloudtrail")}},
	{[]string{"azure.activitylogs"}, []sigma.Logsource{source("azure", "", "activitylogs")}},
	{[]string{"azure.auditlogs"}, []sigma.Logsource{source("azure", "", "auditlogs")}},
	{[]string{"azure.signinlogs"}, []sigma.Logsource{source("azure", "", "signinlogs")}},
	{[]string{"azure.identity_protection"}, []sigma.Logsource{source("azure", "", "riskdetection")}},
	{[]string{"gcp.audit"}, []sigma.Logsource{source("gcp", "", "gcp.audit")}},
	{[]string{"google_workspace.admin"}, []sigma.Logsource{source("gcp", "", "google_workspace.admin")}},
	{[]string{"google_workspace.login"}, []sigma.Logsource{source("gcp", "", "google_workspace.login")}},
	{[]string{"github.audit"}, []sigma.Logsource{source("github", "", "audit")}},
	{[]string{"bitbucket.audit", "atlassian_bitbucket.audit"}, []sigma.Logsource{source("bitbucket", "", "audit")}},
	{[]string{"okta.system"}, []sigma.Logsource{source("okta", "", "okta")}},
	{[]string{"onelogin.events"}, []sigma.Logsource{source("onelogin", "", "onelogin.events")}},
	{[]string{"o365.audit"}, []sigma.Logsource{source("m365", "", "audit"), source("m365", "", "exchange"), source("m365", "", "threat_management"), source("m365", "", "threat_detection")}},
	{[]string{"kubernetes.audit_logs"}, []sigma.Logsource{source("kubernetes", "application", "audit")}},
	{[]string{"windows.sysmon_operational"}, []sigma.Logsource{source("windows", "", "sysmon")}},
	{[]string{"system.security"}, []sigma.Logsource{source("windows", "", "security")}},
}

func datasetRoutes() []sigma.Route {
	out := make([]sigma.Route, 0, len(datasets))
	for _, d := range datasets {
		out = append(out, sigma.Route{When: []sigma.Mark{is("event.dataset", d.names...)}, Sources: d.sources})
	}
	return out
}

// declared are logs of free text, which nothing in a line tells apart: whoever
// collects them says what they are in the fields logsource.product,
// logsource.category and logsource.service. The applications that name their
// language or framework need not.
var declared = []sigma.Logsource{
	source("", "database", ""), source("", "antivirus", ""), source("", "proxy", ""), source("", "webserver", ""), source("", "dns", ""), source("", "firewall", ""),
	source("", "", "apache"), source("", "", "nginx"),
	source("cisco", "", "aaa"), source("cisco", "", "bgp"), source("cisco", "", "ldp"), source("cisco", "", "syslog"), source("cisco", "", "duo"),
	source("huawei", "", "bgp"), source("juniper", "", "bgp"), source("fortios", "", "sslvpnd"), source("fortigate", "", "event"),
	source("paloalto", "appliance", "globalprotect"), source("paloalto", "file_event", "globalprotect"),
	source("linux", "", "guacamole"), source("linux", "", "vsftpd"), source("linux", "", "clamav"),
	source("django", "application", ""), source("jvm", "application", ""), source("nodejs", "application", ""), source("python", "application", ""),
	source("ruby_on_rails", "application", ""), source("spring", "application", ""), source("sql", "application", ""), source("velocity", "application", ""),
}

func declaredRoutes() []sigma.Route {
	var out []sigma.Route
	for _, s := range declared {
		var when []sigma.Mark
		for _, part := range [][2]string{{"logsource.product", s.Product}, {"logsource.service", s.Service}, {"logsource.category", s.Category}} {
			if part[1] != "" {
				when = append(when, is(part[0], part[1]))
			}
		}
		out = append(out, sigma.Route{When: when, Sources: []sigma.Logsource{s}})
	}
	return append(out,
		route("python", "application", "", is("service.language.name", "python")),
		route("jvm", "application", "", is("service.language.name", "java", "kotlin", "scala")),
		route("nodejs", "application", "", is("service.language.name", "javascript", "nodejs")),
		route("django", "application", "", is("service.framework.name", "django")),
		route("ruby_on_rails", "application", "", is("service.framework.name", "ruby on rails", "rails")),
		route("spring", "application", "", is("service.framework.name", "spring", "spring web mvc", "spring boot")),
	)
}
