package ipmi

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor/internal/credential"
)

// ClearLog does what the driver never does: it clears the controller's log.
func ClearLog(t *testing.T, address, user, password string) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	session, err := newSession(credential.Credential{User: user, Password: core.NewSecret([]byte(password))}, suites[3])
	if err != nil {
		t.Fatal(err)
	}
	session.role = 4
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	l := &lan{conn: conn, session: session}
	if err := l.handshake(ctx); err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if _, err := l.ask(ctx, netApp, 0x3b, 4); err != nil {
		t.Fatal(err)
	}
	reservation, err := l.ask(ctx, netStorage, 0x42)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.ask(ctx, netStorage, 0x47, reservation[0], reservation[1], 'C', 'L', 'R', 0xaa); err != nil {
		t.Fatal(err)
	}
}
