package replay_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/interlock-security/interlock/device/monitor/motion"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace"
	"github.com/interlock-security/interlock/device/trace/replay"
)

// recordings is where the recorded traces lie, beside the project.
const recordings = "../../../../shared/data/traces"

// segment is a labelled part of a recording.
type segment struct {
	file, label, sub string
	start, end       float64
	whole            bool // it is the whole file
	samples          []sensor.Sample
}

// archive is what was read once: segments and files.
type archive struct {
	segments []segment
	files    map[string][]sensor.Sample
}

var readOnce = sync.OnceValues(readArchive)

// recorded returns the recordings, which lie beside the maintainers' copy of the
// project. Where they are missing the test fails in CI: a figure without them is
// none.
func recorded(t *testing.T) archive {
	t.Helper()
	a, err := readOnce()
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "" {
		t.Skipf("without recorded traces nothing is shown: %v", err)
	}
	if err != nil {
		t.Fatalf("the recorded traces can't be read: %v\nthey belong at %s (segments.csv, st-mlc-old.tar.gz, st-har.tar.gz), beside the project", err, recordings)
	}
	return a
}

func readArchive() (archive, error) {
	a := archive{files: map[string][]sensor.Sample{}}
	for _, name := range []string{"st-mlc-old.tar.gz", "st-har.tar.gz"} {
		if err := a.unpack(filepath.Join(recordings, name)); err != nil {
			return a, err
		}
	}
	f, err := os.Open(filepath.Join(recordings, "segments.csv"))
	if err != nil {
		return a, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return a, err
	}
	for _, row := range rows[1:] {
		if err := a.segment(row); err != nil {
			return a, err
		}
	}
	if len(a.segments) < 40 {
		return a, errors.New("segments.csv names fewer than 40 segments of acceleration")
	}
	return a, nil
}

func (a *archive) unpack(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !strings.HasSuffix(h.Name, ".ndjson") {
			continue
		}
		all, _, err := trace.All(r)
		if err != nil {
			return err
		}
		a.files[strings.TrimPrefix(h.Name, "./")] = all
	}
}

func (a *archive) segment(row []string) error {
	if !strings.HasPrefix(row[0], "accel/") {
		return nil
	}
	start, err := strconv.ParseFloat(row[3], 64)
	if err != nil {
		return err
	}
	end, err := strconv.ParseFloat(row[4], 64)
	if err != nil {
		return err
	}
	samples := a.files[row[0]]
	if samples == nil {
		return errors.New(row[0] + " is in segments.csv and in no archive")
	}
	s := segment{file: row[0], label: row[1], sub: row[2], start: start, end: end, whole: row[5] == "file", samples: samples}
	if end-start >= 0.5 {
		a.segments = append(a.segments, s)
	}
	return nil
}

// strongest is what a segment is taken for: its worst line, "still" for none.
// Of a recording that is labelled in parts, those lines count that lie in the
// part by a second at least.
func (s segment) strongest(r replay.Result) (class string, alarm bool) {
	class, most := "still", -1
	for _, l := range r.Lines {
		if !s.whole && (l.T > s.end-1 || l.End < s.start+1) || l.Type == motion.EventDoubt {
			continue
		}
		rank := l.Severity.Rank()
		if l.Alarm {
			rank += 10
		}
		if rank > most {
			class, alarm, most = l.Class, l.Alarm, rank
		}
	}
	return class, alarm
}

// means is what a label says: whether it is tampering, and what it may be called.
var means = map[string]struct {
	tamper bool
	called []string
}{
	"still":            {false, []string{"still", "disturbed", "knock", "footsteps", "door_slam"}},
	"vibration-normal": {false, []string{"still"}},
	"knock/impact":     {false, []string{"knock"}},
	"tilt":             {true, []string{"tilt"}},
	"carry":            {true, []string{"carry"}},
	"handling/lift":    {true, []string{"lift", "handling", "carry"}},
	"vibration-fault":  {true, []string{"vibration", "drill"}},
}
