// Package trace reads and writes recordings of motion: one JSON object a line,
// {"t":seconds,"ax":g,"ay":g,"az":g}, plain or gzipped. Anyone's recording can
// be brought into this form with one line of a script, which is why the judges
// are tried on nothing else (package replay) and the generator writes nothing
// else (package synth).
//
// A recording is input from outside: lines have a limit, what is no finite
// number is refused with its line, further keys (a gyroscope's, a note) are
// skipped. Times that stand still or go back are counted and handed on: what
// they mean is the judges' business.
package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// The limits of a recording.
const (
	MaxLine    = 64 << 10 // bytes
	MaxSamples = 200e6
	MaxValue   = 1e6 // of an axis, whatever its unit
	MaxTime    = 1e11
)

// Notes are what was odd about a recording's times.
type Notes struct {
	Samples   int `json:"samples"`
	Duplicate int `json:"duplicate_times,omitempty"`
	Backward  int `json:"backward_times,omitempty"`
	// OddLine is the first line with such a time.
	OddLine int `json:"first_odd_line,omitempty"`
}

// Reader reads a recording sample by sample.
type Reader struct {
	notes Notes
	lines *bufio.Scanner
	line  int
	first float64
	last  float64
}

// NewReader returns a reader of r, which may be gzipped.
func NewReader(r io.Reader) (*Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	var from io.Reader = b
	if magic, err := b.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, core.Wrap(core.KindInvalid, "trace.NewReader", err)
		}
		from = z
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 4096), MaxLine)
	return &Reader{lines: lines}, nil
}

// Notes returns what was odd so far.
func (r *Reader) Notes() Notes { return r.notes }

// record is a line. Pointers tell what is missing from what is zero.
type record struct {
	T  *float64 `json:"t"`
	AX *float64 `json:"ax"`
	AY *float64 `json:"ay"`
	AZ *float64 `json:"az"`
}

// Next returns the next sample, its time counted from the first one, and io.EOF
// behind the last.
func (r *Reader) Next() (sensor.Sample, error) {
	for r.lines.Scan() {
		r.line++
		text := bytes.TrimSpace(r.lines.Bytes())
		if len(text) == 0 {
			continue
		}
		if r.notes.Samples >= MaxSamples {
			return sensor.Sample{}, r.bad(core.KindTooLarge, "more than "+strconv.Itoa(MaxSamples)+" samples", nil)
		}
		return r.sample(text)
	}
	if err := r.lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		r.line++
		return sensor.Sample{}, r.bad(core.KindTooLarge, fmt.Sprintf("longer than %d bytes", MaxLine), nil)
	} else if err != nil {
		return sensor.Sample{}, r.bad(core.KindInvalid, "can't be read", err)
	}
	return sensor.Sample{}, io.EOF
}

func (r *Reader) bad(kind core.Kind, what string, err error) error {
	text := fmt.Sprintf("line %d: %s", r.line, what)
	if err != nil {
		text += ": " + sensor.Text(err.Error())
	}
	return core.E(kind, "trace.Read", text).WithHint(`a line is {"t":seconds,"ax":g,"ay":g,"az":g}`)
}

func (r *Reader) sample(text []byte) (sensor.Sample, error) {
	var rec record
	if err := json.Unmarshal(text, &rec); err != nil {
		return sensor.Sample{}, r.bad(core.KindInvalid, "is no sample", err)
	}
	for _, f := range []struct {
		name  string
		v     *float64
		limit float64
	}{{"t", rec.T, MaxTime}, {"ax", rec.AX, MaxValue}, {"ay", rec.AY, MaxValue}, {"az", rec.AZ, MaxValue}} {
		if f.v == nil {
			return sensor.Sample{}, r.bad(core.KindInvalid, f.name+" is missing", nil)
		}
		if !(math.Abs(*f.v) <= f.limit) {
			return sensor.Sample{}, r.bad(core.KindInvalid, fmt.Sprintf("%s is %g, more than %g", f.name, *f.v, f.limit), nil)
		}
	}
	return sensor.Sample{At: r.time(*rec.T), X: *rec.AX, Y: *rec.AY, Z: *rec.AZ}, nil
}

// time counts from the first sample. What is more than thirty years away is no
// recording: the judges do not believe such a time.
func (r *Reader) time(t float64) time.Duration {
	if r.notes.Samples == 0 {
		r.first, r.last = t, math.Inf(-1)
	}
	r.notes.Samples++
	if t <= r.last {
		if t == r.last {
			r.notes.Duplicate++
		} else {
			r.notes.Backward++
		}
		if r.notes.OddLine == 0 {
			r.notes.OddLine = r.line
		}
	}
	r.last = t
	const most = 1.1e9 // seconds
	return time.Duration(math.Round(min(max(t-r.first, -most), most) * 1e9))
}

// All reads a whole recording.
func All(r io.Reader) ([]sensor.Sample, Notes, error) {
	from, err := NewReader(r)
	if err != nil {
		return nil, Notes{}, err
	}
	var all []sensor.Sample
	for {
		s, err := from.Next()
		if errors.Is(err, io.EOF) {
			return all, from.Notes(), nil
		}
		if err != nil {
			return nil, from.Notes(), err
		}
		all = append(all, s)
	}
}

// Write writes samples as a recording.
func Write(w io.Writer, samples []sensor.Sample) error {
	b := bufio.NewWriter(w)
	var line []byte
	for _, s := range samples {
		line = append(line[:0], `{"t":`...)
		line = strconv.AppendFloat(line, s.At.Seconds(), 'f', -1, 64)
		for _, a := range [...]struct {
			key string
			v   float64
		}{{`,"ax":`, s.X}, {`,"ay":`, s.Y}, {`,"az":`, s.Z}} {
			line = strconv.AppendFloat(append(line, a.key...), a.v, 'g', -1, 64)
		}
		line = append(line, "}\n"...)
		if _, err := b.Write(line); err != nil {
			return core.Wrap(core.KindInternal, "trace.Write", err)
		}
	}
	if err := b.Flush(); err != nil {
		return core.Wrap(core.KindInternal, "trace.Write", err)
	}
	return nil
}
