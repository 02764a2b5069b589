package taxonomy

import (
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/siem/sigma"
)

const reserved = sigma.Reserved

// interlockNames are what rules call the fields of Interlock's own events.
var interlockNames = map[string][]string{
	"type": {reserved + "type"}, "device": {reserved + "device"}, "source": {reserved + "source"},
	"severity": {reserved + "severity"}, "simulated": {reserved + "simulated"}, "provenance": {reserved + "provenance"},
}

// tables are tried in order; all that fit are used.
var tables = slices.Concat(endpointTables, linuxTables, cloudTables, networkTables, applicationTables)

// loginNames are what the normaliser fills of a login. Events of Windows name
// both sides of a login themselves, and ECS's user.name is sometimes the one and
// sometimes the other there.
var loginNames = map[string][]string{
	"user": {"user.name"}, "User": {"user.name"}, "TargetUserName": {"user.name"},
	"src_ip": {"src_endpoint.ip"}, "SourceIp": {"src_endpoint.ip"}, "IpAddress": {"src_endpoint.ip"}, "source.ip": {"src_endpoint.ip"},
	"src_port": {"src_endpoint.port"}, "SourcePort": {"src_endpoint.port"}, "source.port": {"src_endpoint.port"},
	"message": {"MESSAGE"},
}

// fold is how names of programs are compared.
func fold(s string) string { return strings.ToLower(s) }

// merged joins maps of names; a field that several have gets the names of all.
func merged(all ...map[string][]string) map[string][]string {
	out := make(map[string][]string)
	for _, m := range all {
		for field, names := range m {
			out[field] = slices.Concat(out[field], names)
		}
	}
	return out
}

// only keeps some of the fields.
func only(m map[string][]string, fields ...string) map[string][]string {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(field string, _ []string) bool { return !slices.Contains(fields, field) })
	return out
}

// under puts prefixes before every field.
func under(prefixes ...string) func(string) []string {
	return func(field string) []string {
		out := make([]string, len(prefixes))
		for i, p := range prefixes {
			out[i] = p + field
		}
		return out
	}
}

// snake writes a name as Elastic's modules do: debugData.requestUri becomes
// debug_data.request_uri.
func snake(name string) string {
	var b strings.Builder
	for i, c := range []byte(name) {
		if 'A' <= c && c <= 'Z' {
			if i > 0 && name[i-1] != '.' && name[i-1] != '_' && (name[i-1] < 'A' || name[i-1] > 'Z') {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// underSnake puts a prefix before the field's name in snake case.
func underSnake(prefixes ...string) func(string) []string {
	return func(field string) []string { return under(prefixes...)(snake(field)) }
}
