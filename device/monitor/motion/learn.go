package motion

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// memory is what the judge keeps: what this device reads when nothing goes on.
type memory struct {
	Version int     `json:"version"`
	Floor   float64 `json:"floor_g"`
}

func (m memory) encode() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		return nil // finite numbers always marshal
	}
	return b
}

// Recall puts the noise floor back, so that a restart does not make it deaf for
// a while.
func (j *Judge) Recall(kept []byte) error {
	if kept == nil {
		return nil
	}
	var m memory
	if len(kept) > 1024 {
		return core.E(core.KindTooLarge, "motion.Recall", "the noise floor is longer than 1024 bytes")
	}
	if err := json.Unmarshal(kept, &m); err != nil {
		return core.Wrap(core.KindDamaged, "motion.Recall", err)
	}
	if m.Version != 1 || !(m.Floor > 0 && m.Floor < 10) {
		return core.E(core.KindDamaged, "motion.Recall", "the noise floor is none of this version")
	}
	j.floor.Value, j.floor.Learned, j.kept = m.Floor, recalled, m.Floor
	return nil
}

// recalled is how many quiet seconds a floor that was kept is worth.
const recalled = 10

// Memory returns the noise floor. It changes when it differs by half from what
// was kept: a flash memory is not for writing down noise.
func (j *Judge) Memory() (kept []byte, changed bool) {
	if j.floor.Learned < recalled {
		return nil, false
	}
	if j.kept == 0 || math.Abs(math.Log(j.floor.Value/j.kept)) > math.Log(1.5) {
		j.kept, changed = j.floor.Value, true
	}
	return memory{1, round(j.kept, 6)}.encode(), changed
}

func (m memory) hash() string {
	sum := sha256.Sum256(m.encode())
	return hex.EncodeToString(sum[:])
}

// Present returns what would be kept if all that was felt since the start were
// nothing going on; nil before a second has passed.
func (j *Judge) Present() []byte {
	if j.all.N() < 5 {
		return nil
	}
	return memory{1, round(j.all.Quantile(0.5), 6)}.encode()
}

// Accept takes the level of the vibration that an event named for nothing going
// on: a machine that shakes this device all day.
func (j *Judge) Accept(_ time.Time, sha string) ([]sensor.Reading, error) {
	if j.offer.Floor == 0 || j.offer.hash() != sha {
		return nil, core.E(core.KindConflict, "motion.Accept", "the vibration is not the one that was looked at").
			WithHint("take the sha256 of the latest vibration event of this sensor")
	}
	if err := j.Recall(j.offer.encode()); err != nil {
		return nil, err
	}
	j.kept, j.offer = 0, memory{} // it is to be kept
	return nil, nil
}
