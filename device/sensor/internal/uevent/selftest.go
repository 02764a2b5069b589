package uevent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// nudged is a device of every kernel, which nothing depends on. A word written to
// its uevent file has the kernel tell of it once more, and changes nothing.
const nudged = "/devices/virtual/mem/null"

// maxWait is how long the kernel has to answer.
const maxWait = 5 * time.Second

// SelfTest has the kernel say something, and hears whether it arrives.
func SelfTest(ctx context.Context, env sensor.Env, open func() (Source, error)) sensor.Finding {
	const check = "kernel messages"
	src, err := open()
	if err != nil {
		return sensor.Found(check, sensor.Fail, err.Error())
	}
	defer func() { _ = src.Close() }()
	err = os.WriteFile(env.Path("sys", nudged, "uevent"), []byte("change"), 0)
	switch {
	case errors.Is(err, os.ErrPermission):
		return sensor.Found(check, sensor.Untried, "only root can ask the kernel for a message")
	case err != nil:
		return sensor.Found(check, sensor.Untried, "this kernel can't be asked for a message: "+err.Error())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := make(chan error, 1)
	go func() { heard <- hear(ctx, src) }()
	select {
	case err = <-heard:
	case <-env.Clock.After(maxWait):
		err = core.E(core.KindUnavailable, "uevent.SelfTest", fmt.Sprintf("the kernel was asked for a message, and none came in %s", maxWait))
	}
	if err != nil {
		return sensor.Found(check, sensor.Fail, err.Error())
	}
	return sensor.Found(check, sensor.Pass, "")
}

// hear waits for the message that was asked for. Others in between are nothing
// to a test.
func hear(ctx context.Context, src Source) error {
	buf := make([]byte, maxMessage+1)
	for {
		n, err := src.Recv(ctx, buf)
		if core.KindOf(err) == core.KindUnavailable {
			return err
		}
		if err != nil {
			continue
		}
		if e, err := Parse(buf[:n]); err == nil && e.Path == nudged {
			return nil
		}
	}
}
