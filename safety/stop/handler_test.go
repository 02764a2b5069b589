package stop

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
)

// serve answers for s at a unix socket until the test ends.
func serve(t testing.TB, s *Service) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "stop.sock")
	l, err := httpd.ListenUnix(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return socket
}

func client(socket string) *http.Client {
	return &http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
}

const tripSite = `{"v":1,"scope":{"kind":"site","site":"hall-a"},"reason":"smoke"}`

func do(t testing.TB, c *http.Client, method, path, contentType, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://stop"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestATripOverTheSocket(t *testing.T) {
	s, _ := memoryPlant(t)
	c := client(serve(t, s))
	code, body := do(t, c, "POST", "/stop/v1/trip", "application/json", tripSite)
	var answer TripAnswer
	if err := json.Unmarshal([]byte(body), &answer); err != nil || code != 200 || answer.NotConfirmed() != 4 || answer.Stops[0].By != "person/vera" || answer.Summary[0] != "site hall-a: NOT CONFIRMED: 4" || !answer.Recorded {
		t.Fatalf("%d %v %s", code, err, body)
	}
	code, body = do(t, c, "POST", "/stop/v1/reason", "application/json", fmt.Sprintf(`{"v":1,"trip":%q,"reason":"press 7 smokes"}`, answer.Trip))
	if code != 200 || len(s.ring.Find(func(r Record) bool { return r.Kind == RecordReason && r.Reason == "press 7 smokes" })) != 1 {
		t.Errorf("%d %s", code, body)
	}
	mustTrip(t, s, who(bert), Scope{Kind: ScopeSite, Site: hallB})
	code, body = do(t, c, "GET", "/stop/v1/status", "", "")
	var status StatusAnswer
	if err := json.Unmarshal([]byte(body), &status); err != nil || code != 200 || len(status.Stops) != 1 || status.Stops[0].Scope != siteA {
		t.Errorf("%d %v %s", code, err, body)
	}
}

func TestWhatDoesNotTrip(t *testing.T) {
	s, _ := memoryPlant(t)
	c := client(serve(t, s))
	rows := []struct {
		name, method, path, contentType, body string
		code                                  int
	}{
		{"a link", "GET", "/stop/v1/trip", "", "", 405},
		{"a prefetch", "HEAD", "/stop/v1/trip", "", "", 405},
		{"a GET with parameters", "GET", "/stop/v1/trip?scope=fleet", "", "", 405},
		{"a GET with a body", "GET", "/stop/v1/trip", "application/json", tripSite, 405},
		{"a form from another page", "POST", "/stop/v1/trip", "application/x-www-form-urlencoded", tripSite, 400},
		{"text from another page", "POST", "/stop/v1/trip", "text/plain", tripSite, 400},
		{"no type", "POST", "/stop/v1/trip", "", tripSite, 400},
		{"no body", "POST", "/stop/v1/trip", "application/json", "", 400},
		{"a key twice", "POST", "/stop/v1/trip", "application/json", `{"v":1,"v":1,"scope":{"kind":"fleet"}}`, 400},
		{"a key in capitals", "POST", "/stop/v1/trip", "application/json", `{"V":1,"scope":{"kind":"fleet"}}`, 400},
		{"an unknown key", "POST", "/stop/v1/trip", "application/json", `{"v":1,"scope":{"kind":"fleet"},"who":"person/eve"}`, 400},
		{"another version", "POST", "/stop/v1/trip", "application/json", `{"v":2,"scope":{"kind":"fleet"}}`, 400},
		{"no such scope", "POST", "/stop/v1/trip", "application/json", `{"v":1,"scope":{"kind":"planet"}}`, 400},
		{"a path as a device", "POST", "/stop/v1/trip", "application/json", `{"v":1,"scope":{"kind":"device","device":"../../etc/x"}}`, 400},
		{"a book", "POST", "/stop/v1/trip", "application/json", `{"v":1,"reason":"` + strings.Repeat("x", maxBody) + `"}`, 413},
		{"another's site", "POST", "/stop/v1/trip", "application/json", `{"v":1,"scope":{"kind":"site","site":"hall-b"}}`, 403},
		{"another path", "POST", "/stop/v1/trips", "application/json", tripSite, 404},
	}
	for _, r := range rows {
		if code, body := do(t, c, r.method, r.path, r.contentType, r.body); code != r.code {
			t.Errorf("%s: %d %s", r.name, code, body)
		}
	}
	s.SetPersons([]Person{{ID: vera, Tenant: tenant, Sites: []core.SiteID{hallA}, UIDs: []uint32{uint32(os.Getuid()) + 1}}})
	if code, body := do(t, c, "POST", "/stop/v1/trip", "application/json", tripSite); code != 401 || !strings.Contains(body, "button") {
		t.Errorf("a user who is nobody: %d %s", code, body)
	}
	if n := len(s.Status(tenant).Stops); n != 0 {
		t.Errorf("%d stops", n)
	}
}

// TestAThousandHangingConnections: connections that say nothing, half a header,
// or a header without its body, by the very user who wants to stop.
func TestAThousandHangingConnections(t *testing.T) {
	s, _ := memoryPlant(t)
	socket := serve(t, s)
	var hanging []net.Conn
	defer func() {
		for _, c := range hanging {
			_ = c.Close()
		}
	}()
	for n := range 1000 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		hanging = append(hanging, c)
		said := []string{"", "P", "POST /stop/v1/trip HTTP/1.1\r\nHost: x\r\n", "POST /stop/v1/trip HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"}[n%4]
		_, _ = io.WriteString(c, said) // it may be evicted already
	}
	if code, body := do(t, client(socket), "POST", "/stop/v1/trip", "application/json", tripSite); code != 200 {
		t.Errorf("%d %s", code, body)
	}
}

// TestNoDescriptorsLeft: a process that has used up its files still stops. The
// child takes all it can get and says so.
func TestNoDescriptorsLeft(t *testing.T) {
	if socket := os.Getenv("INTERLOCK_STOP_STARVED_CHILD"); socket != "" {
		starvedChild(t, socket)
		return
	}
	socket := filepath.Join(t.TempDir(), "s")
	cmd := exec.Command(os.Args[0], "-test.run=^TestNoDescriptorsLeft$")
	cmd.Env = append(os.Environ(), "INTERLOCK_STOP_STARVED_CHILD="+socket)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "starved" {
	}
	for range 20 {
		if code, body := do(t, client(socket), "POST", "/stop/v1/trip", "application/json", tripSite); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
	}
}

func starvedChild(t *testing.T, socket string) {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 100, Max: 100}); err != nil {
		t.Fatal(err)
	}
	s, _ := memoryPlant(t)
	l, err := httpd.ListenUnix(socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), l) }()
	if code, body := do(t, client(socket), "GET", "/stop/v1/status", "", ""); code != 200 { // it has what it keeps open
		t.Fatal(code, body)
	}
	for {
		if _, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0); err != nil {
			break
		}
	}
	fmt.Println("starved")
	t.Log(<-served)
}

// TestAPeerLosesItsOldestConnection holds the limits of the gate, by uid.
func TestAPeerLosesItsOldestConnection(t *testing.T) {
	g := &gate{}
	pipe := func(uid uint32, known bool) *guest {
		a, _ := net.Pipe()
		n := &guest{Conn: a, uid: uid, known: known}
		g.enter(n)
		return n
	}
	first := pipe(1, true)
	busy := pipe(1, true)
	busy.busy = true
	for range 2 * maxPerPeer {
		pipe(1, true)
	}
	other := pipe(2, true)
	for n := range 3 * maxAll {
		pipe(uint32(100+n), false)
	}
	count := map[bool]int{}
	for _, o := range g.guests {
		count[o.known]++
	}
	if g.find(first.Conn) != nil || g.find(busy.Conn) == nil || g.find(other.Conn) == nil || count[true] != maxPerPeer+1 || count[false] != maxUnknown {
		t.Errorf("%v; first %v, busy %v, other %v", count, g.find(first.Conn), g.find(busy.Conn), g.find(other.Conn))
	}
	for n := range 2 * maxAll {
		pipe(uint32(10_000+n), true)
	}
	if len(g.guests) != maxAll {
		t.Errorf("%d connections", len(g.guests))
	}
	g.left(other.Conn)
	if len(g.spare) != spareFiles {
		t.Errorf("%d spare files", len(g.spare))
	}
	g.drop()
	for range maxAll {
		g.makeRoom()
	}
	if len(g.guests) != 1 || !g.guests[0].busy {
		t.Errorf("%d connections after making room for all", len(g.guests))
	}
	if g.makeRoom() {
		t.Error("room was made where there is none")
	}
}
