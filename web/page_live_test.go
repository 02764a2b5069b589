package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api/live"
	"github.com/interlock-security/interlock/core"
)

// listeners sign in by their number, so that each has a session of its own.
type listeners struct {
	crowd
	gone sync.Map // cookies whose session has ended
}

func (l *listeners) Lookup(cookie string, c Client) (Session, error) {
	if _, ended := l.gone.Load(cookie); ended {
		return Session{}, core.E(core.KindExpired, "test", "the session has ended")
	}
	s, err := l.crowd.Lookup("anna", c)
	s.ID = "session-" + cookie
	return s, err
}

// station serves a plant over real connections.
type station struct {
	*plant
	server *httptest.Server
	people *listeners
}

func newStation(t *testing.T) *station {
	p := newPlant(t)
	s := &station{plant: p, people: &listeners{}}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "localhost:7400"
		p.console.ServeHTTP(w, r)
	}))
	t.Cleanup(s.server.Close)
	return s
}

// dial opens a stream by hand and returns the connection; nothing is read.
func (s *station) dial(cookie, after string) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.server.Listener.Addr().String())
	s.must(err)
	s.t.Cleanup(func() { _ = c.Close() })
	_, err = fmt.Fprintf(c, "GET /live/stream HTTP/1.1\r\nHost: localhost:7400\r\nAccept: text/event-stream\r\nCookie: %s=%s\r\nLast-Event-ID: %s\r\n\r\n", Cookie, cookie, after)
	s.must(err)
	return c
}

// sent is a server-sent event.
type sent struct{ id, event, data string }

// stream reads events from a connection.
type stream struct {
	conn net.Conn
	body *bufio.Scanner
}

func (s *station) listen(cookie, after string) (*stream, error) {
	c := s.dial(cookie, after)
	_ = c.SetReadDeadline(time.Now().Add(60 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return nil, fmt.Errorf("%d %s", res.StatusCode, text)
	}
	return &stream{c, bufio.NewScanner(res.Body)}, nil
}

// next returns the next event that is not a comment.
func (s *stream) next() (e sent, err error) {
	for s.body.Scan() {
		name, value, _ := strings.Cut(s.body.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.event = value
		case "data":
			e.data = value
		case "":
			if e.event != "" {
				return e, nil
			}
		}
	}
	if err = s.body.Err(); err == nil {
		err = io.EOF
	}
	return e, err
}

// number is the n of an event's fields.
func (e sent) number() string {
	var v struct {
		Fields [][]any `json:"fields"`
	}
	if json.Unmarshal([]byte(e.data), &v) != nil || len(v.Fields) == 0 {
		return e.data
	}
	return strings.TrimPrefix(fmt.Sprint(v.Fields[0][0]), "n=")
}

func numbered(n int) core.Event { return someEvent(1, fmt.Sprintf(`{"n":%d}`, n)) }

// TestAStreamGoesOnWhereItWasLost: with the id of the last event that it has a
// browser gets each later one once, also those of while it was away.
func TestAStreamGoesOnWhereItWasLost(t *testing.T) {
	s := newStation(t)
	raw := s.withEvents()
	s.console.People = s.people
	s.append(raw, numbered(0))
	_, cursor, err := s.console.Live.Last(t.Context(), plantTenant, 1)
	s.must(err)
	first, err := s.listen("a", cursor.String())
	s.must(err)
	s.append(raw, numbered(1), numbered(2))
	var last sent
	for _, want := range []string{"1", "2"} {
		if last, err = first.next(); err != nil || last.number() != want {
			t.Fatalf("got %+v, %v; want %s", last, err, want)
		}
	}
	_ = first.conn.Close()
	s.append(raw, numbered(3))
	s.append(raw, numbered(4), numbered(5))
	again, err := s.listen("a", last.id)
	s.must(err)
	s.append(raw, numbered(6))
	for _, want := range []string{"3", "4", "5", "6"} {
		if e, err := again.next(); err != nil || e.number() != want {
			t.Fatalf("got %+v, %v; want %s", e, err, want)
		}
	}
	if _, err := s.listen("b", "1.2.3"); err == nil || !strings.HasPrefix(err.Error(), "400") {
		t.Errorf("a cursor that is none: %v", err)
	}
}

// TestAnEndedSessionSeesNothingMore: a stream does not outlive what it was opened
// with.
func TestAnEndedSessionSeesNothingMore(t *testing.T) {
	s := newStation(t)
	raw := s.withEvents()
	s.console.People = s.people
	s.append(raw, numbered(0))
	_, cursor, err := s.console.Live.Last(t.Context(), plantTenant, 1)
	s.must(err)
	c, err := s.listen("a", cursor.String())
	s.must(err)
	s.append(raw, numbered(1))
	if e, err := c.next(); err != nil || e.number() != "1" {
		t.Fatalf("%+v, %v", e, err)
	}
	s.people.gone.Store("a", true)
	s.append(raw, numbered(2))
	e, err := c.next()
	if err != nil || e.event != "ended" {
		t.Fatalf("after the end: %+v, %v", e, err)
	}
	if e, err := c.next(); err == nil {
		t.Errorf("and more: %+v", e)
	}
}

// TestASessionHoldsFewStreams.
func TestASessionHoldsFewStreams(t *testing.T) {
	s := newStation(t)
	s.withEvents()
	s.console.People = s.people
	var held []*stream
	for range streamsEach {
		c, err := s.listen("a", "")
		s.must(err)
		held = append(held, c)
	}
	if _, err := s.listen("a", ""); err == nil || !strings.HasPrefix(err.Error(), "503") {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.listen("b", ""); err != nil {
		t.Errorf("another session: %v", err)
	}
	_ = held[0].conn.Close()
	deadline := time.Now().Add(60 * time.Second)
	for {
		c, err := s.listen("a", "") // the server sees the end when it writes next
		if err == nil {
			_ = c.conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a closed stream still counts: %v", err)
		}
	}
}

// TestAThousandListenersOfWhomHalfNeverRead: those who read get every event, and
// pages are answered meanwhile.
func TestAThousandListenersOfWhomHalfNeverRead(t *testing.T) {
	const all, events = 1000, 60
	s := newStation(t)
	raw := s.withEvents()
	s.console.People = s.people
	s.append(raw, numbered(-1))
	_, cursor, err := s.console.Live.Last(t.Context(), plantTenant, 1)
	s.must(err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var wg, ready sync.WaitGroup
	problems := make(chan error, all)
	for i := range all {
		cookie := fmt.Sprint(i)
		if i%2 == 0 {
			s.dial(cookie, cursor.String()) // and never a byte is read
			continue
		}
		ready.Add(1)
		wg.Go(func() {
			c, err := s.listen(cookie, cursor.String())
			ready.Done()
			for n := 0; err == nil && n < events; n++ {
				var e sent
				if e, err = c.next(); err == nil && e.number() != fmt.Sprint(n) {
					err = fmt.Errorf("got %s, want %d", e.number(), n)
				}
			}
			if err != nil {
				problems <- fmt.Errorf("listener %s: %w", cookie, err)
			}
		})
	}
	ready.Wait()
	for n := range events {
		s.append(raw, numbered(n))
		if n%20 == 0 {
			s.quick(ctx)
		}
	}
	wg.Wait()
	close(problems)
	told := 0
	for err := range problems {
		if told++; told < 5 {
			t.Error(err)
		}
	}
}

// quick wants a page while the others listen.
func (s *station) quick(ctx context.Context) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+"/stop", nil)
	s.must(err)
	r.AddCookie(&http.Cookie{Name: Cookie, Value: "reader"})
	res, err := s.server.Client().Do(r)
	s.must(err)
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		s.t.Errorf("the stop page meanwhile: %d", res.StatusCode)
	}
}

func TestEventsAreWrittenAsServerSentEvents(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	s := &eventStream{console: p.console}
	got := s.words([]live.Item{{Cursor: live.Cursor{Offset: 7, Index: 2}, Data: []byte(`{"a":1}`)}, {Cursor: live.Cursor{Offset: 8}, Skipped: -1}})
	if want := "id: 7.2\nevent: event\ndata: {\"a\":1}\n\nid: 8.0\nevent: event\ndata: {\"skipped\":-1}\n\n"; got != want {
		t.Errorf("%q", got)
	}
	if got := s.words(nil); got != ": still here\n\n" {
		t.Errorf("a heartbeat is %q", got)
	}
	s.away = true
	if got := s.words(nil); got != "event: back\ndata: {}\n\n" {
		t.Errorf("back is %q", got)
	}
}

// TestOnlyTheSevereOnes: who asks for a severity sees no less severe event.
func TestOnlyTheSevereOnes(t *testing.T) {
	p := newPlant(t)
	raw := p.withEvents()
	for i := range 10 {
		p.append(raw, someEvent(i, fmt.Sprintf(`{"n":%d}`, i)))
	}
	body := p.page("anna", "/live?least=high")
	if strings.Contains(body, "sev-medium") || strings.Contains(body, "sev-info") || strings.Count(body, "sev-high") != 2 || strings.Count(body, "sev-critical") != 2 || !strings.Contains(body, `data-least="high"`) {
		t.Errorf("%s", visibleText(body))
	}
	if body := p.page("anna", "/live?least=<b>"); !strings.Contains(body, `data-least="info"`) || strings.Count(body, "sev-info") != 2 {
		t.Errorf("a severity that is none: %s", visibleText(body))
	}
}
