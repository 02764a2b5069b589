package docs

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/device/agent"
)

// serverKeys say what each key of interlock.yaml means.
var serverKeys = map[string]string{
	"tenant":                     "the tenant that everything of this server belongs to",
	"site":                       "the site of this server's own devices, and the one that operators may stop",
	"installation":               "names this installation in the trust root and in the audit log's origin; can't be changed after the first run",
	"listen.agents":              "where devices connect, as `host:port`. A first run writes the port into the trust root, which is where devices learn it: set it before the first run",
	"listen.names":               "the names and addresses that devices call the server by; they stand in its certificate, and a first run writes them into the trust root",
	"listen.management":          "health, metrics and profiles; loopback only, unless `exposure` is `minimal`",
	"listen.group":               "a group of the machine, by name or number, whose members reach `api.sock` and `stop.sock`; empty: the server's own user alone. `operators` says who may do what",
	"listen.exposure":            "`minimal`: health. `standard`: and metrics. `full`: and profiles",
	"listen.console":             "where browsers come to, `\"\"` for no console. On loopback plain HTTP, which browsers take as secure there; beyond loopback TLS 1.3. Taken by another program, it is tried again and the server goes on without",
	"listen.console_name":        "the host name that browsers use. The console answers for no other one, and passkeys are bound to it: changed, people need new ones",
	"listen.console_certificate": "PEM file with the console's certificate and its chain. Without it the console beyond loopback has the one of the agent listener, made by this server's CA, so the name must stand in `names`",
	"listen.console_key":         "PEM file with its key",
	"store.driver":               "`sqlite`: encrypted files in the data directory. `postgres`: a database of yours",
	"store.dsn":                  "how to reach PostgreSQL, only with `postgres`",
	"collect.files[].path":       "a log that grows line by line; an absolute path",
	"collect.files[].type":       "`sshd` or `syslog`",
	"collect.syslog.udp":         "where syslog is taken in over UDP, as `host:port`; empty: not",
	"collect.syslog.tcp":         "where syslog is taken in over TCP; empty: not",
	"collect.journald":           "read this machine's journal",
	"events.off":                 "no event store: nothing can be searched for, everything else works",
	"events.memory_mb":           "memory that the event store's caches may take, in MB",
	"events.disk_mb":             "disk that the event store may take, in MB; the oldest days go first, and when nothing is left to drop, events wait in the journal",
	"events.free_mb":             "disk that the event store leaves to others, in MB",
	"events.retention_days":      "for how many days an event can be searched for, if the disk allows",
	"events.insert":              "a VictoriaLogs cluster to use instead: where it takes rows in, like `https://logs.example:9428`; beyond this machine only `https`",
	"events.select":              "where that cluster is searched",
	"events.user":                "the cluster's user; empty: it asks for none",
	"events.password_file":       "a file whose first line is the cluster's password; an absolute path",
	"events.flush_seconds":       "the cluster's `-inmemoryDataFlushInterval`; events leave the journal only when they are twice as old",
	"operators[].uid":            "a user of this machine, as the kernel numbers them; each once. By default you alone",
	"operators[].person":         "who that is: a person of the trust root",
	"operators[].roles":          "any of `viewer`, `operator`, `security-officer`, `administrator`; [actions](actions.md) says who may do what",
	"advisories":                 "the folder of the advisory database that `interlock scan db` keeps; empty: `advisories` in the data directory. The server asks it about the inventories that it knows whenever it was updated",
	"findings.vex[].author":      "somebody whose VEX statements close findings, exactly as the documents write it; nobody by default",
	"findings.vex[].source":      "the only place whose documents count as that author's; empty: any. Whoever hands a document in names its place: a filter, no proof",
	"findings.vex[].max_days":    "how old a statement may be, in days; 0: any age",
	"rules_link":                 "where that folder can be read by others: a rule without `link` has its file's address below it on every alert",
	"rules_placeholders":         "a YAML file with the values of `%name%` in rules: a map from each name to its value or a list of them, as `rules check --placeholders` takes it. They are part of the rules in force",
	"rules":                      "a folder with your own [rules](../howto/new-rule.md) beside the shipped ones; empty: none",
}

// agentKeys say what each key of the agent's file means.
var agentKeys = map[string]string{
	"data_dir":                  "keys, state and spool; an absolute path",
	"run_dir":                   "the local socket; an absolute path that a restart of the machine should empty",
	"device":                    "the name that this machine asks for when it enrols",
	"root_hash":                 "the trust root's sha256 from the ceremony sheet. Without it the enrolment is recorded as *first use*, for ever",
	"demo":                      "marks an enrolment for a demonstration: simulated sensors load, and an agent that was enrolled for real doesn't start",
	"enforce":                   "what a quarantine does: `none` (it says what it would do), `nftables`, `simulated` (only with `demo`)",
	"dhcp":                      "a quarantine lets DHCP through, so that the lease lives on",
	"sensors[].id":              "the sensor's name, each once",
	"sensors[].driver":          "what senses: a driver, or a fusion of other sensors. Its own keys stand beside these; a key that it doesn't have is an error",
	"sensors[].of":              "the sensors that a fusion judges; they stand before it",
	"sensors[].always":          "`true`: it counts however the device is armed, and can't be bypassed",
	"sensors[].judges":          "what says what the sensor's measures mean: the judge's name and its keys",
	"sensors[].latch":           "whether an alarm stays until it is released; without it the driver's own choice",
	"sensors[].reflex":          "what an alarm that stays sets off at once: `quarantine`, `stop`. Left out: `quarantine`. An empty list: nothing",
	"schedule.zone":             "where the windows' times of day are true: `Europe/Berlin`; left out: UTC",
	"schedule.windows[].days":   "when the device is disarmed by itself: `mon-fri`, `sat,sun`, `daily`. Outside of windows, and wherever nothing proves the time, it is armed",
	"schedule.windows[].from":   "a time of day: `07:00`",
	"schedule.windows[].to":     "a time of day, on the next day if it isn't after `from`",
	"schedule.windows[].arming": "`disarmed` (the default) or `transport`; a maintenance takes two people",
	"schedule.except":           "days on which no window opens: `2026-12-25`",
	"outputs[].id":              "the output's name, each once",
	"outputs[].driver":          "`file`: a simulated relay",
	"outputs[].path":            "the file that stands for the relay; an absolute path",
	"spool_limit":               "space for events that wait for the server, in bytes; 1 MiB to 16 GiB",
	"heartbeat":                 "how often the device says that it is there, 1s to 1h",
	"workloads[].name":          "a program on this machine that gets a key and a certificate of its own while the device isn't contained",
	"workloads[].dir":           "where `NAME.key` and `NAME.crt` lie; without it `workloads` in `data_dir`",
	"debounce":                  "how long a level must hold before it counts, 1ms to 10s",
}

// TestConfig holds config.md: every key of both files with its default, none
// left out and none invented.
func TestConfig(t *testing.T) {
	var page bytes.Buffer
	page.WriteString(`# Configuration

Two files, both YAML, both read strictly: an unknown key is an error with line and column. What isn't written keeps its default. Made from the
structures that the programs read.

## The server

` + "`interlock.yaml`" + ` in the data directory, or what ` + "`--config`" + ` names. ` + "`interlock config print`" + ` prints every value, ` +
		"`interlock config check FILE`" + ` says what is
wrong. Changes take effect at the next start.

`)
	keysTable(t, &page, reflect.ValueOf(app.Default(1000)), serverKeys)
	page.WriteString(`
## The agent

What ` + "`--config`" + ` names; without it the defaults. Flags win over the file. ` + "`interlock-agent --print-config`" + ` prints every value. The enrolment string has no
place in a file that is kept: it comes in ` + "`INTERLOCK_ENROL`" + `.

`)
	keysTable(t, &page, reflect.ValueOf(agent.Default()), agentKeys)
	reference(t, "config.md", page.Bytes())
}

func keysTable(t *testing.T, page *bytes.Buffer, defaults reflect.Value, meanings map[string]string) {
	t.Helper()
	page.WriteString("| key | default | what it means |\n|---|---|---|\n")
	known := map[string]bool{}
	walk(defaults, "", func(key string, v reflect.Value) {
		known[key] = true
		if meanings[key] == "" {
			t.Errorf("the key %s of %s is not explained", key, defaults.Type())
		}
		fmt.Fprintf(page, "| `%s` | %s | %s |\n", key, valueOf(v), meanings[key])
	})
	for key := range meanings {
		if !known[key] {
			t.Errorf("%s is explained, but %s has no such key", key, defaults.Type())
		}
	}
}

// walk visits the fields that a YAML file can set. A list of structures is
// visited once, without a value.
func walk(v reflect.Value, prefix string, visit func(string, reflect.Value)) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "-" || name == "" {
			continue
		}
		f, key := v.Field(i), prefix+name
		switch {
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct && f.Type().Elem().NumField() > 0 && f.Type().Elem().Field(0).Tag.Get("yaml") != "":
			walk(reflect.Zero(f.Type().Elem()), key+"[].", func(key string, _ reflect.Value) { visit(key, reflect.Value{}) })
		case f.Kind() == reflect.Struct && f.NumField() > 0 && f.Type().Field(0).Tag.Get("yaml") != "":
			walk(f, key+".", visit)
		default:
			visit(key, f)
		}
	}
}

// valueOf prints a default.
func valueOf(v reflect.Value) string {
	if !v.IsValid() {
		return ""
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return "`" + x.String() + "`"
	case []string:
		return "`" + strings.Join(x, "`, `") + "`"
	case bool:
		return fmt.Sprintf("`%v`", x)
	}
	if v.IsZero() {
		return "none"
	}
	return fmt.Sprintf("`%v`", v.Interface())
}
