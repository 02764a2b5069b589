// Package devicetest is an installation in memory for the tests of device/: a
// trust root with persons whose keys the test holds, a log that gives receipts
// and proofs, and a CA. Nothing outside tests imports it.
package devicetest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	flog "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
)

// Who the installation is.
var (
	Tenant = core.MustID[core.TenantID]("acme")
	Place  = core.MustID[core.SiteID]("hall-1")
	Device = core.MustID[core.DeviceID]("press-7")
)

const origin = "interlock.example/test/acme"

// Site is the installation.
type Site struct {
	T    testing.TB
	Root *link.Root
	CA   *CA

	mu     sync.Mutex
	keys   map[string]link.Signer
	logKey ed25519.PrivateKey
	signer note.Signer
	hashes []tlog.Hash
	size   int64
}

// New returns an installation with three persons (anna, ben, cora) and two-person
// thresholds, or with one (anna), whose agent listener is at the given address.
func New(t testing.TB, mode link.Mode, servers ...string) *Site {
	t.Helper()
	s := &Site{T: t, keys: map[string]link.Signer{}, CA: NewCA(t)}
	now := time.Now()
	s.Root = &link.Root{
		V: 1, Installation: "test", Tenant: Tenant, Version: 1, Mode: mode,
		Issued: now.UnixMicro(), ReviewBy: now.AddDate(1, 0, 0).UnixMicro(),
		CommandKey: s.public("command"), StopKey: s.public("stop"), LogKey: s.newLog(), LogOrigin: origin,
		CAPins: []string{s.CA.Pin()}, Servers: servers, MinAgent: "0.1.0", ReleaseDelay: 600, RecoveryDelay: 72 * 3600,
	}
	people, threshold := []string{"anna", "ben", "cora"}, 2
	if mode == link.ModeSingleOperator {
		people, threshold = []string{"anna"}, 1
	}
	s.people(people, threshold)
	return s
}

func (s *Site) people(names []string, threshold int) {
	var members []core.PersonID
	var recovery []string
	for _, n := range names {
		id := core.MustID[core.PersonID](n)
		members = append(members, id)
		recovery = append(recovery, link.KeyID(s.Key(n+"/recovery").PublicKey()))
		s.Root.Persons = append(s.Root.Persons, link.Person{ID: id, Name: strings.ToUpper(n), Keys: []string{s.public(n), s.public(n + "/recovery")}})
	}
	for _, name := range link.PersonRoles {
		r := link.Role{Name: name, Threshold: threshold, Members: members}
		if name == link.RoleRoot {
			r.KeyIDs = recovery
		}
		s.Root.Roles = append(s.Root.Roles, r)
	}
}

// Key returns the key of a person, of "<person>/recovery", "command" or "stop".
func (s *Site) Key(name string) link.Signer {
	s.T.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[name]; ok {
		return k
	}
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	s.must(err)
	k, err := link.NewCryptoSigner(priv)
	s.must(err)
	s.keys[name] = k
	return k
}

func (s *Site) must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

func (s *Site) public(name string) string { return link.AuthorizedKey(s.Key(name).PublicKey()) }

// Seal signs a payload in a namespace with the named keys.
func (s *Site) Seal(namespace string, payload []byte, names ...string) *link.Envelope {
	s.T.Helper()
	var signers []link.Signer
	for _, n := range names {
		signers = append(signers, s.Key(n))
	}
	env, err := link.SealEnvelope(namespace, payload, signers...)
	s.must(err)
	return env
}

// RootEnvelope returns the trust root as it stands, signed by every key that
// may sign it.
func (s *Site) RootEnvelope() []byte {
	s.T.Helper()
	payload, err := link.EncodeRoot(s.Root)
	s.must(err)
	var names []string
	for _, p := range s.Root.Persons {
		names = append(names, p.ID.String()+"/recovery", p.ID.String())
	}
	b, err := s.Seal(link.NamespaceRoot, payload, names...).Encode()
	s.must(err)
	return b
}

// RootHash returns the hash that the ceremony sheet shows.
func (s *Site) RootHash() string {
	s.T.Helper()
	payload, err := link.EncodeRoot(s.Root)
	s.must(err)
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:])
}

// Trust returns the root as a device believes it.
func (s *Site) Trust() *link.Trust {
	s.T.Helper()
	t, err := link.NewTrust(s.RootEnvelope(), s.RootHash())
	s.must(err)
	return t
}

func (s *Site) newLog() (vkey string) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	s.must(err)
	s.logKey = priv
	return s.BeginLog(origin)
}

// BeginLog goes on in an empty log of this origin, under the same key, as a
// server does whose log is damaged. It returns the log's vkey.
func (s *Site) BeginLog(origin string) (vkey string) {
	s.T.Helper()
	vkey, err := note.NewEd25519VerifierKey(origin, s.logKey.Public().(ed25519.PublicKey))
	s.must(err)
	id := strings.Split(vkey, "+")[1]
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", origin, id, base64.StdEncoding.EncodeToString(append([]byte{1}, s.logKey.Seed()...))))
	s.must(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signer, s.hashes, s.size = signer, nil, 0
	return vkey
}

// LeaveLog is BeginLog for a while: it returns what brings the log of before back.
func (s *Site) LeaveLog(origin string) (back func()) {
	s.T.Helper()
	s.mu.Lock()
	signer, hashes, size := s.signer, s.hashes, s.size
	s.mu.Unlock()
	s.BeginLog(origin)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.signer, s.hashes, s.size = signer, hashes, size
	}
}

// ReadHashes implements tlog.HashReader.
func (s *Site) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = s.hashes[x]
	}
	return out, nil
}

// log appends a leaf and returns its index, its path and a checkpoint over it.
func (s *Site) log(leaf []byte) (index uint64, path [][]byte, checkpoint string) {
	s.T.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := tlog.StoredHashes(s.size, leaf, s)
	s.must(err)
	s.hashes = append(s.hashes, h...)
	s.size++
	root, err := tlog.TreeHash(s.size, s)
	s.must(err)
	cp := flog.Checkpoint{Origin: s.signer.Name(), Size: uint64(s.size), Hash: root[:]}
	signed, err := note.Sign(&note.Note{Text: string(cp.Marshal())}, s.signer)
	s.must(err)
	proof, err := tlog.ProveRecord(s.size, s.size-1, s)
	s.must(err)
	path = [][]byte{}
	for _, p := range proof {
		path = append(path, p[:])
	}
	return uint64(s.size - 1), path, string(signed)
}

// Receipt logs a batch and returns the receipt for it.
func (s *Site) Receipt(payload []byte) *link.Receipt {
	s.T.Helper()
	b, err := link.DecodeBatch(payload)
	s.must(err)
	hash := link.BatchHash(payload)
	group := [][32]byte{hash}
	path, err := link.GroupPath(group, 0)
	s.must(err)
	leaf := fmt.Appendf(nil, `{"v":1,"type":%q,"time":"2026-11-21T12:00:00Z","object":%q,"sealed":"AAEC"}`, link.LeafBatch, link.BatchGroupObject(link.GroupRoot(group)))
	r := &link.Receipt{
		V: 1, Device: b.Device, Epoch: b.Epoch, First: b.First, Last: b.Last, Batch: hex.EncodeToString(hash[:]),
		GroupIndex: 0, GroupSize: 1, GroupPath: path, Leaf: leaf,
	}
	r.Index, r.LeafPath, r.Checkpoint = s.log(leaf)
	return r
}

// RootProof logs a trust root and returns the proof that goes with it.
func (s *Site) RootProof(hash string) []byte {
	s.T.Helper()
	leaf := fmt.Appendf(nil, `{"v":1,"type":%q,"time":"2026-11-21T12:00:00Z","object":%q,"sealed":"AAEC"}`, link.LeafAuthority, link.RootObject(hash))
	index, path, checkpoint := s.log(leaf)
	p, err := link.NewProof(index, path, checkpoint, leaf)
	s.must(err)
	return p
}

// CA is a root and an intermediate that issue as digital/pki does.
type CA struct {
	t         testing.TB
	rootKey   *ecdsa.PrivateKey
	root      *x509.Certificate
	key       *ecdsa.PrivateKey
	cert      *x509.Certificate
	NotBefore time.Time
	Life      time.Duration
	// OnLeaf is called before a management certificate is issued, so that a
	// test can change NotBefore and Life from one to the next.
	OnLeaf func()
}

// NewCA makes a CA.
func NewCA(t testing.TB) *CA {
	t.Helper()
	ca := &CA{t: t, NotBefore: time.Now().Add(-5 * time.Minute), Life: 7 * 24 * time.Hour}
	ca.rootKey, ca.key = ca.newKey(), ca.newKey()
	from, to := time.Now().AddDate(-1, 0, 0), time.Now().AddDate(20, 0, 0)
	root := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "root"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId: keyID(&ca.rootKey.PublicKey), AuthorityKeyId: keyID(&ca.rootKey.PublicKey),
	}
	ca.root = ca.sign(root, root, &ca.rootKey.PublicKey, ca.rootKey)
	mid := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "intermediate"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId: keyID(&ca.key.PublicKey),
	}
	ca.cert = ca.sign(mid, ca.root, &ca.key.PublicKey, ca.rootKey)
	return ca
}

func (ca *CA) newKey() *ecdsa.PrivateKey {
	ca.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	return k
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[0] = b[0]&0x3f | 0x40
	return new(big.Int).SetBytes(b)
}

func keyID(pub *ecdsa.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(der)
	return sum[:20]
}

func (ca *CA) sign(template, issuer *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	ca.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, pub, key)
	if err != nil {
		ca.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return c
}

// Pin returns the pin of the root, hex.
func (ca *CA) Pin() string { return verify.PinOf(ca.root).String() }

// Server issues a server certificate with its key for hosts.
func (ca *CA) Server(hosts ...string) (chain [][]byte, key *ecdsa.PrivateKey) {
	ca.t.Helper()
	key = ca.newKey()
	t := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return ca.leaf(t, &key.PublicKey), key
}

// Management issues a management certificate for a key and returns the chain in
// PEM.
func (ca *CA) Management(id verify.Identity, pub *ecdsa.PublicKey) string {
	ca.t.Helper()
	u, err := url.Parse(id.String())
	if err != nil {
		ca.t.Fatal(err)
	}
	if ca.OnLeaf != nil {
		ca.OnLeaf()
	}
	chain := ca.leaf(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, URIs: []*url.URL{u}}, pub)
	var out strings.Builder
	for _, der := range chain {
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return out.String()
}

func (ca *CA) leaf(t *x509.Certificate, pub *ecdsa.PublicKey) [][]byte {
	t.SerialNumber, t.NotBefore, t.NotAfter = serial(), ca.NotBefore, ca.NotBefore.Add(ca.Life)
	t.KeyUsage, t.BasicConstraintsValid = x509.KeyUsageDigitalSignature, true
	t.SubjectKeyId = keyID(pub)
	c := ca.sign(t, ca.cert, pub, ca.key)
	return [][]byte{c.Raw, ca.cert.Raw, ca.root.Raw}
}
