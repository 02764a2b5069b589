package parts

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/identity"
)

const maxCPUInfo = 8 << 20

// cpus are the processors, one a package: a core that is switched off is none
// that was taken out.
func (s *Sensor) cpus() ([]sensor.Part, error) {
	raw, err := readSome(s.env.Path("proc/cpuinfo"), maxCPUInfo+1)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxCPUInfo {
		return nil, core.E(core.KindTooLarge, "parts.cpus", fmt.Sprintf("more than %d bytes of cpuinfo", maxCPUInfo))
	}
	parts := parseCPUs(string(raw))
	if len(parts) == 0 {
		return nil, errors.Join(core.E(core.KindDamaged, "parts.cpus", "cpuinfo names no processor"), fs.ErrInvalid)
	}
	return parts, nil
}

// parseCPUs makes one part of each package, or of each kind of core where the
// kernel names no packages.
func parseCPUs(text string) []sensor.Part {
	var parts []sensor.Part
	threads := map[string]int{}
	for _, block := range strings.Split(text, "\n\n") {
		f := cpuFields(block)
		if f["processor"] == "" {
			continue
		}
		id := identity.Of(
			"vendor", f["vendor_id"]+f["CPU implementer"], "family", f["cpu family"]+f["CPU architecture"], "model", f["model"]+f["CPU part"],
			"stepping", f["stepping"]+f["CPU variant"]+f["CPU revision"], "name", f["model name"],
		)
		place := "CPU " + f["physical id"]
		if f["physical id"] == "" {
			place = "CPU of kind " + id
		}
		place = sensor.Text(place)
		if threads[place]++; threads[place] == 1 {
			parts = append(parts, sensor.Part{Class: "cpu", Place: place, Identity: orUnknown(id), About: about("firmware", f["microcode"])})
		}
	}
	for i, p := range parts {
		if parts[i].About == nil {
			parts[i].About = map[string]string{}
		}
		parts[i].About["threads"] = strconv.Itoa(threads[p.Place])
	}
	return parts
}

// cpuFields reads "key : value" lines.
func cpuFields(block string) map[string]string {
	f := map[string]string{}
	for line := range strings.Lines(block) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			f[trim(k)] = trim(v)
		}
	}
	return f
}
