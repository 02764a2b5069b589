// Package inventory tells what is there in events that are not too large: a
// device's event has room for some dozens of parts, and a machine may have
// hundreds.
package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// maxPage is what the parts of one event may take, as JSON.
const maxPage = 13 << 10

// Teller tells an inventory, and again when it is not what was told last.
type Teller struct{ told []byte }

// Tell emits the parts, which are in order of their classes, and what else is to
// be said of them. What is too much for one event comes in pages, each with a
// point; the last reading has none, and with it the inventory is whole.
func (t *Teller) Tell(emit func(sensor.Reading), parts []sensor.Part, summary map[string]any) {
	if parts == nil {
		parts = []sensor.Part{} // there are none, in contrast to none that is told
	}
	now, err := json.Marshal([]any{parts, summary})
	if err == nil && bytes.Equal(now, t.told) {
		return
	}
	t.told = now
	pages := paged(parts)
	if len(pages) > 1 {
		for _, p := range pages {
			emit(reading(p.name, p.parts, map[string]any{"kind": summary["kind"], "count": len(p.parts)}))
		}
		parts = nil
	}
	emit(reading("", parts, summary))
}

func reading(point string, parts []sensor.Part, fields map[string]any) sensor.Reading {
	return sensor.Reading{Kind: sensor.Inventory, Point: point, Type: "inventory", Severity: core.SeverityInfo, Parts: parts, Fields: sensor.Fields(fields)}
}

// page is as many parts of one class as fit into an event.
type page struct {
	name  string
	parts []sensor.Part
	size  int
}

func paged(parts []sensor.Part) []page {
	var all []page
	number := map[string]int{}
	for _, p := range parts {
		b, err := json.Marshal(p)
		if err != nil {
			continue // strings alone always marshal
		}
		n := len(all) - 1
		if n < 0 || all[n].parts[0].Class != p.Class || all[n].size+len(b) > maxPage {
			name := p.Class
			if number[name]++; number[name] > 1 {
				name = fmt.Sprintf("%s %d", name, number[name])
			}
			all = append(all, page{name: name})
			n++
		}
		all[n].parts, all[n].size = append(all[n].parts, p), all[n].size+len(b)
	}
	return all
}
