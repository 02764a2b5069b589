package ipmi

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/clock"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor/internal/credential"
	"github.com/interlock-security/interlock/device/sensor/ipmi/ipmitest"
)

func account() credential.Credential {
	return credential.Credential{User: ipmitest.User, Password: core.NewSecret([]byte(ipmitest.Password))}
}

// otherController is a controller that others wrote: ipmi_sim knows no SHA-256.
func otherController(t *testing.T) string {
	t.Helper()
	b := bmc.New(bmc.DeviceInfo{DeviceID: 1, IPMIVersion: 0x20, ManufacturerID: 0x157, ProductID: 7}, [16]byte{1, 2, 3}, mock.New(), bmc.WithClock(clock.Real))
	user, err := b.Users.Add(2, ipmitest.User)
	if err != nil {
		t.Fatal(err)
	}
	user.SetPassword([]byte(ipmitest.Password))
	user.Enabled = true
	user.ChannelAccess[1] = bmc.UserChannelAccess{MaxPrivilege: bmc.PrivilegeLevelUser, Enabled: true}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.NewServer(b, udp.Wrap(conn)).Serve(ctx) })
	t.Cleanup(func() {
		stop()
		_ = conn.Close()
		wg.Wait()
	})
	return conn.LocalAddr().String()
}

func TestTheStrongerSuiteIsSpoken(t *testing.T) {
	address := otherController(t)
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	defer stop()
	l, err := dialLAN(ctx, address, account(), suites[17], roleUser)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for range 100 { // past the end of the requests' six-bit numbers
		id, err := askDeviceID(ctx, l)
		if err != nil || id.Manufacturer != 0x157 || id.Product != 7 {
			t.Fatalf("%+v %v", id, err)
		}
	}
	wrong := account()
	wrong.Password = core.NewSecret([]byte("hunter3"))
	if _, err := dialLAN(ctx, address, wrong, suites[17], roleUser); core.KindOf(err) != core.KindUnauthenticated && core.KindOf(err) != core.KindDenied {
		t.Errorf("%v", err)
	}
}

// liar stands between the driver and the controller. Before each true answer it
// sends false ones: cut, changed, repeated, empty.
func liar(t *testing.T, address string) string {
	t.Helper()
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, maxDatagram)
		var before []byte
		for {
			n, driver, err := front.ReadFrom(buf)
			if err != nil {
				return
			}
			if _, err := back.Write(buf[:n]); err != nil {
				return
			}
			if n, err = back.Read(buf); err != nil {
				return
			}
			for _, lie := range lies(buf[:n], before) {
				_, _ = front.WriteTo(lie, driver)
			}
			before = bytes.Clone(buf[:n])
			_, _ = front.WriteTo(before, driver)
		}
	})
	t.Cleanup(func() {
		_, _ = front.Close(), back.Close()
		wg.Wait()
	})
	return front.LocalAddr().String()
}

func lies(truth, before []byte) [][]byte {
	all := [][]byte{{}, {6}, before}
	for n := 1; n < len(truth); n += 7 {
		all = append(all, bytes.Clone(truth[:n]))
	}
	if truth[5]&flagsProtected == flagsProtected {
		for i := 5; i < len(truth); i += 3 {
			changed := bytes.Clone(truth)
			changed[i] ^= 0x55
			all = append(all, changed)
		}
	}
	return all
}

func TestLiesBesideTheAnswersChangeNothing(t *testing.T) {
	b := ipmitest.Start(t)
	address := liar(t, b.Address)
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	defer stop()
	l, err := dialLAN(ctx, address, account(), suites[3], roleUser)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for range 10 {
		found, err := askSensors(ctx, l, sensorIntrusion)
		if err != nil || len(found) != 1 || found[0].name != "Lid" {
			t.Fatalf("%+v %v", found, err)
		}
	}
}

func TestAControllerThatOffersLessIsRefused(t *testing.T) {
	s, err := newSession(account(), suites[17], roleUser)
	if err != nil {
		t.Fatal(err)
	}
	answer := append([]byte{0, 0, 0, 0}, word(s.console)...)
	answer = append(answer, 1, 2, 3, 4, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0, 0, 8, 0, 0, 0, 0, 2, 0, 0, 8, 0, 0, 0, 0)
	if err := s.opened(answer); core.KindOf(err) != core.KindDenied {
		t.Errorf("no protection at all: %v", err)
	}
}

func TestNamesAndPasswordsThatIPMICantHaveAreRefused(t *testing.T) {
	for _, c := range []credential.Credential{
		{User: "a-name-of-17-byte", Password: core.NewSecret([]byte("x"))},
		{User: "a", Password: core.NewSecret(bytes.Repeat([]byte("x"), 21))},
	} {
		if _, err := newSession(c, suites[3], roleUser); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", c.User, err)
		}
	}
}

// standing is a session as it is once its keys are there.
func standing(t testing.TB) *session {
	t.Helper()
	s, err := newSession(account(), suites[17], roleUser)
	if err != nil {
		t.Fatal(err)
	}
	s.controller, s.k1, s.k2 = s.console, bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{9}, 32)
	return s
}

func TestAMessageIsReadOnceAndOnlyAsItWasSealed(t *testing.T) {
	for n := range 40 {
		s := standing(t)
		message := bytes.Repeat([]byte{byte(n)}, n)
		sealed, err := s.seal(message)
		if err != nil {
			t.Fatal(err)
		}
		for i := range sealed {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			if got, err := standingLike(s).unseal(changed); err == nil && i >= 4 {
				t.Errorf("byte %d of %d changed, and it reads %x", i, len(sealed), got)
			}
		}
		if got, err := s.unseal(sealed); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes: %x %v", n, got, err)
		}
		if _, err := s.unseal(sealed); err == nil {
			t.Error("it is read twice")
		}
	}
}

func standingLike(s *session) *session {
	c := *s
	return &c
}

func FuzzDatagrams(f *testing.F) {
	sealed, err := standing(f).seal([]byte("message"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(bare(payloadOpened, bytes.Repeat([]byte{0}, 36)))
	f.Add(bare(payloadRAKP2, bytes.Repeat([]byte{0}, 72)))
	f.Add(bare(payloadRAKP4, bytes.Repeat([]byte{0}, 24)))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		s := standing(t)
		if _, err := s.unseal(datagram); err == nil {
			t.Errorf("%x is believed", datagram)
		}
		for kind, take := range map[byte]func([]byte) error{payloadOpened: s.opened, payloadRAKP2: s.rakp2, payloadRAKP4: s.rakp4} {
			if p, ours, err := setup(datagram, kind); ours && err == nil {
				_ = take(p)
			}
		}
		_, _ = s.decrypt(datagram)
		_, _ = answerTo(datagram, netApp, commandDeviceID, 1)
	})
}

// script is a controller that gives the same answer to everything.
type script []byte

func (s script) ask(context.Context, byte, byte, ...byte) ([]byte, error) { return s, nil }
func (s script) close()                                                   {}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte{1, 0, 9, 8, 2, 0x9f, 0x91, 0x12, 0, 2, 0x0f, 0, 0, 0, 0, 0, 0, 0})
	f.Add(bytes.Repeat([]byte{0xff}, 300))
	f.Fuzz(func(t *testing.T, answer []byte) {
		ctx, c := context.Background(), script(answer)
		_, _ = askDeviceID(ctx, c)
		_, _ = askReading(ctx, c, 1)
		_, _ = askLog(ctx, c)
		if r, _, err := askRecord(ctx, c, 1); err == nil && r.intrusion() {
			_ = r.what()
		}
		if body, _, err := askSDR(ctx, c, 0); err == nil {
			if d, ok := parseSDR(body); ok && len(d.name) > 0xff {
				t.Errorf("%q", d.name)
			}
		}
	})
}
