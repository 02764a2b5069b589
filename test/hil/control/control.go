// Package control is what host and guest of the hardware-in-the-loop test say to
// each other over the virtual machine's second serial port: one JSON object a
// line. The host asks, the guest answers; only its first line, [Hello], comes
// unasked.
package control

import (
	"encoding/json"
	"os"
	"time"
)

// Request asks the guest to do something.
type Request struct {
	ID   uint64          `json:"id"`
	Do   string          `json:"do"`
	Args json.RawMessage `json:"args,omitempty"`
}

// Answer is what became of a request. ID 0 is the guest's hello.
type Answer struct {
	ID     uint64          `json:"id"`
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// Hello is what the guest says once it is up.
type Hello struct {
	Kernel  string   `json:"kernel"`
	Modules int      `json:"modules"`
	TPM     []string `json:"tpm"`    // the TPM devices that the kernel made
	UpMS    int64    `json:"up_ms"`  // since the kernel started
	DiskFS  string   `json:"diskfs"` // what the agent's folder is kept on
}

// The folders in the guest.
const (
	StateDir    = "/state" // on a disk; all else is gone with the power
	AgentConfig = StateDir + "/agent.yaml"
	DataDir     = StateDir + "/agent"
	RunDir      = "/run/interlock-agent"
	Program     = StateDir + "/bin/interlock" // the verbs for people
)

// Network addresses as the guest sees them. The host's loopback is reached by
// GuestServer and GuestPeer, each at one port; there is nothing else.
const (
	GuestAddress = "10.0.2.15"
	GuestGateway = "10.0.2.2"
	GuestServer  = "10.0.2.100"
	GuestPeer    = "10.0.2.200"
)

// File is a file to write.
type File struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Start starts the agent; Enrolment is used once.
type Start struct {
	Enrolment string `json:"enrolment,omitempty"`
}

// Pull sets what a line of the simulated GPIO chip is pulled to.
type Pull struct {
	Line int  `json:"line"`
	Up   bool `json:"up"`
}

// Bounce pulls a line up for so long and then down again, Times times.
type Bounce struct {
	Line  int   `json:"line"`
	Width int64 `json:"width_us"`
	Times int   `json:"times"`
}

// Bounced says how long the longest of the pulses really was: the guest is not
// always given the processor when it wants it.
type Bounced struct {
	Longest int64 `json:"longest_us"`
}

// Dial tries a connection for so long.
type Dial struct {
	Address string `json:"address"`
	WaitMS  int64  `json:"wait_ms"`
}

// Dialled is what a peer said first.
type Dialled struct {
	Said string `json:"said"`
}

// Listing names what is there.
type Listing struct {
	Names []string `json:"names"`
}

// Quantities are things that the chips measure, by the names of the guest's
// world: what they are from now on, and by how much they move of themselves.
type Quantities struct {
	Values map[string]float64 `json:"values,omitempty"`
	Noise  map[string]float64 `json:"noise,omitempty"`
}

// Shake shakes the accelerometer's Z axis; 0 Hz ends it.
type Shake struct {
	Hz float64 `json:"hz"`
	G  float64 `json:"g"`
}

// Trigger is a timer that clocks a buffer.
type Trigger struct {
	Name string `json:"name"`
	Hz   int    `json:"hz"`
}

// Step sets the clock by so much.
type Step struct {
	MS int64 `json:"ms"`
}

// Run runs a program of the product's.
type Run struct {
	Program string   `json:"program"`
	Args    []string `json:"args"`
}

// Ran is what became of it.
type Ran struct {
	Code int    `json:"code"`
	Out  string `json:"out"`
	Said string `json:"said"`
}

// Cost is what the agent's process has used.
type Cost struct {
	CPU int64 `json:"cpu_ms"`
	RSS int64 `json:"rss"`   // bytes
	At  int64 `json:"at_ms"` // since the kernel started
}

// Pace is how long a small piece of work takes here that is like a driver's: to
// open a file of the kernel's, read and close it.
func Pace() (time.Duration, error) {
	const times = 5000
	began := time.Now()
	for range times {
		if _, err := os.ReadFile("/proc/sys/kernel/osrelease"); err != nil {
			return 0, err
		}
	}
	return time.Since(began) / times, nil
}

// Paced is the guest's [Pace].
type Paced struct {
	NS int64 `json:"ns"`
}

// Trips asks for so many trips of the latency measurement.
type Trips struct {
	Count int `json:"count"`
}

// Tripped are the measured times, in microseconds and in order of the trips.
type Tripped struct {
	Elapsed   int64   `json:"elapsed_us"`   // by the guest's clock, all of it
	Event     []int64 `json:"event_us"`     // edge → the monitor tells of the latch
	Kernel    []int64 `json:"kernel_us"`    // edge → the kernel's own timestamp of it
	Contained []int64 `json:"contained_us"` // edge → the quarantine is in the kernel
	Durable   []int64 `json:"durable_us"`   // edge → the event is on disk
	Both      []int64 `json:"both_us"`      // edge → contained and on disk
	Fsync     []int64 `json:"fsync_us"`     // bare: one write and fsync
	Apply     []int64 `json:"apply_us"`     // bare: the same rules, applied
}
