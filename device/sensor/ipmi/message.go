package ipmi

import (
	"context"
	"errors"
	"fmt"

	"github.com/interlock-security/interlock/core"
)

// controller is a management controller that answers commands, over the network
// or through the kernel. An answer is what follows its completion code.
type controller interface {
	ask(ctx context.Context, netfn, command byte, data ...byte) ([]byte, error)
	close()
}

// refused is a completion code that is not success.
type refused struct {
	netfn, command, code byte
}

// The completion codes that mean something here.
const (
	codeNoSensor     = 0xcb // no such sensor or record
	codeNotSupported = 0xc1
	codeInvalid      = 0xcc
	codePrivilege    = 0xd4
)

func (r refused) Error() string {
	what := ""
	switch r.code {
	case codeNoSensor:
		what = ": no such sensor or record"
	case codeNotSupported:
		what = ": not supported"
	case codePrivilege:
		what = ": the account has not the right to"
	}
	return fmt.Sprintf("the controller refuses command %#02x/%#02x with %#02x%s", r.netfn, r.command, r.code, what)
}

func isRefused(err error, code byte) bool {
	var r refused
	return errors.As(err, &r) && r.code == code
}

// result takes the completion code off an answer.
func result(netfn, command byte, answer []byte) ([]byte, error) {
	if len(answer) == 0 {
		return nil, core.E(core.KindDamaged, "ipmi.Run", "the controller gives an empty answer")
	}
	if answer[0] != 0 {
		return nil, refused{netfn, command, answer[0]}
	}
	return answer[1:], nil
}

// request is a command as it goes over the network.
func request(netfn, command, number byte, data []byte) []byte {
	b := []byte{controllerAddr, netfn << 2, 0, consoleAddr, number << 2, command}
	b[2] = checksum(b[:2])
	b = append(b, data...)
	return append(b, checksum(b[3:]))
}

// answerTo says whether a message answers a request, and returns what follows the
// command: the completion code first. Whom it calls the asker differs between
// controllers; the session proves whose it is.
func answerTo(message []byte, netfn, command, number byte) ([]byte, bool) {
	if len(message) < 8 || message[1]>>2 != netfn|1 || message[4]>>2 != number || message[5] != command {
		return nil, false
	}
	if checksum(message[:2]) != message[2] || checksum(message[3:len(message)-1]) != message[len(message)-1] {
		return nil, false
	}
	return message[6 : len(message)-1], true
}

func checksum(b []byte) (sum byte) {
	for _, v := range b {
		sum -= v
	}
	return sum
}
