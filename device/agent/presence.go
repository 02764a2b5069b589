package agent

import (
	"crypto/rand"
	"encoding/base32"
	"sync"
	"time"
)

// presence is the code that whoever stands in front of the device can read on
// its local socket and repeat in an order. It lives in memory, is used once and
// is made anew with each start.
type presence struct {
	mu   sync.Mutex
	code string
	made time.Duration // boot-time clock
	now  func() time.Duration
}

func newPresence(now func() time.Duration) *presence {
	p := &presence{now: now}
	p.renew()
	return p
}

var codeAlphabet = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

func (p *presence) renew() {
	b := make([]byte, 10)
	_, _ = rand.Read(b) // crypto/rand.Read never fails since Go 1.24
	p.code, p.made = codeAlphabet.EncodeToString(b)[:12], p.now()
}

// show returns the code and how old it is.
func (p *presence) show(now time.Duration) (code string, age time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code, now - p.made
}

// afterStop ends the code that was shown before a stop: who repeats the next one
// has seen the machine stopped.
func (p *presence) afterStop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.renew()
}

// used ends a code that an accepted order repeated.
func (p *presence) used(code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if code != "" && code == p.code {
		p.renew()
	}
}
