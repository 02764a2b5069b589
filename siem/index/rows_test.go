package index

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/normalise"
)

var (
	tenant   = core.MustID[core.TenantID]("main")
	received = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func eventOf(change func(*core.Event)) core.Event {
	e := core.Event{
		ID: core.NewUUID(received), Time: received.Add(-time.Minute), Received: received, Tenant: tenant, Source: "device/press-7", Provenance: core.ProvenanceDevice,
		Device: core.MustID[core.DeviceID]("press-7"), Class: core.ClassDeviceState, Type: "case_intrusion", Severity: core.SeverityHigh, Sequence: 9,
		Fields: json.RawMessage(`{"sensor":"lid"}`),
	}
	if change != nil {
		change(&e)
	}
	return e
}

func frameOf(t testing.TB, list ...core.Event) journal.Frame {
	t.Helper()
	f := journal.Frame{Offset: 5, Kind: journal.KindEvents, Tenant: tenant, Source: "device/press-7", Received: received}
	for _, e := range list {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		f.Records = append(f.Records, b)
	}
	return f
}

// get returns the first field of a name, which is the one that counts.
func get(r events.Row, name string) string {
	for _, f := range r.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func one(t *testing.T, f journal.Frame) events.Row {
	t.Helper()
	rows := rowsOf(normalise.New(), nil, f)
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	return rows[0]
}

func TestAnEventIsSearchedByEnvelopeAndFields(t *testing.T) {
	r := one(t, frameOf(t, eventOf(func(e *core.Event) {
		e.Fields = json.RawMessage(`{"sensor":"lid","n":17,"on":true,"none":null,"deep":{"a":{"b":"c"}},"list":[1,"x"],"message":"the lid is open"}`)
		e.Simulated = true
	})))
	if r.Tenant != tenant || r.Offset != 5 || r.Index != 0 || !r.Time.Equal(received.Add(-time.Minute)) || r.Source != "device/press-7" || r.Message != "the lid is open" {
		t.Errorf("%+v", r)
	}
	for name, want := range map[string]string{
		FieldType: "case_intrusion", FieldSeverity: "high", FieldDevice: "press-7", FieldProvenance: "device-signed", FieldClass: "5002", FieldSequence: "9", FieldSimulated: "true",
		"sensor": "lid", "n": "17", "on": "true", "none": "", "deep.a.b": "c", "list": `[1,"x"]`, FieldUnreadable: "",
	} {
		if got := get(r, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestALogLineIsSearchedByWhatTheNormaliserFound(t *testing.T) {
	r := one(t, frameOf(t, eventOf(func(e *core.Event) {
		e.Device, e.Source, e.Type = core.DeviceID{}, "file/auth.log", "sshd"
		e.Fields = json.RawMessage(`{"program":"sshd","pid":"1","message":"Failed password for root from 192.0.2.7 port 5022 ssh2"}`)
	})))
	if get(r, normalise.FieldUser) != "root" || get(r, normalise.FieldIP) != "192.0.2.7" || get(r, normalise.FieldStatus) != "Failure" || !strings.HasPrefix(r.Message, "Failed password") {
		t.Errorf("%+v", r)
	}
}

func TestNoFieldOfAnEventPassesForItsEnvelope(t *testing.T) {
	fields := map[string]string{}
	for name := range envelopeNames {
		fields[name] = "forged"
	}
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	r := one(t, frameOf(t, eventOf(func(e *core.Event) { e.Fields = b })))
	for _, f := range r.Fields {
		if f.Value == "forged" && !strings.HasPrefix(f.Name, "field.") {
			t.Errorf("%s is forged", f.Name)
		}
	}
	if get(r, "field.severity") != "forged" || get(r, FieldUnreadable) != "" {
		t.Errorf("%+v", r)
	}
}

func TestWhatIsNoEventIsSearchableText(t *testing.T) {
	other := eventOf(func(e *core.Event) { e.Tenant = core.MustID[core.TenantID]("other") })
	foreign, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	f := frameOf(t)
	f.Records = [][]byte{[]byte("not JSON \x00\xff"), []byte(`{"id":1}`), foreign}
	rows := rowsOf(normalise.New(), nil, f)
	if len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, r := range rows {
		if get(r, FieldUnreadable) != "true" || r.Tenant != tenant || r.Source != f.Source || r.Message != string(f.Records[i]) || r.Index != i {
			t.Errorf("%+v", r)
		}
	}
}

func TestOnlyTheSignedBytesOfABatchAreLeftOut(t *testing.T) {
	batch := eventOf(func(e *core.Event) { e.Type = fleet.TypeBatch })
	f := frameOf(t, batch, eventOf(nil), batch)
	if rows := rowsOf(normalise.New(), nil, f); len(rows) != 3 {
		t.Errorf("%d rows of a frame that is no batch", len(rows))
	}
	f.Key = &journal.Key{}
	rows := rowsOf(normalise.New(), nil, f)
	if len(rows) != 2 || rows[0].Index != 1 || rows[1].Index != 2 || get(rows[1], FieldType) != fleet.TypeBatch {
		t.Errorf("%+v", rows)
	}
	f.Kind = journal.KindRules
	if rows := rowsOf(normalise.New(), nil, f); len(rows) != 0 {
		t.Errorf("%d rows of rules", len(rows))
	}
}

func TestAStampFarOffDoesNotHideAnEvent(t *testing.T) {
	for at, want := range map[time.Time]time.Time{
		received.Add(-20 * 24 * time.Hour):          received.Add(-20 * 24 * time.Hour),
		received.Add(time.Minute):                   received.Add(time.Minute),
		received.Add(time.Hour):                     received,
		time.Unix(0, 0):                             received,
		time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC): received,
		received.Add(-31 * 24 * time.Hour):          received,
	} {
		r := one(t, frameOf(t, eventOf(func(e *core.Event) { e.Time = at })))
		if !r.Time.Equal(want) || get(r, FieldTime) != at.UTC().Format(time.RFC3339Nano) {
			t.Errorf("%s is searched at %s, and says %s", at, r.Time, get(r, FieldTime))
		}
	}
}

func TestFieldsAreReadWithinLimits(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	var wide strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&wide, `"f%d":{"x":"1"},`, i)
	}
	for name, fields := range map[string]string{
		"deep": deep, "wide": "{" + strings.TrimSuffix(wide.String(), ",") + "}", "empty": "{}", "twice": `{"a":"1","a":"2"}`,
	} {
		r := one(t, frameOf(t, eventOf(func(e *core.Event) { e.Fields = json.RawMessage(fields) })))
		if len(r.Fields) > maxLeaves+20 {
			t.Errorf("%s: %d fields", name, len(r.Fields))
		}
		if r.Message != fields {
			t.Errorf("%s: the message is not all of it", name)
		}
	}
	if leaves := 0; flatten([]byte(deep), func(string, string) { leaves++ }) != true || leaves != 1 {
		t.Errorf("a deep object has %d leaves", leaves)
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,2,{"c":null}]},"message":"x"}`))
	f.Add([]byte(`{"a":1`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"program":"sshd","message":"Failed password for root from 192.0.2.7 port 5022 ssh2"}`))
	n := normalise.New()
	f.Fuzz(func(t *testing.T, fields []byte) {
		record := append([]byte(`{"id":"01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55","time":"2026-03-01T12:00:00Z","received":"2026-03-01T12:00:00Z","tenant":"main","source":"s","provenance":"local","class":0,"type":"t","severity":"info","fields":`), fields...)
		frame := journal.Frame{Offset: 1, Kind: journal.KindEvents, Tenant: tenant, Source: "s", Received: received, Records: [][]byte{append(record, '}'), fields}}
		rows := rowsOf(n, nil, frame)
		if len(rows) != 2 || rows[0].Tenant != tenant || rows[1].Index != 1 {
			t.Errorf("%+v", rows)
		}
	})
}
