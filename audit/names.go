package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// clearKinds are the kinds of name that are technical and may be read by who
// has no key. Every other kind is written as a pseudonym: an unknown kind may
// name a person.
var clearKinds = []string{
	"alert", "approval", "audit", "authority", "backup", "batch", "batch-group", "certificate", "check", "config", "control", "device",
	"finding", "incident", "installation", "job", "journal", "keyring", "latch", "lock", "log", "order", "outbox", "permit",
	"playbook", "policy", "process", "release", "report", "root", "route", "rule", "seal", "sensor", "service", "site", "stage",
	"stop", "succession", "tenant", "timer", "trust-root", "update",
}

// IsClear reports whether a name of this kind stands in the log as it is.
func IsClear(kind string) bool {
	_, found := slices.BinarySearch(clearKinds, kind)
	return found
}

// The subjects that no person is.
const (
	subjectInstallation = "installation"
	subjectStrangers    = "strangers/" // and the month: erased month by month
)

const (
	kindPerson   = string(core.KindPerson)
	kindStranger = string(core.KindStranger)
)

func kindOf(name string) string {
	kind, _, _ := strings.Cut(name, "/")
	return kind
}

// group is the subject under whose key a name that is not clear is hidden.
func group(name string, at time.Time) string {
	switch kindOf(name) {
	case kindPerson:
		return name
	case kindStranger:
		return subjectStrangers + at.UTC().Format("2006-01")
	}
	return subjectInstallation
}

// owner is the subject under whose key an entry's body is encrypted: whoever
// could ask for it to be forgotten.
func owner(e *Entry) string {
	if e.Subject != "" {
		return group(e.Subject, e.Time)
	}
	for _, kind := range []string{kindPerson, kindStranger} {
		for _, name := range []string{e.Actor, e.Object} {
			if kindOf(name) == kind {
				return group(name, e.Time)
			}
		}
	}
	return subjectInstallation
}

// hide returns how a name stands in the header.
func (s *subjects) hide(name string, at time.Time) (string, error) {
	kind := kindOf(name)
	if name == "" || IsClear(kind) && isName(name) && !strings.Contains(name, "~") {
		return name, nil
	}
	key, err := s.get(group(name, at))
	if err != nil {
		return "", err
	}
	return key.hide(name), nil
}

// hide is pure: the same name under the same key is the same pseudonym, so
// that the log can be searched and folded by it.
func (k *subject) hide(name string) string {
	kind := kindOf(name)
	switch {
	case kind == kindPerson:
		return k.person
	case !isWord(kind):
		kind = "other"
	}
	sum := k.sum(k.names, nil, []byte(name))
	return fmt.Sprintf("%s/~%x", kind, sum[:kidLen])
}

// pseudonyms returns every form under which a name can stand in the log, for a
// search; it makes no keys.
func (s *subjects) pseudonyms(name string) []string {
	if IsClear(kindOf(name)) && isName(name) {
		return []string{name}
	}
	var list []string
	for _, k := range s.all() {
		if k.name == group(name, time.Time{}) || kindOf(name) == kindStranger && strings.HasPrefix(k.name, subjectStrangers) {
			list = append(list, k.hide(name))
		}
	}
	if strings.Contains(name, "/~") { // a pseudonym itself, as the log shows it
		list = append(list, name)
	}
	return list
}
