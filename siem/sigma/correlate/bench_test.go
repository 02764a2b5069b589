package correlate_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

// BenchmarkTake counts matches over many live keys. No key repeats in a row,
// and none is the same in two passes over them for longer than its window.
func BenchmarkTake(b *testing.B) {
	for _, row := range []struct{ name, body string }{
		{"event_count", "  type: event_count\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m\n  condition: {gte: 10}"},
		{"value_count", "  type: value_count\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m\n  condition: {gte: 10, field: f}"},
		{"value_sum", "  type: value_sum\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m\n  condition: {gte: 1000000, field: n}"},
		{"temporal", "  type: temporal\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m"},
		{"ordered", "  type: temporal_ordered\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m"},
		{"absent", "  type: temporal_ordered\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m\n  condition: a and not b"},
	} {
		for _, keys := range []int{1_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", row.name, keys), func(b *testing.B) { benchmarkTake(b, row.body, keys) })
		}
	}
}

func benchmarkTake(b *testing.B, body string, keys int) {
	e := compile(b, detections("a", "b")+correlation(1, "corr", body))
	s := correlate.New(e, correlate.Config{Memory: 256 << 20})
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprintf("user-%08d@example.org", i*7919)
	}
	values := make([]string, 5000)
	for i := range values {
		values[i] = fmt.Sprintf("198.51.%d.%d", i>>8, i&255)
	}
	f := correlate.Fact{Scope: "acme", Source: "syslog/192.0.2.1", Provenance: core.ProvenanceLocal, Fields: make([]sigma.Field, 3)}
	rules := []*sigma.Rule{e.Named("a"), e.Named("a"), e.Named("b")}
	step := 500 * time.Second / time.Duration(keys) // a key comes about twice in a window
	n, fired := 0, 0
	one := func() {
		n++
		f.Rule = rules[n%len(rules)]
		f.Received = epoch.Add(time.Duration(n) * step)
		f.At = f.Received.Add(-time.Duration(n%97) * time.Millisecond)
		binary.BigEndian.PutUint64(f.Event[8:], uint64(n))
		f.Fields[0] = sigma.Field{Name: "u", Value: names[int(uint64(n)*2654435761%uint64(keys))]}
		f.Fields[1] = sigma.Field{Name: "f", Value: values[n%len(values)]}
		f.Fields[2] = sigma.Field{Name: "n", Value: "1500"}
		s.Take(f, func(correlate.Firing) { fired++ })
		if n%5000 == 0 {
			s.Advance(f.Received, func(correlate.Firing) { fired++ })
		}
	}
	for range 2 * keys {
		one()
	}
	b.ResetTimer()
	b.ReportAllocs()
	for range b.N {
		one()
	}
	st := s.Stats()
	b.ReportMetric(float64(st.Groups), "groups")
	b.ReportMetric(float64(st.Bytes)/float64(max(1, st.Groups)), "B/group")
	b.ReportMetric(float64(fired)/float64(n), "firings/fact")
}

// BenchmarkHammer is one key that fires with every event, in a group as large as
// its condition lets it grow.
func BenchmarkHammer(b *testing.B) {
	for _, row := range []struct{ name, body string }{
		{"event_count/10", "  type: event_count\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m\n  condition: {gte: 10}"},
		{"event_count/10000", "  type: event_count\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m\n  condition: {gte: 10000}"},
		{"value_count/10", "  type: value_count\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m\n  condition: {gte: 10, field: f}"},
		{"value_count/1000", "  type: value_count\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m\n  condition: {gte: 1000, field: f}"},
		{"value_sum", "  type: value_sum\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m\n  condition: {gte: 1000000000, field: f}"},
		{"ordered", "  type: temporal_ordered\n  rules: [a, b]\n  group-by: [u]\n  timespan: 10m"},
	} {
		b.Run(row.name, func(b *testing.B) {
			e := compile(b, detections("a", "b")+correlation(1, "corr", row.body))
			s := correlate.New(e, correlate.Config{})
			f := correlate.Fact{Provenance: core.ProvenanceLocal, Source: "x", Fields: []sigma.Field{{Name: "u", Value: "x"}, {Name: "f"}}}
			n := 0
			one := func() {
				n++
				f.Rule, f.Received = e.Rules()[n%2], epoch.Add(time.Duration(n)*time.Millisecond)
				f.At = f.Received
				binary.BigEndian.PutUint64(f.Event[8:], uint64(n))
				f.Fields[1].Value = fmt.Sprint(n % 20_000)
				s.Take(f, nil)
			}
			for range 60_000 {
				one()
			}
			b.ResetTimer()
			for range b.N {
				one()
			}
		})
	}
}
