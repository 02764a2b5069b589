package uevent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// ErrLook is what Event answers to have Look called once the kernel has been
// quiet for Settle: a card brings a dozen messages, and one look is enough.
var ErrLook = errors.New("look once it is quiet")

// patience is how many Settles a kernel that is never quiet can put a look off.
const patience = 10

// Handler is what a driver does with what it hears.
type Handler struct {
	Clock core.Clock
	// Open opens the socket, which Follow closes: [Open] on a machine.
	Open func() (Source, error)
	// Every is how often it looks although nothing was heard.
	Every time.Duration
	// Settle is how long the kernel must be quiet before a look that Event asked for.
	Settle time.Duration
	Emit   func(sensor.Reading)
	// Start looks for the first time, when the socket is open already: what
	// happens in between waits in it. It may answer ErrLook.
	Start func() error
	// Event takes a message.
	Event func(Event) error
	// Look compares the bus with what is known. why is "" for a look by the
	// clock, else what was lost.
	Look func(why string) error
}

// typeLost is the event's word for messages that the kernel dropped.
const typeLost = "uevents_lost"

// Doc are the events of every driver that follows the kernel.
var Doc = []sensor.EventDoc{
	{Type: typeLost, Severity: core.SeverityMedium, Meaning: "the kernel's messages came too fast; everything was looked over in full"},
	{Type: "uevent_refused", Severity: core.SeverityMedium, Meaning: "a message on the kernel's socket made no sense"},
}

// Probe says whether this machine's kernel tells of its devices.
func Probe(open func() (Source, error)) sensor.Presence {
	src, err := open()
	if err != nil {
		return sensor.Skipped(fmt.Sprintf("no uevents here: %v", err))
	}
	_ = src.Close()
	return sensor.Present()
}

type message struct {
	event Event
	err   error
}

// Follow opens the socket, looks, and hears until ctx ends or the socket does. A
// message that makes no sense is itself reported: on this socket only the kernel
// speaks.
func Follow(ctx context.Context, h Handler) error {
	src, err := h.Open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _ = src.Close() }()
	err = h.Start()
	if err != nil && !errors.Is(err, ErrLook) {
		return err
	}
	messages := make(chan message, 64)
	go receive(ctx, src, messages)
	return h.follow(ctx, messages, err)
}

// follow begins with what Start answered.
func (h Handler) follow(ctx context.Context, messages <-chan message, err error) error {
	look := h.Clock.After(h.Every)
	var soon soon
	for {
		if errors.Is(err, ErrLook) {
			soon.put(h.Clock, h.Settle)
			err = nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case m := <-messages:
			err = h.take(ctx, m)
		case <-soon.quiet:
			soon.done()
			err = h.Look("")
		case <-look:
			look = h.Clock.After(h.Every)
			err = h.Look("")
		}
	}
}

// soon is a look that waits for the kernel to be quiet.
type soon struct {
	quiet <-chan time.Time
	since time.Time
}

func (s *soon) put(clock core.Clock, settle time.Duration) {
	now := clock.Now()
	if s.quiet == nil {
		s.since = now
	}
	if s.quiet == nil || now.Sub(s.since) < patience*settle {
		s.quiet = clock.After(settle)
	}
}

func (s *soon) done() { s.quiet = nil }

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
