package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/spool"
	"github.com/interlock-security/interlock/link"
)

// body is what the agent must not forget. It is kept by device/keystore, sealed
// and counted; every change of it is one durable step.
type body struct {
	Latches []latch `json:"latches"`
	// Stopped holds the outputs in their safe state until a reset.
	Stopped bool `json:"stopped"`
	// Protection is the configuration of the last start, by part.
	Protection map[string]string `json:"protection,omitempty"`
	// Tightened is what orders that wait are held against.
	Tightened tightened `json:"tightened,omitzero"`
	// Disarmed is a grant; without one the device is armed.
	Disarmed *grant `json:"disarmed,omitempty"`
	// Held keeps it armed against its schedule.
	Held     bool    `json:"held,omitempty"`
	Bypassed []grant `json:"bypassed,omitempty"`
	// Seen are the sensors that read on this machine, with their drivers.
	Seen map[string]string `json:"seen,omitempty"`
	// Proven is when each sensor last showed that it works, in microseconds.
	Proven map[string]int64 `json:"proven,omitempty"`
	// Memory is what the judges that learn remember, by sensor and judge.
	Memory map[string]map[string][]byte `json:"memory,omitempty"`
	// Counter is the last order counter taken in CounterEpoch under trust root
	// CounterRoot. A new root begins anew: orders of the one before count no
	// longer, and a stolen command key could have raised the counter so far
	// that none of the persons' orders ever counted again.
	Counter      uint64    `json:"counter"`
	CounterEpoch string    `json:"counter_epoch"`
	CounterRoot  uint64    `json:"counter_root"`
	Cursor       uint64    `json:"cursor"`
	Answers      []answer  `json:"answers,omitempty"` // oldest first
	Pending      []pending `json:"pending,omitempty"`
	Policy       policyRef `json:"policy"`
	// Servers is the address list that an order set, empty for the root's.
	Servers []string `json:"servers,omitempty"`
	// Known are the addresses that server names had when last looked up:
	// quarantine can't ask a name server.
	Known map[string][]string `json:"known,omitempty"`
	// Root is the trust root in force, as it came, and its hash.
	Root     []byte `json:"root,omitempty"`
	RootHash string `json:"root_hash,omitempty"`
	// NextRoot waits out its delay.
	NextRoot *pendingRoot `json:"next_root,omitempty"`
	// Sealed is the spool's tail as last known here.
	Sealed spool.Tail `json:"sealed"`
	// The newest checkpoint seen, and of which log.
	LogOrigin string `json:"log_origin,omitempty"`
	// LogLeft is how the log that the trust root names stood when the server
	// left it for one that it does not name.
	LogLeft *logState `json:"log_left,omitempty"`
	// LogForked is the log of which the server showed two histories.
	LogForked string `json:"log_forked,omitempty"`
	LogSize   uint64 `json:"log_size"`
	LogRoot   string `json:"log_root"`
}

// logState is a log as it was last seen.
type logState struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"`
}

// latch is a latch and what it holds.
type latch struct {
	monitor.Latch
	// Contains keeps the device in quarantine as long as it is set.
	Contains bool `json:"contains"`
}

// grant is something that is allowed for a while. It ends by the boot-time
// clock, and with the boot: how long the machine was off, it can't know (F18).
type grant struct {
	Arming core.Arming   `json:"arming,omitempty"`
	Sensor core.SensorID `json:"sensor,omitzero"`
	Point  string        `json:"point,omitempty"` // of the sensor, "" for all of it
	Boot   string        `json:"boot"`
	Begins int64         `json:"begins,omitempty"` // boot-time clock, microseconds; 0: at once
	Ends   int64         `json:"ends"`             // boot-time clock, microseconds
	// Why and Ticket are the order's, Persons those who approved it.
	Why     string          `json:"why,omitempty"`
	Ticket  string          `json:"ticket,omitempty"`
	Persons []core.PersonID `json:"persons,omitempty"`
}

func (g grant) left(boot string, elapsed time.Duration) time.Duration {
	if g.Boot != boot {
		return 0
	}
	return max(0, time.Duration(g.Ends)*time.Microsecond-elapsed)
}

// answer is what became of an order that was accepted once.
type answer struct {
	Order   core.UUID    `json:"order"`
	Hash    string       `json:"hash"` // of the payload
	Outcome link.Outcome `json:"outcome"`
	Detail  string       `json:"detail"`
	Sent    bool         `json:"sent"`
	Stop    bool         `json:"stop,omitempty"`
}

// maxAnswers bounds what is remembered. A forgotten order is still refused: its
// counter is taken or its latches are open.
const maxAnswers = 512

// pending is an order of a single operator that waits (F22). What it was
// checked against is kept, so that a restart of the agent doesn't lose it; a
// restart of the machine begins the delay anew.
type pending struct {
	Order       core.UUID     `json:"order"`
	Envelope    []byte        `json:"envelope"`
	Delay       time.Duration `json:"delay"`
	Boot        string        `json:"boot"`
	Since       int64         `json:"since"` // boot-time clock, microseconds
	Presence    string        `json:"presence"`
	PresenceAge time.Duration `json:"presence_age"`
	Lower       int64         `json:"lower"`
	Upper       int64         `json:"upper"` // 0: none
	LastCounter uint64        `json:"last_counter"`
	Tightened   tightened     `json:"tightened,omitzero"` // when it came
	Via         string        `json:"via,omitempty"`
}

const maxPending = 16

type policyRef struct {
	Version uint64 `json:"version"`
	SHA256  string `json:"sha256"`
}

func (b *body) answered(id core.UUID) (answer, bool) {
	i := slices.IndexFunc(b.Answers, func(a answer) bool { return a.Order == id })
	if i < 0 {
		return answer{}, false
	}
	return b.Answers[i], true
}

// note remembers an answer in place of the earlier one to the same order.
func (b *body) note(a answer) {
	if i := slices.IndexFunc(b.Answers, func(x answer) bool { return x.Order == a.Order }); i >= 0 {
		b.Answers[i] = a
		return
	}
	b.Answers = append(b.Answers, a)
	if extra := len(b.Answers) - maxAnswers; extra > 0 {
		b.Answers = slices.Delete(b.Answers, 0, extra)
	}
}

func (b *body) lastCounter(epoch string, root uint64) uint64 {
	if b.CounterEpoch != epoch || b.CounterRoot != root {
		return 0
	}
	return b.Counter
}

func (b *body) take(o *link.Order) {
	if o.Counter > 0 {
		b.Counter, b.CounterEpoch, b.CounterRoot = o.Counter, o.Epoch, o.RootVersion
	}
}

// taken is the counter of the last order whose record follows its effect: the
// next one is held against it before the disk knows.
type taken struct {
	mu   sync.Mutex
	body body // its counter alone
}

func (t *taken) note(o *link.Order) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.body.take(o)
}

func (t *taken) last(epoch string, root uint64) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.body.lastCounter(epoch, root)
}

func (b *body) contained() bool {
	return slices.ContainsFunc(b.Latches, func(l latch) bool { return l.Contains })
}

func (b *body) release(ids []string) {
	b.Latches = slices.DeleteFunc(b.Latches, func(l latch) bool { return slices.Contains(ids, l.ID) })
}

func payloadHash(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:])
}
