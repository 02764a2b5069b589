package reflex

import (
	"fmt"
	"os"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// Output is something that the device switches. Its safe state is off. The
// reference wiring is in series with the safety chain and can only open it.
type Output interface {
	ID() string
	// Safe brings the output to its safe state and keeps it there. It must not
	// wait for a disk or a network.
	Safe() error
	// Resume ends the hold of Safe. It does not switch on.
	Resume() error
	// State reads the output back.
	State() (string, error)
}

// The states of a [FileRelay].
const (
	RelayAllowed = "allowed" // may be switched on by its owner
	RelaySafe    = "safe"    // off, and held there
)

// FileRelay is a simulated relay: a file that holds one word. It is for
// demonstrations and tests.
type FileRelay struct {
	id   string
	path string
}

// NewFileRelay returns a relay whose state is the file at path.
func NewFileRelay(id, path string) *FileRelay { return &FileRelay{id, path} }

// ID implements [Output].
func (r *FileRelay) ID() string { return r.id }

// Safe implements [Output].
func (r *FileRelay) Safe() error { return r.write(RelaySafe) }

// Resume implements [Output].
func (r *FileRelay) Resume() error { return r.write(RelayAllowed) }

// write does not sync: a real relay is no disk, and a stop waits for none.
func (r *FileRelay) write(state string) error {
	if err := os.WriteFile(r.path, []byte(state+"\n"), 0o600); err != nil {
		return core.Wrap(core.KindUnavailable, "reflex.FileRelay", err)
	}
	return nil
}

// State implements [Output]. A file that says anything else is no state.
func (r *FileRelay) State() (string, error) {
	b, err := os.ReadFile(r.path)
	if err != nil {
		return "", core.Wrap(core.KindUnavailable, "reflex.FileRelay", err)
	}
	switch s := strings.TrimSpace(string(b)); s {
	case RelayAllowed, RelaySafe:
		return s, nil
	default:
		return "", core.E(core.KindDamaged, "reflex.FileRelay", fmt.Sprintf("%s says %.20q", r.path, s))
	}
}
