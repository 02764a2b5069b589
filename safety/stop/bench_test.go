package stop

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/interlock-security/interlock/core"
)

// BenchmarkTrip1000 is a person stopping a site of 1 000 devices that are all
// connected, with the ring on disk: until the answer, which names all of them.
func BenchmarkTrip1000(b *testing.B) {
	s := plant(b, openRing(b, filepath.Join(b.TempDir(), "ring"), RingOptions{}), core.SystemClock{})
	targets := make([]Target, 1000)
	for n := range targets {
		targets[n] = Target{Tenant: tenant, Site: hallA, Device: dev(fmt.Sprintf("press-%d", n))}
		s.hub.Subscribe(targets[n])
	}
	s.SetTargets(targets)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		mustTrip(b, s, who(vera), siteA)
	}
}

// BenchmarkPublish1000 is the effect alone: all streams of the site are awake.
func BenchmarkPublish1000(b *testing.B) {
	h := NewHub(sign)
	for n := range 1000 {
		h.Subscribe(Target{Tenant: tenant, Site: hallA, Device: dev(fmt.Sprintf("press-%d", n))})
	}
	stop := Stop{ID: id(1), Tenant: tenant, Scope: siteA}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		h.Publish(stop)
	}
}
