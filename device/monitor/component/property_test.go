package component

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/interlock-security/interlock/device/sensor"
)

// world makes machines by chance. Some parts are alike, as cards without a serial
// number are.
type world struct{ *rand.Rand }

var worldClasses = []string{"disk", "pci", "dimm"}

func (w world) machine() []sensor.Part {
	var parts []sensor.Part
	for _, class := range worldClasses {
		for i := range 1 + w.IntN(8) {
			parts = append(parts, sensor.Part{
				Class: class, Place: fmt.Sprintf("slot %d", i), Identity: fmt.Sprintf("%s %d", class, w.IntN(6)),
				About: map[string]string{"firmware": fmt.Sprint(w.IntN(2))},
			})
		}
	}
	return parts
}

// renumber gives the parts of each class the places of that class in another
// order, or wholly other places, and shuffles them all.
func (w world) renumber(parts []sensor.Part, others bool) []sensor.Part {
	byClass := map[string][]int{}
	all := append([]sensor.Part(nil), parts...)
	for i, p := range all {
		byClass[p.Class] = append(byClass[p.Class], i)
	}
	for _, class := range worldClasses {
		at := byClass[class]
		for k, from := range w.Perm(len(at)) {
			all[at[k]].Place = parts[at[from]].Place
			if others {
				all[at[k]].Place = fmt.Sprintf("bus %d", from+20)
			}
		}
	}
	w.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all
}

func findingsOf(t *testing.T, base, now []sensor.Part) []sensor.Reading {
	t.Helper()
	return active(learned(t, base).Judge(noon, inventory(now)))
}

func TestAnyOrderAndNumberingOfTheSamePartsIsNoFinding(t *testing.T) {
	for seed := range uint64(600) {
		w := world{rand.New(rand.NewPCG(seed, 1))}
		base := w.machine()
		if said := findingsOf(t, base, w.renumber(base, seed%2 == 0)); len(said) != 0 {
			t.Fatalf("seed %d: %s\nbase %+v", seed, show(said), base)
		}
	}
}

func TestEachSingleChangeIsExactlyOneFindingHoweverThePartsAreNumbered(t *testing.T) {
	for seed := range uint64(600) {
		w := world{rand.New(rand.NewPCG(seed, 2))}
		base := w.machine()
		moved := w.renumber(base, seed%2 == 0)
		i := w.IntN(len(moved))
		removed := append(append([]sensor.Part(nil), moved[:i]...), moved[i+1:]...)
		added := append(append([]sensor.Part(nil), moved...), sensor.Part{Class: "pci", Place: "slot 99", Identity: "new"})
		flashed := append([]sensor.Part(nil), moved...)
		flashed[i].About = map[string]string{"firmware": "new"}
		for kind, now := range map[string][]sensor.Part{TypeRemoved: removed, TypeAdded: added, TypeFirmware: flashed} {
			if said := findingsOf(t, base, now); len(said) != 1 || said[0].Type != kind {
				t.Fatalf("seed %d: %s gave %s\nbase %+v\nnow %+v", seed, kind, show(said), base, now)
			}
		}
		// Another part in a place: told as such as long as the places are the same ones.
		swapped := w.renumber(base, false)
		swapped[i].Identity = "new"
		if said := findingsOf(t, base, swapped); len(said) != 1 || said[0].Type != TypeSwapped {
			t.Fatalf("seed %d: a swap gave %s\nbase %+v\nnow %+v", seed, show(said), base, swapped)
		}
	}
}

// However a machine changes: as many parts as are missing are told as missing or
// swapped, and what is approved is calm from then on.
func TestWhatIsToldAddsUpAndApprovingEndsIt(t *testing.T) {
	for seed := range uint64(200) {
		w := world{rand.New(rand.NewPCG(seed, 3))}
		base, now := w.machine(), w.machine()
		j := learned(t, base)
		count := map[string]int{}
		for _, r := range active(j.Judge(noon, inventory(now))) {
			count[r.Type]++
		}
		if len(base)-count[TypeRemoved]+count[TypeAdded] != len(now) {
			t.Fatalf("seed %d: %v between %+v and %+v", seed, count, base, now)
		}
		if _, err := j.Accept(noon, Digest(now)); err != nil {
			t.Fatal(err)
		}
		if said := active(j.Judge(noon, inventory(w.renumber(now, true)))); len(said) != 0 {
			t.Fatalf("seed %d: approved, and %s", seed, show(said))
		}
	}
}

func FuzzRecall(f *testing.F) {
	j, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	j.Judge(noon, inventory(machine()))
	kept, _ := j.Memory()
	f.Add(kept)
	f.Add([]byte(`{"v":1,"sha256":"","parts":[["a","*","","",""]]}`))
	f.Fuzz(func(t *testing.T, kept []byte) {
		j, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if j.Recall(kept) == nil {
			j.Judge(noon, inventory(machine()))
		}
	})
}
