package evtx_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	other "www.velocidex.com/golang/evtx"

	"github.com/interlock-security/interlock/siem/hunt/evtx"
)

// sample reads a file of the tests of another reader of event logs.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "www.velocidex.com/golang/evtx").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type event struct {
	id     uint64
	fields map[string]any
}

// read reads a whole file.
func read(b []byte) (events []event, faults []string) {
	var d evtx.Decoder
	for at := evtx.HeaderSize; at < len(b); at += evtx.ChunkSize {
		err := d.Chunk(b[at:min(len(b), at+evtx.ChunkSize)], func(r evtx.Record) {
			if r.Err != nil {
				faults = append(faults, fmt.Sprintf("record at %d: %v", at+r.Offset, r.Err))
				return
			}
			e := event{id: r.ID}
			if err := json.Unmarshal(r.JSON, &e.fields); err != nil {
				faults = append(faults, fmt.Sprintf("JSON: %v: %s", err, r.JSON))
			}
			events = append(events, e)
		})
		if err != nil {
			faults = append(faults, fmt.Sprintf("chunk at %d: %v", at, err))
		}
	}
	return events, faults
}

// TestAgreesWithAnotherReader compares every record of a real log with what the
// reader of Velociraptor makes of it.
func TestAgreesWithAnotherReader(t *testing.T) {
	for _, name := range []string{"Security.evtx", "Security_1_record.evtx"} {
		b := sample(t, name)
		got, faults := read(b)
		if len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
		}
		chunks, err := other.GetChunks(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range chunks {
			records, err := c.Parse(0)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				if n < len(got) {
					compare(t, got[n], r)
				}
				n++
			}
		}
		if n != len(got) || n == 0 {
			t.Errorf("%s: %d records, the other reader finds %d", name, len(got), n)
		}
	}
}

func compare(t *testing.T, got event, want *other.EventRecord) {
	t.Helper()
	if got.id != want.Header.RecordID {
		t.Errorf("record %d where the other reader has %d", got.id, want.Header.RecordID)
	}
	b, err := json.Marshal(want.Event)
	if err != nil {
		t.Fatal(err)
	}
	var tree struct {
		Event struct {
			System struct {
				Provider          struct{ Name any }
				EventID           struct{ Value any }
				Channel, Computer any
			}
			EventData map[string]any
		}
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	fields := tree.Event.EventData
	if fields == nil {
		fields = make(map[string]any)
	}
	sys := tree.Event.System
	fields["Provider_Name"], fields["EventID"], fields["Channel"], fields["Computer"] = sys.Provider.Name, sys.EventID.Value, sys.Channel, sys.Computer
	for name, v := range fields {
		if d, ok := v.(map[string]any); ok { // a single value keeps its name there
			name, v = fmt.Sprint(d["Name"]), d["Value"]
		}
		if !same(text(got.fields[name]), text(v)) {
			t.Errorf("record %d: %s is %q, the other reader says %q", got.id, name, text(got.fields[name]), text(v))
		}
	}
}

// same compares a value with that of the other reader, which has hexadecimal
// and times as numbers and leaves the braces of a GUID off.
func same(s, other string) bool {
	if n, err := strconv.ParseUint(other, 10, 64); err == nil && strings.HasPrefix(s, "0x") {
		return s == fmt.Sprintf("0x%x", n)
	}
	if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
		seconds, err := strconv.ParseFloat(other, 64)
		return err == nil && math.Abs(float64(at.UnixMicro())/1e6-seconds) < 1e-3
	}
	return s == other || s == "{"+other+"}"
}

func text(v any) string {
	if n, ok := v.(float64); ok {
		return fmt.Sprintf("%.0f", n)
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// TestDamage breaks a real log in the ways in which logs are broken.
func TestDamage(t *testing.T) {
	whole := sample(t, "Security.evtx")
	all, _ := read(whole)
	first := evtx.HeaderSize
	record := first + 512 // the first
	size := int(binary.LittleEndian.Uint32(whole[record+4:]))
	inFirst := 0
	for _, e := range all {
		if e.id < all[0].id+uint64(recordsOf(whole[first:first+evtx.ChunkSize])) {
			inFirst++
		}
	}
	for _, c := range []struct {
		name   string
		damage func(b []byte) []byte
		lost   int
		fault  string
	}{
		{"header of a chunk", func(b []byte) []byte { copy(b[first:], "XXXXXXXX"); return b }, 0, "header is damaged"},
		{"checksum of a chunk", func(b []byte) []byte { b[first+200] ^= 1; return b }, 0, "does not match its checksum"},
		{"all of a chunk's header", func(b []byte) []byte { clear(b[first : first+512]); return b }, 0, "header is damaged"},
		{"magic of a record", func(b []byte) []byte { b[record] = 0; return b }, 1, "no record where one must begin"},
		{"size of a record", func(b []byte) []byte { b[record+4] ^= 0x10; return b }, 1, "sizes differ"},
		{"size beyond the chunk", func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[record+4:], 1<<31)
			return b
		}, 1, "sizes differ"},
		{"token", func(b []byte) []byte { b[record+24+4] = 0x3f; return b }, 1, "unknown token"},
		{"content", func(b []byte) []byte {
			for i := record + 24; i < record+size-4; i++ {
				b[i] = 0xff
			}
			return b
		}, -1, ""}, // templates go with it
		{"truncated", func(b []byte) []byte { return b[:first+evtx.ChunkSize/2] }, -1, "the file ends after"},
		{"zeros", func(b []byte) []byte { clear(b[first : first+evtx.ChunkSize]); return b }, inFirst, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, faults := read(c.damage(bytes.Clone(whole)))
			if c.lost >= 0 && len(got) != len(all)-c.lost {
				t.Errorf("%d of %d records, want %d", len(got), len(all), len(all)-c.lost)
			}
			if len(got) == 0 {
				t.Error("nothing was read")
			}
			if c.fault != "" && (len(faults) == 0 || !strings.Contains(strings.Join(faults, "\n"), c.fault)) {
				t.Errorf("faults %q, want one with %q", faults, c.fault)
			}
		})
	}
}

func recordsOf(chunk []byte) int {
	return int(binary.LittleEndian.Uint64(chunk[16:]) - binary.LittleEndian.Uint64(chunk[8:]) + 1)
}

// hostile makes a chunk with one record of the given binary XML at offset 536.
func hostile(xml []byte) []byte {
	b := make([]byte, evtx.ChunkSize)
	copy(b, "ElfChnk\x00")
	size := 24 + len(xml) + 4
	copy(b[512:], "\x2a\x2a\x00\x00")
	binary.LittleEndian.PutUint32(b[516:], uint32(size))
	copy(b[536:], xml)
	binary.LittleEndian.PutUint32(b[512+size-4:], uint32(size))
	binary.LittleEndian.PutUint32(b[48:], uint32(512+size))
	sum := crc32.Update(crc32.ChecksumIEEE(b[:120]), crc32.IEEETable, b[128:512])
	binary.LittleEndian.PutUint32(b[124:], sum)
	return b
}

// TestHostile gives records that other readers die of: templates that hold
// themselves, embedded XML within itself, counts that ask for gigabytes.
func TestHostile(t *testing.T) {
	u32 := func(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	// A template whose definition, in line, is its own mention.
	self := cat([]byte{0x0c, 1}, u32(7), u32(536+10), u32(0), make([]byte, 16), u32(100),
		[]byte{0x0c, 1}, u32(7), u32(546), u32(0), []byte{0x0c, 1}, u32(7), u32(546), u32(0))
	// Eight mentions in each of eight definitions: 16 million elements.
	wide := []byte{0x0c, 1, 0, 0, 0, 0}
	for level := range 8 {
		at := 600 + 400*level
		wide = append(wide, u32(at)...)
		wide = append(wide, make([]byte, at-536-len(wide)+20)...)
		body := bytes.Repeat(cat([]byte{0x0c, 1}, u32(7), u32(at+400), u32(0)), 8)
		wide = append(append(wide, u32(len(body))...), body...)
		wide = append(wide, make([]byte, at+400-536-len(wide))...)
	}
	for name, c := range map[string]struct {
		xml  []byte
		want string
	}{
		"a template that holds itself": {self, "nest"},
		"a template outside":           {cat([]byte{0x0c, 1}, u32(7), u32(1<<30)), "outside"},
		"a template of 4 GB":           {cat([]byte{0x0c, 1}, u32(7), u32(546), u32(0), make([]byte, 16), u32(-1)), "damaged"},
		"millions of values":           {cat([]byte{0x0c, 1}, u32(7), u32(546), u32(0), make([]byte, 16), u32(1), []byte{0}, u32(1<<31)), "limits"},
		"a value that is missing":      {[]byte{0x0d, 9, 0, 1}, "missing"},
		"a name outside":               {cat([]byte{0x01, 0, 0}, u32(0), u32(1<<20)), "too early"},
		"a name beyond the end":        {cat([]byte{0x01, 0, 0}, u32(0), u32(65530)), "too early"},
		"a template a thousandfold":    {wide, "limits"},
		"elements without end":         {bytes.Repeat(cat([]byte{0x01, 0, 0}, u32(0), u32(600)), 40), "nest"},
		"an element that stays open":   {cat([]byte{0x01, 0, 0}, u32(0), u32(600)), "too early"},
		"text that is not there":       {[]byte{0x05, 1, 0xff, 0xff}, "too early"},
		"only ends":                    {bytes.Repeat([]byte{0x04}, 100), "no event"},
		"nothing":                      {[]byte{0, 0, 0, 0}, "no event"},
	} {
		t.Run(name, func(t *testing.T) {
			var d evtx.Decoder
			n := 0
			if err := d.Chunk(hostile(c.xml), func(r evtx.Record) {
				n++
				if r.Err == nil || !strings.Contains(r.Err.Error(), c.want) {
					t.Errorf("%s, %v; want an error with %q", r.JSON, r.Err, c.want)
				}
			}); err != nil || n != 1 {
				t.Errorf("%d records, %v", n, err)
			}
		})
	}
}

// TestNothingIsAllocated: what a record costs is time.
func TestNothingIsAllocated(t *testing.T) {
	b := sample(t, "Security.evtx")[evtx.HeaderSize:]
	var d evtx.Decoder
	n := 0
	take := func(evtx.Record) { n++ }
	if avg := testing.AllocsPerRun(20, func() { _ = d.Chunk(b[:evtx.ChunkSize], take) }); avg > 0 {
		t.Errorf("%.1f allocations a chunk of %d records", avg, n/21)
	}
}

func BenchmarkChunk(b *testing.B) {
	file := sample(b, "Security.evtx")[evtx.HeaderSize:]
	var d evtx.Decoder
	n := 0
	b.SetBytes(evtx.ChunkSize)
	for b.Loop() {
		_ = d.Chunk(file[:evtx.ChunkSize], func(evtx.Record) { n++ })
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

// FuzzChunk: any bytes give records that are JSON objects, or errors.
func FuzzChunk(f *testing.F) {
	file := sample(f, "Security.evtx")
	f.Add(file[evtx.HeaderSize : evtx.HeaderSize+evtx.ChunkSize])
	f.Add(file[evtx.HeaderSize : evtx.HeaderSize+3000])
	f.Add(hostile([]byte{0x0c, 1}))
	f.Add([]byte("ElfChnk\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > evtx.ChunkSize {
			b = b[:evtx.ChunkSize]
		}
		var d evtx.Decoder
		n := 0
		_ = d.Chunk(b, func(r evtx.Record) {
			if n++; n > evtx.ChunkSize/8 {
				t.Fatal("more records than a chunk has room for")
			}
			if r.Err == nil && !json.Valid(r.JSON) {
				t.Fatalf("not JSON: %q", r.JSON)
			}
		})
	})
}
