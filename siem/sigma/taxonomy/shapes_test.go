package taxonomy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// header are the fields of an event that the event log itself writes.
var header = []string{"Channel", "EventID", "Provider_Name", "Computer"}

type fields map[string]any

// cut splits an event into what the event log says and what the event says.
func (f fields) cut() (system, own fields) {
	system, own = fields{}, fields{}
	for k, v := range f {
		if k == header[0] || k == header[1] || k == header[2] || k == header[3] {
			system[k] = v
		} else {
			own[k] = v
		}
	}
	return system, own
}

// shapes write a flat event as others do.
var shapes = map[string]func(fields) any{
	"flat": func(f fields) any { return f },
	"winlogbeat": func(f fields) any {
		system, own := f.cut()
		return fields{
			"winlog": fields{"channel": system["Channel"], "provider_name": system["Provider_Name"], "event_id": system["EventID"], "event_data": own},
			"event":  fields{"code": system["EventID"]},
		}
	},
	"evtx": func(f fields) any {
		system, own := f.cut()
		return fields{"Event": fields{
			"System": fields{
				"Channel": system["Channel"], "EventID": fields{"#text": system["EventID"], "#attributes": fields{"Qualifiers": 0}},
				"Provider": fields{"#attributes": fields{"Name": system["Provider_Name"]}},
			},
			"EventData": own,
		}}
	},
	"velocidex": func(f fields) any {
		system, own := f.cut()
		return fields{
			"System": fields{
				"Channel": system["Channel"], "EventID": fields{"Value": system["EventID"]}, "Provider": fields{"Name": system["Provider_Name"]},
			},
			"EventData": own,
		}
	},
	"wazuh": func(f fields) any {
		system, own := f.cut()
		camel := fields{}
		for k, v := range own {
			camel[strings.ToLower(k[:1])+k[1:]] = v
		}
		return fields{"data": fields{"win": fields{
			"system":    fields{"channel": system["Channel"], "eventID": system["EventID"], "providerName": system["Provider_Name"]},
			"eventdata": camel,
		}}}
	},
}

// regressionFloor is of 106: two events are other commands of the same
// recording, for which the rule's text does not hold.
const regressionFloor = 104

// TestRegressionEventsFireInEveryShape: each event finds its rule's logsource by
// itself, and the rule its fields, whoever forwarded it.
func TestRegressionEventsFireInEveryShape(t *testing.T) {
	rules := corpus(t)
	engine, err := sigma.Compile(rules, sigma.Options{Aliases: taxonomy.Aliases, Routes: taxonomy.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	byID := make(map[string]*sigma.Rule)
	for _, r := range rules {
		byID[r.ID] = r
	}
	v, routed, fired := engine.NewView(), make(map[string]int), make(map[string]int)
	for _, c := range corpustest.Cases(t) {
		var flat fields
		if err := json.Unmarshal(c.Event, &flat); err != nil {
			t.Fatal(err)
		}
		for shape, write := range shapes {
			event, err := json.Marshal(write(flat))
			if err != nil {
				t.Fatal(err)
			}
			from := sources(t, v, event)
			if !covered(byID[c.Rule].Logsource, from) {
				t.Errorf("%s: an event of %s (%s) is of %v", shape, c.Rule, byID[c.Rule].Logsource, from)
				continue
			}
			routed[shape]++
			hit := false
			engine.Match(v, from, func(m sigma.Match) { hit = hit || m.Rule.ID == c.Rule })
			if hit {
				fired[shape]++
			} else {
				t.Logf("%s: %s does not fire on %.300s", shape, byID[c.Rule].File, event)
			}
		}
	}
	t.Logf("routed %v, fired %v", routed, fired)
	for shape := range shapes {
		if routed[shape] != 106 || fired[shape] < regressionFloor {
			t.Errorf("%s: %d routed, %d fired", shape, routed[shape], fired[shape])
		}
	}
}
