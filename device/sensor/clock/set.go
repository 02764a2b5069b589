package clock

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
)

// whenSet has the kernel tell when somebody sets the wall clock: a timer at the
// end of time is cancelled then (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
// Nothing wakes up until it happens. An error on the channel ends the watch.
func whenSet(ctx context.Context) (<-chan error, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "clock.Run", err)
	}
	timer := os.NewFile(uintptr(fd), "timerfd")
	if err := arm(timer); err != nil {
		_ = timer.Close()
		return nil, core.Wrap(core.KindUnavailable, "clock.Run", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = timer.Close() })
	woken := make(chan error, 1)
	go func() {
		defer close(woken)
		defer stop()
		for wait(ctx, timer, woken) {
		}
	}()
	return woken, nil
}

// wait waits for one change and reports whether there may be another.
func wait(ctx context.Context, timer *os.File, woken chan<- error) bool {
	var expired [8]byte
	_, err := timer.Read(expired[:])
	if errors.Is(err, unix.ECANCELED) || err == nil {
		err = arm(timer)
	}
	select {
	case woken <- err:
	case <-ctx.Done():
	}
	return err == nil && ctx.Err() == nil
}

// arm sets the timer to a time that never comes.
func arm(timer *os.File) error {
	conn, err := timer.SyscallConn()
	if err != nil {
		return err
	}
	never := unix.ItimerSpec{Value: unix.Timespec{Sec: 1 << 40}}
	var set error
	err = conn.Control(func(fd uintptr) {
		set = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil)
	})
	return errors.Join(err, set)
}
