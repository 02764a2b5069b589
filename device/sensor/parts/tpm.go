package parts

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/identity"
)

// Where makers put the certificate of the endorsement key (TCG EK Credential
// Profile 2.2.1.4): RSA 2048, ECC P-256.
var certificates = []tpm2.TPMHandle{0x01c00002, 0x01c0000a}

const (
	maxCertificate = 8 << 10
	chunk          = 512 // every TPM gives as much at once
)

// patience is how long a TPM may take to answer. One that hangs is broken, and
// keeps nobody from seeing the other parts.
const patience = 20 * time.Second

// answer is what the TPMs said when they were last asked.
type answer struct {
	parts []sensor.Part
	err   error
}

// tpm is the TPM, by the key that its maker gave it, or what it said the last
// time: it is slow. A machine without one has none; one that is there and can't
// be asked is an error.
func (s *Sensor) tpm() ([]sensor.Part, error) {
	names, err := s.tree.list("class/tpm")
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "tpmrm") })
	if len(names) == 0 || s.asked != nil && s.asked.err == nil {
		return s.asked.told(len(names))
	}
	if s.asking == nil {
		s.asking = make(chan answer, 1)
		go func(out chan<- answer) { out <- s.askAll(names) }(s.asking)
	}
	select {
	case a := <-s.asking:
		s.asking, s.asked = nil, &a
	case <-s.env.Clock.After(patience):
		return nil, core.E(core.KindUnavailable, "parts.tpm", fmt.Sprintf("no answer in %s", patience))
	}
	return s.asked.parts, s.asked.err
}

// told is the answer while there are TPMs at all.
func (a *answer) told(n int) ([]sensor.Part, error) {
	if a == nil || n == 0 {
		return nil, nil
	}
	return a.parts, a.err
}

// askAll asks each TPM. It runs on a goroutine of its own, where a panic would
// end the agent.
func (s *Sensor) askAll(names []string) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{err: core.E(core.KindInternal, "parts.tpm", fmt.Sprintf("its answer broke us: %v", p))}
		}
	}()
	for _, name := range names {
		p, err := s.tpmPart(name)
		if err != nil {
			return answer{err: err}
		}
		a.parts = append(a.parts, p)
	}
	return a
}

func (s *Sensor) tpmPart(name string) (sensor.Part, error) {
	t, err := s.openTPM(s.env.Path("dev", strings.Replace(name, "tpm", "tpmrm", 1)))
	if err != nil { // also where its file is not there: the kernel shows the TPM, so it is not missing
		return sensor.Part{}, core.E(core.KindUnavailable, "parts.tpm", err.Error())
	}
	p, err := askTPM(t)
	if err := errors.Join(err, t.Close()); err != nil {
		return sensor.Part{}, core.Wrap(core.KindUnavailable, "parts.tpm", fmt.Errorf("%s: %w", name, err))
	}
	p.Place = sensor.Text(name)
	return p, nil
}

// askTPM asks a TPM who it is. The key it makes is the same each time, out of a
// seed that never leaves it; the certificate is anybody's to copy, so it makes no
// identity.
func askTPM(t transport.TPM) (sensor.Part, error) {
	maker, err := property(t, tpm2.TPMPTManufacturer)
	if err != nil {
		return sensor.Part{}, err
	}
	high, err := property(t, tpm2.TPMPTFirmwareVersion1)
	if err != nil {
		return sensor.Part{}, err
	}
	low, err := property(t, tpm2.TPMPTFirmwareVersion2)
	if err != nil {
		return sensor.Part{}, err
	}
	key, err := endorsementKey(t)
	if err != nil {
		return sensor.Part{}, err
	}
	name := strings.TrimRight(string(binary.BigEndian.AppendUint32(nil, maker)), "\x00 ")
	return sensor.Part{
		Class: "tpm", Identity: identity.Of("maker", name, "ek", key),
		About: about("firmware", fmt.Sprintf("%d.%d.%d.%d", high>>16, high&0xffff, low>>16, low&0xffff), "certificate", certificate(t)),
	}, nil
}

func property(t transport.TPM, p tpm2.TPMPT) (uint32, error) {
	got, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(p), PropertyCount: 1}.Execute(t)
	if err != nil {
		return 0, fmt.Errorf("read its properties: %w", err)
	}
	list, err := got.CapabilityData.Data.TPMProperties()
	if err != nil || len(list.TPMProperty) != 1 {
		return 0, errors.Join(core.E(core.KindDamaged, "parts.tpm", "its answer holds no property"), err)
	}
	return list.TPMProperty[0].Value, nil
}

// endorsementKey is the hash of the key that the TPM's seed gives, on P-256 where
// it can, else RSA.
func endorsementKey(t transport.TPM) (string, error) {
	var failed []error
	for _, kind := range []struct {
		name     string
		template tpm2.TPMTPublic
	}{{"p256", tpm2.ECCEKTemplate}, {"rsa2048", tpm2.RSAEKTemplate}} {
		made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(kind.template)}.Execute(t)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", kind.name, err))
			continue
		}
		if _, err := (tpm2.FlushContext{FlushHandle: made.ObjectHandle}).Execute(t); err != nil {
			return "", fmt.Errorf("flush its endorsement key: %w", err)
		}
		return kind.name + ":" + short(made.OutPublic.Bytes()), nil
	}
	return "", fmt.Errorf("make its endorsement key: %w", errors.Join(failed...))
}

// certificate is the hash of the maker's certificate, "" where there is none.
func certificate(t transport.TPM) string {
	for _, index := range certificates {
		if der, err := readNV(t, index); err == nil {
			return short(der)
		}
	}
	return ""
}

func readNV(t transport.TPM, index tpm2.TPMHandle) ([]byte, error) {
	public, err := tpm2.NVReadPublic{NVIndex: index}.Execute(t)
	if err != nil {
		return nil, err
	}
	about, err := public.NVPublic.Contents()
	if err != nil || about.DataSize > maxCertificate {
		return nil, errors.Join(core.E(core.KindTooLarge, "parts.tpm", "a certificate that is too large"), err)
	}
	var der []byte
	for at := uint16(0); at < about.DataSize; at += chunk {
		got, err := tpm2.NVRead{
			AuthHandle: tpm2.AuthHandle{Handle: index, Name: public.NVName, Auth: tpm2.PasswordAuth(nil)},
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: public.NVName},
			Size:       min(chunk, about.DataSize-at), Offset: at,
		}.Execute(t)
		if err != nil {
			return nil, err
		}
		der = append(der, got.Data.Buffer...)
	}
	return der, nil
}

func short(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
