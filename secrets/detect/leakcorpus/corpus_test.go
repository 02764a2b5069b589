package leakcorpus

import (
	"reflect"
	"testing"
)

// TestTheCorpusIsLabelledAndRepeatable holds the size that a score needs, and
// that a seed means one corpus.
func TestTheCorpusIsLabelledAndRepeatable(t *testing.T) {
	files, err := Generate(1)
	if err != nil {
		t.Fatal(err)
	}
	leaks, likes := 0, 0
	for _, f := range files {
		for _, l := range f.Labels {
			if l.Leak {
				leaks++
			} else {
				likes++
			}
			if l.From < 1 || l.To < l.From {
				t.Errorf("%s: label %+v", f.Path, l)
			}
		}
	}
	t.Logf("%d files, %d leaks, %d look-alikes", len(files), leaks, likes)
	if leaks < 500 || likes < 500 {
		t.Errorf("%d leaks and %d look-alikes are too few", leaks, likes)
	}
	again, err := Generate(1)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(files, again) {
		t.Error("the same seed made another corpus")
	}
	other, err := Generate(2)
	if err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(files, other) {
		t.Error("another seed made the same corpus")
	}
}
