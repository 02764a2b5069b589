package console

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// watch collects what must not happen in a tab.
type watch struct {
	host string

	mu       sync.Mutex
	list     []string
	expected []int // statuses that a test asked for
	urls     map[network.RequestID]string
}

// skippable is what the browser says of a page that went on by itself, as one
// does whose session is over: "back" passes it by, which is right.
const skippable = "NavigationEntryMarkedSkippable"

func newWatch(base string) *watch {
	u, err := url.Parse(base)
	if err != nil {
		panic(err) // the test wrote it
	}
	return &watch{host: u.Host, urls: map[network.RequestID]string{}}
}

// see gets every event of the tab. It must not block.
func (w *watch) see(ev any) {
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		w.fault("exception: %s", thrown(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		var said []string
		for _, a := range e.Args {
			said = append(said, string(a.Value)+a.Description)
		}
		w.fault("console.%s: %s", e.Type, strings.Join(said, " "))
	case *log.EventEntryAdded:
		if e.Entry.Source != log.EntrySourceNetwork { // those are seen below, with their status
			w.fault("log: %s %s: %s %s", e.Entry.Level, e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if text := issueText(e.Issue); text != skippable {
			w.fault("issue: %s %s", e.Issue.Code, text)
		}
	case *network.EventRequestWillBeSent:
		w.request(e)
	case *network.EventResponseReceived:
		w.answer(int(e.Response.Status), e.Response.URL)
	case *network.EventLoadingFailed:
		w.failed(e)
	}
}

func thrown(d *runtime.ExceptionDetails) string {
	text := d.Text
	if d.Exception != nil {
		text += " " + d.Exception.Description
	}
	return fmt.Sprintf("%s (%s:%d)", text, d.URL, d.LineNumber+1)
}

func issueText(i *audits.InspectorIssue) string {
	if d := i.Details.ContentSecurityPolicyIssueDetails; d != nil {
		return fmt.Sprintf("%s %s", d.ViolatedDirective, d.BlockedURL)
	}
	if d := i.Details.GenericIssueDetails; d != nil {
		return strings.TrimSpace(fmt.Sprintf("%s %s", d.ErrorType, d.ViolatingNodeAttribute))
	}
	return ""
}

// request wants every request to go to the console and nowhere else.
func (w *watch) request(e *network.EventRequestWillBeSent) {
	u, err := url.Parse(e.Request.URL)
	if err != nil || u.Host != w.host && u.Scheme != "data" && u.Scheme != "about" {
		w.fault("a request to another host: %s", e.Request.URL)
	}
	w.mu.Lock()
	w.urls[e.RequestID] = e.Request.URL
	w.mu.Unlock()
}

func (w *watch) answer(status int, address string) {
	w.mu.Lock()
	expected := slices.Contains(w.expected, status)
	w.mu.Unlock()
	if status >= 400 && !expected {
		w.fault("answered with %d: %s", status, address)
	}
}

// failed wants no request to be blocked. One that a next page cuts off is fine.
func (w *watch) failed(e *network.EventLoadingFailed) {
	w.mu.Lock()
	address := w.urls[e.RequestID]
	w.mu.Unlock()
	if !e.Canceled && e.ErrorText != "net::ERR_ABORTED" || e.BlockedReason != "" {
		w.fault("not loaded: %s: %s %s", address, e.ErrorText, e.BlockedReason)
	}
}

func (w *watch) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, fmt.Sprintf(format, args...))
}

// expect allows answers with a status from now on, instead of those before.
func (w *watch) expect(statuses ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected = statuses
}

// faults returns what was seen so far.
func (w *watch) faults() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}

// clean fails the test for everything that must not have happened since the last
// look.
func (p *tab) clean() {
	p.t.Helper()
	p.mu.Lock()
	list := p.list
	p.list = nil
	p.mu.Unlock()
	slices.Sort(list)
	for _, f := range slices.Compact(list) {
		p.t.Errorf("%s: %s", p.name, f)
	}
}
