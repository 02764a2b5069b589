package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

func TestWhatIsRememberedIsBounded(t *testing.T) {
	b := &body{Memory: map[string]map[string][]byte{"gone": {"component": make([]byte, maxMemory/2)}, "disks": {"component": make([]byte, 1000)}}}
	configured := func(id string) bool { return id != "gone" }
	for _, id := range []string{"imu", "segment"} {
		if err := b.remember(id, map[string][]byte{"judge": make([]byte, maxSensorMemory-100)}, configured); err != nil {
			t.Errorf("the memory of a sensor that is gone takes the room: %v", err)
		}
	}
	for _, over := range []int{maxSensorMemory + 1, maxMemory - 2*maxSensorMemory} { // of one, of all
		if err := b.remember("room", map[string][]byte{"anomaly": make([]byte, over)}, configured); core.KindOf(err) != core.KindTooLarge {
			t.Errorf("%d bytes are over the bound: %v", over, err)
		}
	}
	if len(b.Memory) != 3 || b.Memory["gone"] != nil || b.Memory["room"] != nil {
		t.Errorf("kept of %d sensors", len(b.Memory))
	}
	if err := b.remember("imu", map[string][]byte{"judge": []byte("less")}, configured); err != nil || len(b.Memory) != 3 {
		t.Errorf("less than before: %v", err)
	}
}

// A machine with a thousand parts is told of: what does not fit is named by its
// hash, the rest stands as it was.
func TestAnEventThatIsTooLargeSaysWhatItLeftOut(t *testing.T) {
	parts := make([]sensor.Part, 1000)
	for i := range parts {
		parts[i] = sensor.Part{Class: "pci", Place: fmt.Sprintf("0000:00:%x.0", i), Identity: "8086:1237"}
	}
	raw := sensor.Fields(map[string]any{"parts": parts, "kind": "parts", "count": len(parts)})
	got := boundFields(raw)
	var f struct {
		Kind    string
		Count   int
		LeftOut map[string]struct {
			Bytes  int
			SHA256 string
		} `json:"left_out"`
	}
	if err := json.Unmarshal(got, &f); err != nil || len(got) > maxFields || f.Kind != "parts" || f.Count != 1000 {
		t.Fatalf("%d bytes, %v: %.200s", len(got), err, got)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	if l := f.LeftOut["parts"]; l.Bytes != len(all["parts"]) || l.SHA256 != payloadHash(all["parts"]) {
		t.Errorf("%+v", f.LeftOut)
	}
	if small := sensor.Fields(map[string]any{"a": 1}); string(boundFields(small)) != string(small) {
		t.Error("an event that fits was changed")
	}
	for _, hostile := range []string{`{"a":"` + strings.Repeat("x", maxFields) + `"}`, `[` + strings.Repeat("1,", maxFields) + `1]`, strings.Repeat("x", 2*maxFields)} {
		if got := boundFields(json.RawMessage(hostile)); len(got) > maxFields || !json.Valid(got) {
			t.Errorf("%.20s: %d bytes", hostile, len(got))
		}
	}
}

// A heartbeat of a device with as much as there can be still fits.
func TestAHeartbeatIsBounded(t *testing.T) {
	long := strings.Repeat("w", 256)
	var all []monitor.Status
	var grants []grant
	p := &ports{}
	for i := range maxSensors {
		s := monitor.Status{ID: core.MustID[core.SensorID](fmt.Sprintf("sensor-%d", i)), State: core.SensorFault, Why: long}
		for range 64 {
			s.Values = append(s.Values, monitor.Value{Point: long, Value: 1.0 / 3, Unit: sensor.UnitCelsius})
		}
		all = append(all, s)
		grants = append(grants, grant{Sensor: s.ID, Point: long, Why: long, Ticket: long[:64]})
		for n := range 10 {
			p.set(Interface{Sensor: s.ID, Kind: "usb", Name: fmt.Sprintf("%d-%d", i, n), What: long, State: PortInUse, Changed: time.Unix(1, 0)})
		}
	}
	fields := map[string]any{"bypassed": toldBypasses(grants, 0, time.Unix(1, 0)), "live": liveOf(all), "interfaces": p.list(maxToldPorts)}
	statesOf(all, fields)
	raw := sensor.Fields(fields)
	t.Logf("at most about %d bytes", len(raw))
	if len(raw) > 32<<10 || len(boundFields(raw)) > maxFields {
		t.Errorf("%d bytes", len(raw))
	}
	if n := len(p.list(1 << 20)); n != maxPorts {
		t.Errorf("%d interfaces are remembered", n)
	}
}
