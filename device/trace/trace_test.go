package trace_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	want := []sensor.Sample{
		{At: 0, X: 0.1, Y: -0.2, Z: 1.0000001},
		{At: 10 * time.Millisecond, X: -16, Y: 1e-9, Z: 0},
		{At: 36 * time.Hour, X: 1, Y: 2, Z: 3},
	}
	var b bytes.Buffer
	if err := trace.Write(&b, want); err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]io.Reader{"plain": &b, "gzip": &z} {
		got, notes, err := trace.All(from)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
		}
		if notes != (trace.Notes{Samples: 3}) {
			t.Errorf("%s: notes %+v of a clean recording", name, notes)
		}
	}
}

// Recordings carry more than is needed, begin at any time and leave lines empty.
func TestForeignRecordings(t *testing.T) {
	const text = "\n{\"t\":1700000000.5,\"ax\":0,\"ay\":0,\"az\":1,\"gx\":7,\"note\":\"x\"}\r\n\n  {\"az\":1,\"t\":1700000000.51,\"ay\":0,\"ax\":0}"
	got, _, err := trace.All(strings.NewReader(text))
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
	if got[0].At != 0 || got[1].At < 9*time.Millisecond || got[1].At > 11*time.Millisecond {
		t.Errorf("times %v and %v, want 0 and 10 ms", got[0].At, got[1].At)
	}
}

func TestRefusedLinesAreNamed(t *testing.T) {
	const good = `{"t":0,"ax":0,"ay":0,"az":1}` + "\n"
	for name, c := range map[string]struct {
		line string
		want string
		kind core.Kind
	}{
		"no JSON":      {"nonsense", "line 2: is no sample", core.KindInvalid},
		"not a number": {`{"t":NaN,"ax":0,"ay":0,"az":1}`, "line 2: is no sample", core.KindInvalid},
		"text":         {`{"t":1,"ax":"0","ay":0,"az":1}`, "line 2: is no sample", core.KindInvalid},
		"missing":      {`{"t":1,"ax":0,"az":1}`, "line 2: ay is missing", core.KindInvalid},
		"null":         {`{"t":1,"ax":0,"ay":0,"az":null}`, "line 2: az is missing", core.KindInvalid},
		"infinite":     {`{"t":1,"ax":1e999,"ay":0,"az":1}`, "line 2", core.KindInvalid},
		"absurd":       {`{"t":1,"ax":1e7,"ay":0,"az":1}`, "line 2: ax is 1e+07, more than 1e+06", core.KindInvalid},
		"array":        {`[0,0,0,1]`, "line 2: is no sample", core.KindInvalid},
		"endless":      {strings.Repeat(" ", trace.MaxLine+1), "line 2: longer than", core.KindTooLarge},
	} {
		_, _, err := trace.All(strings.NewReader(good + c.line + "\n"))
		if err == nil || !strings.Contains(err.Error(), c.want) || core.KindOf(err) != c.kind {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if core.HintOf(err) == "" {
			t.Errorf("%s: no hint", name)
		}
	}
}

func TestDamagedGzip(t *testing.T) {
	for name, text := range map[string]string{"header": "\x1f\x8bnonsense", "cut": "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x00"} {
		if _, _, err := trace.All(strings.NewReader(text)); err == nil {
			t.Errorf("%s: a damaged file was read", name)
		}
	}
}

// Times that do not rise are counted and handed on.
func TestOddTimesAreCounted(t *testing.T) {
	var b strings.Builder
	for _, at := range []string{"0", "0.1", "0.1", "0.05", "0.2", "0.2"} {
		b.WriteString(`{"t":` + at + `,"ax":0,"ay":0,"az":1}` + "\n")
	}
	got, notes, err := trace.All(strings.NewReader(b.String()))
	if err != nil || len(got) != 6 {
		t.Fatalf("got %d samples, %v", len(got), err)
	}
	if want := (trace.Notes{Samples: 6, Duplicate: 2, Backward: 1, OddLine: 3}); notes != want {
		t.Errorf("notes %+v, want %+v", notes, want)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"t":0,"ax":0,"ay":0,"az":1}` + "\n" + `{"t":-1e11,"ax":1e6,"ay":-1e6,"az":1e-300}`))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"))
	f.Add([]byte(`{"t":1e400}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := trace.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		for n := 0; ; n++ {
			s, err := r.Next()
			if errors.Is(err, io.EOF) {
				if n != r.Notes().Samples {
					t.Fatalf("%d samples, counted %d", n, r.Notes().Samples)
				}
				return
			}
			if err != nil {
				return
			}
			for _, v := range []float64{s.X, s.Y, s.Z} {
				if !(v >= -trace.MaxValue && v <= trace.MaxValue) {
					t.Fatalf("let %v through", s)
				}
			}
		}
	})
}
