package gpsd_test

import (
	"bufio"
	"context"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/gpsd"
	"github.com/interlock-security/interlock/device/sensor/gpsd/gpsdtest"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func ask(t *testing.T, c gpsd.Config) *sensortest.Rig {
	t.Helper()
	return sensortest.Start(t, func(env sensor.Env) (*gpsd.Sensor, error) { return gpsd.New(env, c) })
}

// fake is a gpsd that says what the test wants, once it was asked.
func fake(t *testing.T, say func(conn net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if text, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(text, "?WATCH=") {
			return
		}
		say(conn)
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// says is a fake that says so much and waits until it is left.
func says(t *testing.T, text string) string {
	t.Helper()
	return fake(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
	})
}

func TestARealGpsdIsFollowed(t *testing.T) {
	var track []gpsdtest.Step
	for i := range 30 {
		track = append(track, gpsdtest.Step{Lat: 52 + float64(i)*0.001, Lon: -13.25})
	}
	address, kill := gpsdtest.Start(t, gpsdtest.NMEA(start, track...))
	a := ask(t, gpsd.Config{Address: address})
	var last *sensor.Fix
	for range 20 {
		r := a.AwaitKind(sensor.Position)
		if r.Point != "position" || r.Fix == nil {
			t.Fatalf("%+v", r)
		}
		if last != nil && r.Fix.Mode > 0 && last.Mode > 0 && r.Fix.Time.After(last.Time) && r.Fix.Lat < last.Lat {
			t.Errorf("%+v after %+v", r.Fix, last)
		}
		if r.Fix.Mode > 0 {
			last = r.Fix
		}
	}
	if last == nil {
		t.Fatal("it has no fix")
	}
	if math.Abs(last.Lon+13.25) > 1e-6 || last.Lat < 52 || last.Mode != 3 || last.Error < 5 || last.Error > 100 {
		t.Errorf("%+v", last)
	}
	if len(last.Signals) != 5 || last.Signals[0] != 46 {
		t.Errorf("signals %v", last.Signals)
	}
	if last.Time.Before(start) || last.Time.After(start.Add(time.Minute)) {
		t.Errorf("time %v", last.Time)
	}
	kill()
	if err := a.End(); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("gpsd ended, and the driver: %v", err)
	}
}

func TestARealReceiverWithoutAFixSaysSo(t *testing.T) {
	track := make([]gpsdtest.Step, 20)
	for i := range track {
		track[i].NoFix = true
	}
	address, _ := gpsdtest.Start(t, gpsdtest.NMEA(start, track...))
	a := ask(t, gpsd.Config{Address: address})
	for range 3 {
		if r := a.AwaitKind(sensor.Position); r.Fix.Mode != 0 {
			t.Errorf("%+v", r.Fix)
		}
	}
}

func TestTheSelfTestAsksARealGpsd(t *testing.T) {
	track := make([]gpsdtest.Step, 30)
	address, _ := gpsdtest.Start(t, gpsdtest.NMEA(start, track...))
	s, err := gpsd.New(sensor.Env{ID: core.MustID[core.SensorID]("gps"), Clock: core.SystemClock{}}, gpsd.Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.SelfTest(context.Background()) {
		if f.Result != sensor.Pass {
			t.Errorf("%+v", f)
		}
	}
}

const hello = `{"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}` + "\n"

func TestNoGpsdIsAFault(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	if err := ask(t, gpsd.Config{Address: address}).End(); core.KindOf(err) != core.KindUnavailable || core.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestAGpsdWithoutAReceiverIsAFaultOfItsPosition(t *testing.T) {
	a := ask(t, gpsd.Config{Address: says(t, hello+`{"class":"DEVICES","devices":[]}`+"\n")})
	a.AwaitKind(sensor.Inventory)
	a.Pass(time.Minute)
	if r := a.AwaitKind(sensor.Broken); r.Point != "position" || !strings.Contains(string(r.Fields), "no receiver") {
		t.Errorf("%+v", r)
	}
}

func TestASilentReceiverSaysNothing(t *testing.T) {
	a := ask(t, gpsd.Config{Address: says(t, hello+`{"class":"DEVICES","devices":[{"path":"/dev/ttyS0"}]}`+"\n")})
	a.AwaitKind(sensor.Inventory)
	a.Pass(time.Hour)
	a.Stop()
	if said := a.Said(); len(said) > 0 {
		t.Errorf("nothing came from the receiver, and the driver says %+v", said)
	}
}

func TestWhatIsNoGpsdEndsTheRun(t *testing.T) {
	for name, text := range map[string]string{
		"a long line":    hello + `{"class":"SKY","x":"` + strings.Repeat("x", 70<<10) + `"}` + "\n",
		"no JSON":        "HTTP/1.1 400 Bad Request\r\n",
		"other protocol": strings.Replace(hello, `"proto_major":3`, `"proto_major":4`, 1),
		"an error":       hello + `{"class":"ERROR","message":"Unrecognized request"}` + "\n",
		"half a line":    hello + `{"class":"TPV","mode":3,"lat":1`,
	} {
		address := fake(t, func(conn net.Conn) { _, _ = io.WriteString(conn, text) })
		if err := ask(t, gpsd.Config{Address: address}).End(); err == nil || core.KindOf(err) == core.KindInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnImpossiblePositionIsAFault(t *testing.T) {
	a := ask(t, gpsd.Config{Address: says(t, hello+`{"class":"TPV","device":"a","mode":3,"lat":99.0,"lon":1.0}`+"\n")})
	if r := a.AwaitKind(sensor.Broken); !strings.Contains(string(r.Fields), "impossible") {
		t.Errorf("%s", r.Fields)
	}
}

func TestTwoReceiversAreNotMixed(t *testing.T) {
	text := hello
	for range 3 {
		text += `{"class":"TPV","device":"a","mode":3,"lat":1.0,"lon":1.0}` + "\n" + `{"class":"TPV","device":"b","mode":2,"lat":2.0,"lon":2.0,"epx":3,"epy":4}` + "\n"
	}
	for receiver, lat := range map[string]float64{"": 1, "b": 2} {
		a := ask(t, gpsd.Config{Address: says(t, text), Receiver: receiver})
		for range 3 {
			r := a.AwaitKind(sensor.Position)
			if r.Fix.Lat != lat || lat == 2 && (r.Fix.Error != 5 || r.Fix.Mode != 2) {
				t.Errorf("receiver %q: %+v", receiver, r.Fix)
			}
		}
	}
}

func TestAReceiverThatIsPulledOutMakesRoomForTheNext(t *testing.T) {
	a := ask(t, gpsd.Config{Address: says(t, hello+
		`{"class":"TPV","device":"a","mode":3,"lat":1.0,"lon":1.0}`+"\n"+
		`{"class":"DEVICE","path":"a","activated":0}`+"\n"+
		`{"class":"TPV","device":"b","mode":3,"lat":2.0,"lon":2.0}`+"\n")})
	if r := a.AwaitKind(sensor.Position); r.Fix.Lat != 1 {
		t.Errorf("%+v", r.Fix)
	}
	if r := a.AwaitKind(sensor.Position); r.Fix.Lat != 2 {
		t.Errorf("%+v", r.Fix)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []gpsd.Config{{Address: "localhost"}, {Address: ":2947"}, {Receiver: "\x00"}} {
		if err := c.Validate(); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte(hello))
	recorded, err := os.ReadFile("testdata/gpsd-3.22.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(recorded)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, r := range gpsd.Replay(start, text) {
			if r.Kind == sensor.Position && (math.Abs(r.Fix.Lat) > 90 || math.Abs(r.Fix.Lon) > 180 || len(r.Fix.Signals) > 128) {
				t.Errorf("%+v", r.Fix)
			}
		}
	})
}
