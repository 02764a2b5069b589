package anomaly

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

var update = flag.Bool("update", false, "write the golden file")

// traces are the labelled recordings of the Numenta Anomaly Benchmark, which
// lie beside the project.
const traces = "../../../../shared/data/traces"

type sample struct {
	T float64 `json:"t"`
	C float64 `json:"temp_c"`
}

type segment struct{ start, end float64 }

// recordings reads the archive.
func recordings(t *testing.T) map[string][]sample {
	t.Helper()
	f, err := os.Open(filepath.Join(traces, "nab-env.tar.gz"))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "" {
		t.Skipf("the labelled recordings lie beside the maintainers' copy of the project: %v", err)
	}
	if err != nil {
		t.Fatalf("the labelled recordings of machine and ambient temperature are missing: %v", err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]sample{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(h.Name, ".ndjson") {
			all[h.Name] = samples(t, r)
		}
	}
}

func samples(t *testing.T, r io.Reader) (list []sample) {
	t.Helper()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var s sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// faults reads where the recordings are labelled as failing.
func faults(t *testing.T) map[string][]segment {
	t.Helper()
	f, err := os.Open(filepath.Join(traces, "segments.csv"))
	if err != nil {
		t.Fatalf("the labels of the recordings are missing: %v", err)
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]segment{}
	for _, row := range rows {
		if row[1] != "env-fault" {
			continue
		}
		start, err1 := strconv.ParseFloat(row[3], 64)
		end, err2 := strconv.ParseFloat(row[4], 64)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		all[row[0]] = append(all[row[0]], segment{start, end})
	}
	return all
}

// judged is how a replay went.
type judged struct {
	name        string
	segments    int
	hits        int
	delays      []time.Duration // of the hits
	falseAlarms int
	weeks       float64
}

func (r judged) String() string {
	return fmt.Sprintf("%s: %d of %d labelled failures found, %v after the beginning of the label; %d false alarms in %.1f weeks, %.2f a week",
		strings.TrimSuffix(filepath.Base(r.name), ".ndjson"), r.hits, r.segments, r.delays, r.falseAlarms, r.weeks, float64(r.falseAlarms)/r.weeks)
}

// replay gives a recording to a judge. An event within a labelled failure finds
// it; one outside of all is a false alarm.
func replay(t *testing.T, name string, list []sample, labels []segment, c Config) judged {
	t.Helper()
	j, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	r := judged{name: name, segments: len(labels), weeks: (list[len(list)-1].T - list[0].T) / (7 * 24 * 3600)}
	found := map[int]bool{}
	for _, s := range list {
		now := time.Unix(0, 0).Add(time.Duration(s.T * float64(time.Second)))
		for _, x := range j.Judge(now, sensor.Reading{Kind: sensor.Measure, Point: "temp", Value: s.C, Unit: sensor.UnitCelsius}) {
			if x.Active {
				r.count(s.T, labels, found)
			}
		}
	}
	return r
}

func (r *judged) count(at float64, labels []segment, found map[int]bool) {
	for i, l := range labels {
		if at < l.start || at > l.end {
			continue
		}
		if !found[i] {
			found[i] = true
			r.hits++
			r.delays = append(r.delays, (time.Duration(at-l.start) * time.Second).Round(time.Minute))
		}
		return
	}
	r.falseAlarms++
}

// TestLabelledRecordings publishes what the judge finds and how often it is
// wrong. Its defaults were chosen on these two recordings, so the figures are
// the best that can be said of them and no promise for others.
func TestLabelledRecordings(t *testing.T) {
	labels := faults(t)
	all := recordings(t)
	var out bytes.Buffer
	for _, season := range []string{SeasonNone, SeasonDaily} {
		fmt.Fprintf(&out, "season: %s\n", season)
		hits, segments, wrong, weeks := 0, 0, 0, 0.0
		for _, name := range []string{"env/nab/machine_temperature_system_failure.ndjson", "env/nab/ambient_temperature_system_failure.ndjson"} {
			if len(all[name]) == 0 || len(labels[name]) == 0 {
				t.Fatalf("%s: %d samples, %d labels", name, len(all[name]), len(labels[name]))
			}
			r := replay(t, name, all[name], labels[name], Config{Season: season})
			fmt.Fprintf(&out, "  %s\n", r)
			hits, segments, wrong, weeks = hits+r.hits, segments+r.segments, wrong+r.falseAlarms, weeks+r.weeks
		}
		fmt.Fprintf(&out, "  both: %d of %d found, %.2f false alarms a week\n", hits, segments, float64(wrong)/weeks)
	}
	golden := filepath.Join("testdata", "nab.golden")
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("the figures are\n%s\nnot\n%s", out.Bytes(), want)
	}
}
