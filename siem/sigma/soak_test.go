package sigma_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
)

// quietEngine asks questions of every kind, none of which real events hold.
func quietEngine(t *testing.T) *sigma.Engine {
	t.Helper()
	var text strings.Builder
	for i, item := range []string{
		`Image|endswith: '\nothing.exe'`, `CommandLine|contains|all: [zzq1, zzq2]`, `CommandLine|re: 'zz(q|r)+9'`, `CommandLine|re|i: '[xyz]{3}q+$'`, `User: nobody-at-all`,
		`EventID: 99999`, `EventID|gt: 999999`, `DestinationIp|cidr: 203.0.113.0/24`, `Image|fieldref: NoSuchField`, `CommandLine|windash|contains: ' -zzq '`, `CommandLine: '*z?q*z?q*'`,
		`CommandLine|base64offset|contains: zzqzzq`, `'|re': 'qqq[0-9]zz'`, `Image|cased: 'C:\ZZQ'`, `NoSuch|exists: true`,
	} {
		fmt.Fprintf(&text, "---\ntitle: R%d\nid: %s\nauthor: A\nlogsource:\n  product: linux\ndetection:\n  s:\n    %s\n  condition: s\n", i, (&madeRule{}).id(i), item)
	}
	e, err := sigma.Compile(parse(t, strings.TrimPrefix(text.String(), "---\n")), sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// realEvents returns some recorded events, evenly spaced.
func realEvents(t *testing.T, n int) [][]byte {
	t.Helper()
	var out [][]byte
	for sc, i := corpustest.Events(t), 0; sc.Scan() && len(out) < n; i++ {
		if i%(10_000/n) == 0 {
			out = append(out, bytes.Clone(sc.Bytes()))
		}
	}
	return out
}

// TestNothingIsAllocatedForNothing: an event that matches no rule costs no
// memory, whatever was asked about it.
func TestNothingIsAllocatedForNothing(t *testing.T) {
	e, events := quietEngine(t), realEvents(t, 200)
	v := e.NewView()
	pass := func() {
		for _, event := range events {
			v.Reset()
			if err := v.Load(event); err != nil {
				t.Fatal(err)
			}
			e.Match(v, linux, func(m sigma.Match) { t.Errorf("%s matches", m.Rule.Title) })
		}
	}
	for range 15 { // witnesses are chosen anew after 512 and after 2048 more events
		pass()
	}
	if n := testing.AllocsPerRun(5, pass); n > 0 && !raced {
		t.Errorf("%.1f allocations for %d events", n, len(events))
	}
}

// salted makes an event's long values new, as they are in the world: command
// lines, ids and hashes hardly repeat.
func salted(dst, event []byte, n uint64) []byte {
	salt := uint64(n)*0x9e3779b97f4a7c15 + 1
	for _, c := range event {
		if '0' <= c && c <= '9' {
			salt ^= salt << 13
			salt ^= salt >> 7
			salt ^= salt << 17
			c = '1' + byte(salt%9)
		}
		dst = append(dst, c)
	}
	return dst
}

// TestSoak: many events that never were before, through one view, and the heap
// stays where it was.
func TestSoak(t *testing.T) {
	rules, _ := corpus(t)
	e, err := sigma.Compile(rules, sigma.Options{Placeholders: corpusPlaceholders})
	if err != nil {
		t.Fatal(err)
	}
	var sources []sigma.Logsource
	for _, r := range e.Rules() {
		sources = append(sources, r.Logsource)
	}
	sources = sources[:min(len(sources), 40)]
	events, passes := realEvents(t, 500), uint64(3)
	switch {
	case long():
		passes = 400
	case raced:
		passes = 1
	}
	v := e.NewView()
	var buf []byte
	run := func(pass uint64) {
		for i, event := range events {
			buf = salted(buf[:0], event, pass*uint64(len(events))+uint64(i))
			v.Reset()
			if err := v.Load(buf); err != nil {
				t.Fatal(err)
			}
			e.Match(v, sources, func(sigma.Match) {})
		}
	}
	run(0)
	before := liveHeap()
	for pass := range passes {
		run(pass + 1)
	}
	after := liveHeap()
	t.Logf("heap %d kB before, %d kB after %d events", before>>10, after>>10, passes*uint64(len(events)))
	if after > before+(1<<20) {
		t.Errorf("the heap grew from %d to %d kB", before>>10, after>>10)
	}
	runtime.KeepAlive(v)
	runtime.KeepAlive(e)
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAViewForgetsAHugeEvent: one event of ten megabytes is no reason to hold on
// to ten megabytes for ever.
func TestAViewForgetsAHugeEvent(t *testing.T) {
	e := compile(t, "  s:\n    a|contains: evil\n  condition: s\n")
	v := e.NewView()
	small := []byte(`{"a":"x"}`)
	ask := func(event []byte) {
		v.Reset()
		if err := v.Load(event); err != nil {
			t.Fatal(err)
		}
		asked(v, e, linux)
	}
	ask(small)
	before := liveHeap()
	ask([]byte(`{"a":"` + strings.Repeat(`\u0041B`, 10<<20/7) + `"}`))
	for range 100 {
		ask(small)
	}
	v.Reset()
	if after := liveHeap(); after > before+(1<<20) {
		t.Errorf("%d kB before, %d kB after", before>>10, after>>10)
	}
	runtime.KeepAlive(v)
}
