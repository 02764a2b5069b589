package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/api/live"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
)

const (
	// lastEvents is how many events the page begins with.
	lastEvents = 50
	// lastLooked is how many are looked at for those of a severity.
	lastLooked = 500
	// mostRows is how many rows the script keeps.
	mostRows = 200
	// heartbeat is how often a quiet stream says that it lives. The session is
	// looked at again then.
	heartbeat = 10 * time.Second
	// patience is how long one who does not read is waited for.
	patience = 10 * time.Second
	// streamsEach and streamsAll bound the streams of one session and of all,
	// so that those who only watch leave room for those who act.
	streamsEach, streamsAll = 12, 2048
)

func liveRoutes(c *Console) {
	c.get("/live", policy.EventRead, c.livePage)
	c.get("/live/stream", policy.EventRead, c.liveStream)
}

type liveView struct {
	Events []eventView
	Cursor string
	Most   int
	Least  core.Severity // what is shown at least
	Tabs   []tab
	Empty  empty
}

func (c *Console) livePage(w http.ResponseWriter, r *http.Request) error {
	who, err := c.readsEvents(r.Context())
	if err != nil {
		return err
	}
	least := core.Severity(r.URL.Query().Get("least"))
	if least.Rank() < 0 {
		least = core.SeverityInfo
	}
	items, cursor, err := c.Live.Last(r.Context(), who.Tenant, lastLooked)
	if err != nil {
		return err
	}
	v := liveView{Cursor: cursor.String(), Most: mostRows, Least: least, Tabs: leastTabs(least), Empty: empty{
		Icon: "live", Title: "No event yet",
		Next:    "Events appear here as soon as they are durable: from devices, from sshd and other logs, from syslog. Try it with a demonstration:",
		Command: "interlock demo open-case",
	}}
	if least != core.SeverityInfo {
		v.Empty = empty{Icon: "live", Title: "Nothing of that severity lately", Next: "What comes in and is at least " + string(least) + " appears here.", Link: &link{"/live", "Show every event"}}
	}
	for i := len(items) - 1; i >= 0 && len(v.Events) < lastEvents; i-- { // the newest first
		if ev, ok := viewOf(items[i].Data); ok && ev.Severity.Rank() >= least.Rank() {
			v.Events = append(v.Events, ev)
		}
	}
	return c.render(w, r, "live", page{Title: "Live events", Nav: "live", Body: v, Refresh: 10})
}

// leastTabs are the severities to choose from.
func leastTabs(least core.Severity) []tab {
	list := []tab{{Href: "/live", Text: "Every event", Here: least == core.SeverityInfo}}
	for _, s := range core.Severities[1:] {
		text := "At least " + string(s)
		if s == core.SeverityCritical {
			text = "Critical"
		}
		list = append(list, tab{Href: "/live?least=" + string(s), Text: text, Here: s == least})
	}
	return list
}

// readsEvents asks the Guard: log lines name people, so each reading is
// recorded.
func (c *Console) readsEvents(ctx context.Context) (core.Principal, error) {
	who := httpd.PrincipalOf(ctx)
	on := core.Resource{Type: "event", ID: "all", Tenant: who.Tenant}
	d, err := c.Guard.Permit(ctx, who, policy.EventRead, on)
	if err != nil {
		return who, err
	}
	return who, httpd.Refusal(d, who, policy.EventRead, on)
}

// liveStream sends events as they become durable, as server-sent events. The id
// of each is its place in the journal, with which a browser that lost the
// connection goes on.
func (c *Console) liveStream(w http.ResponseWriter, r *http.Request) error {
	after, err := resumeAt(r)
	if err != nil {
		return err
	}
	leave, err := c.streams.enter(sessionOf(r.Context()).ID)
	if err != nil {
		return err
	}
	defer leave()
	who, err := c.readsEvents(r.Context())
	if err != nil {
		return err
	}
	watcher := c.Live.Watch(who.Tenant, after)
	defer watcher.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	s := &eventStream{console: c, w: w, r: r, watcher: watcher, away: c.Live.Away()}
	s.run()
	return nil
}

// resumeAt is the event after which a stream begins: what the browser says when
// it comes back, else what the page was rendered with.
func resumeAt(r *http.Request) (live.Cursor, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	if text == "" {
		return live.Cursor{}, nil
	}
	return live.ParseCursor(text)
}

// eventStream is one browser's stream.
type eventStream struct {
	console *Console
	w       http.ResponseWriter
	r       *http.Request
	watcher *live.Watcher
	away    bool
}

// run sends until the browser, the session or the server ends. The listener's
// time limit for reading a request would end the connection, so it is lifted.
func (s *eventStream) run() {
	if http.NewResponseController(s.w).SetReadDeadline(time.Time{}) != nil || !s.send("retry: 1000\n\n") {
		return
	}
	for s.r.Context().Err() == nil {
		ctx, cancel := s.round()
		items, err := s.watcher.Next(ctx)
		cancel()
		if err != nil || s.ending() {
			return
		}
		if _, err := s.console.session(s.r); err != nil {
			s.send("event: ended\ndata: {}\n\n")
			return
		}
		if !s.send(s.words(items)) {
			return
		}
	}
}

// round is a context that ends with the heartbeat, the browser or the server.
func (s *eventStream) round() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(s.r.Context())
	go func() {
		select {
		case <-s.console.Clock.After(heartbeat):
		case <-s.console.Ending:
		case <-ctx.Done():
		}
		cancel()
	}()
	return ctx, cancel
}

func (s *eventStream) ending() bool {
	select {
	case <-s.console.Ending:
		return true
	default:
		return false
	}
}

// words writes items as server-sent events, or a comment for a heartbeat.
func (s *eventStream) words(items []live.Item) string {
	var b strings.Builder
	if away := s.console.Live.Away(); away != s.away {
		s.away = away
		b.WriteString(map[bool]string{true: "event: away\ndata: {}\n\n", false: "event: back\ndata: {}\n\n"}[away])
	}
	for _, item := range items {
		data := item.Data
		if item.Skipped != 0 {
			data = fmt.Appendf(nil, `{"skipped":%d}`, item.Skipped)
		}
		fmt.Fprintf(&b, "id: %s\nevent: event\ndata: %s\n\n", item.Cursor, data)
	}
	if b.Len() == 0 {
		return ": still here\n\n"
	}
	return b.String()
}

// send writes and pushes; false means that nobody reads.
func (s *eventStream) send(text string) bool {
	control := http.NewResponseController(s.w)
	if control.SetWriteDeadline(time.Now().Add(patience)) != nil { // the kernel's clock, not ours
		return false
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return false
	}
	return control.Flush() == nil
}

// streams counts who watches.
type streams struct {
	mu   sync.Mutex
	all  int
	each map[string]int
}

func (s *streams) enter(session string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= streamsAll || s.each[session] >= streamsEach {
		return nil, core.E(core.KindUnavailable, "web.live", "too many live pages are open").WithHint("close some; this page shows events without being live too")
	}
	if s.each == nil {
		s.each = map[string]int{}
	}
	s.all++
	s.each[session]++
	return func() { s.leave(session) }, nil
}

func (s *streams) leave(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.each[session]--; s.each[session] == 0 {
		delete(s.each, session)
	}
}
