package component

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	version   = 1
	maxMemory = 8 << 20
	// domain keeps the digest apart from every other one.
	domain = "interlock component baseline v1\n"
)

// memory is what is kept: of each part its class, place, identity and firmware,
// and what it sits on. The device has little room for what it remembers.
type memory struct {
	V      int         `json:"v"`
	SHA256 string      `json:"sha256"`
	Parts  [][5]string `json:"parts"`
	Window window      `json:"window"`
}

func pack(parts []sensor.Part) [][5]string {
	rows := [][5]string{}
	for _, p := range parts {
		rows = append(rows, [5]string{p.Class, p.Place, p.Identity, firmware(p), p.About["on"]})
	}
	return rows
}

func unpack(rows [][5]string) []sensor.Part {
	parts := []sensor.Part{}
	for _, r := range rows {
		p := sensor.Part{Class: r[0], Place: r[1], Identity: r[2], About: map[string]string{"firmware": r[3], "on": r[4]}}
		parts = append(parts, p)
	}
	return parts
}

// Digest is the SHA-256 of an inventory, in hex: of the class, place, identity
// and firmware of each part, in order, as a JSON array of arrays. What else is
// told of a part is not in it.
func Digest(parts []sensor.Part) string {
	rows := [][4]string{}
	for _, p := range sorted(parts) {
		rows = append(rows, [4]string{p.Class, p.Place, p.Identity, firmware(p)})
	}
	b, _ := json.Marshal(rows) // strings always marshal
	sum := sha256.Sum256(append([]byte(domain), b...))
	return hex.EncodeToString(sum[:])
}

// Recall implements monitor.Learner.
func (j *Judge) Recall(kept []byte) error {
	if kept == nil {
		return nil
	}
	j.damaged = true // until it is read
	if len(kept) > maxMemory {
		return core.E(core.KindTooLarge, "component.Recall", fmt.Sprintf("a baseline of %d bytes", len(kept)))
	}
	var m memory
	if err := json.Unmarshal(kept, &m); err != nil {
		return core.Wrap(core.KindDamaged, "component.Recall", err)
	}
	parts := unpack(m.Parts)
	if m.V != version || m.Parts == nil || len(parts) > maxParts || Digest(parts) != m.SHA256 {
		return core.E(core.KindDamaged, "component.Recall", fmt.Sprintf("a baseline of version %d that is not what it says", m.V)).
			WithHint("look at the inventory and approve it anew")
	}
	j.base, j.damaged, j.changed, j.window = sorted(parts), false, false, m.Window
	return nil
}

// Memory implements monitor.Learner.
func (j *Judge) Memory() (kept []byte, changed bool) {
	if j.base == nil {
		return nil, false
	}
	changed, j.changed = j.changed, false
	kept, err := json.Marshal(memory{V: version, SHA256: Digest(j.base), Parts: pack(j.base), Window: j.window})
	if err != nil { // strings always marshal
		return nil, false
	}
	return kept, changed
}
