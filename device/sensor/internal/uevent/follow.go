package uevent

import (
	"context"
	"errors"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Handler is what a driver does with what it hears.
type Handler struct {
	Clock core.Clock
	// Every is how often it looks although nothing was heard.
	Every time.Duration
	Emit  func(sensor.Reading)
	// Event takes a message.
	Event func(Event) error
	// Look compares the bus with what is known. why is "" for a look by the
	// clock, else what was lost.
	Look func(why string) error
}

// Lost is the event's word for messages that the kernel dropped.
const typeLost = "uevents_lost"

type message struct {
	event Event
	err   error
}

// Follow hears until ctx ends or the socket does. A message that makes no sense
// is itself reported: on this socket only the kernel speaks.
func Follow(ctx context.Context, src Source, h Handler) error {
	messages := make(chan message, 64)
	go receive(ctx, src, messages)
	look := h.Clock.After(h.Every)
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case m := <-messages:
			err = h.take(ctx, m)
		case <-look:
			look = h.Clock.After(h.Every)
			err = h.Look("")
		}
		if err != nil {
			return err
		}
	}
}

func receive(ctx context.Context, src Source, out chan<- message) {
	buf := make([]byte, maxMessage+1)
	for {
		var m message
		n, err := src.Recv(ctx, buf)
		if err == nil {
			m.event, err = Parse(buf[:n])
		}
		m.err = err
		select {
		case out <- m:
		case <-ctx.Done():
			return
		}
		if core.KindOf(err) == core.KindUnavailable {
			return
		}
	}
}

func (h Handler) take(ctx context.Context, m message) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(m.err, ErrOverrun):
		return h.Look(typeLost)
	case core.KindOf(m.err) == core.KindUnavailable:
		return m.err
	case m.err != nil:
		h.Emit(sensor.Reading{
			Kind: sensor.Pulse, Point: "uevent", Type: "uevent_refused", Severity: core.SeverityMedium,
			Fields: sensor.Fields(map[string]string{"why": sensor.Text(m.err.Error())}),
		})
		return nil
	}
	return h.Event(m.event)
}
