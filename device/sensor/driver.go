package sensor

import (
	"path/filepath"

	"github.com/interlock-security/interlock/core"
)

// Env is what a driver is made with.
type Env struct {
	ID    core.SensorID
	Clock core.Clock
	// Root is put before each path of the kernel's: "" on a machine, a folder
	// with recorded files in a test.
	Root string
}

// Path is where a path of the kernel's lies in this environment.
func (e Env) Path(elem ...string) string {
	return filepath.Join(append([]string{e.Root, "/"}, elem...)...)
}

// Doc is what a driver or a judge says of itself for people: the reference page
// docs/reference/sensors.md is made of nothing else.
type Doc struct {
	Name   string // as the configuration names it: "gpio"
	Senses string // what it notices, in a few words
	// Interface is where it looks: "/dev/gpiochip*, GPIO uAPI v2".
	Interface string
	Latency   Latency
	Events    []EventDoc
	Tested    []Tested
}

// EventDoc is one event that a driver or a judge makes.
type EventDoc struct {
	Type     string // "case_intrusion"
	Severity core.Severity
	Alarm    bool // it alarms while armed
	Meaning  string
}

// Tested is how something is tested.
type Tested string

// The ways.
const (
	TestedKernel    Tested = "kernel"    // a real kernel's own device, in the virtual machine or in a namespace
	TestedPeer      Tested = "peer"      // a real program at the other end: gpsd, a BMC
	TestedRecorded  Tested = "recorded"  // bytes or files that a machine gave
	TestedTrace     Tested = "trace"     // recorded motion
	TestedSimulator Tested = "simulator" // the simulator's, or made up and said so
)
