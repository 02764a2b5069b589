package inventory

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/device/sensor"
)

// told collects what a teller says.
func told(t *Teller, parts []sensor.Part, summary map[string]any) (all []sensor.Reading) {
	t.Tell(func(r sensor.Reading) { all = append(all, r) }, parts, summary)
	return all
}

func many(class string, n, size int) (parts []sensor.Part) {
	for i := range n {
		parts = append(parts, sensor.Part{Class: class, Place: fmt.Sprint(i), Identity: strings.Repeat("<", size)})
	}
	return parts
}

func TestAFewPartsAreOneReading(t *testing.T) {
	var x Teller
	parts := many("usb", 3, 10)
	all := told(&x, parts, map[string]any{"kind": "k"})
	if len(all) != 1 || all[0].Point != "" || len(all[0].Parts) != 3 {
		t.Errorf("told %+v", all)
	}
	if again := told(&x, parts, map[string]any{"kind": "k"}); len(again) != 0 {
		t.Errorf("told twice: %+v", again)
	}
	if none := told(&x, nil, map[string]any{"kind": "k"}); len(none) != 1 || none[0].Parts == nil {
		t.Errorf("none is told as %+v", none)
	}
}

func TestManyPartsComeInPagesThatFitAndTheLastReadingMakesThemWhole(t *testing.T) {
	var x Teller
	parts := slices.Concat(many("disk", 200, 40), many("pci", 2, 10))
	all := told(&x, parts, map[string]any{"kind": "k", "count": len(parts)})
	last := all[len(all)-1]
	if len(all) < 4 || last.Point != "" || last.Parts != nil {
		t.Fatalf("%d readings, the last %+v", len(all), last)
	}
	var got []sensor.Part
	points := map[string]bool{}
	for _, r := range all {
		b, err := json.Marshal(r.Parts)
		if err != nil || len(b)+len(r.Fields) > 14<<10 {
			t.Errorf("page %q has %d bytes, %v", r.Point, len(b), err)
		}
		if points[r.Point] {
			t.Errorf("two pages are called %q", r.Point)
		}
		points[r.Point] = true
		got = append(got, r.Parts...)
	}
	if !slices.EqualFunc(got, parts, func(a, b sensor.Part) bool { return a.Class == b.Class && a.Place == b.Place }) {
		t.Errorf("%d parts of %d", len(got), len(parts))
	}
}
