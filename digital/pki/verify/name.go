package verify

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// Profile is what a certificate is for. A certificate has exactly one.
type Profile string

// The profiles.
const (
	// ProfileServer is our TLS server: DNS names and addresses.
	ProfileServer Profile = "server"
	// ProfileManagement is a device's identity for its enrolment lifetime.
	ProfileManagement Profile = "management"
	// ProfileWorkload is what programs on a device show; tamper ends it.
	ProfileWorkload Profile = "workload"
	// ProfileOperator is reserved for people; nothing issues or accepts it.
	ProfileOperator Profile = "operator"
)

const scheme = "interlock"

// Identity is who a device or workload certificate names, as its only subject
// alternative name:
//
//	interlock://<tenant>/device/<device>
//	interlock://<tenant>/workload/<device>/<workload>
type Identity struct {
	Tenant   core.TenantID
	Device   core.DeviceID
	Workload core.ServiceID // none for a management identity
}

// String returns the URI. There is one spelling of it.
func (i Identity) String() string {
	if i.Workload.IsZero() {
		return scheme + "://" + i.Tenant.String() + "/device/" + i.Device.String()
	}
	return scheme + "://" + i.Tenant.String() + "/workload/" + i.Device.String() + "/" + i.Workload.String()
}

// Profile returns the profile whose certificates carry such a name.
func (i Identity) Profile() Profile {
	if i.Workload.IsZero() {
		return ProfileManagement
	}
	return ProfileWorkload
}

// Check refuses an identity that names nobody.
func (i Identity) Check() error {
	if i.Tenant.IsZero() || i.Device.IsZero() {
		return core.E(core.KindInvalid, "verify.Identity", "an identity names a tenant and a device")
	}
	return nil
}

// ParseIdentity reads the URI and takes only the spelling that
// [Identity.String] gives: no port, user, query, escape or capital letter.
func ParseIdentity(uri string) (Identity, error) {
	const op = "verify.ParseIdentity"
	rest, ok := strings.CutPrefix(uri, scheme+"://")
	parts := strings.Split(rest, "/")
	if !ok || len(uri) > 512 || len(parts) < 3 || len(parts) > 4 {
		return Identity{}, badIdentity(op, uri)
	}
	var id Identity
	var errTenant, errDevice, errWorkload error
	id.Tenant, errTenant = core.ParseID[core.TenantID](parts[0])
	id.Device, errDevice = core.ParseID[core.DeviceID](parts[2])
	if len(parts) == 4 {
		id.Workload, errWorkload = core.ParseID[core.ServiceID](parts[3])
	}
	if errTenant != nil || errDevice != nil || errWorkload != nil || id.String() != uri {
		return Identity{}, badIdentity(op, uri)
	}
	return id, nil
}

func badIdentity(op, uri string) error {
	return core.E(core.KindInvalid, op, fmt.Sprintf("%.100q is not the name of a device or workload", uri))
}

// Pin is the SHA-256 of a root's SubjectPublicKeyInfo.
type Pin [sha256.Size]byte

// PinOf returns the pin of a certificate's key.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// String returns the pin as 64 hex digits.
func (p Pin) String() string { return hex.EncodeToString(p[:]) }

// Pins is the set of roots that are trusted. An empty set trusts nobody.
type Pins []Pin

// maxPins is more than a rotation of roots ever needs.
const maxPins = 16

// ParsePins reads pins of 64 lower-case hex digits each, at least one.
func ParsePins(hexes ...string) (Pins, error) {
	const op = "verify.ParsePins"
	if len(hexes) == 0 || len(hexes) > maxPins {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("%d CA pins; 1 to %d are allowed", len(hexes), maxPins))
	}
	pins := make(Pins, len(hexes))
	for i, h := range hexes {
		b, err := hex.DecodeString(h)
		if err != nil || len(b) != sha256.Size || hex.EncodeToString(b) != h {
			return nil, core.E(core.KindInvalid, op, fmt.Sprintf("CA pin %d, %.70q, is not 64 lower-case hex digits", i, h))
		}
		pins[i] = Pin(b)
	}
	return pins, nil
}

// Has reports whether the key of c is pinned.
func (p Pins) Has(c *x509.Certificate) bool {
	got := PinOf(c)
	found := 0
	for _, want := range p {
		found |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return found == 1
}

// IsHostName takes lower-case LDH labels without wildcard or trailing dot, of
// which the last is not a number.
func IsHostName(h string) bool {
	if len(h) == 0 || len(h) > 253 {
		return false
	}
	labels := strings.Split(h, ".")
	for _, l := range labels {
		if len(l) == 0 || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}
