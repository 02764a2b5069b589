package hunt_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// The rule of most tests: an event that says evil.
const evilRule = `
title: Evil
id: 00000000-0000-4000-8000-000000000001
author: Test
logsource: {product: test}
detection:
  selection: {what: evil}
  condition: selection
`

func engine(t testing.TB, text string) *sigma.Engine {
	t.Helper()
	rules, err := sigma.Parse("test.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	e, err := sigma.Compile(rules, sigma.Options{Aliases: taxonomy.Aliases, Routes: taxonomy.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// run hunts with the rule of most tests in what stdin says.
func run(t testing.TB, content []byte) *hunt.Result {
	t.Helper()
	return runConfig(t, hunt.Config{Engine: engine(t, evilRule), Paths: []string{"-"}, Stdin: bytes.NewReader(content)})
}

func runConfig(t testing.TB, c hunt.Config) *hunt.Result {
	t.Helper()
	c.Now = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	res, err := hunt.Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// found lists the numbers of the events that matched.
func found(res *hunt.Result) []int {
	out := []int{}
	for _, m := range res.Matches {
		out = append(out, m.Event)
	}
	slices.Sort(out)
	return out
}

// places lists faults as line and number.
func places(res *hunt.Result) []string {
	out := []string{}
	for _, f := range res.Faults {
		out = append(out, fmt.Sprintf("%d/%d", f.Line, f.Event))
	}
	return out
}

const evil, good = `{"what":"evil"}`, `{"what":"good"}`

func TestForms(t *testing.T) {
	utf16le := func(s string, order binary.ByteOrder, mark bool) string {
		var b bytes.Buffer
		units := utf16.Encode([]rune(s))
		if mark {
			units = append([]uint16{0xfeff}, units...)
		}
		_ = binary.Write(&b, order, units)
		return b.String()
	}
	lines := good + "\n" + evil + "\n" + good + "\n" + evil
	for _, c := range []struct {
		name, content string
		events        int
		want          []int
		faults        []string // line/event
	}{
		{"nothing", "", 0, []int{}, nil},
		{"blank", "\n \n\r\n", 0, []int{}, nil},
		{"lines", lines, 4, []int{1, 3}, nil},
		{"lines with an end", lines + "\n", 4, []int{1, 3}, nil},
		{"CRLF and empty lines", strings.ReplaceAll(lines, "\n", "\r\n\r\n"), 4, []int{1, 3}, nil},
		{"mark", "\ufeff" + lines, 4, []int{1, 3}, nil},
		{"UTF-16LE", utf16le(lines, binary.LittleEndian, true), 4, []int{1, 3}, nil},
		{"UTF-16BE", utf16le(lines, binary.BigEndian, true), 4, []int{1, 3}, nil},
		{"UTF-16LE without a mark", utf16le(lines, binary.LittleEndian, false), 4, []int{1, 3}, nil},
		{"a broken line", good + "\n{\"what\":\n" + evil, 3, []int{2}, []string{"2/1"}},
		{"a first line that is broken", "{\"what\":\"ev\n" + evil, 2, []int{1}, []string{"1/0"}},
		{"a last line that is cut", evil + "\n{\"what\":\"evi", 2, []int{0}, []string{"2/1"}},
		{"words between", evil + "\nhello\n" + evil, 3, []int{0, 2}, []string{"2/1"}},
		{"words before", "hello\n" + evil, 2, []int{1}, []string{"1/0"}},
		{"scalars in lines", evil + "\n12\n[" + evil + "]\n" + evil, 4, []int{0, 3}, []string{"2/1", "3/2"}},
		{"NUL in a line", evil + "\n\x00\x00\x00\n" + evil, 3, []int{0, 2}, []string{"2/1"}},
		{"array", "[" + good + "," + evil + "]", 2, []int{1}, nil},
		{"array, spread out", "[\n  " + good + ",\n  " + evil + "\n]\n", 2, []int{1}, nil},
		{"array of nothing", "[]", 0, []int{}, nil},
		{"array with others", "[1, " + evil + ", \"evil\", [" + evil + "], null," + evil + "]", 6, []int{1, 5}, []string{"1/0", "1/2", "1/3", "1/4"}},
		{"array that ends early", "[" + evil + "," + good, 2, []int{0}, []string{"0/-1"}},
		{"array that ends in an event", "[" + evil + ",{\"what\":", 2, []int{0}, []string{"1/1"}},
		{"pretty", "{\n  \"what\": \"good\"\n}\n{\n  \"what\": \"evil\"\n}\n", 2, []int{1}, nil},
		{"pretty, one broken", "{\n  \"what\": \"good\n}\n{\n  \"what\": \"evil\"\n}\n", 2, []int{1}, []string{"1/0"}},
		{"one object", evil, 1, []int{0}, nil},
		{"one object, spread out", "{\n\"what\"\n:\n\"evil\"}", 1, []int{0}, nil},
		{"on one line", good + evil + " " + evil, 3, []int{1, 2}, nil},
		{"arrays one after the other", "[" + good + "]\n[" + evil + "]", 2, []int{1}, nil},
		{"wrapper", `{"a":{"b":[{}]},"Records":[` + good + "," + evil + `],"z":[1,2]}`, 2, []int{1}, nil},
		{"wrapper, spread out", "{\n \"value\": [\n" + good + ",\n" + evil + "\n]\n}", 2, []int{1}, nil},
		{"wrappers", `{"Records":[` + evil + `]}` + "\n" + `{"Records":[` + good + "," + evil + `]}`, 3, []int{0, 2}, nil},
		{"no wrapper", `{"data":[1,2],"what":"evil"}`, 1, []int{0}, nil},
		{"braces in text", `[{"x":"}]{\"["},` + evil + "]", 2, []int{1}, nil},
		{"escapes at the end", `[{"x":"\\"},` + evil + "]", 2, []int{1}, nil},
		{"closing too often", "[" + evil + "]]}\n[" + evil + "]", 2, []int{0, 1}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, zip := range []bool{false, true} {
				content := []byte(c.content)
				if zip {
					content = zipped(content)
				}
				res := run(t, content)
				if res.Events != c.events || !slices.Equal(found(res), c.want) {
					t.Errorf("gzip %v: %d events, matches %v; want %d, %v", zip, res.Events, found(res), c.events, c.want)
				}
				if got := places(res); !slices.Equal(got, c.faults) && len(got)+len(c.faults) > 0 {
					t.Errorf("gzip %v: faults %v, want %v (%+v)", zip, got, c.faults, res.Faults)
				}
			}
		})
	}
}

// TestFieldsOfMatchesAreBounded: long values in many matches end in a result that
// says so, and not in a process that the machine kills.
func TestFieldsOfMatchesAreBounded(t *testing.T) {
	event := `{"what":["evil","` + strings.Repeat("x", 1500) + `"]}` + "\n"
	res := runConfig(t, hunt.Config{Engine: engine(t, evilRule), Paths: []string{"-"}, Stdin: strings.NewReader(strings.Repeat(event, 100)), Memory: 200})
	if res.Incomplete == "" || len(res.Matches) == 0 || len(res.Matches) > 30 || res.Events != 100 {
		t.Errorf("%d matches of %d events, incomplete: %q", len(res.Matches), res.Events, res.Incomplete)
	}
}

// TestAuditArguments: what stands in a0 is a text in EXECVE, which the kernel
// may write in hexadecimal and in parts, and a number in SYSCALL.
func TestAuditArguments(t *testing.T) {
	rule := "title: T\nid: 00000000-0000-4000-8000-000000000002\nauthor: A\nlogsource: {product: linux, service: auditd}\ndetection:\n" +
		"  s: {type: SYSCALL, SYSCALL: socket, a0: 26}\n  e: {type: EXECVE, CommandLine: 'cat /etc/shadow x y z'}\n  condition: s or e\n"
	log := "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=41 a0=26 a1=5 comm=\"x\"\x1dARCH=x86_64 SYSCALL=socket\n" +
		"node=web-1 type=EXECVE msg=audit(1364481364.243:24288): argc=3 a0=636174 a1=\"/etc/shadow\" a2_len=5 a2[0]=78 a2[1]=2079207A\n"
	res := runConfig(t, hunt.Config{Engine: engine(t, rule), Paths: []string{"-"}, Stdin: strings.NewReader(log)})
	if got := found(res); !slices.Equal(got, []int{0, 1}) || len(res.Faults) > 0 {
		t.Errorf("events %v, faults %v", got, res.Faults)
	}
	if len(res.Matches) == 2 && res.Matches[1].Host != "web-1" {
		t.Errorf("host %q", res.Matches[1].Host)
	}
}

func zipped(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(b)
	_ = w.Close()
	return z.Bytes()
}

// TestManyBlocks makes records cross the ends of blocks wherever they like.
func TestManyBlocks(t *testing.T) {
	for _, form := range []string{"lines", "array", "wrapped", "pretty", "zipped"} {
		var b bytes.Buffer
		var want []int
		n := 0
		switch form {
		case "array":
			b.WriteString("[")
		case "wrapped":
			b.WriteString(`{"events":[`)
		}
		for b.Len() < 5<<20 {
			if n > 0 && (form == "array" || form == "wrapped") {
				b.WriteString(",\n")
			}
			what := "good"
			if n%97 == 0 {
				what = "evil"
				want = append(want, n)
			}
			space := " "
			if form == "pretty" {
				space = "\n  "
			}
			fmt.Fprintf(&b, `{"n":%d,%s"pad":"%s\"\\",%s"what":"%s"}`, n, space, strings.Repeat("x", n*n%9000), space, what)
			b.WriteString("\n")
			n++
		}
		switch form {
		case "array":
			b.WriteString("]")
		case "wrapped":
			b.WriteString(`]}`)
		}
		content := b.Bytes()
		if form == "zipped" {
			content = zipped(content)
		}
		res := run(t, content)
		if res.Events != n || !slices.Equal(found(res), want) || res.FaultCount > 0 {
			t.Errorf("%s: %d events of %d, %d matches of %d, faults %v", form, res.Events, n, len(res.Matches), len(want), res.Faults)
		}
	}
}

// TestLongRecords: one beyond the limit is refused with its place, the others
// are read.
func TestLongRecords(t *testing.T) {
	long := `{"what":"evil","pad":"` + strings.Repeat("y", hunt.MaxRecord) + `"}`
	fits := `{"what":"evil","pad":"` + strings.Repeat("y", hunt.MaxRecord-1<<20) + `"}`
	for name, c := range map[string]struct {
		content string
		want    []int
		faults  []string
	}{
		"lines":       {evil + "\n" + long + "\n" + evil + "\n" + fits + "\n", []int{0, 2, 3}, []string{"2/1"}},
		"last line":   {evil + "\n" + long, []int{0}, []string{"2/1"}},
		"array":       {"[\n" + evil + ",\n" + long + ",\n" + evil + ",\n" + fits + "]", []int{0, 2, 3}, []string{"3/1"}},
		"only spaces": {evil + "\n" + strings.Repeat(" ", 2*hunt.MaxRecord) + "\n" + evil, []int{0, 2}, []string{"2/1"}},
	} {
		t.Run(name, func(t *testing.T) {
			res := run(t, []byte(c.content))
			if got := places(res); !slices.Equal(found(res), c.want) || !slices.Equal(got, c.faults) {
				t.Errorf("matches %v, faults %v; want %v, %v", found(res), got, c.want, c.faults)
			}
		})
	}
}

// slow gives one byte at a time, and nothing now and then.
type slow struct {
	b    []byte
	idle bool
}

func (s *slow) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	if s.idle = !s.idle; s.idle {
		return 0, nil
	}
	n := copy(p[:1], s.b)
	s.b = s.b[n:]
	return n, nil
}

func TestSlowReader(t *testing.T) {
	res := runConfig(t, hunt.Config{Engine: engine(t, evilRule), Paths: []string{"-"}, Stdin: &slow{b: zipped([]byte(good + "\n" + evil))}})
	if !slices.Equal(found(res), []int{1}) || res.Events != 2 {
		t.Errorf("%+v", res)
	}
}

// TestAnyNumberOfCores gives the same result on one and on many.
func TestAnyNumberOfCores(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		var b bytes.Buffer
		for n := range 200 * (i % 5) {
			fmt.Fprintf(&b, "{\"what\":%q,\"time\":\"2026-03-01T00:%02d:%02dZ\",\"n\":%d}\n", []string{"evil", "good"}[n%2], n%60, i%7, n)
		}
		b.WriteString("broken\n")
		sub := filepath.Join(dir, fmt.Sprintf("d%d", i%3))
		if err := os.MkdirAll(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%d", i)), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := engine(t, evilRule)
	want := ""
	for _, workers := range []int{1, 2, 3, 16} {
		res := runConfig(t, hunt.Config{Engine: e, Paths: []string{dir}, Workers: workers, Progress: &hunt.Progress{}})
		got := fmt.Sprintf("%+v", res)
		if want == "" {
			want = got
		}
		if got != want || len(res.Matches) == 0 || res.FaultCount != 32 {
			t.Errorf("%d workers: %d matches, %d faults; not what one worker finds", workers, len(res.Matches), res.FaultCount)
		}
	}
}

// TestNoGarbagePerEvent: what an event costs is time. Reading a hundred times as
// many leaves no more than some buffers behind.
func TestNoGarbagePerEvent(t *testing.T) {
	e := engine(t, evilRule)
	for _, join := range []string{"\n", ","} {
		allocs := func(n int) float64 {
			content := "[" + strings.Repeat(good+",", n) + good + "]"
			if join == "\n" {
				content = strings.Repeat(good+join, n)
			}
			r := strings.NewReader(content)
			return testing.AllocsPerRun(3, func() {
				r.Reset(content)
				_, err := hunt.Run(context.Background(), hunt.Config{Engine: e, Paths: []string{"-"}, Stdin: r, Workers: 1})
				if err != nil {
					t.Error(err)
				}
			})
		}
		few, many := allocs(1000), allocs(31_000)
		if per := (many - few) / 30_000; per > 0.01 {
			t.Errorf("%.3f allocations an event (joined by %q)", per, join)
		}
	}
}
