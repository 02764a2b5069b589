package link

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	fproof "github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/core"
)

// CheckStatement checks that the root role of this version signed a statement by
// which a new audit log begins: the envelope's payload is exactly the statement
// and carries the role's threshold in [NamespaceRoot], whose keys sign nothing
// else but trust roots. Neither can be read as the other: both have one strict
// encoding and no field in common but the version, and a statement that decodes
// as a root is refused whoever signed it.
func (t *Trust) CheckStatement(statement, envelope []byte) error {
	const op = "link.Trust.CheckStatement"
	env, err := ParseEnvelope(envelope)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if !bytes.Equal(env.Payload, statement) {
		return core.E(core.KindDenied, op, "what was signed is not this statement")
	}
	if _, err := DecodeRoot(statement); err == nil {
		return core.E(core.KindDenied, op, "this is a trust root; as such it was signed, not as a statement")
	}
	if tally := t.tally(RoleRoot, verified(env, NamespaceRoot), ""); !tally.Complete() {
		return core.E(core.KindDenied, op, fmt.Sprintf("by the rules of trust root %d: %s", t.root.Version, tally))
	}
	return nil
}

// maxGeneration bounds the number behind an origin.
const maxGeneration = 99_999

// Generation splits an origin into the name of its line of logs and its place
// in it. A log that was damaged is followed by others of the same key: "x", then
// "x/g2", "x/g3".
func Generation(origin string) (line string, number int) {
	at := strings.LastIndex(origin, "/g")
	if at <= 0 {
		return origin, 1
	}
	digits := origin[at+2:]
	n, err := strconv.Atoi(digits)
	if err != nil || n < 2 || n > maxGeneration || strconv.Itoa(n) != digits {
		return origin, 1
	}
	return origin[:at], n
}

// IsLaterLog reports whether a log took the place of another: the same line and
// a higher number in it.
func IsLaterLog(origin, than string) bool {
	line, n := Generation(origin)
	line2, n2 := Generation(than)
	return line == line2 && n > n2
}

// LaterLogKey returns the vkey of a log that took the place of the one that vkey
// is of: the same key under the later log's origin.
func LaterLogKey(vkey, origin string) (string, error) {
	key, err := parseVkey(vkey, vkeyEd25519)
	if err != nil {
		return "", err
	}
	if name, _, _ := strings.Cut(vkey, "+"); !IsLaterLog(origin, name) {
		return "", core.E(core.KindInvalid, "link.LaterLogKey", fmt.Sprintf("log %q does not follow %q", clip(origin), clip(name)))
	}
	raw := append([]byte{vkeyEd25519}, key...)
	return fmt.Sprintf("%s+%08x+%s", origin, noteKeyHash(origin, raw), base64.StdEncoding.EncodeToString(raw)), nil
}

// logNamed returns the verifier for a checkpoint that may also be of a later log
// of the line. While a log is damaged the server goes on recording in the next
// one, and a device must go on reporting, stopping and being contained (F14):
// neither waits for persons to sign a succession. Whoever could make such a
// checkpoint out of nothing holds the log key, and with it could as well put
// another history under the log's own name; under a name of its own it shows.
// Devices tell of it, and trust roots are not taken by it: see [Trust.Succeed].
func (t *Trust) logNamed(signed string) note.Verifier {
	origin, _, _ := strings.Cut(signed[:min(len(signed), 1<<10)], "\n")
	if origin == t.root.LogOrigin {
		return t.log
	}
	vkey, err := LaterLogKey(t.root.LogKey, origin)
	if err != nil {
		return t.log
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return t.log
	}
	return v
}

// provedIn checks that the proof's leaf is in the log of this version or, where
// next names another log, in that one.
//
// The second way exists because a log that is lost can prove nothing any more,
// and the version that names its successor could never be taken. It opens no
// door. The caller has counted the root role's threshold of both versions over
// next, which names the new log: who can name a log of their own there could
// also, one version later, prove anything in it. What is left of the proof is
// that a root is public before it counts, and the witnesses see to that: theirs
// is the quorum of this version, over the new log's checkpoint, so that thieves
// of the root keys cannot name witnesses of their own along with the log. Who
// holds the log key, a captured server, could always prove what it liked; it
// lacks the signatures, before and after. A next root that keeps the log needs
// that very log's proof, also of no later one in its line: persons have to say
// that a log is given up, not the server.
func (t *Trust) provedIn(next *Trust, p *fproof.TLogProof) error {
	_, err := t.verifyProof(p, p.ExtraData, t.log)
	if err == nil || next.root.LogKey == t.root.LogKey {
		return err
	}
	if _, other := t.verifyProof(p, p.ExtraData, next.log); other != nil {
		return fmt.Errorf("%w; nor in the log that trust root %d names: %w", err, next.root.Version, other)
	}
	return nil
}
