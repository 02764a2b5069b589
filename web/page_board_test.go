package web

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// What nobody has heard is neither well nor in alarm.
func TestSensorsOfTheBoard(t *testing.T) {
	alarm, unknown := api.Sensor{ID: "case", State: core.SensorAlarm}, api.Sensor{ID: "usb", State: core.SensorUnknown}
	online := map[string]int{"online": 1}
	for _, row := range []struct {
		name  string
		board api.Board
		known bool
		tone  string
	}{
		{"all well", api.Board{Devices: online}, true, "ok"},
		{"none enrolled", api.Board{}, true, "unknown"},
		{"database away", api.Board{Devices: online}, false, "unknown"},
		{"one not heard", api.Board{Devices: online, SensorsNotOK: 1, Sensors: []api.Sensor{unknown}}, true, "warn"},
		{"one in alarm", api.Board{Devices: online, SensorsNotOK: 2, Sensors: []api.Sensor{alarm, unknown}}, true, "bad"},
		{"more than are named", api.Board{Devices: online, SensorsNotOK: 2, Sensors: []api.Sensor{unknown}}, true, "bad"},
	} {
		if f := sensorsFigure(row.board, row.known); f.Tone != row.tone {
			t.Errorf("%s: %+v, want tone %s", row.name, f, row.tone)
		}
	}
}

// What nobody scanned is not clean, and what is late or exploited is what the
// figure says first.
func TestFindingsOfTheBoard(t *testing.T) {
	open := func(s core.Severity, n int) lifecycle.Stats {
		return lifecycle.Stats{Open: map[core.Severity]int{s: n}}
	}
	late := open(core.SeverityLow, 4)
	late.Overdue, late.Exploited = 2, 1
	for _, row := range []struct {
		name             string
		inspection       inspection
		tone, note, href string
	}{
		{"database away", inspection{Allowed: true}, "unknown", "not known just now", "/findings"},
		{"nothing scanned", inspection{Allowed: true, Known: true}, "unknown", "nothing was scanned yet", "/findings"},
		{"nothing found", inspection{Allowed: true, Known: true, Scanned: true}, "ok", "of what was scanned", "/findings"},
		{"low", inspection{Known: true, Scanned: true, Stats: open(core.SeverityLow, 3)}, "warn", "none is high or critical", "/findings"},
		{"critical", inspection{Known: true, Scanned: true, Stats: open(core.SeverityCritical, 1)}, "bad", "1 critical", "/findings"},
		{"late", inspection{Known: true, Scanned: true, Stats: late}, "bad", "2 past their day, 1 exploited", "/findings?which=overdue"},
	} {
		if f := findingsFigure(row.inspection); f.Tone != row.tone || f.Note != row.note || f.Href != row.href {
			t.Errorf("%s: %+v", row.name, f)
		}
	}
}

// TestTheBoardSaysWhatToFixFirst, and how to begin where nothing was scanned.
func TestTheBoardSaysWhatToFixFirst(t *testing.T) {
	p := newPlant(t)
	if text := visibleText(p.page("vera", "/")); !strings.Contains(text, "Nothing was scanned yet") || !strings.Contains(text, "interlock scan all") {
		t.Error(text)
	}
	sum := p.scanned(time.Now().Add(-time.Hour), nil, vulnerable("GO-2026-0001", core.SeverityCritical), vulnerable("GO-2026-0002", core.SeverityLow))
	body := p.page("vera", "/")
	harmless(t, "/", body)
	if text := visibleText(body); !strings.Contains(text, "overflow in") || !strings.Contains(text, "2 open, 2 more than 7 days ago") || !strings.Contains(text, "No advisories on this server") {
		t.Error(text)
	}
	for _, want := range []string{`href="/findings/` + sum.New[0].String(), `data-figure="findings"`, `href="/findings?severity=critical"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the board lacks %s", want)
		}
	}
	p.must(p.state.Close())
	if body := p.page("vera", "/"); strings.Contains(body, "Nothing was scanned yet") {
		t.Error("what the database does not say is told as nothing")
	}
}
