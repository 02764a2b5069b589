package ipmi

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // cipher suite 3, for controllers that have no other; only as HMAC
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor/internal/credential"
)

// The session of IPMI 2.0 over a network (RMCP+), as far as a reader of sensors
// needs it: two cipher suites, both of which prove and hide every message. It is
// written out here because whoever has the network can send this driver any
// datagram: what is not proven to come from the controller is dropped before
// anything of it is read.

// suite is a cipher suite.
type suite struct {
	hash                     func() hash.Hash
	auth, integrity, secrecy byte
	code                     int // length of a message's proof
}

// suites are those that are spoken, by number.
var suites = map[int]suite{
	3:  {sha1.New, 1, 1, 1, 12},
	17: {sha256.New, 3, 4, 1, 16},
}

const (
	payloadIPMI      = 0x00
	payloadOpen      = 0x10
	payloadOpened    = 0x11
	payloadRAKP1     = 0x12
	payloadRAKP2     = 0x13
	payloadRAKP3     = 0x14
	payloadRAKP4     = 0x15
	flagsProtected   = 0xc0 // encrypted and authenticated
	formatRMCPPlus   = 0x06
	roleUser         = 0x02
	roleOperator     = 0x03
	roleNameOnly     = 0x10
	headerLength     = 4 + 12
	controllerAddr   = 0x20
	consoleAddr      = 0x81
	nextHeader       = 0x07
	maxName          = 16
	maxPassword      = 20
	minBlock         = aes.BlockSize
	rakpRandomLength = 16
)

var rmcpHeader = []byte{0x06, 0x00, 0xff, 0x07}

// session is one session: first what is needed to make it, then its keys.
type session struct {
	suite
	user       string
	role       byte
	console    uint32 // our id of it
	controller uint32 // the controller's
	random     []byte // ours
	theirs     []byte // theirs
	guid       []byte
	key        []byte // the password as a key, wiped once the session stands
	sik        []byte
	k1, k2     []byte
	out, in    uint32 // numbers of the last message each way
}

func newSession(with credential.Credential, s suite, role byte) (*session, error) {
	if len(with.User) > maxName || len(with.Password.Reveal()) > maxPassword {
		return nil, core.E(core.KindInvalid, "ipmi.dial", fmt.Sprintf("IPMI has names of at most %d bytes and passwords of %d", maxName, maxPassword))
	}
	random := make([]byte, rakpRandomLength+4)
	_, _ = rand.Read(random) // never fails since Go 1.24
	key := make([]byte, maxPassword)
	copy(key, with.Password.Reveal())
	return &session{
		suite: s, user: with.User, role: role, key: key, random: random[:rakpRandomLength], console: binary.LittleEndian.Uint32(random[rakpRandomLength:]) | 1,
	}, nil
}

func (s *session) mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(s.hash, key)
	for _, p := range parts {
		_, _ = h.Write(p)
	}
	return h.Sum(nil)
}

func word(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

// who is the part of the proofs that says who asks and as what.
func (s *session) who() []byte {
	return append([]byte{s.role | roleNameOnly, byte(len(s.user))}, s.user...)
}

// bare wraps a message of the time before there is a session.
func bare(kind byte, payload []byte) []byte {
	b := append(bytes.Clone(rmcpHeader), formatRMCPPlus, kind)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(payload)))
	return append(b, payload...)
}

// unwrap takes a datagram apart. It says nothing about who sent it.
func unwrap(b []byte) (kind byte, id, number uint32, payload, trailer []byte, err error) {
	if len(b) < headerLength || b[0] != rmcpHeader[0] || b[3] != rmcpHeader[3] || b[4] != formatRMCPPlus {
		return 0, 0, 0, nil, nil, errors.New("no RMCP+")
	}
	length := int(binary.LittleEndian.Uint16(b[14:]))
	if headerLength+length > len(b) {
		return 0, 0, 0, nil, nil, errors.New("cut short")
	}
	return b[5], binary.LittleEndian.Uint32(b[6:]), binary.LittleEndian.Uint32(b[10:]), b[headerLength : headerLength+length], b[headerLength+length:], nil
}

// open is the first message: what is to be spoken.
func (s *session) open() []byte {
	p := append([]byte{0, s.role, 0, 0}, word(s.console)...)
	p = append(p, 0, 0, 0, 8, s.auth, 0, 0, 0)
	p = append(p, 1, 0, 0, 8, s.integrity, 0, 0, 0)
	p = append(p, 2, 0, 0, 8, s.secrecy, 0, 0, 0)
	return bare(payloadOpen, p)
}

// setup reads an answer of the time before there is a session, of the kind that
// is waited for. A refusal is the controller's word, or somebody's who has the
// network; either way there is no session.
func setup(datagram []byte, kind byte) (payload []byte, ours bool, err error) {
	got, id, _, payload, _, err := unwrap(datagram)
	if err != nil || got != kind || id != 0 || len(payload) < 2 {
		return nil, false, nil //nolint:nilerr // somebody else's
	}
	if payload[1] != 0 {
		return nil, true, core.E(core.KindDenied, "ipmi.dial", fmt.Sprintf("the controller refuses a session: %s", refusal(payload[1])))
	}
	return payload, true, nil
}

// refusal names the status codes that people can do something about.
func refusal(code byte) string {
	switch code {
	case 0x01, 0x02:
		return "it has no room for one more"
	case 0x04, 0x05, 0x10, 0x11:
		return "it does not speak this cipher suite; see suite"
	case 0x0d:
		return "no such user"
	case 0x0f:
		return "the password is another one"
	case 0x09, 0x0c:
		return "the user may not have a session"
	}
	return fmt.Sprintf("status %#02x", code)
}

var errNotProven = core.E(core.KindUnauthenticated, "ipmi.dial", "what answers does not know the password").
	WithHint("the credentials file has another password than the controller, or this is not the controller")

// opened takes the answer to open.
func (s *session) opened(p []byte) error {
	if len(p) < 36 || binary.LittleEndian.Uint32(p[4:]) != s.console {
		return core.E(core.KindDamaged, "ipmi.dial", "the answer to the session request makes no sense")
	}
	if p[16] != s.auth || p[24] != s.integrity || p[32] != s.secrecy {
		return core.E(core.KindDenied, "ipmi.dial", "the controller wants weaker protection than was asked for")
	}
	s.controller = binary.LittleEndian.Uint32(p[8:])
	return nil
}

func (s *session) rakp1() []byte {
	p := append([]byte{0, 0, 0, 0}, word(s.controller)...)
	p = append(p, s.random...)
	p = append(p, s.role|roleNameOnly, 0, 0, byte(len(s.user)))
	return bare(payloadRAKP1, append(p, s.user...))
}

// rakp2 takes the controller's proof that it knows the password.
func (s *session) rakp2(p []byte) error {
	size := s.hash().Size()
	if len(p) < 40+size || binary.LittleEndian.Uint32(p[4:]) != s.console {
		return core.E(core.KindDamaged, "ipmi.dial", "the controller's proof makes no sense")
	}
	s.theirs, s.guid = bytes.Clone(p[8:24]), bytes.Clone(p[24:40])
	want := s.mac(s.key, word(s.console), word(s.controller), s.random, s.theirs, s.guid, s.who())
	if !hmac.Equal(want, p[40:40+size]) {
		return errNotProven
	}
	return nil
}

// rakp3 is the proof that this driver knows the password.
func (s *session) rakp3() []byte {
	p := append([]byte{0, 0, 0, 0}, word(s.controller)...)
	return bare(payloadRAKP3, append(p, s.mac(s.key, s.theirs, word(s.console), s.who())...))
}

// rakp4 takes the controller's last word and makes the keys.
func (s *session) rakp4(p []byte) error {
	s.sik = s.mac(s.key, s.random, s.theirs, s.who())
	clear(s.key)
	if len(p) < 8+s.code || binary.LittleEndian.Uint32(p[4:]) != s.console {
		return core.E(core.KindDamaged, "ipmi.dial", "the controller's last proof makes no sense")
	}
	want := s.mac(s.sik, s.random, word(s.controller), s.guid)
	if !hmac.Equal(want[:s.code], p[8:8+s.code]) {
		return errNotProven
	}
	s.k1 = s.mac(s.sik, bytes.Repeat([]byte{1}, 20))
	s.k2 = s.mac(s.sik, bytes.Repeat([]byte{2}, 20))
	return nil
}

// seal wraps a message of the session.
func (s *session) seal(message []byte) ([]byte, error) {
	block, err := aes.NewCipher(s.k2[:16])
	if err != nil {
		return nil, err
	}
	plain := bytes.Clone(message)
	pad := (minBlock - (len(plain)+1)%minBlock) % minBlock
	for i := range pad {
		plain = append(plain, byte(i+1))
	}
	plain = append(plain, byte(pad))
	payload := make([]byte, minBlock, minBlock+len(plain))
	_, _ = rand.Read(payload)
	payload = append(payload, plain...)
	cipher.NewCBCEncrypter(block, payload[:minBlock]).CryptBlocks(payload[minBlock:], plain)
	s.out++
	b := append(bytes.Clone(rmcpHeader), formatRMCPPlus, flagsProtected|payloadIPMI)
	b = append(append(b, word(s.controller)...), word(s.out)...)
	b = append(binary.LittleEndian.AppendUint16(b, uint16(len(payload))), payload...)
	fill := (4 - (len(b)-4+2)%4) % 4
	b = append(b, bytes.Repeat([]byte{0xff}, fill)...)
	b = append(b, byte(fill), nextHeader)
	return append(b, s.mac(s.k1, b[4:])[:s.code]...), nil
}

// unseal reads a message of the session: first its proof, then its number, then
// what is in it. What fails any of these is somebody else's.
func (s *session) unseal(datagram []byte) ([]byte, error) {
	kind, id, number, payload, trailer, err := unwrap(datagram)
	switch {
	case err != nil:
		return nil, err
	case kind != flagsProtected|payloadIPMI || id != s.console:
		return nil, errors.New("not of this session")
	case len(trailer) < 2+s.code:
		return nil, errors.New("no proof")
	}
	proven := len(datagram) - s.code
	if !hmac.Equal(s.mac(s.k1, datagram[4:proven])[:s.code], datagram[proven:]) {
		return nil, errors.New("a false proof")
	}
	if number <= s.in {
		return nil, errors.New("an old message")
	}
	s.in = number
	return s.decrypt(payload)
}

func (s *session) decrypt(payload []byte) ([]byte, error) {
	if len(payload) < 2*minBlock || len(payload)%minBlock != 0 {
		return nil, errors.New("no whole blocks")
	}
	block, err := aes.NewCipher(s.k2[:16])
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(payload)-minBlock)
	cipher.NewCBCDecrypter(block, payload[:minBlock]).CryptBlocks(plain, payload[minBlock:])
	end := len(plain) - 1 - int(plain[len(plain)-1])
	if end < 0 {
		return nil, errors.New("more padding than message")
	}
	return plain[:end], nil
}

// wipe forgets the keys.
func (s *session) wipe() {
	for _, b := range [][]byte{s.key, s.sik, s.k1, s.k2} {
		clear(b)
	}
}
