package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/explain"
	"github.com/interlock-security/interlock/siem/sigma"
)

// explains gives the API a rule that holds for devices' events of type e-0.
func (r *rig) explains() {
	r.t.Helper()
	rules, err := sigma.Parse("e.yml", []byte(`title: E
id: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a2d99
author: A
logsource: {product: interlock}
detection:
  selection: {kind: wanted}
  condition: selection
`))
	r.must(err)
	engine, err := sigma.Compile(rules, sigma.Options{})
	r.must(err)
	r.api.Explain = func(_ context.Context, ev *core.Event, o explain.Options) (explain.Report, error) {
		return explain.Received(engine, ev, o), nil
	}
}

// put appends one event of a device and returns its id and where it lies.
func (r *rig) put(of core.TenantID, fields string) (core.UUID, uint64) {
	r.t.Helper()
	e := core.Event{
		ID: core.NewUUID(time.Now()), Time: time.Now(), Received: time.Now(), Tenant: of, Source: "device/press-7", Provenance: core.ProvenanceDevice,
		Device: press, Type: "e", Severity: core.SeverityInfo, Fields: json.RawMessage(fields),
	}
	b, err := json.Marshal(e)
	r.must(err)
	done, err := r.frames.Append(r.t.Context(), journal.Frame{Kind: journal.KindEvents, Tenant: of, Source: e.Source, Records: [][]byte{[]byte("{}"), b}})
	r.must(err)
	return e.ID, done[0].Offset
}

// TestExplainingAnEvent finds it where the event store says, or by looking back,
// and asks the rules in force about it.
func TestExplainingAnEvent(t *testing.T) {
	r := newRig(t)
	old, oldAt := r.put(tenant, `{"kind":"wanted"}`)
	for range 80 { // more frames than one step reads
		r.event(tenant, 2, "other")
	}
	stranger, _ := r.put(foreign, `{"kind":"wanted"}`)
	id, _ := r.put(tenant, `{"kind":"unwanted"}`)
	path := func(id core.UUID) string { return "/v1/events/" + id.String() + "/explain" }
	r.api.Explain = nil
	r.refused("anna", "GET", path(id), "", core.KindUnavailable)
	r.explains()

	before := r.log.Size()
	got := get[explain.Report](r, path(id)+"?near=3")
	if got.Event != id.String() || got.Asked != 1 || len(got.Fired) != 0 || len(got.Sources) != 1 {
		t.Errorf("%+v", got)
	}
	if r.log.Size() != before+1 {
		t.Error("nothing in the log says that an event was read")
	}
	if got := get[explain.Report](r, path(old)); len(got.Fired) != 1 || got.Fired[0].Author != "A" {
		t.Errorf("looking back: %+v", got)
	}
	r.store.hits = []events.Hit{{Fields: map[string]string{events.FieldOffset: strconv.FormatUint(oldAt, 10), events.FieldIndex: "1"}}}
	if got := get[explain.Report](r, path(old)); len(got.Fired) != 1 {
		t.Errorf("by the store: %+v", got)
	}
	if want := `id:="` + old.String() + `"`; r.store.asked.LogsQL != want || r.store.asked.Tenant != tenant {
		t.Errorf("the store was asked %q of %v", r.store.asked.LogsQL, r.store.asked.Tenant)
	}
	r.store.hits = nil
	one := get[explain.Report](r, path(id)+"?rule=5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a2d99")
	if one.Chosen == nil || one.Chosen.Condition == nil || one.Chosen.Distance != 1 {
		t.Errorf("%+v", one.Chosen)
	}

	r.refused("anna", "GET", path(stranger), "", core.KindNotFound, "no event")
	r.refused("anna", "GET", path(core.NewUUID(time.Now())), "", core.KindNotFound, "no event")
	r.refused("anna", "GET", "/v1/events/x/explain", "", core.KindInvalid)
	r.refused("anna", "GET", path(id)+"?near=501", "", core.KindInvalid)
	r.refused("anna", "GET", path(id)+"?near=-1", "", core.KindInvalid)
	r.refused("anna", "GET", path(id)+"?rule=none", "", core.KindNotFound, "in force")
	r.refused("anna", "GET", path(id)+"?rule="+strings.Repeat("a", 501), "", core.KindTooLarge)
	r.refused("vera", "GET", path(id), "", core.KindDenied)
	if code, _ := r.ask("nobody", "GET", path(id), ""); code != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d", code)
	}
}

// TestExplainingWhatIsGone says so where the store knows an event that the
// journal has let go.
func TestExplainingWhatIsGone(t *testing.T) {
	r := newRig(t)
	r.explains()
	id, at := r.put(tenant, `{}`)
	r.store.hits = []events.Hit{{Fields: map[string]string{events.FieldOffset: strconv.FormatUint(at+5, 10), events.FieldIndex: "1"}}}
	r.refused("anna", "GET", "/v1/events/"+id.String()+"/explain", "", core.KindNotFound, "no longer holds")
	r.store.hits = []events.Hit{{Fields: map[string]string{events.FieldOffset: "x"}}}
	r.refused("anna", "GET", "/v1/events/"+id.String()+"/explain", "", core.KindDamaged)
}
