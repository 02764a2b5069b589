package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/interlock-security/interlock/device/trace"
	"github.com/interlock-security/interlock/device/trace/synth"
)

// mktrace makes up a recording of something that happens after eight seconds:
// "mktrace FILE KIND [LEVEL]". "still" is nothing; a fan runs from the start.
func mktrace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mktrace FILE KIND [LEVEL]")
	}
	c := synth.Config{Seed: 1, Rate: 104, Length: 20 * time.Second}
	event := synth.Event{Kind: synth.Kind(args[1])}
	if len(args) == 3 {
		level, err := strconv.ParseFloat(args[2], 64)
		ts.Check(err)
		event.Level = level
	}
	if event.Kind != synth.Fan {
		event.At = 8 * time.Second
	}
	if event.Kind == synth.Earthquake {
		c.Length = 40 * time.Second
	}
	if args[1] != "still" {
		c.Events = []synth.Event{event}
	}
	var b bytes.Buffer
	ts.Check(trace.Write(&b, synth.Make(c)))
	if strings.HasSuffix(args[0], ".gz") {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, err := w.Write(b.Bytes())
		ts.Check(err)
		ts.Check(w.Close())
		b = z
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o600))
}
