package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor/internal/credential"
)

const (
	// tryFor is how long one datagram is waited for, tries how often it is sent.
	tryFor = 2 * time.Second
	tries  = 3
	// maxDatagram is more than IPMI's longest.
	maxDatagram = 1024
)

// lan is a controller at an address of the network.
type lan struct {
	conn    net.Conn
	session *session
	number  byte
}

// dialLAN makes a session with the controller.
func dialLAN(ctx context.Context, address string, with credential.Credential, s suite, role byte) (*lan, error) {
	keys, err := newSession(with, s, role)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Timeout: tryFor}).DialContext(ctx, "udp", address)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "ipmi.dial", err)
	}
	l := &lan{conn: conn, session: keys}
	if err := l.begin(ctx); err != nil {
		keys.wipe()
		return nil, errors.Join(err, conn.Close())
	}
	return l, nil
}

// begin makes the session. One begins as a user's.
func (l *lan) begin(ctx context.Context) error {
	if err := l.handshake(ctx); err != nil || l.session.role == roleUser {
		return err
	}
	_, err := l.ask(ctx, netApp, commandPrivilege, l.session.role)
	return err
}

func (l *lan) handshake(ctx context.Context) error {
	s := l.session
	for _, step := range []struct {
		send func() []byte
		kind byte
		take func([]byte) error
	}{
		{s.open, payloadOpened, s.opened},
		{s.rakp1, payloadRAKP2, s.rakp2},
		{s.rakp3, payloadRAKP4, s.rakp4},
	} {
		var answer []byte
		err := l.exchange(ctx, func() ([]byte, error) { return step.send(), nil }, func(datagram []byte) (bool, error) {
			payload, ours, err := setup(datagram, step.kind)
			answer = payload
			return ours, err
		})
		if err != nil {
			return err
		}
		if err := step.take(answer); err != nil {
			return err
		}
	}
	return nil
}

// exchange sends a datagram until one comes that is the answer. What is not is
// dropped; it does not lengthen the wait.
func (l *lan) exchange(ctx context.Context, send func() ([]byte, error), take func([]byte) (ours bool, err error)) error {
	buf := make([]byte, maxDatagram)
	for range tries {
		datagram, err := send()
		if err != nil {
			return core.Wrap(core.KindInternal, "ipmi.Run", err)
		}
		if _, err := l.conn.Write(datagram); err != nil {
			return core.Wrap(core.KindUnavailable, "ipmi.Run", err)
		}
		done, err := l.receive(ctx, buf, take)
		if done || err != nil {
			return err
		}
	}
	return core.E(core.KindUnavailable, "ipmi.Run", fmt.Sprintf("the controller at %s does not answer", l.conn.RemoteAddr()))
}

// receive reads until the answer came or the time for this try is over.
func (l *lan) receive(ctx context.Context, buf []byte, take func([]byte) (bool, error)) (done bool, err error) {
	deadline := time.Now().Add(tryFor)
	if d, set := ctx.Deadline(); set && d.Before(deadline) {
		deadline = d
	}
	if err := l.conn.SetReadDeadline(deadline); err != nil {
		return false, core.Wrap(core.KindUnavailable, "ipmi.Run", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		n, err := l.conn.Read(buf)
		switch {
		case ctx.Err() != nil:
			return false, core.Wrap(core.KindUnavailable, "ipmi.Run", ctx.Err())
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, nil
		case err != nil:
			return false, core.Wrap(core.KindUnavailable, "ipmi.Run", err)
		}
		if ours, err := take(buf[:n]); ours || err != nil {
			return true, err
		}
	}
}

// ask implements controller. Each try has a number of its own, so that a late
// answer to one is not taken for the answer to the next.
func (l *lan) ask(ctx context.Context, netfn, command byte, data ...byte) ([]byte, error) {
	var answer []byte
	err := l.exchange(ctx, func() ([]byte, error) {
		l.number = (l.number + 1) & 0x3f
		return l.session.seal(request(netfn, command, l.number, data))
	}, func(datagram []byte) (bool, error) {
		message, err := l.session.unseal(datagram)
		if err != nil {
			return false, nil //nolint:nilerr // somebody else's
		}
		body, ours := answerTo(message, netfn, command, l.number)
		answer = body
		return ours, nil
	})
	if err != nil {
		return nil, err
	}
	return result(netfn, command, answer)
}

// close ends the session: a controller has room for a few.
func (l *lan) close() {
	ctx, stop := context.WithTimeout(context.Background(), tryFor)
	defer stop()
	_, _ = l.ask(ctx, netApp, commandCloseSession, word(l.session.controller)...)
	l.session.wipe()
	_ = l.conn.Close()
}
