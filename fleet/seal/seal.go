package seal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
)

// ID is the serial that is printed on a seal: capital letters, digits, - . _
type ID string

const maxSerial = 64

// ParseID reads a serial as people type it: with small letters and blanks.
func ParseID(s string) (ID, error) {
	s = strings.ToUpper(strings.Join(strings.Fields(s), ""))
	if s == "" || len(s) > maxSerial || s[0] == '.' || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r)
	}) {
		return "", core.E(core.KindInvalid, "seal.ParseID", fmt.Sprintf("serial %.80q: 1 to %d letters, digits, - . _", s, maxSerial))
	}
	return ID(s), nil
}

// Object is the seal's name in the audit log.
func (id ID) Object() string { return "seal/" + string(id) }

// Kind is what a seal is made of.
type Kind string

// The kinds.
const (
	KindTape       Kind = "tape"       // tape or label that shows a void pattern
	KindPull       Kind = "pull-tight" // plastic strap
	KindWire       Kind = "wire"       // wire or cable, crimped
	KindBolt       Kind = "bolt"       // bolt seal on a door or a container
	KindLacquer    Kind = "lacquer"    // lacquer or glitter over a screw
	KindElectronic Kind = "electronic" // a loop that one of the device's sensors watches
	KindOther      Kind = "other"
)

// Kinds lists them.
var Kinds = []Kind{KindTape, KindPull, KindWire, KindBolt, KindLacquer, KindElectronic, KindOther}

// State is how a seal is, as far as anybody looked.
type State string

// The states. From the three bad ones only a replacement or a removal leads on.
const (
	Intact   State = "intact"
	Broken   State = "broken"
	Missing  State = "missing"
	Mismatch State = "mismatch" // it is not the one of the photo
	Removed  State = "removed"
	Replaced State = "replaced"
)

// States lists them.
var States = []State{Intact, Broken, Missing, Mismatch, Removed, Replaced}

// Ended reports whether the seal is no longer on the machine.
func (s State) Ended() bool { return s == Removed || s == Replaced }

// Result is what a person found.
type Result string

// The results.
const (
	ResultOK       Result = "ok"
	ResultBroken   Result = "broken"
	ResultMissing  Result = "missing"
	ResultMismatch Result = "mismatch"
)

// Results lists them.
var Results = []Result{ResultOK, ResultBroken, ResultMissing, ResultMismatch}

// The events that the registry makes.
const (
	TypeApplied   = "seal_applied"
	TypeInspected = "seal_inspected"
	TypeBroken    = "seal_broken"
	TypeMissing   = "seal_missing"
	TypeMismatch  = "seal_mismatch"
	TypeOverdue   = "seal_overdue"
	TypeRemoved   = "seal_removed"
)

// Seal is a seal on a machine, or one that was there.
type Seal struct {
	Tenant core.TenantID
	ID     ID
	Kind   Kind
	Device core.DeviceID
	Site   core.SiteID
	Place  string // on the machine: "seam between lid and frame, left"
	Sensor string // of an electronic seal
	Photo  string // SHA-256, hex
	// Applied and Inspected are when; Inspected is zero before the first time.
	Applied    time.Time
	AppliedBy  string
	Inspected  time.Time
	EveryDays  int
	State      State
	Due        time.Time
	Overdue    time.Time // since when that was told, zero while it is not
	Ended      time.Time
	EndedBy    string
	Reason     string // of the end
	ReplacedBy ID
	Replaces   ID
	Revision   uint64
}

// Late reports whether somebody should have looked by now.
func (s Seal) Late(now time.Time) bool { return s.State == Intact && !now.Before(s.Due) }

// Inspection is one look at a seal.
type Inspection struct {
	ID     core.UUID
	Seal   ID
	At     time.Time
	By     string
	Result Result
	Photo  string // "" where the seal is missing
	Note   string
}

// Photo is what is known of a photo without its picture.
type Photo struct {
	Hash          string // SHA-256 of its bytes as they came, hex
	Type          string // image/jpeg or image/png
	Width, Height int
	Size          int
}

// Application says which seal was put where.
type Application struct {
	ID        string
	Kind      Kind
	Device    core.DeviceID
	Place     string
	Sensor    string
	Photo     string
	EveryDays int
}

// Look is an inspection to be recorded.
type Look struct {
	Seal   string
	Result Result
	Photo  string
	Note   string
}

// Limits of what people write.
const (
	maxPlace     = 200
	maxNote      = 500
	maxEveryDays = 366
)

func bad(format string, args ...any) error {
	return core.E(core.KindInvalid, "seal", fmt.Sprintf(format, args...))
}

func (a Application) check() (ID, error) {
	id, err := ParseID(a.ID)
	if err != nil {
		return "", err
	}
	switch {
	case !slices.Contains(Kinds, a.Kind):
		return "", bad("kind %.40q; known are %v", a.Kind, Kinds)
	case a.Device.IsZero():
		return "", bad("there is no device")
	case a.EveryDays < 1 || a.EveryDays > maxEveryDays:
		return "", bad("inspected every %d days; allowed are 1 to %d", a.EveryDays, maxEveryDays)
	case !isHash(a.Photo):
		return "", bad("a seal is registered with a photo")
	case (a.Kind == KindElectronic) != (a.Sensor != ""):
		return "", bad("an electronic seal names the sensor that watches it, and no other does")
	}
	if a.Sensor != "" {
		if _, err := core.ParseID[core.SensorID](a.Sensor); err != nil {
			return "", err
		}
	}
	return id, text("the place", a.Place, 1, maxPlace)
}

func (l Look) check() (ID, error) {
	id, err := ParseID(l.Seal)
	if err != nil {
		return "", err
	}
	switch {
	case !slices.Contains(Results, l.Result):
		return "", bad("result %.40q; known are %v", l.Result, Results)
	case l.Result == ResultMissing && l.Photo == "":
	case !isHash(l.Photo):
		return "", bad("a result of %s is recorded with a photo", l.Result)
	}
	return id, text("the note", l.Note, 0, maxNote)
}

// text holds what people write to one line of printable characters.
func text(what, s string, least, most int) error {
	if len(s) < least || len(s) > most || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return bad("%s is %d to %d bytes of printable text", what, least, most)
	}
	return nil
}

func isHash(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// params is what a permit is for: exactly this request.
func params(v any) (string, error) {
	b, err := json.Marshal(v)
	return hashOf(b), core.Wrap(core.KindInternal, "seal.params", err)
}
