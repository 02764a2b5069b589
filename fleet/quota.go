package fleet

import (
	"fmt"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
)

// QuotaConfig bounds what one peer may cost (F38): a captured device starves
// itself and nobody else.
type QuotaConfig struct {
	// BytesPerSecond and BurstBytes bound the bodies of one device.
	BytesPerSecond int `yaml:"bytes_per_second"`
	BurstBytes     int `yaml:"burst_bytes"`
	// RequestsPerSecond and BurstRequests bound its requests.
	RequestsPerSecond int `yaml:"requests_per_second"`
	BurstRequests     int `yaml:"burst_requests"`
	// Concurrent bounds its requests under way, streams not counted.
	Concurrent int `yaml:"concurrent"`
	// StrangerPerMinute bounds the enrolment attempts of one address.
	StrangerPerMinute int `yaml:"stranger_per_minute"`
}

// DefaultQuota lets a device catch up after a day offline and stops a flood.
var DefaultQuota = QuotaConfig{
	BytesPerSecond: 256 << 10, BurstBytes: 8 << 20, RequestsPerSecond: 20, BurstRequests: 200, Concurrent: 4, StrangerPerMinute: 30,
}

// Validate implements config.Validator.
func (c QuotaConfig) Validate() error {
	for name, v := range map[string]int{
		"bytes_per_second": c.BytesPerSecond, "requests_per_second": c.RequestsPerSecond, "burst_requests": c.BurstRequests,
		"concurrent": c.Concurrent, "stranger_per_minute": c.StrangerPerMinute,
	} {
		if v <= 0 {
			return core.E(core.KindInvalid, "fleet.QuotaConfig", fmt.Sprintf("%s is %d, it must be above zero", name, v))
		}
	}
	if c.BurstBytes < MaxBody {
		return core.E(core.KindInvalid, "fleet.QuotaConfig", fmt.Sprintf("burst_bytes is %d, a single body may have %d", c.BurstBytes, MaxBody))
	}
	return nil
}

// maxPeers bounds the table; peers whose buckets are full again are forgotten.
const maxPeers = 200_000

// quotas keeps the buckets of peers.
type quotas struct {
	cfg   QuotaConfig
	clock core.Clock

	mu    sync.Mutex
	peers map[string]*peerQuota
}

type peerQuota struct {
	bytes, requests bucket
	busy            int
}

// bucket is a token bucket.
type bucket struct {
	level, size, rate float64
	at                time.Time
}

func (b *bucket) take(now time.Time, n float64) bool {
	if d := now.Sub(b.at).Seconds(); d > 0 {
		b.level = min(b.size, b.level+d*b.rate)
		b.at = now
	}
	if b.level < n {
		return false
	}
	b.level -= n
	return true
}

func newQuotas(cfg QuotaConfig, clock core.Clock) *quotas {
	return &quotas{cfg: cfg, clock: clock, peers: map[string]*peerQuota{}}
}

// device admits a request of a device with a body of at most size bytes. done
// must be called when it is over.
func (q *quotas) device(name string, size int64) (done func(), err error) {
	now := q.clock.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.peer(name, now, func() *peerQuota {
		return &peerQuota{
			bytes:    bucket{float64(q.cfg.BurstBytes), float64(q.cfg.BurstBytes), float64(q.cfg.BytesPerSecond), now},
			requests: bucket{float64(q.cfg.BurstRequests), float64(q.cfg.BurstRequests), float64(q.cfg.RequestsPerSecond), now},
		}
	})
	over := func(what string) (func(), error) {
		return nil, core.E(core.KindUnavailable, "fleet.Quota", fmt.Sprintf("%s is over its quota of %s", name, what)).WithHint("send again later; nothing was taken in")
	}
	switch {
	case p.busy >= q.cfg.Concurrent:
		return over(fmt.Sprintf("%d requests at a time", q.cfg.Concurrent))
	case !p.requests.take(now, 1):
		return over(fmt.Sprintf("%d requests a second", q.cfg.RequestsPerSecond))
	case !p.bytes.take(now, float64(size)):
		return over(fmt.Sprintf("%d bytes a second", q.cfg.BytesPerSecond))
	}
	p.busy++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		p.busy--
	}, nil
}

// stranger admits an attempt of an address.
func (q *quotas) stranger(address string) error {
	now := q.clock.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	n := float64(q.cfg.StrangerPerMinute)
	p := q.peer("stranger/"+address, now, func() *peerQuota { return &peerQuota{requests: bucket{n, n, n / 60, now}} })
	if !p.requests.take(now, 1) {
		return core.E(core.KindUnavailable, "fleet.Quota", fmt.Sprintf("more than %d attempts a minute from %s", q.cfg.StrangerPerMinute, address))
	}
	return nil
}

// peer finds or makes an entry. A full table forgets whoever is idle; if all
// are busy the newcomer shares one entry, so that names alone can't fill it.
func (q *quotas) peer(name string, now time.Time, make func() *peerQuota) *peerQuota {
	if p := q.peers[name]; p != nil {
		return p
	}
	if len(q.peers) >= maxPeers {
		for other, p := range q.peers {
			if p.busy == 0 && p.requests.idle(now) {
				delete(q.peers, other)
			}
		}
		if len(q.peers) >= maxPeers {
			name = "others"
			if p := q.peers[name]; p != nil {
				return p
			}
		}
	}
	p := make()
	q.peers[name] = p
	return p
}

func (b *bucket) idle(now time.Time) bool {
	return b.level+now.Sub(b.at).Seconds()*b.rate >= b.size
}
