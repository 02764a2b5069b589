// Package demo tells what the product does on a small simulated site: three
// devices, three persons, a break-in, the response, the approvals, the recovery
// and the proof. Server, keys process and agents are the real ones, started as
// in production; only the sensors and the firewall are simulated, and say so.
//
// No line is told on trust. Every chapter reads what it tells again through the
// operator API, verifies the audit log's proof of it offline, and fails when
// either does not hold.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/api/client"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
)

// Options are what the demonstration is run with.
type Options struct {
	// Dir is an empty folder; its path must be short, it holds unix sockets.
	Dir     string
	Program string // the binary with the verbs child, agent and approve
	Out     io.Writer
	Log     *slog.Logger
	// Patience is how long a chapter waits for what it tells; 0 means 20 s.
	Patience time.Duration
	// Tamper, in tests, changes an answer of the API on its way to the
	// chapter that reads it, so that a test can see the chapter fail.
	Tamper func(chapter, path string, answer []byte) []byte
}

// chapter is one step of the story.
type chapter struct {
	name  string
	title string
	run   func(*story, context.Context) error
}

// chapters is the story in order.
var chapters = []chapter{
	{"site", "A site: one server, its keys process, three persons", (*story).site},
	{"enrol", "Three devices come in, each by a token that names its key", (*story).enrol},
	{"break-in", "Somebody opens the press controller's case", (*story).breakIn},
	{"reflex", "The device contains itself, before any server knows", (*story).reflex},
	{"alert", "A rule turns the signed event into an alert", (*story).alert},
	{"incident", "An incident opens, and a playbook contains the device", (*story).incident},
	{"first-approval", "A release is asked for; one person is not enough", (*story).firstApproval},
	{"second-approval", "The second person signs, and the device lets go", (*story).secondApproval},
	{"verified", "Verification, and nothing else, closes the incident", (*story).verified},
	{"proof", "The whole log, exported and verified without the server", (*story).proof},
}

// Chapters returns the names of the chapters in order.
func Chapters() []string {
	names := make([]string, 0, len(chapters))
	for _, c := range chapters {
		names = append(names, c.name)
	}
	return names
}

// story is the state of a run.
type story struct {
	o       Options
	server  *app.Server
	api     *client.Client
	trust   *link.Trust
	agents  map[core.DeviceID]*app.AgentProcess
	chapter string
	opened  time.Time
	alertID core.UUID
	inc     api.Incident
	release api.Order
	lines   int
}

// The persons and devices of the site.
var (
	site    = core.MustID[core.SiteID]("hall-a")
	persons = []ceremony.Person{
		{ID: core.MustID[core.PersonID]("anna"), Name: "Anna, shift lead"},
		{ID: core.MustID[core.PersonID]("bert"), Name: "Bert, maintenance"},
		{ID: core.MustID[core.PersonID]("cara"), Name: "Cara, safety officer"},
	}
	press   = core.MustID[core.DeviceID]("press-7")
	devices = []core.DeviceID{press, core.MustID[core.DeviceID]("kiosk-2"), core.MustID[core.DeviceID]("lab-4")}
)

// Run tells the story once. It returns nil only if every line was checked.
func Run(ctx context.Context, o Options) (err error) {
	if o.Patience == 0 {
		o.Patience = 20 * time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	st := &story{o: o, agents: map[core.DeviceID]*app.AgentProcess{}}
	var ended []<-chan error
	defer func() {
		cancel()
		for _, ch := range ended {
			err = errors.Join(err, <-ch)
		}
		if st.server != nil {
			err = errors.Join(err, st.server.Close())
		}
	}()
	serving, err := st.serve(ctx)
	if err != nil {
		return err
	}
	ended = append(ended, serving)
	st.api = client.New(st.paths().API())
	for i, c := range chapters {
		st.chapter = c.name
		_, _ = fmt.Fprintf(o.Out, "\n%d/%d  %s\n", i+1, len(chapters), c.title)
		if c.name == "enrol" {
			more, err := st.startAgents(ctx)
			ended = append(ended, more...)
			if err != nil {
				return fmt.Errorf("demo: chapter %s: %w", c.name, err)
			}
		}
		if err := c.run(st, ctx); err != nil {
			return fmt.Errorf("demo: chapter %s: %w", c.name, err)
		}
	}
	return st.summary()
}

// run starts fn and returns the channel on which its error comes.
func run(fn func() error) <-chan error {
	ch := make(chan error, 1)
	go func() { ch <- fn() }()
	return ch
}

func (st *story) paths() app.Paths { return app.Paths{Dir: filepath.Join(st.o.Dir, "server")} }
func (st *story) keys() string     { return filepath.Join(st.o.Dir, "people") }

// tries is how often other addresses are taken for ones that somebody was quicker
// to listen at.
const tries = 5

// serve opens the server and waits until it serves. What the channel says is how
// it ended.
func (st *story) serve(ctx context.Context) (<-chan error, error) {
	for try := 1; ; try++ {
		var err error
		if st.server, err = open(ctx, st.o); err != nil {
			return nil, err
		}
		serving := run(func() error { return st.server.Run(ctx) })
		select {
		case <-st.server.Ready():
			return serving, nil
		case err = <-serving:
		}
		if try == tries || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("demo: the server did not come up: %w", err)
		}
		if err := st.server.Close(); err != nil {
			return nil, err
		}
	}
}

// open brings the server up with three persons and a real two-person threshold.
func open(ctx context.Context, o Options) (*app.Server, error) {
	cfg := app.Default(os.Getuid())
	cfg.Installation, cfg.Site = core.MustID[core.ServiceID]("demo"), site
	cfg.Operators[0].Person = persons[0].ID
	cfg.Listen.Console = "" // it is told on the terminal, beside whatever else runs here
	var err error
	if cfg.Listen.Agents, err = address(); err != nil {
		return nil, err
	}
	if cfg.Listen.Management, err = address(); err != nil {
		return nil, err
	}
	return app.Open(ctx, cfg, app.Options{
		Paths: app.Paths{Dir: filepath.Join(o.Dir, "server")}, Ceremony: app.Ceremony{Dir: filepath.Join(o.Dir, "people"), Persons: persons},
		Log: o.Log, Program: o.Program, Child: []string{"child", "keys"}, ChildErr: io.Discard,
	})
}

// address finds where the demo's server can listen.
var address = freeAddress

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", core.Wrap(core.KindUnavailable, "demo", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// startAgents enrols and starts the three devices, each as a process of its own.
func (st *story) startAgents(ctx context.Context) (ended []<-chan error, err error) {
	who, err := st.server.Owner(os.Getuid())
	if err != nil {
		return nil, err
	}
	for _, id := range devices {
		a := st.newAgent(id)
		enrolment, err := st.server.EnrolAgent(ctx, a, who, site, id)
		if err != nil {
			return ended, fmt.Errorf("device %s: %w", id, err)
		}
		st.agents[id] = a
		ended = append(ended, run(func() error { return a.Run(ctx, enrolment) }))
	}
	return ended, nil
}

func (st *story) newAgent(id core.DeviceID) *app.AgentProcess {
	cfg := agent.Default()
	dir := filepath.Join(st.o.Dir, id.String())
	cfg.DataDir, cfg.RunDir, cfg.Demo, cfg.Enforce = dir, filepath.Join(dir, "run"), true, agent.EnforceSimulated
	cfg.RootHash = st.trust.Hash()
	cfg.Device, cfg.Heartbeat = id.String(), 2*time.Second
	cfg.Sensors = []agent.SensorConfig{agent.Simulated("case", st.caseSocket(id))}
	cfg.Outputs = []agent.OutputConfig{{ID: "relay", Driver: "file", Path: filepath.Join(dir, "relay")}}
	return &app.AgentProcess{Program: st.o.Program, Config: cfg, Clock: core.SystemClock{}, Log: st.o.Log, Stderr: io.Discard}
}

// caseSocket is where a device's simulated case takes its steps.
func (st *story) caseSocket(id core.DeviceID) string {
	return filepath.Join(st.o.Dir, id.String(), "case.sock")
}

// sense plays one step on a device's simulated sensor.
func (st *story) sense(id core.DeviceID, step string) error {
	c, err := net.DialTimeout("unix", st.caseSocket(id), 2*time.Second)
	if err != nil {
		return core.Wrap(core.KindUnavailable, "demo.sense", err)
	}
	_, err = io.WriteString(c, step+"\n")
	return errors.Join(err, c.Close())
}
