package e2e

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/keystore"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/test/rig"
)

// press is a device: the real agent with a simulated case sensor, a simulated
// firewall and one program on it.
type press struct {
	s   *site
	dir string
	out *rig.Output
	lid string
}

const pressID = "press-7"

// newPress brings the device in with a token that names its key.
func newPress(s *site, rootHash string) *press {
	s.t.Helper()
	p := &press{s: s, dir: filepath.Join(s.Dir, pressID), out: new(rig.Output), lid: filepath.Join(s.Dir, "case.sock")}
	rig.Write(s.t, filepath.Join(p.dir, "agent.yaml"), fmt.Sprintf(`data_dir: %s/data
run_dir: %s/run
root_hash: %s
demo: true
enforce: simulated
heartbeat: 2s
sensors: [{id: case, driver: sim, socket: %s}]
workloads: [{name: hmi}]
`, p.dir, p.dir, rootHash, p.lid))
	program := rig.Program(s.t, "interlock-agent")
	printed, err := exec.Command(program, "--config", filepath.Join(p.dir, "agent.yaml"), "--print-key").Output()
	fact, ok := strings.CutPrefix(strings.Split(string(printed), "\n")[0], "fact ")
	if err != nil || !ok {
		s.t.Fatalf("--print-key: %v: %s", err, printed)
	}
	token := ask[api.Token](s, "token", "create", "--device", pressID, "--key", fact)
	cmd := rig.Start(s.t, p.out, []string{app.EnvEnrolment + "=" + token.String}, program, "--config", filepath.Join(p.dir, "agent.yaml"))
	s.t.Cleanup(func() { rig.Kill(s.t, cmd, p.out) })
	return p
}

func (p *press) dump() string {
	return fmt.Sprintf("%s\nagent:\n%s\nlog: %v", p.s.out.String(), p.out.String(), p.outcomes())
}

func (p *press) file(kind string) string {
	return filepath.Join(p.dir, "data", "workloads", "hmi."+kind)
}

// pair waits for key and certificate and reads them as the program does.
func (p *press) pair() tls.Certificate {
	p.s.t.Helper()
	var pair tls.Certificate
	rig.Await(p.s.t, "the program's certificate", p.dump, func() (ok bool) {
		var err error
		pair, err = tls.LoadX509KeyPair(p.file("crt"), p.file("key"))
		return err == nil
	})
	return pair
}

func (p *press) gone() bool {
	_, errKey := os.Stat(p.file("key"))
	_, errCert := os.Stat(p.file("crt"))
	return errors.Is(errKey, fs.ErrNotExist) && errors.Is(errCert, fs.ErrNotExist)
}

// move opens or closes the case.
func (p *press) move(open bool) {
	p.s.t.Helper()
	rig.MustPlay(p.s.t, p.lid, rig.Case("lid", open))
}

// told reports whether an event of the device is in the journal.
func (p *press) told(kind string) bool {
	p.s.t.Helper()
	return slices.ContainsFunc(p.s.events(500), func(e core.Event) bool { return e.Type == kind && e.Device.String() == pressID })
}

func (p *press) device() api.Device {
	d, err := get[api.Device](p.s, "/v1/devices/"+pressID)
	if err != nil {
		return api.Device{}
	}
	return d
}

// robbed asks the server for a certificate as somebody does who has root on the
// device: with the management key itself.
func (p *press) robbed() (status int) {
	t := p.s.t
	t.Helper()
	data := filepath.Join(p.dir, "data")
	ring, err := crypt.OpenHost(data)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keystore.OpenKey(data, ring)
	if err != nil {
		t.Fatal(err)
	}
	var id struct{ Certificate string }
	raw, err := os.ReadFile(filepath.Join(data, "identity.json"))
	if err == nil {
		err = json.Unmarshal(raw, &id)
	}
	if err != nil {
		t.Fatal(err)
	}
	chain, err := verify.ParseChain([]byte(id.Certificate))
	if err != nil {
		t.Fatal(err)
	}
	cert := tls.Certificate{PrivateKey: key}
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, new(x509.CertificateRequest), own)
	if err != nil {
		t.Fatal(err)
	}
	body, err := link.Encode(fleet.WorkloadRequest{
		V: 1, Name: core.MustID[core.ServiceID]("hmi"), CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, //nolint:gosec // who asks here is the thief
	}}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Post("https://"+p.s.agents+"/agent/v1/workloads", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// outcomes are the log's entries about workload certificates, oldest first.
func (p *press) outcomes() []string {
	p.s.t.Helper()
	found, err := listed[api.AuditEntry](p.s, "/v1/audit/entries", url.Values{"action": {"identity.workload"}})
	if err != nil {
		p.s.t.Fatal(err)
	}
	slices.SortFunc(found, func(x, y api.AuditEntry) int { return cmp.Compare(x.Index, y.Index) })
	var all []string
	for _, e := range found {
		all = append(all, e.Type+" "+e.Outcome)
	}
	return all
}

// TestTamperTakesTheWorkloadUntilTwoPersonsApprove is F09 as far as the product
// goes: what names a program to others is gone from the device and refused by
// the server, the device reports on, and two approvals bring it all back.
func TestTamperTakesTheWorkloadUntilTwoPersonsApprove(t *testing.T) {
	s := newSite(t)
	s.configure("")
	s.must([]int{0}, "root", "init", "--person", "anna", "--person", "ben", "--person", "cleo")
	trust, err := ceremony.LoadTrust(s.Keys)
	if err != nil {
		t.Fatal(err)
	}
	s.serve()
	p := newPress(s, trust.Hash())
	first := p.pair()
	if got, want := first.Leaf.URIs[0].String(), "interlock://main/workload/press-7/hmi"; got != want {
		t.Errorf("the certificate names %s, want %s", got, want)
	}
	rig.Await(t, "intent before, fact after", p.dump, func() bool {
		return slices.Equal(p.outcomes(), []string{"intent permitted", "fact issued"})
	})

	p.move(true)
	rig.Await(t, "withdrawn from the disk", p.dump, p.gone)
	rig.Await(t, "the device's own word", p.dump, func() bool { return p.told("workload_withdrawn") })
	rig.Await(t, "in quarantine", p.dump, func() bool { return p.device().State == core.DeviceQuarantined })
	if got := p.robbed(); got != http.StatusConflict {
		t.Errorf("the server answers a thief with %d", got)
	}

	p.move(false) // somebody closes the case; what was latched stays
	rig.Await(t, "a closed case", p.dump, func() bool {
		st, err := agent.Ask(t.Context(), filepath.Join(p.dir, "run", "agent.sock"))
		return err == nil && len(st.Sensors[0].Active) == 0 && len(st.Latches) > 0
	})
	release := p.release()
	s.must([]int{0}, "approve", release.ID.String(), "--as", "anna", "--yes")
	if !p.gone() || p.robbed() != http.StatusConflict {
		t.Error("one person brought the workload back")
	}
	s.must([]int{0}, "approve", release.ID.String(), "--as", "ben", "--yes")
	again := p.pair()
	if bytes.Equal(again.Leaf.RawSubjectPublicKeyInfo, first.Leaf.RawSubjectPublicKeyInfo) {
		t.Error("the key that lay on a tampered device is in use again")
	}
	rig.Await(t, "the log's word", p.dump, func() bool {
		got := p.outcomes()
		return slices.Contains(got, "fact refused") && got[len(got)-1] == "fact issued"
	})
}

// release waits for the release that the playbook asks for.
func (p *press) release() (found api.Order) {
	p.s.t.Helper()
	rig.Await(p.s.t, "a release that awaits approvals", p.dump, func() bool {
		orders := p.device().Orders
		i := slices.IndexFunc(orders, func(o api.Order) bool { return o.Type == string(link.OrderRelease) && o.State == "awaiting" })
		if i >= 0 {
			found = orders[i]
		}
		return i >= 0
	})
	return found
}
