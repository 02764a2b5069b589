package sensor

import (
	"encoding/json"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Kind is what a reading says.
type Kind uint8

// The kinds of reading.
const (
	// Beat says only that the driver is alive.
	Beat Kind = iota
	// Inventory says what is there, whole; every driver emits one when it
	// starts. One that says what the last one said is not told again.
	Inventory
	// Level is an input that is active or not; the monitor debounces it.
	Level
	// Pulse is an occurrence, complete in itself, already clean (a kernel event).
	Pulse
	// Measure is a number at a point, with its unit. It is shown live; what it
	// means a judge says.
	Measure
	// Waveform is a run of acceleration, for a judge.
	Waveform
	// Position is where the device is, or that nobody knows, for a judge.
	Position
	// Sighting is something with an identity that showed itself: a neighbour on
	// the network, an access point in the air. For a judge.
	Sighting
	// Broken says that one point can't be read while the others can. The sensor
	// is a fault until that point reads again.
	Broken
)

// Reading is one thing that a driver saw.
type Reading struct {
	Kind Kind
	// Point names the input within the sensor: "eth0", "1-1.2", "lid". Levels,
	// latches and coalescing are per point.
	Point string
	// Type is the event's word: "carrier_down". For a level it is the word for
	// becoming active; Clear is the word for the way back.
	Type, Clear string
	// Active is the level of a Level.
	Active bool
	// Settled says that the level is debounced already, by the kernel or by the
	// hardware: it counts at once.
	Settled bool
	// Alarm says that this is what the sensor is there to notice.
	Alarm bool
	// Transport says that it alarms in transport as well: a fall, not a lift.
	Transport bool
	// Unlatched says that an alarm at this point ends with its level although
	// the sensor latches: a door that people use.
	Unlatched bool
	Severity  core.Severity
	// Sample is a live value of a lively sensor.
	Sample uint64
	// Value is a Measure's number, in Unit.
	Value float64
	Unit  Unit
	// Lively says that this point's Value must move: one that stands still for
	// MaxSilence is frozen, which counts as stale.
	Lively bool
	// Wave is a Waveform's, Fix a Position's. Parts are an Inventory's, or the
	// one of a Sighting.
	Wave  *Wave
	Fix   *Fix
	Parts []Part
	// Fields is one JSON object, see [Fields].
	Fields json.RawMessage
	// Simulated can be set by a driver and is never cleared.
	Simulated bool
}

// Unit is the unit of a Measure, as UCUM writes it.
type Unit string

// The units.
const (
	UnitVolt    Unit = "V"
	UnitAmpere  Unit = "A"
	UnitWatt    Unit = "W"
	UnitCelsius Unit = "Cel"
	UnitPercent Unit = "%"
	UnitLux     Unit = "lx"
	UnitPascal  Unit = "Pa"
	UnitRPM     Unit = "/min"
	UnitG       Unit = "[g]"   // standard gravity
	UnitDegSec  Unit = "deg/s" // rate of turn
	UnitSecond  Unit = "s"
	UnitNone    Unit = "" // a count, a flag
)

// Wave is a run of acceleration as one sensor felt it, in its own axes.
type Wave struct {
	// Full is the range in g beyond which the sensor clips, 0 where unknown.
	Full    float64
	Samples []Sample
}

// Sample is one vector of acceleration, in g.
type Sample struct {
	// At is when, on a clock that only goes forward: since boot, or since the
	// beginning of a trace.
	At      time.Duration
	X, Y, Z float64
}

// Fix is a position, or the lack of one.
type Fix struct {
	// Mode is 0 for none, 2 without height, 3 with it (gpsd's TPV mode).
	Mode     int
	Lat, Lon float64 // degrees, WGS 84
	Altitude float64 // metres
	Error    float64 // metres, estimated, 0 where unknown
	Speed    float64 // metres a second
	Time     time.Time
	// Signals are the strengths of the satellites used, dB-Hz.
	Signals []float64
}

// Part is a thing with an identity: a disk, a memory module, a neighbour.
type Part struct {
	Class string `json:"class"` // "pci", "dimm", "disk", "firmware", "neighbour"
	Place string `json:"place"` // "0000:00:02.0", "DIMM 0", "eth0"
	// Identity is what makes this one and no other: maker, model, serial.
	Identity string `json:"identity"`
	// About is what is worth showing and does not make identity.
	About map[string]string `json:"about,omitempty"`
}
