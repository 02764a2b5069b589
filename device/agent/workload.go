package agent

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// A workload is a program on this machine that shows others who it is. Its key
// and its certificate, good for a day, lie in files that it reads. They hang
// from the management identity and are what tamper takes away: a device in
// quarantine reports on, and its programs are nobody until persons have released
// it (TRUST F09).

// The two halves of a request for a workload's certificate, as the server
// defines them.
type (
	workloadRequest struct {
		V    int            `json:"v"`
		Name core.ServiceID `json:"name"`
		CSR  string         `json:"csr"`
	}
	workloadAnswer struct {
		V           int    `json:"v"`
		Certificate string `json:"certificate"`
	}
)

// workloads is what the parts that bring files and take them away share.
type workloads struct {
	// mu is held while files are written or removed. Who writes looks under it
	// whether the device is contained, so nothing comes after a withdrawal.
	mu    sync.Mutex
	ask   chan struct{} // look now
	taken chan string   // the device was contained, and why
}

// wantWorkloads has the workloads looked after now.
func (a *Agent) wantWorkloads() {
	select {
	case a.workloads.ask <- struct{}{}:
	default:
	}
}

// takeWorkloads has the workloads withdrawn, beside whoever contains.
func (a *Agent) takeWorkloads(why string) {
	select {
	case a.workloads.taken <- why:
	default: // it is about to happen
	}
}

// keepWorkloads brings each workload its certificate and keeps it young.
func (a *Agent) keepWorkloads(ctx context.Context) error {
	var pause backoff
	for len(a.cfg.Workloads) > 0 && ctx.Err() == nil {
		wait := renewLook
		if err := a.bringWorkloads(ctx); err != nil {
			a.cfg.Log.Warn("a workload waits for its certificate", slog.Any("error", err))
			wait = pause.next()
		} else {
			pause.reset()
		}
		select {
		case <-ctx.Done():
		case <-a.cfg.Clock.After(wait):
		case <-a.workloads.ask:
		}
	}
	return nil
}

func (a *Agent) bringWorkloads(ctx context.Context) error {
	var errs []error
	for _, w := range a.cfg.Workloads {
		if a.reflex.Contained() {
			break
		}
		key, leaf := a.loadWorkload(w)
		if leaf == nil || a.aging(leaf) {
			errs = append(errs, a.bringWorkload(ctx, w, key))
		}
	}
	return errors.Join(errs...)
}

// bringWorkload asks for a certificate. A workload keeps its key until it is
// withdrawn, so that what lies on disk always fits together.
func (a *Agent) bringWorkload(ctx context.Context, w WorkloadConfig, key *ecdsa.PrivateKey) (err error) {
	fresh := key == nil
	if fresh {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return core.Wrap(core.KindInternal, "agent.workload", err)
		}
	}
	csr, err := newCSR(key)
	if err != nil {
		return err
	}
	req, err := link.Encode(workloadRequest{1, w.id(), csr})
	if err != nil {
		return err
	}
	raw, err := a.anyServer(ctx, http.MethodPost, "/agent/v1/workloads", req)
	if err != nil {
		return fmt.Errorf("workload %s: %w", w.Name, err)
	}
	var got workloadAnswer
	if err := link.DecodeStrict(bytes.TrimSpace(raw), &got); err != nil {
		return fmt.Errorf("workload %s: %w", w.Name, err)
	}
	leaf, err := a.workloadCertificate(w, key, []byte(got.Certificate))
	if err != nil {
		a.refusals.tell(a, "certificate_refused", core.SeverityHigh, map[string]any{"workload": w.Name, "why": sensor.Text(err.Error())})
		return err
	}
	if !fresh {
		key = nil
	}
	return a.putWorkload(w, key, got.Certificate, leaf)
}

// workloadCertificate checks that a chain is this workload's: by a pinned CA,
// for this name on this device, for this key, and not of the past.
func (a *Agent) workloadCertificate(w WorkloadConfig, key *ecdsa.PrivateKey, chain []byte) (*x509.Certificate, error) {
	certs, err := verify.ParseChain(chain)
	if err != nil {
		return nil, err
	}
	peer, err := verify.Chain(certs, verify.Want{
		Pins: a.pins(), Profile: verify.ProfileWorkload, Validity: verify.Since(a.store.Time().Lower), Tenant: a.id.Tenant,
	})
	if err != nil {
		return nil, err
	}
	want := verify.Identity{Tenant: a.id.Tenant, Device: a.id.Device, Workload: w.id()}
	if peer.Identity != want || !key.PublicKey.Equal(peer.Leaf.PublicKey) {
		return nil, core.E(core.KindDenied, "agent.workload", fmt.Sprintf("the certificate is for %s, or for another key than that of workload %s", peer.Identity, w.Name))
	}
	return peer.Leaf, nil
}

// putWorkload writes a certificate and, with a fresh one, the key before it. A
// device that was contained meanwhile gets neither.
func (a *Agent) putWorkload(w WorkloadConfig, fresh *ecdsa.PrivateKey, chain string, leaf *x509.Certificate) error {
	a.workloads.mu.Lock()
	defer a.workloads.mu.Unlock()
	if a.reflex.Contained() {
		a.cfg.Log.Info("a certificate that came after the containment is not kept", slog.Any("workload", w.Name))
		return nil
	}
	if err := a.writeWorkload(w, fresh, chain); err != nil {
		a.refusals.tell(a, "workload_failed", core.SeverityMedium, map[string]any{"workload": w.Name, "why": sensor.Text(err.Error())})
		return core.Wrap(core.KindUnavailable, "agent.workload", err)
	}
	a.tell("workload_issued", core.SeverityInfo, map[string]any{"workload": w.Name, "not_after": leaf.NotAfter, "new_key": fresh != nil})
	return nil
}

func (a *Agent) writeWorkload(w WorkloadConfig, fresh *ecdsa.PrivateKey, chain string) error {
	keyFile, certFile := a.cfg.workloadFiles(w)
	if err := atomicfile.MkdirAll(filepath.Dir(keyFile), 0o700); err != nil {
		return err
	}
	if fresh != nil {
		// No reader finds an old certificate beside the new key.
		if err := os.Remove(certFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		der, err := x509.MarshalPKCS8PrivateKey(fresh)
		if err != nil {
			return err
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		defer clear(text)
		clear(der)
		if err := atomicfile.WriteFile(keyFile, text, 0o600); err != nil {
			return err
		}
	}
	return atomicfile.WriteFile(certFile, []byte(chain), 0o600)
}

// loadWorkload reads what a workload has. A key that others can read, or that is
// none, is not its key; a certificate that does not hold is none.
func (a *Agent) loadWorkload(w WorkloadConfig) (*ecdsa.PrivateKey, *x509.Certificate) {
	keyFile, certFile := a.cfg.workloadFiles(w)
	key := readWorkloadKey(keyFile)
	if key == nil {
		return nil, nil
	}
	chain, err := os.ReadFile(certFile)
	if err != nil {
		return key, nil
	}
	leaf, err := a.workloadCertificate(w, key, chain)
	if err != nil {
		return key, nil
	}
	return key, leaf
}

func (a *Agent) workloadStatus() []Workload {
	all := []Workload{}
	for _, w := range a.cfg.Workloads {
		_, file := a.cfg.workloadFiles(w)
		s := Workload{Name: w.Name, Certificate: file}
		if _, leaf := a.loadWorkload(w); leaf != nil {
			s.NotAfter = leaf.NotAfter
		}
		all = append(all, s)
	}
	return all
}

func readWorkloadKey(path string) *ecdsa.PrivateKey {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 || info.Size() > 4<<10 {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	defer clear(text)
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil
	}
	defer clear(block.Bytes)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil
	}
	return key
}

// withdrawals takes the workloads' keys and certificates off the disk after each
// containment. The containment itself waits for none of this.
func (a *Agent) withdrawals(ctx context.Context) {
	var again <-chan time.Time
	why := ""
	for {
		select {
		case <-ctx.Done():
			select {
			case why = <-a.workloads.taken: // contained just before the end
				_ = a.withdraw(why)
			default:
			}
			return
		case why = <-a.workloads.taken:
		case <-again:
		}
		again = nil
		if err := a.withdraw(why); err != nil {
			a.cfg.Log.Error("workload keys are still on this disk", slog.Any("error", err))
			again = a.cfg.Clock.After(retryTo)
		}
		if !a.reflex.Contained() {
			a.wantWorkloads() // released before this came to pass
		}
	}
}

// withdraw removes what workloads have and says so.
func (a *Agent) withdraw(why string) error {
	a.workloads.mu.Lock()
	defer a.workloads.mu.Unlock()
	var names []string
	var errs []error
	for dir, ours := range a.workloadDirs() {
		removed, err := removeWorkloads(dir, ours)
		names, errs = append(names, removed...), append(errs, err)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > 0 {
		a.tell("workload_withdrawn", core.SeverityMedium, map[string]any{"workloads": names, "why": why})
	}
	err := errors.Join(errs...)
	if err != nil {
		a.refusals.tell(a, "workload_stuck", core.SeverityCritical, map[string]any{"why": why, "error": sensor.Text(err.Error())})
	}
	return err
}

// workloadDirs returns the folders with workloads' files, each with whose files
// are meant. In the agent's own folder it is everybody's: a workload that is no
// longer configured may have left some.
func (a *Agent) workloadDirs() map[string]func(name string) bool {
	dirs := map[string]func(string) bool{}
	for _, w := range a.cfg.Workloads {
		key, _ := a.cfg.workloadFiles(w)
		dir := filepath.Dir(key)
		dirs[dir] = func(name string) bool {
			return slices.ContainsFunc(a.cfg.Workloads, func(o WorkloadConfig) bool {
				k, _ := a.cfg.workloadFiles(o)
				return o.Name == name && filepath.Dir(k) == dir
			})
		}
	}
	dirs[a.cfg.workloadDir()] = func(string) bool { return true }
	return dirs
}

// removeWorkloads removes the files of workloads from a folder, and those that a
// crash left half written. It goes on past one that can't be removed.
func removeWorkloads(dir string, ours func(name string) bool) (removed []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	errs := []error{err}
	for _, e := range entries {
		name, ok := workloadOf(e.Name())
		if !ok || !ours(name) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, name)
	}
	if len(removed) > 0 {
		errs = append(errs, atomicfile.SyncDir(dir))
	}
	return removed, errors.Join(errs...)
}

// workloadOf tells whose file this is: NAME.key, NAME.crt, or what
// platform/atomicfile had of either when the power went.
func workloadOf(file string) (name string, ok bool) {
	file, half := strings.CutPrefix(file, ".")
	name, kind, _ := strings.Cut(file, ".")
	if half {
		kind, _, half = strings.Cut(kind, ".tmp-")
		return name, half && (kind == "key" || kind == "crt")
	}
	return name, kind == "key" || kind == "crt"
}
