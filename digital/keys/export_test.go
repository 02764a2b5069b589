package keys

import "time"

// SetPatience shortens how long a probe waits for a child that hangs.
func (s *Supervisor) SetPatience(d time.Duration) { s.patience = d }

// MaxFrame is for tests of the wire.
const MaxFrame = maxFrame
