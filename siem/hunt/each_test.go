package hunt_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// TestEachEventHasItsNumber: through blocks, broken lines and files, in order,
// and no further than somebody wants.
func TestEachEventHasItsNumber(t *testing.T) {
	engine, err := sigma.Compile(nil, sigma.Options{Routes: taxonomy.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var many strings.Builder
	pad := strings.Repeat("x", 3000)
	for i := range 1000 { // three blocks
		if i == 7 {
			many.WriteString("{\"broken\"\n")
			continue
		}
		fmt.Fprintf(&many, `{"n":%d,"Channel":"Security","pad":%q}`+"\n\n", i, pad)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	paths := []string{write("a.ndjson", many.String()), write("b.json", `[{"n":0},{"n":1}]`)}
	var got []int
	res, err := hunt.Each(t.Context(), hunt.Config{Engine: engine, Paths: paths}, func(e hunt.Event) bool {
		if want := fmt.Sprintf(`{"n":%d`, e.Number); !strings.HasPrefix(string(e.JSON), want) {
			t.Fatalf("event %d of %s is %.20s", e.Number, e.File, e.JSON)
		}
		if in := e.File == paths[0]; in != slices.Contains(e.Sources, sigma.Logsource{Product: "windows", Service: "security"}) {
			t.Fatalf("event %d of %s is of %v", e.Number, e.File, e.Sources)
		}
		got = append(got, e.Number)
		return true
	})
	if err != nil || len(got) != 1001 || got[998] != 999 || got[1000] != 1 || res.FaultCount != 1 || res.Faults[0].Event != 7 {
		t.Errorf("%v: %d events, %+v", err, len(got), res)
	}
	long := write("long.ndjson", "{\"n\":\""+strings.Repeat("x", hunt.MaxRecord+10)+"\"}\n{\"n\":1}\n")
	got = nil
	if _, err := hunt.Each(t.Context(), hunt.Config{Engine: engine, Paths: []string{long}}, func(e hunt.Event) bool { got = append(got, e.Number); return true }); err != nil || !slices.Equal(got, []int{1}) {
		t.Errorf("%v: behind a line that is too long: %v", err, got)
	}
	seen := 0
	if _, err := hunt.Each(t.Context(), hunt.Config{Engine: engine, Paths: paths}, func(e hunt.Event) bool { seen++; return e.Number < 3 }); err != nil || seen != 4 {
		t.Errorf("%v: stopped after %d", err, seen)
	}
}

// TestEachEventBringsWhatTheNormaliserSaid, so that it can be loaded again.
func TestEachEventBringsWhatTheNormaliserSaid(t *testing.T) {
	engine, err := sigma.Compile(nil, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	line := "Nov 21 10:00:00 gate sshd[71]: Failed password for anna from 203.0.113.9 port 4711 ssh2\n"
	_, err = hunt.Each(t.Context(), hunt.Config{Engine: engine, Paths: []string{"-"}, Stdin: strings.NewReader(line + line)}, func(e hunt.Event) bool {
		named := func(f sigma.Field) bool { return f.Name == "user.name" && f.Value == "anna" }
		if !slices.ContainsFunc(e.Vouched, named) || e.Routed || !slices.Contains(e.Sources, sigma.Logsource{Product: "linux", Service: "sshd"}) {
			t.Errorf("%+v", e)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}
