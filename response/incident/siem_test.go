package incident_test

import (
	"encoding/json"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/response/incident"
	siem "github.com/interlock-security/interlock/siem/alert"
)

// TestWhatSiemPublishesIsRead holds the two ends of the topic "alerts" together.
func TestWhatSiemPublishesIsRead(t *testing.T) {
	sent := siem.Alert{
		V: 1, Notice: siem.KindOpened, ID: core.NewUUID(start), Tenant: tenant, Rule: siem.Rule{Name: "interlock-device-tampered", ID: "7c3b", Title: "Device tampered", Author: "Interlock"},
		Severity: core.SeverityHigh, State: siem.StateOpen, Source: "device/press-7", Device: core.MustID[core.DeviceID]("press-7"),
		Provenance: core.ProvenanceDevice, Simulated: true, Count: 3, First: start, Last: start, Opened: start,
	}
	record, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	got, err := incident.DecodeAlert(record)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != sent.ID || got.Rule != sent.Rule.Name || got.Title != sent.Title || got.Severity != sent.Severity || got.Device != sent.Device ||
		got.Provenance != sent.Provenance || !got.Simulated || got.Count != 3 || !got.First.Equal(start) {
		t.Errorf("read %+v", got)
	}
}
