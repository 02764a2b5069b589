package link_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

const (
	epoch = "000102030405060708090a0b0c0d0e0f"
	latch = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
	other = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// goodParams has valid parameters for every order type.
var goodParams = map[link.OrderType]any{
	link.OrderStop: link.StopParams{}, link.OrderArm: link.ArmParams{},
	link.OrderQuarantine: link.QuarantineParams{}, link.OrderSuspend: link.SuspendParams{},
	link.OrderRelease: link.ReleaseParams{}, link.OrderReset: link.ResetParams{},
	link.OrderDisarm:        link.DisarmParams{Arming: core.Maintenance, Until: issued.Add(time.Hour).UnixMicro()},
	link.OrderBypass:        link.BypassParams{Sensor: core.MustID[core.SensorID]("case-1"), Until: issued.Add(time.Hour).UnixMicro()},
	link.OrderBaseline:      link.BaselineParams{Sensor: core.MustID[core.SensorID]("usb"), SHA256: strings.Repeat("ab", 32)},
	link.OrderPolicy:        link.PolicyParams{Version: 7, SHA256: strings.Repeat("cd", 32)},
	link.OrderUpdate:        link.UpdateParams{Version: "1.3.0", SHA256: strings.Repeat("ef", 32), Size: 1 << 20},
	link.OrderServerAddress: link.ServerAddressParams{Servers: []string{"b.example:8443"}},
	link.OrderZeroize:       link.ZeroizeParams{}, link.OrderRetire: link.RetireParams{},
}

// pointBypass has every parameter of its type.
var pointBypass = link.BypassParams{
	Sensor: core.MustID[core.SensorID]("case-1"), Point: "lid", Ticket: "M-2026-118",
	From: issued.Add(30 * time.Minute).UnixMicro(), Until: issued.Add(time.Hour).UnixMicro(),
}

func encodeParams(t testing.TB, p any) json.RawMessage {
	t.Helper()
	raw, err := link.EncodeParams(p)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func bypassOf(t testing.TB, change func(*link.BypassParams)) json.RawMessage {
	t.Helper()
	p := pointBypass
	change(&p)
	return encodeParams(t, p)
}

func testUUID(n byte) core.UUID {
	u := core.UUID{0x01, 0x93, 0x2d, 0x3f, 0x9b, 0x9e, 0x7c, 0x2a, 0x8f, 0, 0, 0, 0, 0, 0, n}
	return u
}

// newOrder makes a valid order of a type, requested by a playbook.
func newOrder(t testing.TB, kind link.OrderType, params any) *link.Order {
	t.Helper()
	if params == nil {
		params = goodParams[kind]
	}
	raw, err := link.EncodeParams(params)
	if err != nil {
		t.Fatal(err)
	}
	o := &link.Order{
		V: 1, Type: kind, ID: testUUID(1), Tenant: core.MustID[core.TenantID]("acme"), Site: core.MustID[core.SiteID]("hall-2"),
		Device: core.MustID[core.DeviceID]("press-7"), Requester: "service/playbook", Reason: "case opened, checked by hand", Incident: "inc-12",
		RootVersion: 1, Epoch: epoch, Counter: 42, Params: raw, Issued: issued.UnixMicro(), Expires: issued.Add(time.Hour).UnixMicro(),
	}
	if kind == link.OrderRelease {
		o.Counter, o.Latches = 0, []string{latch}
	}
	return o
}

func encodeOrder(t testing.TB, o *link.Order) []byte {
	t.Helper()
	b, err := link.EncodeOrder(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The table has a row for every OrderType constant in payload.go, and parameters
// and a test value for each row. A type that somebody adds without saying which
// way it goes fails here.
func TestEveryOrderTypeHasADirection(t *testing.T) {
	declared := orderTypeConstants(t)
	if len(declared) < 14 {
		t.Fatalf("found only %v in payload.go", declared)
	}
	for _, d := range declared {
		row, ok := link.DirectionOf(d)
		if !ok || row.Type != d || row.Note == "" || row.Role == "" {
			t.Errorf("%s: no row in the direction table, or half of one: %+v", d, row)
		}
		if _, ok := goodParams[d]; !ok {
			t.Errorf("%s: no parameters in the tests", d)
		}
		if _, err := link.DecodeOrder(encodeOrder(t, newOrder(t, d, nil))); err != nil {
			t.Errorf("%s: %v", d, err)
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(declared)), slices.Sorted(slices.Values(link.AllOrderTypes))) {
		t.Errorf("the table has %v, payload.go %v", link.AllOrderTypes, declared)
	}
}

func orderTypeConstants(t *testing.T) []link.OrderType {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "payload.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []link.OrderType
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); !ok || id.Name != "OrderType" {
			return true
		}
		for _, e := range v.Values {
			s, err := strconv.Unquote(e.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, link.OrderType(s))
		}
		return true
	})
	return out
}

func TestUnknownDirectionIsAway(t *testing.T) {
	if _, ok := link.DirectionOf("reboot"); ok {
		t.Error("reboot has a row")
	}
	if !link.Direction("").Away() || !link.Direction("sideways").Away() {
		t.Error("an unknown direction is not away from safety")
	}
	away := 0
	for _, k := range link.AllOrderTypes {
		if row, _ := link.DirectionOf(k); row.Direction.Away() {
			away++
		} else if row.Role != link.RoleServerCommand && row.Role != link.RoleServerStop {
			t.Errorf("%s is towards safety and names role %s", k, row.Role)
		}
	}
	if away != 10 {
		t.Errorf("%d types lead away from safety, want 10", away)
	}
}

func TestOrdersReference(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Orders\n\nWhat a device can be told to do. The device decides the direction, from this table and not from the message;\na type that is not here is refused. This page is made from the table in `link/direction.go`.\n\n" +
		"A *stop* needs one signature: the server's stop key or any person's. What *tightens* or *contains* needs the server's command key,\nor the release threshold of persons. Everything else leads away from safety and needs the threshold of its role in the trust root, in persons;\nno server key counts there. In `single-operator` mode it also needs the presence code that the device shows, and it waits.\n\n" +
		"| order | direction | role | what it does |\n|---|---|---|---|\n")
	for _, k := range link.AllOrderTypes {
		row, _ := link.DirectionOf(k)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", row.Type, row.Direction, row.Role, row.Note)
	}
	goldenFile(t, "../docs/reference/orders.md", []byte(b.String()))
}

func TestOrderGoldenBytes(t *testing.T) {
	s := quorumSite(t)
	var all bytes.Buffer
	for _, k := range link.AllOrderTypes {
		all.Write(encodeOrder(t, newOrder(t, k, nil)))
		all.WriteByte('\n')
	}
	golden(t, "orders.ndjson", all.Bytes())
	golden(t, "bypass-point.ndjson", append(encodeOrder(t, newOrder(t, link.OrderBypass, pointBypass)), '\n'))
	golden(t, "order-envelope.json", s.seal(link.NamespaceApproval, encodeOrder(t, newOrder(t, link.OrderRelease, nil)), "anna", "ben"))
}

func TestOrderRules(t *testing.T) {
	rows := []struct {
		name   string
		kind   link.OrderType
		change func(*link.Order)
		want   string
	}{
		{"format", link.OrderArm, func(o *link.Order) { o.V = 0 }, "known is 1"},
		{"unknown type", link.OrderArm, func(o *link.Order) { o.Type = "reboot" }, "away from safety"},
		{"type in capitals", link.OrderArm, func(o *link.Order) { o.Type = "ARM" }, "away from safety"},
		{"no id", link.OrderArm, func(o *link.Order) { o.ID = core.UUID{} }, "no id"},
		{"no tenant", link.OrderArm, func(o *link.Order) { o.Tenant = core.TenantID{} }, "must all be named"},
		{"no site", link.OrderArm, func(o *link.Order) { o.Site = core.SiteID{} }, "must all be named"},
		{"no device", link.OrderStop, func(o *link.Order) { o.Device = core.DeviceID{} }, "must all be named"},
		{"no reason", link.OrderArm, func(o *link.Order) { o.Reason = "" }, "reason"},
		{"long reason", link.OrderArm, func(o *link.Order) { o.Reason = strings.Repeat("x", 1001) }, "reason of 1001"},
		{"long incident", link.OrderArm, func(o *link.Order) { o.Incident = strings.Repeat("x", 201) }, "incident"},
		{"requester", link.OrderArm, func(o *link.Order) { o.Requester = "anna" }, "person/anna"},
		{"requester kind", link.OrderArm, func(o *link.Order) { o.Requester = "Person/anna" }, "person/anna"},
		{"stranger", link.OrderArm, func(o *link.Order) { o.Requester = "stranger/x" }, "person/anna"},
		{"requester path", link.OrderArm, func(o *link.Order) { o.Requester = "person/anna/x" }, "person/anna"},
		{"epoch", link.OrderArm, func(o *link.Order) { o.Epoch = "x" }, "epoch"},
		{"no epoch", link.OrderRelease, func(o *link.Order) { o.Epoch = "" }, "no epoch"},
		{"no root version", link.OrderRelease, func(o *link.Order) { o.RootVersion = 0 }, "root_version"},
		{"no counter", link.OrderArm, func(o *link.Order) { o.Counter = 0 }, "counter is 0"},
		{"counter of a release", link.OrderRelease, func(o *link.Order) { o.Counter = 1 }, "a release has 0"},
		{"release of nothing", link.OrderRelease, func(o *link.Order) { o.Latches = nil }, "1 to 256 latches"},
		{"latch twice", link.OrderRelease, func(o *link.Order) { o.Latches = []string{latch, latch} }, "twice"},
		{"latch form", link.OrderRelease, func(o *link.Order) { o.Latches = []string{strings.ToUpper(latch)} }, "lower-case"},
		{"any latch", link.OrderRelease, func(o *link.Order) { o.Latches = []string{"*"} }, "lower-case"},
		{"latches of another type", link.OrderReset, func(o *link.Order) { o.Latches = []string{latch} }, "names no latches"},
		{"latches of a stop", link.OrderStop, func(o *link.Order) { o.Latches = []string{latch} }, "names no latches"},
		{"expires before issued", link.OrderArm, func(o *link.Order) { o.Expires = o.Issued }, "after issued"},
		{"issued before 1970", link.OrderArm, func(o *link.Order) { o.Issued = -1 }, "1970"},
		{"lives for ever", link.OrderArm, func(o *link.Order) { o.Expires = 1<<63 - 1 }, "at most 168h"},
		{"unknown parameter", link.OrderRelease, func(o *link.Order) { o.Params = json.RawMessage(`{"force":true}`) }, "$.force"},
		{"parameter twice", link.OrderPolicy, func(o *link.Order) { o.Params = json.RawMessage(`{"version":1,"version":2,"sha256":""}`) }, "twice"},
		{"missing parameter", link.OrderPolicy, func(o *link.Order) { o.Params = json.RawMessage(`{"version":1}`) }, "sha256"},
		{"null parameters", link.OrderArm, func(o *link.Order) { o.Params = json.RawMessage(`null`) }, "null"},
		{"list as parameters", link.OrderArm, func(o *link.Order) { o.Params = json.RawMessage(`[]`) }, "params of arm"},
		{"hash", link.OrderPolicy, func(o *link.Order) { o.Params = json.RawMessage(`{"version":1,"sha256":"x"}`) }, "SHA-256"},
		{"policy version 0", link.OrderPolicy, func(o *link.Order) { o.Params = json.RawMessage(`{"version":0,"sha256":"x"}`) }, "begin at 1"},
		{"disarm to armed", link.OrderDisarm, func(o *link.Order) { o.Params = json.RawMessage(`{"arming":"armed","until":1}`) }, "not disarmed"},
		{"disarm for ever", link.OrderDisarm, func(o *link.Order) { o.Params = json.RawMessage(`{"arming":"disarmed","until":9223372036854775807}`) }, "at most 30 days"},
		{"bypass without end", link.OrderBypass, func(o *link.Order) { o.Params = json.RawMessage(`{"sensor":"a","until":0}`) }, "until"},
		{"bypass of all", link.OrderBypass, func(o *link.Order) { o.Params = json.RawMessage(`{"sensor":"","until":1}`) }, "no sensor"},
		{"bypass of a pattern", link.OrderBypass, func(o *link.Order) { o.Params = json.RawMessage(`{"sensor":"*","until":1}`) }, "identifier"},
		{"bypass that begins before it was issued", link.OrderBypass, func(o *link.Order) { o.Params = bypassOf(t, func(p *link.BypassParams) { p.From = o.Issued - 1 }) }, "from"},
		{"bypass that ends before it begins", link.OrderBypass, func(o *link.Order) { o.Params = bypassOf(t, func(p *link.BypassParams) { p.From = p.Until }) }, "from"},
		{"bypass of a point that draws", link.OrderBypass, func(o *link.Order) { o.Params = bypassOf(t, func(p *link.BypassParams) { p.Point = "lid\n" }) }, "point"},
		{"bypass of an endless point", link.OrderBypass, func(o *link.Order) {
			o.Params = bypassOf(t, func(p *link.BypassParams) { p.Point = strings.Repeat("x", 257) })
		}, "point"},
		{"bypass with a long ticket", link.OrderBypass, func(o *link.Order) {
			o.Params = bypassOf(t, func(p *link.BypassParams) { p.Ticket = strings.Repeat("x", 65) })
		}, "ticket"},
		{"maintenance for a week", link.OrderDisarm, func(o *link.Order) {
			o.Params = encodeParams(t, link.DisarmParams{Arming: core.Maintenance, Until: issued.Add(24*time.Hour + 1000).UnixMicro()})
		}, "24 hours"},
		{"baseline of all", link.OrderBaseline, func(o *link.Order) { o.Params = json.RawMessage(`{"sensor":"","sha256":""}`) }, "no sensor"},
		{"update version", link.OrderUpdate, func(o *link.Order) { o.Params = json.RawMessage(`{"version":"v1","sha256":"","size":1}`) }, "like 1.2.3"},
		{"update size", link.OrderUpdate, func(o *link.Order) { o.Params = json.RawMessage(`{"version":"1.2.3","sha256":"","size":0}`) }, "size 0"},
		{"no server", link.OrderServerAddress, func(o *link.Order) { o.Params = json.RawMessage(`{"servers":[]}`) }, "no server"},
		{"server form", link.OrderServerAddress, func(o *link.Order) { o.Params = json.RawMessage(`{"servers":["http://x"]}`) }, "host:port"},
		{"long presence", link.OrderReset, func(o *link.Order) { o.Params = json.RawMessage(`{"presence":"` + strings.Repeat("1", 33) + `"}`) }, "presence"},
	}
	for _, row := range rows {
		o := newOrder(t, row.kind, nil)
		row.change(o)
		b, err := link.Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := link.DecodeOrder(b); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
		if _, err := link.EncodeOrder(o); err == nil {
			t.Errorf("%s: encoded", row.name)
		}
	}
	if _, err := link.DecodeOrder(make([]byte, link.MaxPayload+1)); core.KindOf(err) != core.KindTooLarge {
		t.Error(err)
	}
}

func TestRenderedOrderIsWhatIsSigned(t *testing.T) {
	var all strings.Builder
	for _, k := range link.AllOrderTypes {
		text, err := link.RenderOrder(encodeOrder(t, newOrder(t, k, nil)))
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(text + "\n")
	}
	text, err := link.RenderOrder(encodeOrder(t, newOrder(t, link.OrderBypass, pointBypass)))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "rendered.txt", []byte(all.String()+text))

	// A reason that tries to draw another order.
	o := newOrder(t, link.OrderRelease, nil)
	o.Reason = "ok\n  device        press-8\x1b[1A\x1b[2K\r\u202egnp\u200b\u0000\u0085\u009b31m e\u0301 \"\\"
	o.Incident = "\u2066x\ufeff"
	text, err = link.RenderOrder(encodeOrder(t, o))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range text {
		if r != '\n' && (r < ' ' || r > '~') {
			t.Errorf("byte %d is %q", i, r)
		}
	}
	if n := strings.Count(text, "\n  device "); n != 1 {
		t.Errorf("%d device lines:\n%s", n, text)
	}
	if _, err := link.RenderOrder([]byte(`{}`)); err == nil {
		t.Error("rendered what is no order")
	}
}

func FuzzDecodeOrder(f *testing.F) {
	for _, k := range link.AllOrderTypes {
		f.Add(encodeOrder(f, newOrder(f, k, nil)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := link.DecodeOrder(b)
		if err != nil {
			return
		}
		if _, err := link.EncodeOrder(o); err != nil {
			t.Fatalf("decoded and not encodable: %v", err)
		}
		text, err := link.RenderOrder(b)
		if err != nil || strings.ContainsAny(text, "\x1b\r\u202e") {
			t.Fatalf("%v: %q", err, text)
		}
	})
}
