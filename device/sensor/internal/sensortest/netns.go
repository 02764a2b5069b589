package sensortest

import (
	"context"
	"runtime"

	"github.com/vishvananda/netns"

	"github.com/interlock-security/interlock/device/sensor"
)

// Inside is a driver that runs in a network namespace.
type Inside struct {
	sensor.Sensor
	Namespace netns.NsHandle
}

// Run implements [sensor.Sensor].
func (s Inside) Run(ctx context.Context, emit func(sensor.Reading)) error {
	ended := make(chan error, 1)
	OnThread(func() {
		err := netns.Set(s.Namespace)
		if err == nil {
			err = s.Sensor.Run(ctx, emit)
		}
		ended <- err
	})
	return <-ended
}

// OnThread calls do on a thread of its own, which may change namespaces: it is
// never unlocked, so the runtime throws it away.
func OnThread(do func()) {
	go func() {
		runtime.LockOSThread()
		do()
	}()
}
