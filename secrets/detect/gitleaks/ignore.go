package gitleaks

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/secrets/detect"
)

// Ignore is a .gitleaksignore: leaks that somebody has looked at.
type Ignore struct {
	entries map[string]bool
	// Warnings are lines that say nothing that is understood. They ignore
	// nothing.
	Warnings []string
}

// maxIgnore bounds an ignore file and a line of it.
const maxIgnore = 16 << 20

// ParseIgnore reads an ignore file: one leak a line, as file:rule:line or
// commit:file:rule:line, and comments that begin with #.
func ParseIgnore(name string, data []byte) (*Ignore, error) {
	if len(data) > maxIgnore {
		return nil, fault(name, 0, fmt.Sprintf("it has more than %d bytes", maxIgnore), "remove what is fixed, or use a baseline")
	}
	ig := &Ignore{entries: map[string]bool{}}
	in := bufio.NewScanner(bytes.NewReader(data))
	in.Buffer(nil, maxIgnore+1)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if !ig.add(line) {
			ig.Warnings = append(ig.Warnings, fmt.Sprintf("%s:%d: write file:rule:line or commit:file:rule:line", name, n))
		}
	}
	return ig, in.Err()
}

// add takes an entry. The rule and the line stand at its end, so a path may
// have colons; whether there is a commit in front shows in its digits.
func (ig *Ignore) add(entry string) bool {
	parts := strings.Split(entry, ":")
	n := len(parts)
	if n < 3 || parts[n-2] == "" {
		return false
	}
	if _, err := strconv.Atoi(parts[n-1]); err != nil {
		return false
	}
	ig.entries[strings.ReplaceAll(entry, `\`, "/")] = true
	return true
}

// Has reports whether a leak is listed. Without a commit in the list it counts
// in every one.
func (ig *Ignore) Has(l *detect.Leak) bool {
	if ig == nil || len(ig.entries) == 0 {
		return false
	}
	path := strings.ReplaceAll(strings.Join(append([]string{l.Path}, l.Inner...), "!"), `\`, "/")
	entry := fmt.Sprintf("%s:%s:%d", path, l.Rule, l.MatchLine)
	return ig.entries[entry] || l.Commit != "" && ig.entries[l.Commit+":"+entry]
}
