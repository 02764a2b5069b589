package standard_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/leakcorpus"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// What the pack must reach on a corpus whose values it has never seen.
const (
	leastRecall    = 0.95
	leastPrecision = 0.95
)

// TestTheCorpusIsScored holds recall and precision over several seeds. With
// INTERLOCK_MISSES=FILE it writes what was missed and what is false.
func TestTheCorpusIsScored(t *testing.T) {
	d, err := detect.New(standard.Config())
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(3) {
		files, err := leakcorpus.Generate(seed)
		if err != nil {
			t.Fatal(err)
		}
		s := leakcorpus.Judge(files, scan(d, files))
		t.Logf("seed %d: recall %.3f, precision %.3f (%d found, %d missed, %d false)", seed, s.Recall(), s.Precision(), s.Found, s.Missed, s.False)
		if s.Recall() < leastRecall || s.Precision() < leastPrecision {
			t.Errorf("seed %d: recall %.3f must be at least %.2f, precision %.3f at least %.2f", seed, s.Recall(), leastRecall, s.Precision(), leastPrecision)
		}
		if path := os.Getenv("INTERLOCK_MISSES"); path != "" && seed == 0 {
			note(t, path, s)
		}
	}
}

func scan(d *detect.Detector, files []leakcorpus.File) map[string][]leakcorpus.Span {
	found := map[string][]leakcorpus.Span{}
	for _, f := range files {
		d.Scan(detect.Text{Path: f.Path, Body: f.Body}, func(l *detect.Leak) {
			if l.Sample {
				return // who scans is not told of it
			}
			found[f.Path] = append(found[f.Path], leakcorpus.Span{From: l.Line, To: max(l.Line, l.EndLine)})
		})
	}
	return found
}

func note(t *testing.T, path string, s leakcorpus.Score) {
	t.Helper()
	f, err := os.Create(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.Notes {
		_, _ = f.WriteString(n + "\n")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
