package attack

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
	"github.com/interlock-security/interlock/test/rig"
)

// The users of the test: one without a role, one who may look, and one whom
// nobody has named.
const (
	uidNina    = 60001
	uidVera    = 60002
	uidUnknown = 60003
)

// doors is a running installation whose sockets everybody may dial: what is left
// between a user and an effect is the door itself.
type doors struct {
	*site
	fresh *scripted // waits for approval
	order core.UUID // awaits approvals
	inc   core.UUID
	// finding was handed in by a scanner.
	finding core.UUID
}

func openDoors(t *testing.T) *doors {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root, to come as other users, and CI must not skip this")
		}
		t.Skip("needs root, to come as other users")
	}
	s := newSite(t, people, func(c *app.Config) {
		c.Operators = append(
			c.Operators,
			app.Operator{UID: uidNina, Person: person("nina")},
			app.Operator{UID: uidVera, Person: person("vera"), Roles: []string{core.RoleViewer}},
		)
	})
	for path, mode := range map[string]os.FileMode{s.dir: 0o711, s.data().Dir: 0o711, s.data().API(): 0o666, s.data().Stop(): 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	d := &doors{site: s}
	d.populate()
	return d
}

// populate makes something behind every door: an active device with a latch, one
// that waits, an order that waits, an incident.
func (d *doors) populate() {
	d.t.Helper()
	active := d.enrolled(press.String())
	b := active.batch("case_intrusion")
	b.Events[0].State, b.Events[0].Latch, b.Events[0].Severity = core.SensorAlarm, strings.Repeat("0b", 16), core.SeverityCritical
	if status, out := active.do(http.MethodPost, "/agent/v1/batches", active.seal(b)); status != http.StatusOK {
		d.t.Fatalf("a batch: %d, %s", status, out)
	}
	d.fresh = d.stranger("kiosk-1")
	if status, out := d.fresh.enrol(d.secret(d.token(d.fresh.id, "", time.Hour).String)); status != http.StatusAccepted {
		d.t.Fatalf("a device that waits: %d, %s", status, out)
	}
	rig.Await(d.t, "the latch in the registry", d.log.String, func() bool { return len(get[api.Device](d.site, "/v1/devices/press-7").Latches) == 1 })
	var o api.Order
	if err := d.api.Post(d.t.Context(), "/v1/devices/press-7/release", api.ActRequest{Reason: "inspected"}, &o); err != nil {
		d.t.Fatal(err)
	}
	d.order = o.ID
	rig.Await(d.t, "an incident", d.log.String, func() bool {
		found := list[api.Incident](d.site, "/v1/incidents", nil)
		if len(found) > 0 {
			d.inc = found[0].ID
		}
		return len(found) > 0
	})
	d.handIn()
	d.site.order(press, "the playbook's quarantine", func(o api.Order) bool { return o.Type == string(link.OrderQuarantine) && o.State == "queued" })
}

// dialAs connects to a unix socket as another user. The kernel takes a peer's
// uid from the thread that connects; the thread ends with its goroutine.
func dialAs(path string, uid int) (net.Conn, error) {
	type outcome struct {
		conn net.Conn
		err  error
	}
	ch := make(chan outcome)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			ch <- outcome{nil, errno}
			return
		}
		conn, err := net.Dial("unix", path)
		ch <- outcome{conn, err}
	}()
	got := <-ch
	return got.conn, got.err
}

// as is an HTTP client of a socket, as a user.
func as(path string, uid int) *http.Client {
	if uid == os.Getuid() {
		return unixClient(path)
	}
	return &http.Client{
		Timeout: rig.Patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return dialAs(path, uid) }},
	}
}

// calls has a row for each route with an effect. A new route has to be given
// one, and with it is tried by everybody who may not.
func (d *doors) calls() map[string][]call {
	act := `{"reason":"test","incident":"","presence":""}`
	ids := func(body string, known, unknown string) []call { return []call{{known, body}, {unknown, body}} }
	const nobody = "01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55"
	sig := signAs(d.t, d.signer("keys/bert"), link.NamespaceApproval, []byte("x"))
	approval, err := json.Marshal(api.Approval{KeyID: sig.KeyID, Sig: sig.Sig})
	if err != nil {
		d.t.Fatal(err)
	}
	var photo bytes.Buffer
	if err := png.Encode(&photo, image.NewGray(image.Rect(0, 0, 80, 80))); err != nil {
		d.t.Fatal(err)
	}
	var attempt bytes.Buffer
	z := gzip.NewWriter(&attempt)
	if _, err := z.Write([]byte(`{"disable":"sshd-credential-stuffing","days":1}`)); err != nil || z.Close() != nil {
		d.t.Fatal(err)
	}
	exclusion, err := json.Marshal(api.Exclude{Untried: "test", Filter: "title: T\nid: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a3d01\nowner: test\nreason: test\nexpires: " +
		time.Now().AddDate(0, 1, 0).Format(time.DateOnly) + "\nlogsource:\n  product: linux\nfilter:\n  rules:\n    - sshd-failed-login\n  selection:\n    user: test\n  condition: not selection\n"})
	if err != nil {
		d.t.Fatal(err)
	}
	const rule = "7c3b0b06-6d0d-4a7e-9a59-0b2f0f3b5a01"
	all := map[string][]call{
		"POST /v1/tokens":                       {{"", `{"site":"hall-a","device":"x-1","ttl":"1h","fact":""}`}},
		"POST /v1/root":                         {{"", string(d.trust().Envelope())}},
		"POST /v1/audit/verify":                 {{"", ``}},
		"POST /v1/audit/succession":             {{"", `{"payload":"e30=","signatures":[]}`}},
		"POST /v1/devices/{id}/approve":         ids(`{"code":"AAAA-AAAA-AAAA"}`, "kiosk-1", "nobody"),
		"POST /v1/orders/{id}/approvals":        ids(string(approval), d.order.String(), nobody),
		"POST /v1/incidents/{id}/move":          ids(`{"to":"triaged","reason":"test","into":""}`, d.inc.String(), nobody),
		"POST /v1/runs/{id}/start":              ids(`{}`, nobody, nobody),
		"POST /v1/alerts/{id}/ack":              ids(`{"note":"test"}`, nobody, nobody),
		"POST /v1/alerts/{id}/close":            ids(`{"verdict":"benign","reason":"test"}`, nobody, nobody),
		"POST /v1/rules/{id}/disable":           ids(`{"owner":"test","reason":"test"}`, rule, nobody),
		"POST /v1/rules/{id}/restore":           ids(`{"reason":"test"}`, rule, nobody),
		"POST /v1/rules/exclusions":             {{"", string(exclusion)}},
		"POST /v1/rules/backtests":              {{"", attempt.String()}},
		"POST /v1/devices/{id}/criticality":     ids(`{"criticality":"low","reason":"test"}`, press.String(), "nobody"),
		"POST /v1/devices/{id}/walk-tests/sign": ids(`{"hash":"`+strings.Repeat("ab", 32)+`","note":""}`, press.String(), "nobody"),
		"POST /v1/photos":                       {{"", photo.String()}},
		"POST /v1/seals":                        {{"", `{"id":"X-1","kind":"tape","device":"press-7","place":"lid","sensor":"","photo":"` + strings.Repeat("ab", 32) + `","every_days":30}`}},
		"POST /v1/seals/{id}/inspections":       ids(`{"result":"missing","photo":"","note":""}`, "X-1", "nobody"),
		"POST /v1/seals/{id}/remove":            ids(`{"reason":"test"}`, "X-1", "nobody"),
		// Any person may stop the own sites (TestStopDoor); this is another's.
		"POST /v1/stops": {{"", `{"scope":{"kind":"site","site":"hall-z"},"reason":"test"}`}},
	}
	maps.Copy(all, peopleCalls())
	maps.Copy(all, findingCalls(d.finding.String()))
	more := map[link.OrderType]string{
		link.OrderDisarm:   `"arming":"disarmed","until":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"`,
		link.OrderBypass:   `"sensor":"lid","until":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"`,
		link.OrderBaseline: `"sensor":"parts","sha256":"` + strings.Repeat("ab", 32) + `"`,
	}
	for _, typ := range link.AllOrderTypes {
		body := act
		if said := more[typ]; said != "" {
			body = strings.TrimSuffix(act, "}") + "," + said + "}"
		}
		all["POST /v1/devices/{id}/"+string(typ)] = ids(body, press.String(), "nobody")
	}
	return all
}

// size is how many entries the audit log holds.
func (d *doors) size() uint64 { return d.server.Audit.Size() }

// since returns the entries of an action from an index on, read from the log one
// by one: a search reads all of it, each time.
func (d *doors) since(index uint64, action core.Action) (found []api.AuditEntry) {
	d.t.Helper()
	for size := d.size(); index < size; index++ {
		rec, err := d.server.Audit.Entry(d.t.Context(), core.Position{Origin: d.server.Audit.Origin(), Index: index})
		if err != nil {
			d.t.Fatal(err)
		}
		if h := rec.Header; h.Action == action {
			found = append(found, api.AuditEntry{Type: string(h.Type), Actor: rec.Actor, Action: string(h.Action), Object: rec.Object, Outcome: h.Outcome})
		}
	}
	return found
}

// TestOneDoor: whoever may not, may not through any route; whoever does
// something is on record; and nothing lies behind a path that is spelt oddly.
func TestOneDoor(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	routes := d.server.API.Mux().Routes()
	known := d.calls()
	for _, r := range routes {
		if effect(r) && known[r.Pattern] == nil {
			t.Errorf("route %s has no row in this test", r.Pattern)
		}
	}
	before := d.picture()
	d.withoutRoles(routes, known)
	d.onlyLooking(routes, known)
	d.unknownUsers(routes)
	d.otherMethods(routes)
	d.orderTypes(routes)
	d.oddPaths(routes)
	d.oddQueries(routes)
	if after := d.picture(); after != before {
		t.Errorf("something came through a door:\nbefore %s\nafter  %s", before, after)
	}
	d.everyCallIsRecorded(routes, known)
}

// picture is what nobody without the right may change.
func (d *doors) picture() string {
	d.t.Helper()
	var text strings.Builder
	for _, dev := range list[api.Device](d.site, "/v1/devices", nil) {
		whole := get[api.Device](d.site, "/v1/devices/"+dev.ID.String())
		fmt.Fprintf(&text, "%s %s %v;", dev.ID, dev.State, dev.Contained)
		for _, o := range whole.Orders {
			fmt.Fprintf(&text, " %s %s %v;", o.Type, o.State, o.Approvals)
		}
	}
	fmt.Fprintf(&text, " root %d; tokens %d; stops %d", get[api.RootVersion](d.site, "/v1/root").Version, len(d.entries("token.created")), len(d.server.Stops.Status(tenant).Stops))
	return text.String()
}

// withoutRoles: somebody known, with no role, gets 403 at every route and is on
// record there, whether what the path names exists or not.
func (d *doors) withoutRoles(routes []httpd.Route, known map[string][]call) {
	d.t.Helper()
	nina := as(d.data().API(), uidNina)
	for _, r := range routes {
		calls := known[r.Pattern]
		if !effect(r) {
			calls = []call{{id: press.String()}}
		}
		for _, c := range calls {
			from := d.size()
			status, body := rawOver(d.t, nina, method(r.Pattern), c.path(r.Pattern), []byte(c.body))
			if status != http.StatusForbidden {
				d.t.Errorf("%s with %q by somebody without a role: %d, want 403: %s", r.Pattern, c.id, status, body)
				continue
			}
			if !slices.ContainsFunc(d.since(from, r.Action), func(e api.AuditEntry) bool { return e.Outcome == "refused" && e.Actor == "person/nina" }) {
				d.t.Errorf("%s with %q: the refusal of %s is not in the log", r.Pattern, c.id, r.Action)
			}
		}
	}
}

// onlyLooking: a viewer changes nothing.
func (d *doors) onlyLooking(routes []httpd.Route, known map[string][]call) {
	d.t.Helper()
	vera := as(d.data().API(), uidVera)
	for _, r := range routes {
		class, _ := policy.ClassOf(r.Action)
		if !effect(r) || class == policy.ClassRead || r.Action == policy.PersonLinkOwn { // a viewer signs in too
			continue
		}
		for _, c := range known[r.Pattern] {
			from := d.size()
			status, body := rawOver(d.t, vera, method(r.Pattern), c.path(r.Pattern), []byte(c.body))
			if status != http.StatusForbidden || len(d.since(from, r.Action)) == 0 {
				d.t.Errorf("%s with %q by a viewer: %d, want 403 on record: %s", r.Pattern, c.id, status, body)
			}
		}
	}
}

// unknownUsers: a user whom nobody named gets 401, at the stop path too.
func (d *doors) unknownUsers(routes []httpd.Route) {
	d.t.Helper()
	for socket, table := range map[string][]httpd.Route{d.data().API(): routes, d.data().Stop(): d.server.Stops.Mux().Routes()} {
		if len(table) == 0 {
			d.t.Fatalf("%s has no routes", socket)
		}
		client := as(socket, uidUnknown)
		for _, r := range table {
			body := `{}`
			if strings.Contains(r.Pattern, "/trip") {
				body = `{"v":1,"scope":{"kind":"site","site":"hall-a"}}`
			}
			if status, out := rawOver(d.t, client, method(r.Pattern), call{id: press.String()}.path(r.Pattern), []byte(body)); status != http.StatusUnauthorized {
				d.t.Errorf("%s by an unknown user: %d, want 401: %s", r.Pattern, status, out)
			}
		}
	}
}

// otherMethods: what a POST does no other method does.
func (d *doors) otherMethods(routes []httpd.Route) {
	d.t.Helper()
	owner := unixClient(d.data().API())
	for _, r := range routes {
		path := call{id: press.String()}.path(r.Pattern)
		for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post"} {
			if m == "POST" && slices.ContainsFunc(routes, func(x httpd.Route) bool { return x.Pattern == "POST "+strings.SplitN(r.Pattern, " ", 2)[1] }) ||
				m == "GET" && !effect(r) {
				continue
			}
			if m == "GET" && slices.ContainsFunc(routes, func(x httpd.Route) bool { return x.Pattern == "GET "+strings.SplitN(r.Pattern, " ", 2)[1] }) {
				continue
			}
			if status, out := rawOver(d.t, owner, m, path, []byte(`{}`)); status != http.StatusMethodNotAllowed && status != http.StatusNotFound && status != http.StatusBadRequest {
				d.t.Errorf("%s %s: %d: %.200s", m, path, status, out)
			}
		}
	}
}

// orderTypes: each type of order comes in by its own route, under its own
// action, or by none.
func (d *doors) orderTypes(routes []httpd.Route) {
	d.t.Helper()
	owner := unixClient(d.data().API())
	for _, typ := range link.AllOrderTypes {
		pattern := "POST /v1/devices/{id}/" + string(typ)
		i := slices.IndexFunc(routes, func(r httpd.Route) bool { return r.Pattern == pattern })
		if i >= 0 {
			if want := core.Action("device." + string(typ)); routes[i].Action != want {
				d.t.Errorf("%s asks for %s, want %s", pattern, routes[i].Action, want)
			}
			continue
		}
		status, out := rawOver(d.t, owner, http.MethodPost, "/v1/devices/press-7/"+string(typ), []byte(`{"reason":"test","incident":"","presence":""}`))
		if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
			d.t.Errorf("%s has no route and is answered %d: %s", typ, status, out)
		}
	}
}

// odd are names that are none.
var odd = []string{
	"..", "../press-7", "..%2fpress-7", "%2e%2e%2f%2e%2e%2fetc%2fx", "..%5c..%5cetc", "press-7%00", "press-7%00.txt", "press-7%20", "%20press-7", "press-7%0a", "PRESS-7",
	"Press-7", "press-7%2f", "press-7/", "/press-7", "press-7%2frelease", "press-7;x=1", "press-7%3fx=1", "press-7%23", "*", "%25", "%2525", "{id}", "null", "-1", "0", "1e3",
	"'%20OR%20'1'='1", "press-7'--", "%c0%ae%c0%ae", "pre%CC%81ss", "%EF%BC%90", "%E2%80%AEpress-7", strings.Repeat("a", 64), strings.Repeat("a", 4000), "main%2fpress-7",
	"00000000-0000-0000-0000-000000000000", "01932D3F-9B9E-7C2A-8F00-3B1F0C9A7E55", "01932d3f9b9e7c2a8f003b1f0c9a7e55", "18446744073709551616", "+1", "01",
}

// oddPaths: no spelling of a name reaches an effect or makes the server fail.
func (d *doors) oddPaths(routes []httpd.Route) {
	d.t.Helper()
	known := d.calls()
	client := unixClient(d.data().API())
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, r := range routes {
		_, path, _ := strings.Cut(r.Pattern, " ")
		if !strings.Contains(path, "{id}") {
			continue
		}
		body := ""
		if effect(r) {
			body = known[r.Pattern][0].body
		}
		for _, name := range odd {
			from := d.size()
			status, out := d.opaque(client, method(r.Pattern), strings.ReplaceAll(path, "{id}", name), body)
			if status < 300 || status >= 500 {
				if r.Action == policy.AuditProof && (name == "0" || name == "01") {
					continue // an index
				}
				d.t.Errorf("%s with %.60q: %d: %.200s", r.Pattern, name, status, out)
			}
			for _, e := range d.since(from, r.Action) {
				_, id, _ := strings.Cut(e.Object, "/")
				if effect(r) && slices.Contains([]string{press.String(), "kiosk-1", d.order.String(), d.inc.String()}, id) {
					d.t.Errorf("%s with %.60q reached %s: %s", r.Pattern, name, e.Object, e.Outcome)
				}
			}
		}
	}
}

// opaque sends a path exactly as it is spelt.
func (d *doors) opaque(c *http.Client, method, path, body string) (int, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://interlock/", strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.URL.Opaque = path
	res, err := c.Do(req)
	if err != nil {
		d.t.Fatalf("%s %.80q: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	text := make([]byte, 2000)
	n, _ := res.Body.Read(text)
	return res.StatusCode, string(text[:n])
}

// oddQueries: no query makes the server fail.
func (d *doors) oddQueries(routes []httpd.Route) {
	d.t.Helper()
	client := unixClient(d.data().API())
	for _, r := range routes {
		if effect(r) || r.Action == policy.AuditExport {
			continue
		}
		for _, q := range []string{
			"last=-1", "last=1e9", "last=99999999999999999999", "follow=maybe", "limit=-1", "limit=x", "limit=10001", "since=yesterday", "until=%00", "origin=..%2f..%2fetc", "origin=%00",
			"action='%20OR%20'1'='1", "actor=%ff", "object=" + strings.Repeat("a", 5000), "state=../..", "a=%zz", "last=1&last=2", strings.Repeat("x=1&", 500),
		} {
			path := call{id: press.String()}.path(r.Pattern)
			if status, out := d.opaque(client, http.MethodGet, path+"?"+q, ""); status >= 500 {
				d.t.Errorf("GET %s?%.60s: %d: %.200s", path, q, status, out)
			}
		}
	}
}

// everyCallIsRecorded is D34: whoever may, and does, is in the log each time,
// also where nothing came of it.
func (d *doors) everyCallIsRecorded(routes []httpd.Route, known map[string][]call) {
	d.t.Helper()
	owner := unixClient(d.data().API())
	for _, r := range routes {
		class, _ := policy.ClassOf(r.Action)
		if !effect(r) || class == policy.ClassRead {
			continue
		}
		for _, c := range known[r.Pattern] {
			from := d.size()
			status, out := rawOver(d.t, owner, method(r.Pattern), c.path(r.Pattern), []byte(c.body))
			if !slices.ContainsFunc(d.since(from, r.Action), func(e api.AuditEntry) bool { return e.Type == "intent" && e.Actor == "person/anna" }) {
				d.t.Errorf("%s with %q by somebody who may: answered %d and not in the log: %s", r.Pattern, c.id, status, out)
			}
		}
	}
}

// TestStopDoor: any person stops the own site and no other; each trip is in the
// log; nobody else's word is needed.
func TestStopDoor(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	nina := as(d.data().Stop(), uidNina)
	trip := func(scope string) (int, []byte) {
		return rawOver(t, nina, http.MethodPost, "/stop/v1/trip", []byte(`{"v":1,"scope":`+scope+`,"reason":"smoke"}`))
	}
	for scope, want := range map[string]int{
		`{"kind":"site","site":"hall-b"}`:                                http.StatusForbidden,
		`{"kind":"device","device":"nobody"}`:                            http.StatusNotFound,
		`{"kind":"device","device":"../../etc/x"}`:                       http.StatusBadRequest,
		`{"kind":"universe"}`:                                            http.StatusBadRequest,
		`{"kind":"site","site":"hall-a","site":"hall-b"}`:                http.StatusBadRequest,
		`{"kind":"site"}`:                                                http.StatusBadRequest,
		`{"kind":"site","site":"hall-a","device":"press-7","extra":"x"}`: http.StatusBadRequest,
	} {
		if status, out := trip(scope); status != want {
			t.Errorf("a trip of %s: %d, want %d: %s", scope, status, want, out)
		}
	}
	if n := len(d.server.Stops.Status(tenant).Stops); n != 0 {
		t.Errorf("%d stops after trips that were refused", n)
	}
	if status, out := trip(`{"kind":"site","site":"hall-a"}`); status != http.StatusOK {
		t.Fatalf("a person stops the own site: %d, %s", status, out)
	}
	if active := d.server.Stops.Status(tenant).Stops; len(active) != 1 || active[0].By != "person/nina" || active[0].Scope != (stop.Scope{Kind: stop.ScopeSite, Site: hall}) {
		t.Errorf("in force: %+v", active)
	}
	d.recorded("the stop", "device.stop", func(e api.AuditEntry) bool { return e.Actor == "person/nina" && e.Outcome == "deferred" })
	for _, m := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		if status, _ := rawOver(t, nina, m, "/stop/v1/trip", nil); status != http.StatusMethodNotAllowed {
			t.Errorf("%s of a trip: %d", m, status)
		}
	}
}

// TestDeviceDoor: at the agent listener nobody speaks without a certificate, and
// a device that was suspended is refused everywhere, on record.
func TestDeviceDoor(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	stranger := s.stranger("press-1")
	routes := s.server.Listener.Routes()
	for _, r := range routes {
		_, path, _ := strings.Cut(r.Pattern, " ")
		status, out := stranger.do(method(r.Pattern), path+"?after=0", []byte(`{"v":1,"token":"x.y","device":"","public_key":`+fmt.Sprintf("%q", stranger.csr())+`,"serial":""}`))
		if status != http.StatusUnauthorized {
			t.Errorf("%s by a stranger: %d: %s", r.Pattern, status, out)
		}
	}
	d := s.suspended("press-2")
	for _, r := range routes {
		if r.Action == policy.DeviceEnrol {
			continue
		}
		_, path, _ := strings.Cut(r.Pattern, " ")
		status, out := d.do(method(r.Pattern), path+"?after=0", []byte(`{}`))
		wants(t, r.Pattern+" by a suspended device", status, http.StatusForbidden, out, `"press-2" is suspended`)
		s.recorded(string(r.Action), r.Action, func(e api.AuditEntry) bool { return e.Outcome == "refused" && e.Actor == "device/press-2" })
	}
	// A certificate of the right authority, for a name that nobody enrolled.
	ghost := s.enrolled("press-3")
	ghost.id = core.MustID[core.DeviceID]("press-2")
	status, out := ghost.do(http.MethodPost, "/agent/v1/batches", ghost.sign([]byte(`{}`)))
	wants(t, "a batch that is none", status, http.StatusBadRequest, out, "press-3")
	for _, path := range []string{"/agent/v1/../v1/batches", "/agent/v1//batches", "/agent/v1/batches/", "/agent/v1/BATCHES", "/agent/v1/%62atches/x", "/", "/v1/devices", "/stop/v1/trip"} {
		if status, out := ghost.do(http.MethodPost, path, []byte(`{}`)); status < 300 || status >= 500 {
			t.Errorf("POST %s at the listener: %d: %s", path, status, out)
		}
	}
	for _, after := range []string{"-1", "x", "", "1e3", "18446744073709551616", "%00"} {
		if status, out := ghost.do(http.MethodGet, "/agent/v1/orders?after="+after, nil); status != http.StatusBadRequest {
			t.Errorf("after=%s: %d: %s", after, status, out)
		}
	}
}

// suspended is a device that was taken in and whose token a second key used.
func (s *site) suspended(id string) *scripted {
	s.t.Helper()
	d := s.stranger(id)
	tok := s.secret(s.token(d.id, "", time.Hour).String)
	if status, out := d.enrol(tok); status != http.StatusAccepted {
		s.t.Fatalf("enrolling %s: %d, %s", id, status, out)
	}
	code := get[api.Device](s, "/v1/devices/"+id).ShortCode
	if err := s.api.Post(s.t.Context(), "/v1/devices/"+id+"/approve", api.ApproveDevice{Code: code}, nil); err != nil {
		s.t.Fatal(err)
	}
	status, out := d.enrol(tok)
	var answer fleet.EnrolAnswer
	if err := json.Unmarshal(out, &answer); status != http.StatusOK || err != nil {
		s.t.Fatalf("the certificate of %s: %d, %s", id, status, out)
	}
	d.present(d.certificate([]byte(answer.Certificate)))
	if status, out := s.stranger(id).enrol(tok); status != http.StatusConflict {
		s.t.Fatalf("a second key: %d, %s", status, out)
	}
	return d
}

// TestOrdersHaveOneMaker: outside the tests nothing but response/action makes
// orders, so nothing makes one that the Guard was not asked about.
func TestOrdersHaveOneMaker(t *testing.T) {
	makes := regexp.MustCompile(`\b[Oo]rders\.Create\(`)
	err := filepath.WalkDir("../..", func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == ".git" || e.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(filepath.ToSlash(path), "response/action/") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil && makes.Match(text) {
			t.Errorf("%s makes orders beside response/action", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
