package docs

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
)

// routeMeanings say what a route answers, with what its query may hold.
var routeMeanings = map[string]string{
	"GET /v1/status":                        "what runs, what is open, what is wrong",
	"GET /v1/board":                         "the safety board: days without an incident, stops in force, sensors that are not ok, open alerts and orders, how far stages are behind",
	"GET /v1/events":                        "the last `last` events as NDJSON; with `follow=true` each one that comes, as it becomes durable; `cursors=true` names each one's place, `after=CURSOR` goes on from it",
	"GET /v1/live":                          "the same as server-sent events, resumed by `Last-Event-ID`",
	"GET /v1/events/search":                 "events that a LogsQL `query` finds between `from` and `to`, newest first; the reading is recorded",
	"GET /v1/events/histogram":              "how many a `query` finds by time, in at most `bars` steps",
	"GET /v1/events/{id}/explain":           "what the rules in force make of an event: which fired and on what, which of `near` nearly did and what was missing; one whole with `rule=ID`",
	"GET /v1/alerts":                        "a page of open alerts, with `all=true` all; by `severity`, `device`, `rule`",
	"POST /v1/alerts/{id}/ack":              "acknowledges an alert: no more notices unless it rises",
	"GET /v1/alerts/{id}":                   "one alert",
	"POST /v1/alerts/{id}/close":            "closes an alert with a verdict: `resolved`, `benign` or `false-positive`; the last two with a reason",
	"GET /v1/rules":                         "a page of rules, most alerts of the last seven days first: those that had any or are tuned, with `all=true` all, with `text` those that have it",
	"GET /v1/rules/{id}":                    "one rule by its id or name",
	"POST /v1/rules/{id}/disable":           "takes a rule's alerts away, with owner, reason and, if it is to come back by itself, `until`",
	"POST /v1/rules/{id}/restore":           "lets a rule speak again, or ends an exclusion, with a reason",
	"GET /v1/rules/changes":                 "rules out of force and exclusions; with `all=true` those that ended too; what they speak of that no rule has",
	"POST /v1/rules/exclusions":             "brings an exclusion into force: a Sigma filter with `owner`, `reason`, `expires`, and the hash of the back-test that was looked at",
	"POST /v1/rules/backtests":              "begins a back-test of an exclusion, of a rule that goes, or of rule files; the body is compressed JSON",
	"GET /v1/rules/backtests/{id}":          "how far a back-test is, and to whoever began it what it showed, with its hash",
	"GET /v1/rules/coverage":                "which rules can fire, by the logsources and fields of the last `days` (7, at most 90): per rule why not, and which missing logsource or field would light up most; `counts.partial` where 20 s did not do for all",
	"GET /v1/rules/noise":                   "what each rule cost over `days`: alerts, events, false positives, time to close, and what could be done",
	"GET /v1/findings":                      "a page of open findings, what to fix first first, with `all=true` all; by `state`, `severity`, `class`, `subject`, `owner`, `advisory`, `package`, `overdue=true`, `text`; `sort=due` or `newest`",
	"GET /v1/findings/{id}":                 "one finding with its timeline, what each detector last said of it, and what is known about its advisory",
	"POST /v1/findings/reports":             "takes reports of scanners in; JSON, also compressed, at most 16 MiB; a report that came before changes nothing",
	"GET /v1/findings/stats":                "the figures of findings over `days`: open by severity, overdue, exploited, fixed and how fast, by owner and subject, day by day",
	"GET /v1/findings/board":                "one look at open findings: by state and severity, those whose time is over, and the three to fix first with why",
	"POST /v1/findings/vex":                 "takes a VEX document in (OpenVEX, CSAF 2.0, CycloneDX; also compressed), from `source`: what an author whose word counts ([configuration](config.md)) says not to be affected, with a justification, is closed in the author's name, and open again when they say otherwise",
	"GET /v1/findings/vex":                  "what we say of vulnerabilities as a VEX document: `format` `openvex`, `csaf` (which needs `namespace`, a web site) or `cyclonedx`; by `subject`; as `author`",
	"GET /v1/findings/freshness":            "when each scope was last scanned by which detector, and of when inventories and lists are",
	"GET /v1/findings/owners":               "the text by which findings have owners",
	"POST /v1/findings/owners":              "puts another text of owners in force: a line is patterns and an owner",
	"POST /v1/findings/sboms":               "takes an inventory of a `subject` in and matches it with the advisories; JSON, also compressed",
	"GET /v1/advisories/{id}/facts":         "what became known about an advisory, by any of its names",
	"POST /v1/advisories/{id}/facts":        "notes what became known about an advisory; its findings are ranked anew, and their time may get shorter",
	"GET /v1/campaigns":                     "campaigns, newest first",
	"GET /v1/campaigns/{id}":                "one campaign: who has it and since when, who is rid of it, from stored inventories",
	"POST /v1/campaigns":                    "starts a campaign about an `advisory`, or a `package` of an `ecosystem` in some `versions` or all `below` one",
	"POST /v1/findings/{id}/move":           "moves a finding on: `triaged`, `affected`, `remediating`, `fixed-pending-verification`; only a scan verifies it",
	"POST /v1/findings/{id}/dismiss":        "closes a finding by judgement, with a reason: `not-affected` with VEX's `justification`, `false-positive`, `duplicate` with `of`",
	"POST /v1/findings/{id}/accept":         "asks for a finding's risk to be accepted `until` a day",
	"POST /v1/findings/{id}/approve":        "accepts a finding's risk, as somebody else asked",
	"POST /v1/findings/{id}/assign":         "gives a finding an `owner`",
	"POST /v1/findings/{id}/notes":          "adds a remark to a finding",
	"GET /v1/incidents":                     "a page of open incidents, with `all=true` all; by `state`, `device`",
	"GET /v1/incidents/{id}":                "one incident with its timeline and log positions",
	"GET /v1/incidents/{id}/dry-run":        "which playbooks fit an incident and what they would do, without doing it",
	"POST /v1/incidents/{id}/move":          "moves an incident to its next state by hand",
	"GET /v1/runs":                          "runs of playbooks, newest first; of one incident with `incident=ID`",
	"GET /v1/runs/{id}":                     "one run with every attempt at its steps",
	"POST /v1/runs/{id}/start":              "starts a run that waits for a person, or goes on with it",
	"GET /v1/devices":                       "a page of devices by name; by `state`, `site`, `query`",
	"GET /v1/sites":                         "sites with their number of devices",
	"GET /v1/stops":                         "stops in force on one's sites, and who has not confirmed",
	"POST /v1/stops":                        "requests a stop, from memory as the stop path does; answers when it is in effect",
	"GET /v1/orders":                        "a page of orders; by `state`, `device`",
	"GET /v1/devices/{id}":                  "one device with sensors, open latches and orders",
	"POST /v1/devices/{id}/approve":         "takes a waiting device in; the body repeats the short code that the device shows",
	"POST /v1/devices/{id}/arm":             "makes an order: treat what is sensed as an attack",
	"POST /v1/devices/{id}/quarantine":      "makes an order: only the link to the server stays",
	"POST /v1/devices/{id}/release":         "asks for a release; the order waits for persons' signatures",
	"POST /v1/devices/{id}/reset":           "asks for a restart after a stop; the order waits for persons' signatures",
	"GET /v1/devices/{id}/sensors":          "what a device's sensors last said: state, why, values, when last proven",
	"POST /v1/devices/{id}/disarm":          "asks for a disarming, a transport or a maintenance (`arming`) until a time; the order waits for persons' signatures",
	"POST /v1/devices/{id}/bypass":          "asks that a `sensor`, or a `point` of it, counts for nothing until a time; the order waits for persons' signatures",
	"POST /v1/devices/{id}/baseline":        "asks that the inventory with this `sha256` is what is expected; the order waits for persons' signatures",
	"POST /v1/devices/{id}/criticality":     "says how much depends on a device, with a reason",
	"GET /v1/devices/{id}/walk-tests":       "a device's walk tests: what was set off, what was not, who signed them off",
	"POST /v1/devices/{id}/walk-tests/sign": "puts one's name under the walk test of this `hash`",
	"GET /v1/risks":                         "the devices that somebody should look at first, with what their score is made of; of one `site`",
	"GET /v1/seals":                         "a page of seals: what is wrong first, then by the day they are due; by `device`, `state`, `due`; with `all=true` those that ended",
	"GET /v1/seals/{id}":                    "one seal, and who looked at it",
	"POST /v1/seals":                        "registers a seal that was put on a machine",
	"POST /v1/seals/{id}/inspections":       "records what was found at a seal",
	"POST /v1/seals/{id}/remove":            "ends a seal with a reason, or replaces it",
	"POST /v1/photos":                       "takes a photo (JPEG or PNG, at most 8 MiB) and answers with its SHA-256; unused it is forgotten after a day",
	"GET /v1/photos/{id}":                   "a photo, without its metadata",
	"GET /v1/orders/{id}":                   "one order with its envelope, whose exact bytes an approver signs",
	"POST /v1/orders/{id}/approvals":        "hands in a person's signature over an order",
	"POST /v1/tokens":                       "makes an enrolment string",
	"GET /v1/audit/entries":                 "a page of audit entries by `actor`, `action`, `object`, `outcome`, `since`, `until`, `limit`; the reading is recorded",
	"GET /v1/audit/state":                   "the log's size, root, mode and checkpoint",
	"GET /v1/audit/proofs/{id}":             "the c2sp.org/tlog-proof@v1 text of one entry; `origin` names the log where a successor has taken its place",
	"GET /v1/audit/export":                  "the whole log as a tar of C2SP tlog-tiles",
	"POST /v1/audit/verify":                 "recomputes the running log from its bytes",
	"GET /v1/audit/succession":              "what the root role signs to begin a new log after damage",
	"POST /v1/audit/succession":             "begins the new log by the signed statement, and answers with its state",
	"GET /v1/root":                          "the trust root in force, signed as it is",
	"POST /v1/root":                         "hands in the next, signed trust root",
	"POST /stop/v1/trip":                    "requests a stop; answers when it is in effect, with who has not confirmed",
	"POST /stop/v1/reason":                  "gives a stop its reason afterwards",
	"GET /stop/v1/status":                   "the stops in force, and who has not confirmed",
	"POST /agent/v1/enrol":                  "a device with a token asks for its identity; the only route without a client certificate",
	"POST /agent/v1/batches":                "a signed batch of events; answers with the receipt that proves that the log holds it",
	"GET /agent/v1/orders":                  "orders and trust roots as NDJSON, for as long as the device listens",
	"POST /agent/v1/results":                "the signed result of an order",
	"GET /agent/v1/renew":                   "a challenge for a renewal",
	"POST /agent/v1/renew":                  "a new management certificate, against a signed challenge and a certificate that may have run out",
	"POST /agent/v1/workloads":              "a certificate for a program on the device; refused while the device is contained",
	"GET /health":                           "the state of each part; 503 unless all are healthy",
	"GET /metrics":                          "figures, in the Prometheus text format (exposure `standard` and `full`)",
	"GET /debug/pprof/":                     "profiles (exposure `full`)",
	"GET /debug/pprof/profile":              "a CPU profile (exposure `full`)",
	"GET /debug/pprof/trace":                "an execution trace (exposure `full`)",
	"GET /v1/status (the agent's)":          "how the device is, with the code for an order that asks for somebody in front of it",
	"POST /v1/stop (the agent's)":           "outputs to their safe state",
	"POST /v1/arm (the agent's)":            "arms",
	"POST /v1/quarantine (the agent's)":     "contains the device",
	"POST /v1/walk-test (the agent's)":      "begins a walk test, while the device is not armed",
	"GET /v1/walk-test (the agent's)":       "what was set off and what is left",
	"POST /v1/walk-test/end (the agent's)":  "ends it; the server hears of what was set off and what was not",
	"POST /v1/doctor (the agent's)":         "tests the device and answers what was found; the server hears of it too",
	"POST /v1/order (the agent's)":          "takes a signed order by hand: from a stick, when no server is to be trusted",
	"every other request (the agent's)":     "is refused and recorded, for root too",
}

// TestAPI holds api.md: every route that a program of ours serves, from the
// tables that serve them.
func TestAPI(t *testing.T) {
	listener, err := fleet.NewListener(fleet.Parts{Quota: fleet.DefaultQuota, Clock: core.SystemClock{}})
	if err != nil {
		t.Fatal(err)
	}
	management := httpd.Management{Exposure: httpd.ExposureFull, Metrics: http.NotFoundHandler()}
	var page bytes.Buffer
	page.WriteString(`# Routes

Every route of every listener, with the [action](actions.md) that it is decided and recorded by. Made from the route tables of the code.

Bodies and answers are JSON; bodies are decoded strictly: an unknown, double or differently written key is an error. What goes wrong is an RFC 9457
problem document whose ` + "`next`" + ` says what to do. There is no operator API over the network in this release.
`)
	known := map[string]bool{}
	section := func(title, text string, routes []httpd.Route) {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n| route | action | class | what |\n|---|---|---|---|\n", title, text)
		for _, r := range byPath(routes) {
			class, there := policy.ClassOf(r.Action)
			if !there {
				t.Errorf("%s: the action %s is not in policy's vocabulary", r.Pattern, r.Action)
			}
			if routeMeanings[r.Pattern] == "" {
				t.Errorf("%s: say in routeMeanings what it answers", r.Pattern)
			}
			known[r.Pattern] = true
			fmt.Fprintf(&page, "| `%s` | `%s` | %s | %s |\n", r.Pattern, r.Action, class, routeMeanings[r.Pattern])
		}
	}
	section("Operators", "The unix socket `api.sock` in the data directory, mode 0600 unless `listen.group` opens it to a group. The kernel says who is at the other end, `operators` in the "+
		"[configuration](config.md) which person that is. The verbs use these routes. Parameters and answers in "+
		"full: [openapi.json](openapi.json), which `interlock api openapi` prints. A list comes as a page, `{\"items\":[…],\"next\":…,\"total\":…}`; `after` takes `next` as it is, `limit` is at most 500.", api.New(api.Parts{}).Mux().Routes())
	section("Stops", "The unix socket `stop.sock` in the data directory. No policy engine is asked and nothing is read from a disk: identity and scope are enough.",
		new(stop.Service).Mux().Routes())
	section("Devices", "`listen.agents`, TLS 1.3 with the device's management certificate.", listener.Routes())
	section("Management", "`listen.management`, plain HTTP on loopback, without credentials. `listen.exposure` says which routes there are.", management.Handler().Routes())
	consoleRoutes(t, &page)
	local(t, &page, known)
	for pattern := range routeMeanings {
		if !known[pattern] {
			t.Errorf("routeMeanings explains %s, which nobody serves", pattern)
		}
	}
	reference(t, "api.md", page.Bytes())
}

// byPath puts what belongs together together, and a GET before its POST.
func byPath(routes []httpd.Route) []httpd.Route {
	key := func(r httpd.Route) string {
		method, path, _ := strings.Cut(r.Pattern, " ")
		return path + " " + method
	}
	return slices.SortedFunc(slices.Values(routes), func(a, b httpd.Route) int { return strings.Compare(key(a), key(b)) })
}

var localRoute = regexp.MustCompile(`mux\.HandleFunc\("([^"]+)"`)

// local lists the agent's own socket, from its source: the device has no policy
// actions for what its own people may do.
func local(t *testing.T, page *bytes.Buffer, known map[string]bool) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, "device", "agent", "local.go"))
	if err != nil {
		t.Fatal(err)
	}
	page.WriteString("\n## A device's own people\n\nThe unix socket `agent.sock` in the agent's `run_dir`, for its owner alone. It offers what tightens, and orders that are signed.\n\n" +
		"| route | what |\n|---|---|\n")
	for _, m := range localRoute.FindAllSubmatch(source, -1) {
		pattern := string(m[1])
		if pattern == "/" {
			pattern = "every other request"
		}
		name := pattern + " (the agent's)"
		if routeMeanings[name] == "" {
			t.Errorf("%s: say in routeMeanings what it answers", name)
		}
		known[name] = true
		if strings.Contains(pattern, " /") {
			pattern = "`" + pattern + "`"
		}
		fmt.Fprintf(page, "| %s | %s |\n", pattern, routeMeanings[name])
	}
}
