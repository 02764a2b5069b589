package console

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/interlock-security/interlock/test/rig"
)

const chromium = "/usr/bin/chromium"

// newBrowser starts Chromium with a profile of its own. It returns the context
// that tabs are opened in.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	if _, err := os.Stat(chromium); err != nil {
		t.Fatalf("the console is tested in Debian's Chromium, and %s is missing; next: sudo apt-get install chromium fonts-dejavu-core", chromium)
	}
	// The defaults keep tabs that nobody looks at as lively as those in front.
	flags := slices.Clone(chromedp.DefaultExecAllocatorOptions[:])
	for _, name := range []string{"no-sandbox", "disable-gpu", "disable-quic", "disable-component-update", "hide-scrollbars", "mute-audio"} {
		flags = append(flags, chromedp.Flag(name, true))
	}
	flags = append(flags, chromedp.ExecPath(chromium), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1360, 900), chromedp.WSURLReadTimeout(rig.Patience))
	all, stop := chromedp.NewExecAllocator(t.Context(), flags...)
	ctx, cancel := chromedp.NewContext(all)
	t.Cleanup(func() { cancel(); stop() })
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	return ctx
}

// tab is a tab of a person's browser, watched all the time.
type tab struct {
	t    *testing.T
	name string
	ctx  context.Context
	base string
	// server is what the server printed, for what goes wrong.
	server func() string
	*watch
}

// reportViolations tells violated policies where exceptions are told, so that
// the watch sees them with what was blocked.
const reportViolations = `document.addEventListener('securitypolicyviolation', (e) => console.error('violated: ' + e.effectiveDirective + ' by ' + (e.blockedURI || e.sample) + ' at ' + e.sourceFile + ':' + e.lineNumber));`

// newTab opens a tab of a browser of its own: no cookie and no passkey is shared
// with another one.
func newTab(t *testing.T, browser context.Context, name, base string) *tab {
	t.Helper()
	p := &tab{t: t, name: name, base: base, watch: newWatch(base), server: func() string { return "" }}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.see))
	p.ctx = ctx
	t.Cleanup(func() {
		p.clean()
		cancel()
	})
	// The tab lives as long as the context of its first run.
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		for _, start := range []func() error{
			func() error { _, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{}); return err },
			func() error { _, err := cdp.Call(ctx, target, audits.Enable, cdp.Empty{}); return err },
			func() error {
				_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: reportViolations})
				return err
			},
		} {
			if err := start(); err != nil {
				return err
			}
		}
		return nil
	})); err != nil {
		t.Fatalf("%s: a tab: %v", name, err)
	}
	p.screen(wide)
	return p
}

// passkey gives the tab an authenticator that is touched at once, as a fresh
// laptop has one built in.
func (p *tab) passkey() {
	p.t.Helper()
	p.do("add a virtual authenticator", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}})
		return err
	}))
}

// do runs steps that have to succeed.
func (p *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, rig.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %s: %v\n%s", p.name, what, err, p.dump())
	}
}

// open goes to a page of the console.
func (p *tab) open(path string) {
	p.t.Helper()
	p.do("open "+path, chromedp.Navigate(p.base+path))
}

// click presses what the selector names, as a mouse does.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// typeIn fills a field, key by key.
func (p *tab) typeIn(selector, text string) {
	p.t.Helper()
	p.do("type into "+selector, chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// eval runs a script in the page. It needs no permission of the page's policy,
// as it comes by the debugger.
func eval[T any](p *tab, script string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, rig.Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// read is eval for what has to succeed.
func read[T any](p *tab, script string) T {
	p.t.Helper()
	v, err := eval[T](p, script)
	if err != nil {
		p.t.Fatalf("%s: %s: %v\n%s", p.name, script, err, p.dump())
	}
	return v
}

// until waits for a condition in the page, also across a page that follows.
func (p *tab) until(what, condition string) {
	p.t.Helper()
	rig.Await(p.t, p.name+": "+what, p.dump, func() bool {
		ok, err := eval[bool](p, "!!("+condition+")")
		return err == nil && ok
	})
}

// at waits until the tab has loaded a path.
func (p *tab) at(path string) {
	p.t.Helper()
	p.until("at "+path, fmt.Sprintf("location.pathname === %s && document.readyState === 'complete'", quote(path)))
}

// shows waits until the page shows a text, in capitals or not.
func (p *tab) shows(text string) {
	p.t.Helper()
	p.until("a page that shows "+text, fmt.Sprintf("document.body && document.body.innerText.toLowerCase().includes(%s)", quote(strings.ToLower(text))))
}

// text is what the page shows.
func (p *tab) text() string {
	p.t.Helper()
	return read[string](p, "document.body.innerText")
}

// dump says where the tab is.
func (p *tab) dump() string {
	text, err := eval[string](p, "location.href + ' ' + document.title + '\\n' + (document.body ? document.body.innerText : '')")
	if len(text) > 4000 {
		text = text[:4000]
	}
	path := filepath.Join(shots(), "failed-"+strings.ReplaceAll(p.t.Name(), "/", "-")+"-"+p.name+".png")
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	if png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot()); err == nil {
		_ = os.WriteFile(path, png, 0o600)
	}
	return fmt.Sprintf("%s %v\n%s\npicture: %s\nserver:\n%s", text, err, strings.Join(p.faults(), "\n"), path, p.server())
}

// quote makes a text a script's.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(b)
}

// size is a screen.
type size struct {
	name          string
	width, height int64
	dark, phone   bool
}

var (
	wide   = size{name: "light", width: 1360, height: 900}
	dark   = size{name: "dark", width: 1360, height: 900, dark: true}
	phone  = size{name: "phone", width: 390, height: 844, phone: true}
	darker = size{name: "phone-dark", width: 390, height: 844, phone: true, dark: true}
)

// screen gives the tab a screen and the colours that its person likes.
func (p *tab) screen(s size) {
	p.t.Helper()
	scheme, scale := "light", 1.0
	if s.dark {
		scheme = "dark"
	}
	if s.phone {
		scale = 2
	}
	p.do("screen "+s.name, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height, DeviceScaleFactor: scale, Mobile: s.phone})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}

// scripts switches the page's own scripts on or off, from the next page on.
func (p *tab) scripts(on bool) {
	p.t.Helper()
	p.do("scripts", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
}

// shots is the folder that pictures go to, outside the repository.
var shots = sync.OnceValue(func() string {
	dir := os.Getenv("INTERLOCK_SHOTS")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "interlock-shots")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		panic(err) // the tests can't show what they saw
	}
	return dir
})

// picture writes the whole page as it looks on a screen that is as high as the
// page: what sticks to an edge stands where it belongs.
func (p *tab) picture(name string, s size) {
	p.t.Helper()
	p.screen(s)
	file := filepath.Join(shots(), name+"-"+s.name+".png")
	s.height = max(s.height, read[int64](p, "document.documentElement.scrollHeight"))
	p.screen(s)
	ctx, cancel := context.WithTimeout(p.ctx, rig.Patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(file, png, 0o644)
	}
	if err != nil {
		p.t.Fatalf("picture of %s: %v", name, err)
	}
}
