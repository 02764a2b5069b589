package index

import (
	"fmt"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/normalise"
)

// BenchmarkRows is what the stage itself costs an event, before the store.
func BenchmarkRows(b *testing.B) {
	var list []core.Event
	for i := range 1000 {
		list = append(list, eventOf(func(e *core.Event) {
			e.Fields = fmt.Appendf(nil, `{"sensor":"lid","state":"alarm","count":%d,"message":"the lid of the press was opened, for the %dth time"}`, i, i)
		}))
	}
	f, n := frameOf(b, list...), normalise.New()
	b.ReportAllocs()
	for b.Loop() {
		rowsOf(n, nil, f)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
