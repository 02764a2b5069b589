package keys_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/digital/keys"
	"github.com/interlock-security/interlock/link"
)

// TestMain lets the test binary be the child, and a parent to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "child" {
		os.Exit(child(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

func child(verb, dir string) int {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	var err error
	switch verb {
	case "keys":
		err = keys.Main(context.Background(), keys.ChildFD, dir, keys.Options{Policy: shipped(), Log: log})
	case "parent":
		err = parent(dir, log)
	default:
		err = errors.New("unknown verb")
	}
	if err != nil {
		log.Error("ended", "error", err.Error())
		return 1
	}
	return 0
}

// parent supervises a child of its own, says its process id and waits to be
// killed.
func parent(dir string, log *slog.Logger) error {
	sup := &keys.Supervisor{Args: []string{"child", "keys", dir}, Stderr: os.Stderr, Clock: core.SystemClock{}, Log: log}
	go func() { _ = sup.Run(context.Background()) }()
	st, err := awaitStatus(context.Background(), sup)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(st); err != nil {
		return err
	}
	select {}
}

// awaitStatus asks until a child answers.
func awaitStatus(ctx context.Context, sup *keys.Supervisor) (keys.Status, error) {
	for {
		st, err := sup.Client().Status(ctx)
		if err == nil || core.KindOf(err) != core.KindUnavailable {
			return st, err
		}
		select {
		case <-ctx.Done():
			return keys.Status{}, errors.Join(ctx.Err(), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// supervised is a site whose keys process is a real child.
type supervised struct {
	*site
	sup    *keys.Supervisor
	cancel context.CancelFunc
	ran    chan error
	stderr *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func supervise(t *testing.T, clock core.Clock) *supervised {
	t.Helper()
	s := &supervised{site: bareSite(t), stderr: new(lockedBuffer), ran: make(chan error, 1)}
	s.clock = clocktest.New(time.Now())
	s.sup = &keys.Supervisor{Args: []string{"child", "keys", s.dir}, Stderr: s.stderr, Clock: clock, Log: slog.New(slog.DiscardHandler)}
	s.client = s.sup.Client()
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	go func() { s.ran <- s.sup.Run(ctx) }()
	t.Cleanup(func() {
		s.cancel()
		if err := <-s.ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		if t.Failed() {
			t.Logf("the child said:\n%s", s.stderr)
		}
	})
	s.await()
	return s
}

func (s *supervised) await() keys.Status {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	st, err := awaitStatus(ctx, s.sup)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// gone waits for the end of a process that is not ours to wait for.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 40_000 { // minutes, on a machine that is busy with others
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}

func TestChildIsHardened(t *testing.T) {
	s := supervise(t, core.SystemClock{})
	st := s.await()
	if st.PID == os.Getpid() || st.Dumpable {
		t.Errorf("status %+v", st)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", st.PID))
	if err != nil {
		t.Fatal(err)
	}
	if core := line(string(limits), "Max core file size"); strings.Fields(core)[4] != "0" || strings.Fields(core)[5] != "0" {
		t.Errorf("a core can be written: %s", core)
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", st.PID))
	if err != nil || len(environ) != 0 {
		t.Errorf("the child inherited an environment: %q, %v", environ, err)
	}
	if h, why := s.sup.Health(); h != core.HealthHealthy {
		t.Errorf("health %s: %s", h, why)
	}
}

func line(text, prefix string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, prefix) {
			return l
		}
	}
	return ""
}

func TestKilledChildComesBackAndRemembers(t *testing.T) {
	s := supervise(t, core.SystemClock{})
	s.ceremony()
	r, first, err := s.sign("press-7")
	if err != nil {
		t.Fatal(err)
	}
	before, info := s.await(), s.info()
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, before.PID)
	after := s.await()
	if after.PID == before.PID || after.RootVersion != 1 || after.OrdersHour != 1 || s.sup.Starts() != 2 {
		t.Errorf("after kill -9: %+v, %d starts", after, s.sup.Starts())
	}
	if got := s.info(); got.CommandKey != info.CommandKey || got.CAPins[0] != info.CAPins[0] {
		t.Error("the child came back with other keys")
	}
	if sig, err := s.client.SignOrder(t.Context(), r); err != nil || !bytes.Equal(sig.Sig, first.Sig) {
		t.Errorf("the same order again: %v", err)
	}
	r.Payload = s.payload(s.order(link.OrderQuarantine, "press-7", playbook))
	_, err = s.client.SignOrder(t.Context(), r)
	wantKind(t, "the same intent for another order", err, core.KindReplayed)
	if _, _, err := s.sign("press-7"); err != nil {
		t.Errorf("after kill -9: %v", err)
	}
}

// hasty is a clock whose waits are short, so that back-off is not waited out.
type hasty struct{ core.SystemClock }

func (hasty) After(d time.Duration) <-chan time.Time { return time.After(min(d, 10*time.Millisecond)) }

// TestKillAtRandomMoments: no intent is ever used for two orders, and every
// signature that came back is in the ledger.
func TestKillAtRandomMoments(t *testing.T) {
	s := supervise(t, hasty{})
	s.ceremony()
	signed := 0
	for round := range 10 {
		pid := s.await().PID
		delay := time.Duration(round*7%20) * time.Millisecond
		killed := time.AfterFunc(delay, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		for {
			r, _, err := s.sign("press-7")
			signed++
			if err == nil {
				continue
			}
			wantKind(t, "a request to a killed child", err, core.KindUnavailable)
			killed.Stop()
			s.await()
			// Whether or not it died before it wrote the order down: asked again
			// it signs, once in the ledger, and the intent is good for no other.
			if _, err := s.client.SignOrder(t.Context(), r); err != nil {
				t.Errorf("the second time: %v", err)
			}
			r.Payload = s.payload(s.order(link.OrderQuarantine, "press-7", playbook))
			_, err = s.client.SignOrder(t.Context(), r)
			wantKind(t, "another order", err, core.KindReplayed)
			break
		}
	}
	if got := s.await().OrdersHour; got != signed {
		t.Errorf("%d orders in the ledger, %d were signed", got, signed)
	}
}

func TestDeadKeysAreUnavailable(t *testing.T) {
	s := supervise(t, core.SystemClock{})
	s.cancel()
	if err := <-s.ran; err != nil {
		t.Fatal(err)
	}
	s.ran <- nil
	_, err := s.client.Status(t.Context())
	wantKind(t, "no child", err, core.KindUnavailable)
	if core.HintOf(err) == "" {
		t.Error("the error gives no hint")
	}
	if h, why := s.sup.Health(); h != core.HealthUnhealthy || why == "" {
		t.Errorf("health %s %q", h, why)
	}
}

// TestHangingChildIsReplaced stops a child without killing it. The clock is the
// test's: the next probe comes when it is told to.
func TestHangingChildIsReplaced(t *testing.T) {
	clock := clocktest.New(time.Now())
	s := supervise(t, clock)
	s.sup.SetPatience(50 * time.Millisecond)
	pid := s.await().PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(processState(t, pid), "T (stopped)") {
		<-time.After(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := s.client.Status(ctx)
	wantKind(t, "a request to a stopped child", err, core.KindUnavailable)
	for s.sup.Starts() < 2 {
		if clock.Waiters() > 0 {
			clock.Advance(30 * time.Second)
		}
		<-time.After(5 * time.Millisecond)
	}
	gone(t, pid)
	if got := s.await(); got.PID == pid {
		t.Error("the same child")
	}
}

func processState(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return line(string(b), "State:")
}

// TestChildEndsWithItsParent kills the parent, which has no time to say goodbye.
func TestChildEndsWithItsParent(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(exe, "child", "parent", t.TempDir())
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	var st keys.Status
	if err := json.NewDecoder(out).Decode(&st); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone(t, st.PID)
}

func TestChildThatCannotStartIsReported(t *testing.T) {
	clock := clocktest.New(time.Now())
	sup := &keys.Supervisor{Args: []string{"child", "nonsense", t.TempDir()}, Clock: clock, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- sup.Run(ctx) }()
	waits := []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}
	for i, d := range waits {
		for sup.Starts() < i+1 || clock.Waiters() == 0 {
			<-time.After(5 * time.Millisecond)
		}
		if h, why := sup.Health(); h != core.HealthUnhealthy || !strings.Contains(why, "exit status 1") {
			t.Errorf("health %s: %s", h, why)
		}
		clock.Advance(d - time.Millisecond)
		if clock.Waiters() == 0 {
			t.Errorf("start %d came before its back-off was over", i+2)
		}
		clock.Advance(time.Millisecond)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func TestMainRefusesWhatIsNoSocket(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, extra := range map[string][]*os.File{"nothing": nil, "a file": {file}} {
		cmd := exec.CommandContext(t.Context(), exe, "child", "keys", t.TempDir())
		cmd.ExtraFiles = extra
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("descriptor 3")) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestWire speaks to Serve without the client.
func TestWire(t *testing.T) {
	frame := func(s string) string {
		return string([]byte{byte(len(s) >> 24), byte(len(s) >> 16), byte(len(s) >> 8), byte(len(s))}) + s
	}
	rows := map[string]struct {
		in   string
		want core.Kind
	}{
		"length zero":      {"\x00\x00\x00\x00", core.KindTooLarge},
		"length over":      {string([]byte{0, 8, 0, 1}), core.KindTooLarge},
		"length of 4 GiB":  {"\xff\xff\xff\xff", core.KindTooLarge},
		"half a length":    {"\x00\x00", 0},
		"half a frame":     {"\x00\x00\x00\x10{", 0},
		"no JSON":          {frame("hello"), core.KindInvalid},
		"unknown request":  {frame(`{"v":1,"id":1,"op":"export_keys","body":{}}`), core.KindInvalid},
		"another version":  {frame(`{"v":2,"id":1,"op":"status","body":{}}`), core.KindInvalid},
		"a key twice":      {frame(`{"v":1,"id":1,"id":1,"op":"status","body":{}}`), core.KindInvalid},
		"a key too many":   {frame(`{"v":1,"id":1,"op":"status","body":{},"x":1}`), core.KindInvalid},
		"bytes after JSON": {frame(`{"v":1,"id":1,"op":"status","body":{}} x`), core.KindInvalid},
	}
	for name, row := range rows {
		s := bareSite(t)
		ours, theirs := socketpair(t)
		ended := make(chan error, 1)
		go func() { ended <- keys.Serve(t.Context(), theirs, s.dir, s.opts) }()
		if _, err := io.WriteString(ours, row.in); err != nil {
			t.Fatal(err)
		}
		if row.want == 0 {
			_ = ours.Close()
		}
		err := <-ended
		if err == nil || row.want != 0 && core.KindOf(err) != row.want {
			t.Errorf("%s: Serve ended with %v (kind %s), want kind %s", name, err, core.KindOf(err), row.want)
		}
		_ = ours.Close()
		_ = theirs.Close()
	}
}

// A body that is not what the request takes is answered; the connection lives.
func TestWireBodies(t *testing.T) {
	s := bareSite(t)
	ours, theirs := socketpair(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- keys.Serve(ctx, theirs, s.dir, s.opts) }()
	for i, body := range []string{`{"x":1}`, `[]`, `"a"`, `7`} {
		in := `{"v":1,"id":` + strconv.Itoa(i) + `,"op":"status","body":` + body + `}`
		if _, err := ours.Write(append([]byte{0, 0, 0, byte(len(in))}, in...)); err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 4)
		if _, err := io.ReadFull(ours, head); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		answer := make([]byte, int(head[2])<<8|int(head[3]))
		if _, err := io.ReadFull(ours, answer); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(answer, []byte(`"kind":"invalid"`)) || !bytes.Contains(answer, []byte(`"id":`+strconv.Itoa(i))) {
			t.Errorf("%s: %s", body, answer)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A server that answers nonsense must not confuse the client.
func TestClientRefusesNonsense(t *testing.T) {
	for _, answer := range []string{"\xff\xff\xff\xff", "\x00\x00\x00\x02{}", "\x00\x00\x00\x01x", ""} {
		ours, theirs := socketpair(t)
		c := keys.NewClient(ours)
		go func() {
			_, _ = theirs.Read(make([]byte, 4096))
			_, _ = io.WriteString(theirs, answer)
			_ = theirs.Close()
		}()
		_, err := c.Status(t.Context())
		wantKind(t, fmt.Sprintf("%q", answer), err, core.KindUnavailable)
		_, err = c.Status(t.Context())
		wantKind(t, "afterwards", err, core.KindUnavailable)
		c.Close()
	}
}

func TestClientConcurrently(t *testing.T) {
	s := newSite(t)
	requests := make([]keys.SignOrder, 20)
	for i := range requests {
		requests[i] = keys.SignOrder{Warrant: s.warrant(playbook, "device.quarantine", "device/press-7"), Payload: s.payload(s.order(link.OrderQuarantine, "press-7", playbook))}
	}
	var wg sync.WaitGroup
	for _, r := range requests {
		wg.Go(func() {
			sig, err := s.client.SignOrder(t.Context(), r)
			if err == nil {
				_, _, err = link.Verify(sig, link.NamespaceOrder, r.Payload)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := s.status().OrdersHour; got != len(requests) {
		t.Errorf("%d orders, want %d", got, len(requests))
	}
}
