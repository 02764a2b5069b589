package taxonomy

// request are the names of a request in the logs of web servers and proxies:
// ECS, OCSF, what IIS really writes (cs(User-Agent)), Zeek, Suricata, and the
// JSON that nginx is commonly told to write.
var request = map[string][]string{
	"c-uri":           {"url.original", "url.full", "http_request.url.url_string", "uri", "http.url", "request_uri"},
	"cs-uri":          {"url.original", "url.full", "http_request.url.url_string", "uri", "http.url", "request_uri"},
	"c-uri-extension": {"url.extension"},
	"c-uri-query":     {"url.query", "http_request.url.query_string", "cs-uri-query"},
	"cs-uri-query":    {"url.query", "http_request.url.query_string", "url.original", "uri", "http.url", "request_uri"},
	"c-uri-stem":      {"url.path", "http_request.url.path", "cs-uri-stem"},
	"cs-uri-stem":     {"url.path", "http_request.url.path", "c-uri-stem"},
	"c-useragent":     agent, "cs-user-agent": agent,
	"cs-host": host, "r-dns": host,
	"cs-method":  {"http.request.method", "http_request.http_method", "method", "http.http_method", "request_method"},
	"sc-status":  {"http.response.status_code", "http_response.code", "status_code", "http.status", "status"},
	"cs-referer": referer, "cs-referrer": referer,
	"cs-cookie":       {"cs(Cookie)", "http_cookie"},
	"cs-content-type": {"cs(Content-Type)", "http.request.mime_type", "http.http_content_type"},
	"cs-username":     {"user.name", "actor.user.name", "remote_user"},
	"c-ip":            {"source.ip", "client.ip", "src_endpoint.ip", "remote_addr", "id.orig_h"},
	"src_ip":          {"source.ip", "client.ip", "src_endpoint.ip", "c-ip", "id.orig_h"},
	"dst_ip":          {"destination.ip", "dst_endpoint.ip", "s-ip", "r-ip", "id.resp_h", "dest_ip"},
}

var (
	agent   = []string{"user_agent.original", "http_request.user_agent", "cs(User-Agent)", "cs-user-agent", "c-useragent", "user_agent", "http.http_user_agent", "http_user_agent"}
	host    = []string{"url.domain", "destination.domain", "http_request.url.hostname", "cs(Host)", "host", "http.hostname", "http_host"}
	referer = []string{"http.request.referrer", "http_request.referrer", "cs(Referer)", "cs-referer", "cs-referrer", "referrer", "http.http_refer", "http_referer"}
)

var (
	question = map[string][]string{
		"query":       {"dns.question.name", "query.hostname", "dns.rrname", "dns.queries.rrname", "QueryName"},
		"record_type": {"dns.question.type", "query.type", "qtype_name", "dns.rrtype", "dns.queries.rrtype"},
		"answer":      {"dns.answers.data", "answers.rdata", "answers", "dns.answers.rdata", "dns.rdata"},
	}
	passage = map[string][]string{
		"src_ip":   {"source.ip", "src_endpoint.ip", "srcip", "id.orig_h", "SourceAddress"},
		"src_port": {"source.port", "src_endpoint.port", "srcport", "id.orig_p"},
		"dst_ip":   {"destination.ip", "dst_endpoint.ip", "dstip", "dest_ip", "id.resp_h", "DestAddress"},
		"dst_port": {"destination.port", "dst_endpoint.port", "dstport", "dest_port", "id.resp_p", "DestPort"},
		"username": {"user.name", "actor.user.name"},
		"action":   {"event.action", "act", "disposition"},
	}
	zeekEnds = map[string][]string{
		"id.orig_h": {"source.ip", "source.address"}, "id.orig_p": {"source.port"},
		"id.resp_h": {"destination.ip", "destination.address"}, "id.resp_p": {"destination.port"},
	}
	zeekHTTP = map[string][]string{
		"c-uri": {"uri", "url.original"}, "uri": {"url.original"}, "c-useragent": {"user_agent", "user_agent.original"}, "user_agent": {"user_agent.original"},
		"method": {"http.request.method"}, "status_code": {"http.response.status_code"}, "host": {"url.domain"},
		"request_body_len": {"http.request.body.bytes"},
	}
)

func zeek(service string) func(string) []string { return under("zeek." + service + ".") }

var networkTables = []table{
	{category: "proxy", also: request},
	{category: "webserver", also: request},
	{category: "dns", also: question},
	{category: "firewall", also: passage},
	{product: "zeek", also: zeekEnds},
	{product: "zeek", service: "http", also: zeekHTTP, shape: zeek("http")},
	{product: "zeek", service: "dns", shape: zeek("dns"), also: map[string][]string{
		"query": {"dns.question.name"}, "qtype_name": {"dns.question.type"}, "answers": {"dns.answers.data"},
	}},
	{product: "zeek", service: "dce_rpc", shape: zeek("dce_rpc")},
	{product: "zeek", service: "kerberos", shape: zeek("kerberos")},
	{product: "zeek", service: "rdp", shape: zeek("rdp")},
	{product: "zeek", service: "smb_files", shape: zeek("smb_files"), also: map[string][]string{"name": {"file.name"}, "path": {"file.path"}}},
	{product: "zeek", service: "x509", shape: zeek("x509")},
	{product: "fortigate", service: "event", shape: under("fortinet.firewall.")},
	{product: "cisco", service: "duo", shape: under("cisco_duo.auth.", "duo.")},
}

var applicationTables = []table{
	{product: "opencanary", category: "application", shape: under("opencanary.")},
	{product: "rpc_firewall", category: "application", shape: under(windowsShapes...), also: map[string][]string{
		"EventLog": windowsHeader["Channel"], "EventID": windowsHeader["EventID"],
	}},
}
