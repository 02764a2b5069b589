package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
)

// silent is a detector that finds nothing, so that fuzzing spends its time on reading.
type silent struct{}

func (silent) Scan(t detect.Text, _ func(*detect.Leak)) []detect.Gap {
	if len(t.Body) > chunkSize {
		return []detect.Gap{{Why: "a text is longer than a chunk"}}
	}
	return nil
}

// FuzzArchive holds that no archive makes the reader fail, read without bound or tell
// more gaps than it has entries.
func FuzzArchive(f *testing.F) {
	in := item{"dir/file", "text\n"}
	inner := gzipOf(tarOf(f, in))
	for _, seed := range []string{
		tarOf(f, in), inner, zipOf(f, in, item{"n.tgz", inner}), arOf(in, item{"odd", "x"}), cpioOf(in), zstdOf("text"), overlappingZip(f), encryptedZip(f),
		"BZh91AY&SY\x00", "\xfd7zXZ\x00", "PK\x05\x06", inner[:len(inner)/2], zipOf(f, in)[:40],
	} {
		f.Add([]byte(seed))
	}
	c := Config{Detector: silent{}, Archives: true, Workers: 1, Limits: Limits{Unpacked: 4 << 20, Entries: 200, Spool: 1 << 20}}.filled()
	w := &worker{Config: &c, ctx: context.Background()}
	for _, text := range []string{
		tarOf(f, item{"a", "x"}) + tarOf(f, item{"b", "y"}), cpioOf(item{"a", "x"}) + strings.Repeat("\x00", 512) + gzipOf(cpioOf(item{"b", "y"})),
		oldCpioOf(item{"a", "x"}), sparseTar(f, 1<<20), paxSparseTar(f), rpmOf("a script", gzipOf(cpioOf(item{"a", "x"}))), xzOf(f, "x"),
		gzipOf("x") + gzipOf("y") + "z", "#!/bin/sh\n" + zipOf(f, item{"a", "x"}),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c.Progress, w.task = new(Progress), new(task)
		w.content(placeOf("fuzz"), input{Reader: bytes.NewReader(data), size: -1}, nil)
		if files, gaps := c.Progress.Files.Load(), len(w.task.out); files > 1000 || gaps > 2000 {
			t.Fatalf("%d files and %d gaps of %d bytes", files, gaps, len(data))
		}
	})
}

// FuzzLog holds that whatever git says, or somebody in its place, is understood or
// refused, and never leads out of what was read.
func FuzzLog(f *testing.F) {
	id := strings.Repeat("ab", 20)
	zero := strings.Repeat("0", 40)
	head := "\x01" + id + "\x02Ann\x02ann@example.org\x021700000000\x02message\n\x00"
	f.Add([]byte(head + "\n:000000 100644 " + zero + " " + id + " A\x00path\x00"))
	f.Add([]byte(head + "::100644 100644 100644 " + id + " " + id + " " + id + " MM\x00a\nb\x00\x00"))
	f.Add([]byte(head + ":160000 160000 " + id + " " + id + " M\x00sub\x00" + head))
	f.Add([]byte(head + ":100644 120000 " + id + " " + id + " T\x00\nlink\x00"))
	f.Add([]byte(":100644 100644 " + id + " " + id + " M\x00early\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newChronicle(100)
		c.message = func(c *chronicle, n uint32, _ []byte) error { c.place("m", n); return nil }
		if err := c.readLog(bytes.NewReader(data)); err != nil {
			return
		}
		for _, v := range c.versions {
			at := c.place(c.paths.all[v.path], v.commit)
			if len(c.name(v.id)) != 2*c.idLen || at.Commit == "" {
				t.Fatalf("a version of no commit: %+v", v)
			}
		}
		if len(c.versions) > 100 {
			t.Fatal("more versions than allowed")
		}
	})
}

// FuzzPairs is for what git says of staged files.
func FuzzPairs(f *testing.F) {
	id := strings.Repeat("ab", 20)
	f.Add([]byte(":100644 100644 " + id + " " + id + " M\x00path\x00:000000 100644 " + id + " " + id + " A\x00\nx\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pairs, err := readPairs(bytes.NewReader(data), 100)
		if err != nil {
			return
		}
		for _, p := range pairs {
			if _, err := hex.DecodeString(p.old + p.new); err != nil || p.path == "" {
				t.Fatalf("a pair that can't be asked for: %+v", p)
			}
		}
	})
}

// FuzzObjects is for the answers of git cat-file.
func FuzzObjects(f *testing.F) {
	f.Add([]byte("abcd blob 3\nabc\nabcd missing\nabcd tree 0\n\n"))
	f.Add([]byte("abcd blob 99999999999999\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &catFile{out: bufio.NewReader(bytes.NewReader(data))}
		for range 50 {
			o, err := c.next()
			if err != nil {
				return
			}
			if err := c.done(o); err != nil {
				return
			}
		}
		if len(data) < 50 {
			t.Fatal("more objects than bytes")
		}
	})
}

// FuzzLineage holds that looking at what is new finds the same lines as looking at
// every version whole.
func FuzzLineage(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nx\nc\n", "x\na\n")
	f.Add(strings.Repeat("line\n", 4000)+"end", strings.Repeat("line\n", 4000)+"new\nend", "")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		g := newLineage()
		seen := map[string]bool{}
		for _, body := range []string{a, b, c} {
			fresh := g.fresh([]byte(body))
			want := 0
			for i, line := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
				if body == "" {
					break
				}
				isNew := !seen[line]
				seen[line] = true
				l := &detect.Leak{Place: detect.Place{Line: i + 1, EndLine: i + 1}}
				if touches(fresh, l) != isNew {
					t.Fatalf("line %d %q of %q: new is %v, not so in %v", i+1, line, body, isNew, fresh)
				}
				if isNew {
					want++
				}
			}
			covered := 0
			for _, s := range regions([]byte(body), fresh) {
				if s.lines < 0 || s.to != len(s.body) {
					t.Fatalf("stretch %d lines down, own up to %d of %d", s.lines, s.to, len(s.body))
				}
				if at := skipLines([]byte(body), 0, s.lines); !strings.HasPrefix(body[at:], string(s.body)) {
					t.Fatalf("stretch is not at line %d", s.lines+1)
				}
				covered += len(s.body)
			}
			if want > 0 && covered == 0 && strings.Trim(body, "\n") != "" {
				t.Fatalf("%d new lines, nothing is looked at", want)
			}
		}
	})
}

// FuzzWide holds that reading wide text in pieces is reading it at once.
func FuzzWide(f *testing.F) {
	f.Add([]byte("\xff\xfea\x00=\xd8\x00\xde"))
	f.Fuzz(func(t *testing.T, data []byte) {
		natureOf(data)
		for _, as := range []alphabet{utf16LE, utf16BE, utf32LE, utf32BE} {
			got, err := io.ReadAll(&wideReader{r: iotestHalf{bytes.NewReader(data)}, alphabet: as})
			if err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if want := as.widen(nil, data); !bytes.Equal(got, want) {
				t.Fatalf("in pieces %q, at once %q", got, want)
			}
		}
	})
}

// iotestHalf reads one byte less than is asked for, where there is more than one.
type iotestHalf struct{ r io.Reader }

func (h iotestHalf) Read(p []byte) (int, error) {
	if len(p) > 1 {
		p = p[:len(p)-1]
	}
	return h.r.Read(p)
}
