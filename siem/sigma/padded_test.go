package sigma_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
)

// paddedEvent is an event whose last value stands behind n others.
func paddedEvent(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"pad":[`)
	for i := range n {
		fmt.Fprintf(&b, "%d,", i)
	}
	b.WriteString(`0],"user":"mallory"}`)
	return []byte(b.String())
}

// TestPaddingHidesNothing: an event with tens of thousands of values is read to
// its end, one with more is refused aloud, and neither stays in memory.
func TestPaddingHidesNothing(t *testing.T) {
	rules, err := sigma.Parse("x.yml", []byte("title: T\nid: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a3d77\nlogsource: {product: linux}\ndetection:\n  s:\n    user: mallory\n  k:\n    - nowhere\n  condition: s or k\n"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := sigma.Compile(rules, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := e.NewView()
	ask := func(event []byte) (n int, err error) {
		v.Reset()
		err = v.Load(event)
		e.Match(v, []sigma.Logsource{{Product: "linux"}}, func(sigma.Match) { n++ })
		return n, err
	}
	small := []byte(`{"user":"mallory"}`)
	if n, err := ask(small); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	before := heapInUse()
	if n, err := ask(paddedEvent(60_000)); n != 1 || err != nil {
		t.Errorf("%d matches of a padded event, %v", n, err)
	}
	if n, err := ask(paddedEvent(80_000)); n != 0 || err == nil {
		t.Errorf("%d matches of an event with too many values, %v", n, err)
	}
	if n, err := ask(small); n != 1 || err != nil {
		t.Errorf("%d matches afterwards, %v", n, err)
	}
	if after := heapInUse(); after > before+1<<20 {
		t.Errorf("%d bytes stay", after-before)
	}
	runtime.KeepAlive(v)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
