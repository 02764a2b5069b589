package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/test/rig"
)

// The fixtures' installation: server keys from fixed seeds, so that a log and a
// trust root made by two commands belong together.
const testOrigin = "interlock.local/test/serve/main"

func testSeed(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

func testPublic(ts *testscript.TestScript, name string) string {
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(testSeed(name)).Public())
	ts.Check(err)
	return link.AuthorizedKey(key)
}

// mkconfig writes a configuration with free ports: "mkconfig FILE".
func mkconfig(ts *testscript.TestScript, _ bool, args []string) {
	var ports [3]string
	for i := range ports {
		port, release, err := rig.Hold()
		ts.Check(err)
		ts.Defer(release)
		ports[i] = net.JoinHostPort("127.0.0.1", port)
	}
	text := fmt.Sprintf("listen:\n  agents: %s\n  management: %s\n  console: %s\n", ports[0], ports[1], ports[2])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// mktoken puts an enrolment string for the key whose fact is in a file into the
// environment of an agent: "mktoken FACTFILE DEVICE".
func mktoken(ts *testscript.TestScript, _ bool, args []string) {
	fact := strings.TrimSpace(ts.ReadFile(args[0]))
	ts.Check(ts.Exec("interlock", "token", "create", "--device", args[1], "--key", fact))
	ts.Setenv(app.EnvEnrolment, strings.TrimSpace(ts.ReadFile("stdout")))
}

// mkphoto writes a picture of one grey: "mkphoto FILE GREY".
func mkphoto(ts *testscript.TestScript, _ bool, args []string) {
	grey, err := strconv.ParseUint(args[1], 10, 8)
	ts.Check(err)
	img := image.NewGray(image.Rect(0, 0, 80, 80))
	for i := range img.Pix {
		img.Pix[i] = uint8(grey)
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(errors.Join(png.Encode(f, img), f.Close()))
}

// mkinstall makes a directory of keys as the first run does: "mkinstall DIR
// [PERSON...]".
func mkinstall(ts *testscript.TestScript, _ bool, args []string) {
	vkey, err := audit.VerifierKey(testOrigin, core.NewSecret(testSeed("log")))
	ts.Check(err)
	o := ceremony.Options{
		Dir: ts.MkAbs(args[0]), Installation: "test", Tenant: core.MustID[core.TenantID]("main"), Now: time.Now(),
		CommandKey: testPublic(ts, "command"), StopKey: testPublic(ts, "stop"), LogKey: vkey, LogOrigin: testOrigin,
		CAPins: []string{strings.Repeat("ab", 32)}, Servers: []string{"127.0.0.1:7443"},
	}
	for _, p := range args[1:] {
		o.Persons = append(o.Persons, ceremony.Person{ID: core.MustID[core.PersonID](p), Name: p})
	}
	_, err = ceremony.NewInstallation(o)
	ts.Check(err)
}

// mkorder writes an unsigned release order as it waits for approvals: "mkorder
// FILE REQUESTER [TENANT]".
func mkorder(ts *testscript.TestScript, _ bool, args []string) {
	tenant := "main"
	if len(args) > 2 {
		tenant = args[2]
	}
	now := time.Now()
	params, err := link.EncodeParams(&link.ReleaseParams{})
	ts.Check(err)
	payload, err := link.EncodeOrder(&link.Order{
		V: 1, Type: link.OrderRelease, ID: core.NewUUID(now), Tenant: core.MustID[core.TenantID](tenant), Site: core.MustID[core.SiteID]("main"),
		Device: core.MustID[core.DeviceID]("press-7"), Requester: args[1], Reason: "a \u202eloose screw", RootVersion: 1,
		Epoch: strings.Repeat("0a", 16), Latches: []string{strings.Repeat("0b", 16)}, Params: params,
		Issued: now.UnixMicro(), Expires: now.Add(time.Hour).UnixMicro(),
	})
	ts.Check(err)
	b, err := (&link.Envelope{Payload: payload}).Encode()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// mklog makes an audit log of N entries, exports it and writes the proof of its
// entry 3: "mklog EXPORT PROOF N".
func mklog(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	dir := filepath.Join(ts.MkAbs("."), "log-of-"+filepath.Base(args[0]))
	ring, err := crypt.OpenHost(filepath.Join(dir, "host"))
	ts.Check(err)
	ctx := context.Background()
	log, err := audit.Open(ctx, audit.Config{
		Dir: filepath.Join(dir, "audit"), Origin: testOrigin, Seed: core.NewSecret(testSeed("log")), Sealer: ring,
		Clock: clocktest.New(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)), SegmentSize: 1 << 20, Log: slog.New(slog.DiscardHandler),
	})
	ts.Check(err)
	for i := range n {
		_, err := log.Append(ctx, audit.Entry{
			Type: audit.TypeFact, Actor: "service/serve", Action: "device.enrol", Object: fmt.Sprintf("device/press-%d", i),
			Outcome: "done", Class: audit.ClassSecurity,
		})
		ts.Check(err)
	}
	_, err = log.Export(ctx, ts.MkAbs(args[0]))
	ts.Check(err)
	proof, err := log.Proof(ctx, core.Position{Index: 3})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), proof, 0o600))
	ts.Check(log.Close())
}
