// Package known is the judge that tells the stations that belong there from
// those that are new: neighbours on the network, the switch's port, anything
// that a driver sights by an identity.
//
// For a time after enrolment it learns. Then what it does not know is an event,
// until people accept the list as it stands, by an order that names the list's
// SHA-256, or until the newcomer is not heard of for some days and is forgotten.
// What is known is forgotten likewise, after longer.
//
// Time is the time in which the judge was at work: a device that was switched
// off for a month forgets nothing, and whoever sets the clock neither shortens a
// term nor lengthens the learning.
//
// An identity is the station's own word. A flood of made-up ones fills the room
// of the newcomers and is told as a flood; the known have their own room.
package known

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Config configures the judge. The zero value of a key is its default.
type Config struct {
	// Learn is how long everything that is seen is taken for known, 24h where it
	// is left out; "-1s" for no learning at all.
	Learn time.Duration `yaml:"learn,omitempty"`
	// Alarm says that a newcomer is an alarm while the device is armed.
	Alarm bool `yaml:"alarm,omitempty"`
	// Forget is how long a newcomer that nobody accepted is remembered after it
	// was last told, 168h (a week) where it is left out. Then it is told again.
	Forget time.Duration `yaml:"forget,omitempty"`
	// Expire is how long a known identity may be unseen before it is known no
	// more, 2160h (90 days) where it is left out.
	Expire time.Duration `yaml:"expire,omitempty"`
	// Room is how many identities can be known, 1024 where it is left out.
	Room int `yaml:"room,omitempty"`
	// Burst is how many newcomers are told singly in an hour, 16 where it is left
	// out. More are a flood, which is one event.
	Burst int `yaml:"burst,omitempty"`
	// Randomised is how a network address that software made up is judged: like
	// another (same, the default), or without an alarm and low (low). Telephones
	// change theirs; so may whoever breaks in.
	Randomised string `yaml:"randomised,omitempty"`
}

// Limits of the configuration.
const (
	maxRoom  = 1024
	maxBurst = 256
	// newRoom is how many new neighbours are remembered singly, roleRoom how many
	// newcomers of each other class: a flood of stations must not hide another
	// gateway. The list names each, so that people know what they accept, and has to
	// fit in one event.
	newRoom    = 24
	roleRoom   = 4
	maxClasses = 8
	maxNew     = newRoom + maxClasses*roleRoom
	// maxIdentity bounds an identity, maxShown what is shown beside it, maxList the
	// list in bytes.
	maxIdentity = 96
	maxShown    = 48
	maxList     = 10 << 10
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Learn > 90*24*time.Hour:
		return invalid("learn %s; at most 2160h", c.Learn)
	case c.Forget < 0 || c.Forget > 0 && c.Forget < time.Hour:
		return invalid("forget %s; at least 1h", c.Forget)
	case c.Expire < 0 || c.Expire > 0 && c.Expire < 24*time.Hour:
		return invalid("expire %s; at least 24h", c.Expire)
	case c.Room < 0 || c.Room > maxRoom:
		return invalid("room %d; at most %d", c.Room, maxRoom)
	case c.Burst < 0 || c.Burst > maxBurst:
		return invalid("burst %d; at most %d", c.Burst, maxBurst)
	case !slices.Contains([]string{"", "same", "low"}, c.Randomised):
		return invalid("randomised %q; same or low", c.Randomised)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "known.Config", fmt.Sprintf(format, args...))
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&c.Learn, 24*time.Hour)
	set(&c.Forget, 7*24*time.Hour)
	set(&c.Expire, 90*24*time.Hour)
	if c.Room == 0 {
		c.Room = maxRoom
	}
	if c.Burst == 0 {
		c.Burst = 16
	}
	return c
}

// Doc describes the judge.
var Doc = sensor.Doc{
	Name: "known", Senses: "identities that were not there before: neighbours, gateways, DHCP servers, access points, a switch's port",
	Interface: "sightings", Latency: sensor.LatencyEvent,
	Events: []sensor.EventDoc{
		{Type: "neighbour_new", Severity: core.SeverityMedium, Alarm: true, Meaning: "a station that is not known; an alarm where the configuration says so"},
		{Type: "switch_port_new", Severity: core.SeverityMedium, Alarm: true, Meaning: "the cable is in another socket; likewise"},
		{Type: "access_point_new", Severity: core.SeverityMedium, Alarm: true, Meaning: "a Wi-Fi access point that is not known; likewise"},
		{Type: "gateway_new", Severity: core.SeverityHigh, Alarm: true, Meaning: "another network card has the gateway's address; likewise"},
		{Type: "dhcp_server_new", Severity: core.SeverityHigh, Alarm: true, Meaning: "a DHCP server that is not known; likewise"},
		{Type: "router_new", Severity: core.SeverityHigh, Alarm: true, Meaning: "an IPv6 router that is not known; likewise"},
		{Type: "bmc_intrusion_logged", Severity: core.SeverityHigh, Alarm: true, Meaning: "a BMC's log has an opening that is not known, of a time when the agent was off too; likewise"},
		{Type: "identity_new", Severity: core.SeverityMedium, Alarm: true, Meaning: "something else that is not known; likewise"},
		{Type: "surroundings_changed", Severity: core.SeverityHigh, Alarm: true, Meaning: "none of the known stations or access points is there, and others are: the device is in another place"},
		{Type: "surroundings_known", Severity: core.SeverityInfo, Meaning: "known ones are there again"},
		{Type: "identity_flood", Severity: core.SeverityHigh, Alarm: true, Meaning: "more newcomers than are told singly"},
		{Type: "identity_expired", Severity: core.SeverityInfo, Meaning: "a known one was unseen for so long that it is known no more"},
		{Type: "identities_full", Severity: core.SeverityHigh, Meaning: "there is no room for more known ones"},
		{Type: "inventory", Severity: core.SeverityInfo, Meaning: "the list as it stands, with the SHA-256 by which it can be accepted"},
	},
	Tested: []sensor.Tested{sensor.TestedSimulator},
}

// Judge tells the known from the new; see [New].
type Judge struct {
	cfg     Config
	memory  memory
	changed bool
	last    time.Time // of the call before
	kept    time.Duration
	bursts  map[string]*burst // by class
	full    time.Duration     // when it was last told that there is no room
	wasFull bool
	swept   time.Duration // when it last looked for what is to be forgotten
	listAt  time.Duration // when the list is to be told, if listDue
	listDue bool
	begun   time.Duration // At when it began to run
	looked  time.Duration // when it last looked around
	// elsewhere are the groups in which the device is among strangers.
	elsewhere map[group]bool
}

// memory is what is kept across restarts.
type memory struct {
	V int `json:"v"`
	// At is how long the judge has been at work.
	At      time.Duration    `json:"at"`
	Learned bool             `json:"learned"`
	Known   map[string]entry `json:"known"`
	New     map[string]entry `json:"new,omitempty"`
}

// entry is one identity. Its times count as At does.
type entry struct {
	Seen time.Duration `json:"seen"`
	// Told is when a newcomer was told.
	Told time.Duration `json:"told,omitempty"`
	// About is what is shown of a newcomer: the list that people accept has it.
	About map[string]string `json:"about,omitempty"`
}

// burst counts newcomers of a class within an hour.
type burst struct {
	began time.Duration
	count int
	over  int // beyond what is told singly
	first string
	last  string
}

const (
	hour = time.Hour
	// maxStep is how much of the time between two calls counts. Calls come at
	// least hourly; more is a device that slept, or a clock that somebody set.
	maxStep = 2 * time.Hour
	// keepEvery is how often the times are worth writing down when nothing else
	// changed, learnEvery the same while it learns.
	keepEvery  = 24 * time.Hour
	learnEvery = 10 * time.Minute
	// lookEvery is how often it looks around.
	lookEvery = 5 * time.Minute
	// listAfter is how long the list waits for more to happen to it.
	listAfter = time.Minute
)

// New returns a judge that begins to learn.
func New(c Config) (*Judge, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	j := &Judge{cfg: c.withDefaults(), bursts: map[string]*burst{}, elsewhere: map[group]bool{}}
	j.forgetAll()
	return j, nil
}

func (j *Judge) forgetAll() {
	j.memory = memory{V: 1, Known: map[string]entry{}, New: map[string]entry{}, Learned: j.cfg.Learn < 0}
}

// maxMemory bounds what is read back.
const maxMemory = 1 << 20

// Recall implements monitor.Learner. Of a memory that is damaged nothing is
// believed, and nothing is learned anew either: that would take for known
// whatever is there now.
func (j *Judge) Recall(kept []byte) error {
	j.forgetAll()
	if kept == nil {
		return nil
	}
	var m memory
	err := error(nil)
	if len(kept) > maxMemory {
		err = core.E(core.KindTooLarge, "known.Recall", fmt.Sprintf("the list has %d bytes", len(kept)))
	} else {
		err = json.Unmarshal(kept, &m)
	}
	if err == nil && (m.V != 1 || m.At < 0 || len(m.Known) > maxRoom || len(m.New) > maxNew) {
		err = core.E(core.KindDamaged, "known.Recall", "the list is none of this judge's")
	}
	if err != nil {
		j.memory.Learned = true
		return core.Wrap(core.KindDamaged, "known.Recall", err)
	}
	if m.Known == nil {
		m.Known = map[string]entry{}
	}
	if m.New == nil {
		m.New = map[string]entry{}
	}
	m.Learned = m.Learned || j.cfg.Learn < 0
	j.memory, j.kept, j.begun, j.swept, j.looked = m, m.At, m.At, m.At, m.At
	return nil
}

// Memory implements monitor.Learner.
func (j *Judge) Memory() ([]byte, bool) {
	b, err := json.Marshal(j.memory)
	if err != nil {
		return nil, false // strings and numbers always marshal
	}
	changed := j.changed
	j.changed = false
	if changed {
		j.kept = j.memory.At
	}
	return b, changed
}

// tidy makes a sighting fit to be remembered. An identity that is too long, which
// none of a network card is, goes by its beginning and its SHA-256.
func tidy(p sensor.Part) sensor.Part {
	t := sensor.Part{Class: clip(p.Class), Place: clip(p.Place), Identity: sensor.Text(p.Identity), About: map[string]string{}}
	if b, err := json.Marshal(t.Identity); err != nil || len(b) > maxIdentity {
		sum := sha256.Sum256([]byte(t.Identity))
		t.Identity = strings.Map(plain, clip(t.Identity)) + " " + hex.EncodeToString(sum[:8])
	}
	for _, k := range []string{"ip", "host", "vendor", "via", "randomised"} {
		if v := p.About[k]; v != "" {
			t.About[k] = clip(v)
		}
	}
	return t
}

// plain drops what is long once it is written down.
func plain(r rune) rune {
	if r >= 0x80 || strings.ContainsRune(`<>&"\`, r) {
		return -1
	}
	return r
}

func clip(s string) string {
	s = sensor.Text(s)
	return strings.ToValidUTF8(s[:min(len(s), maxShown)], "")
}

// key names an identity: the same one at another place is another one.
func key(p sensor.Part) string { return p.Class + "|" + p.Place + "|" + p.Identity }

func partOf(key string) sensor.Part {
	class, rest, _ := strings.Cut(key, "|")
	place, identity, _ := strings.Cut(rest, "|")
	return sensor.Part{Class: class, Place: place, Identity: identity}
}

// sum is the SHA-256 of a list: what people accept.
func (j *Judge) sum() string {
	h := sha256.New()
	for _, k := range j.all() {
		_, _ = fmt.Fprintf(h, "%s\n", k)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// all are the known and the newcomers, in order.
func (j *Judge) all() []string {
	keys := make([]string, 0, len(j.memory.Known)+len(j.memory.New))
	for k := range j.memory.Known {
		keys = append(keys, k)
	}
	for k := range j.memory.New {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
