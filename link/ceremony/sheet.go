package ceremony

import (
	"fmt"
	"strings"
	"time"

	"github.com/interlock-security/interlock/link"
)

// sheet is the page to print and keep off the machine. It holds no secret: it is
// what an installer compares an enrolment with (TRUST F21) and what tells people
// years later which keys they need.
func sheet(root *link.Root, made []madeKey, inst *Installation) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("INTERLOCK CEREMONY SHEET - print it, keep it off this machine")
	line("")
	line("installation   %s", root.Installation)
	line("tenant         %s", root.Tenant)
	line("mode           %s", root.Mode)
	line("trust root     version %d of %s, review by %s", root.Version, day(root.Issued), day(root.ReviewBy))
	line("sha256         %s", inst.RootHash)
	line("short code     %s", inst.Code)
	if root.Witness == "" {
		line("witness        none: unwitnessed")
	}
	line("")
	line("Compare the sha256, or the short code aloud, before a device is enrolled.")
	line("A device that shows another one trusts somebody else.")
	line("")
	line("PERSONS")
	for _, p := range root.Persons {
		line("  %-12s %s", p.ID, p.Name)
	}
	line("")
	line("ROLES")
	for _, r := range root.Roles {
		line("  %-14s %d of %d persons", r.Name, r.Threshold, len(r.Members))
	}
	line("")
	recoverySection(line, made)
	if root.Mode == link.ModeSingleOperator {
		line("")
		line("One person runs this site, so no two-person rule is met. What leads away from")
		line("safety needs the code that the device shows on the spot, and waits %s.", time.Duration(root.ReleaseDelay)*time.Second)
	}
	return b.String()
}

func recoverySection(line func(string, ...any), made []madeKey) {
	line("RECOVERY KEYS - %d of these %d sign a new trust root; they do nothing else", recoveryNeeded, len(recoveryIDs(made)))
	for _, k := range made {
		if k.dir == recoveryDir {
			line("  %-12s %-12s %s", k.name, k.owner, k.id)
		}
	}
	line("")
	line("Move the files of the folder %s/ to separate sticks or paper now, each to", recoveryDir)
	line("another place, and delete them here. `interlock doctor` warns until they are gone.")
	line("If too many are lost, every device must be provisioned again by hand, which erases it.")
}

func day(us int64) string { return time.UnixMicro(us).UTC().Format(time.DateOnly) }
