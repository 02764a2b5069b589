// Package ueventtest is a kernel that says what a test says.
package ueventtest

import (
	"context"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

// Kernel is a source that a test feeds. Every method blocks until the driver has
// taken what it says.
type Kernel struct{ said chan word }

type word struct {
	raw []byte
	err error
}

// New returns a silent kernel.
func New() *Kernel { return &Kernel{make(chan word)} }

// Open is what a driver opens its socket with.
func (k *Kernel) Open() (uevent.Source, error) { return k, nil }

// Say sends a message.
func (k *Kernel) Say(raw []byte) { k.said <- word{raw: raw} }

// Tell sends the message of a change of a device; more are further properties,
// "HOTPLUG=1".
func (k *Kernel) Tell(action, subsystem, path string, more ...string) {
	properties := append([]string{action + "@" + path, "ACTION=" + action, "DEVPATH=" + path, "SUBSYSTEM=" + subsystem}, more...)
	k.Say([]byte(strings.Join(properties, "\x00") + "\x00"))
}

// Fail makes the socket answer an error.
func (k *Kernel) Fail(err error) { k.said <- word{err: err} }

// Close implements [uevent.Source].
func (k *Kernel) Close() error { return nil }

// Recv implements [uevent.Source].
func (k *Kernel) Recv(ctx context.Context, buf []byte) (int, error) {
	select {
	case w := <-k.said:
		return copy(buf, w.raw), w.err
	case <-ctx.Done():
		return 0, core.Wrap(core.KindUnavailable, "ueventtest", ctx.Err())
	}
}
