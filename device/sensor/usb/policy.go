package usb

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// Policy is what the driver does about a device that is not on the list.
type Policy string

// The policies. Each that allows less may be chosen by anybody who may write
// the configuration; one that allows more is policy, and away from safety.
const (
	// PolicyObserve alarms and leaves the device alone.
	PolicyObserve Policy = "observe"
	// PolicyLearn is for setting up: what is plugged in is told with the entry that
	// would allow it, and is no alarm unless it can type.
	PolicyLearn Policy = "learn"
	// PolicyEnforce also takes it off the bus: the kernel binds no driver to a
	// device that is not authorised.
	PolicyEnforce Policy = "enforce"
)

// maxRules bounds a list; a bus tree holds 127 devices.
const maxRules = 512

// Rule is one entry of the list: a device matches if everything that the entry
// says is true of it. The id and the serial number are what a device says of
// itself, and any device can say anything; so an entry must also say what the
// device may do (interfaces) or what exactly it describes itself as
// (descriptors), and should say where it is plugged in (port).
type Rule struct {
	ID     string `yaml:"id"` // vendor:product, "046d:c31c"
	Serial string `yaml:"serial,omitempty"`
	Port   string `yaml:"port,omitempty"` // "1-1.2"
	// Descriptors is the SHA-256 of all its descriptors, as events tell it.
	Descriptors string `yaml:"descriptors,omitempty"`
	// Interfaces are all that it may have, as class:subclass:protocol in hex:
	// "03:01:01" is a keyboard, "08:06:50" a stick.
	Interfaces []string `yaml:"interfaces,omitempty"`
}

var (
	idRE        = regexp.MustCompile(`^[0-9a-f]{4}:[0-9a-f]{4}$`)
	interfaceRE = regexp.MustCompile(`^[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}$`)
)

// Config configures the sensor. Its zero value watches and alarms.
type Config struct {
	// Policy is what is done about a device that Allow does not list: observe (the
	// default), learn, enforce.
	Policy Policy `yaml:"policy,omitempty"`
	Allow  []Rule `yaml:"allow,omitempty"`
}

// Validate says what is wrong with a policy and its list.
func (c Config) Validate() error {
	if !slices.Contains([]Policy{"", PolicyObserve, PolicyLearn, PolicyEnforce}, c.Policy) {
		return invalid("policy %q; known are observe, learn, enforce", c.Policy)
	}
	if len(c.Allow) > maxRules {
		return invalid("%d entries in allow, at most %d", len(c.Allow), maxRules)
	}
	for i, r := range c.Allow {
		if err := r.check(); err != nil {
			return fmt.Errorf("allow[%d]: %w", i, err)
		}
	}
	return nil
}

func (r Rule) check() error {
	switch {
	case !idRE.MatchString(r.ID):
		return invalid("id %q is not vendor:product in hex, \"046d:c31c\"", r.ID)
	case r.Port != "" && !isPort(r.Port):
		return invalid("port %q is not one as events tell it, \"1-1.2\"", r.Port)
	case r.Descriptors != "" && !isSHA256(r.Descriptors):
		return invalid("descriptors %q is no SHA-256 in hex", r.Descriptors)
	case slices.ContainsFunc(r.Interfaces, func(s string) bool { return !interfaceRE.MatchString(s) }):
		return invalid("interfaces %q; write class:subclass:protocol in hex, \"03:01:01\"", r.Interfaces)
	case r.Descriptors == "" && len(r.Interfaces) == 0:
		return core.E(core.KindInvalid, "usb.Config", fmt.Sprintf("%s: neither interfaces nor descriptors; a device can claim any id and be a keyboard", r.ID)).
			WithHint("copy interfaces and descriptors from the device's event")
	}
	return nil
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && strings.ToLower(s) == s
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "usb.Config", fmt.Sprintf(format, args...))
}
