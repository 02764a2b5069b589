package stop

import (
	"cmp"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Reach is what one person may stop, as a page offers it.
type Reach struct {
	Sites []SiteReach
	// Withdrawn is until when two persons took this person's remote stop away;
	// zero where nobody did.
	Withdrawn time.Time
}

// SiteReach is a site and what is known to stand there.
type SiteReach struct {
	Site    core.SiteID
	Devices int
	Lines   []LineReach
	// Unlined is how many devices nobody has said the line of: they stop with
	// every line of the site.
	Unlined int
}

// LineReach is a line and how many devices are known to be on it.
type LineReach struct {
	Line    LineID
	Devices int
}

// Devices returns how many devices are known on all sites together.
func (r Reach) Devices() int {
	n := 0
	for _, s := range r.Sites {
		n += s.Devices
	}
	return n
}

// Reach returns what who may stop, from memory; false where who is nobody that
// the stop path knows. It is for showing: [Service.Trip] decides.
func (s *Service) Reach(who core.Principal) (Reach, bool) {
	id, err := core.ParseID[core.PersonID](who.ID)
	if err != nil || who.Kind != core.KindPerson {
		return Reach{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := personKey{who.Tenant, id}
	person, known := s.people[key]
	if !known {
		return Reach{}, false
	}
	r := Reach{}
	if until := s.withdrawn[key]; s.clock.Now().Before(until) {
		r.Withdrawn = until
	}
	for _, site := range person.Sites {
		r.Sites = append(r.Sites, s.siteReach(who.Tenant, site))
	}
	return r, true
}

// siteReach counts a site's devices; the caller holds the lock.
func (s *Service) siteReach(tenant core.TenantID, site core.SiteID) SiteReach {
	out, lines := SiteReach{Site: site}, map[LineID]int{}
	for _, t := range s.targets {
		if t.Tenant != tenant || t.Site != site {
			continue
		}
		out.Devices++
		if t.Line.IsZero() {
			out.Unlined++
			continue
		}
		lines[t.Line]++
	}
	for line, n := range lines {
		out.Lines = append(out.Lines, LineReach{line, n})
	}
	slices.SortFunc(out.Lines, func(a, b LineReach) int { return cmp.Compare(a.Line.String(), b.Line.String()) })
	return out
}

// TargetOf returns where a device is known to stand, from memory.
func (s *Service) TargetOf(tenant core.TenantID, device core.DeviceID) (Target, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.targets[targetKey{tenant, device}]
	return t, known
}

// Explained returns the reason that a trip was given afterwards, the last one
// where there are several, and who gave it; "" while the ring holds none.
func (s *Service) Explained(tenant core.TenantID, trip core.UUID) (reason, by string) {
	given := s.ring.Find(func(r Record) bool { return r.Kind == RecordReason && r.Trip == trip && r.Tenant == tenant })
	if len(given) == 0 {
		return "", ""
	}
	last := given[len(given)-1]
	return last.Reason, last.By
}
