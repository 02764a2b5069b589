package ipmi

import (
	"context"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor/internal/credential"
)

// as is a session of an administrator, who may do what the driver never does.
func as(t *testing.T, address, user, password string, do func(ctx context.Context, l *lan) error) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	defer stop()
	l, err := dialLAN(ctx, address, credential.Credential{User: user, Password: core.NewSecret([]byte(password))}, suites[3], 4)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := do(ctx, l); err != nil {
		t.Fatal(err)
	}
}

// ClearLog clears the controller's log.
func ClearLog(t *testing.T, address, user, password string) {
	t.Helper()
	as(t, address, user, password, func(ctx context.Context, l *lan) error {
		r, err := l.ask(ctx, netStorage, 0x42)
		if err == nil {
			_, err = l.ask(ctx, netStorage, 0x47, r[0], r[1], 'C', 'L', 'R', 0xaa)
		}
		return err
	})
}

// BootFromNetwork tells the machine to boot from the network, once.
func BootFromNetwork(t *testing.T, address, user, password string) {
	t.Helper()
	as(t, address, user, password, func(ctx context.Context, l *lan) error {
		_, err := l.ask(ctx, netChassis, 0x08, bootFlags, 0x80, 0x04, 0, 0, 0)
		return err
	})
}

// AddAccount gives a new account a name.
func AddAccount(t *testing.T, address, user, password, name string) {
	t.Helper()
	as(t, address, user, password, func(ctx context.Context, l *lan) error {
		b := make([]byte, 17)
		b[0] = 4
		copy(b[1:], name)
		_, err := l.ask(ctx, netApp, 0x45, b...)
		return err
	})
}
