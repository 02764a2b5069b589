package ipmi

import (
	"context"
	"time"

	"github.com/bougou/go-ipmi/pkg/open"

	"github.com/interlock-security/interlock/core"
)

// localTimeout bounds one answer of a controller behind the kernel's driver,
// which itself waits some seconds for a slow one.
const localTimeout = 10 * time.Second

// local is the controller of this machine, through /dev/ipmiN.
type local struct {
	device *open.DeviceBackend
}

func dialLocal(ctx context.Context, number int) (*local, error) {
	l := &local{device: &open.DeviceBackend{}}
	if err := l.device.Connect(ctx, int32(number)); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "ipmi.dial", err)
	}
	return l, nil
}

// ask implements controller.
func (l *local) ask(ctx context.Context, netfn, command byte, data ...byte) ([]byte, error) {
	answer, err := l.device.Send(ctx, &open.Request{NetFn: netfn, Cmd: command, Data: data, TargetAddr: controllerAddr, MyAddr: controllerAddr}, localTimeout)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "ipmi.Run", err)
	}
	return result(netfn, command, answer)
}

func (l *local) close() { _ = l.device.Close(context.Background()) }
