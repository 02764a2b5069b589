// Command interlock is the whole product: server, keys process, agent and the
// command line that speaks to them. Each verb has a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/interlock-security/interlock/core"
)

// Exit codes: 0 clean, 1 findings, 2 incomplete or broken.
const (
	exitClean    = 0
	exitFindings = 1
	exitBroken   = 2
)

// errFindings ends a verb that did its work and found something.
var errFindings = errors.New("findings")

// env is what a verb gets: its streams and the flags that all verbs share.
type env struct {
	ctx    context.Context
	in     io.Reader
	out    io.Writer
	err    io.Writer
	global *globals
}

// grammar is the command line.
type grammar struct {
	globals

	Up        upCmd        `cmd:"" help:"Run everything on this machine: server, keys process and an agent on its own sensors."`
	Demo      demoCmd      `cmd:"" help:"A small simulated site, a break-in, the response and the proof, told step by step."`
	Serve     serveCmd     `cmd:"" help:"Run the server."`
	Agent     agentCmd     `cmd:"" help:"Run the agent of a device."`
	Status    statusCmd    `cmd:"" help:"What runs, what is open, what is wrong."`
	Events    eventsCmd    `cmd:"" help:"What came in."`
	Alerts    alertsCmd    `cmd:"" help:"What rules found."`
	Incidents incidentsCmd `cmd:"" help:"What people and playbooks do about it."`
	Device    deviceCmd    `cmd:"" help:"Enrolled devices, and acts on them."`
	Orders    ordersCmd    `cmd:"" help:"Orders to devices, and those that wait for signatures."`
	People    peopleCmd    `cmd:"" help:"Who may sign in, with which rights, and what two persons agree on."`
	Seal      sealCmd      `cmd:"" help:"Seals on machines: registered with a photo, looked at by a day."`
	Token     tokenCmd     `cmd:"" help:"Enrolment tokens."`
	Stop      stopCmd      `cmd:"" help:"Request a stop, now. In addition to, never instead of, a hard-wired emergency stop."`
	Approve   approveCmd   `cmd:"" help:"Read an order from its exact bytes and sign it with your SSH key."`
	Root      rootCmd      `cmd:"" help:"The trust root: the document that tells devices whom to believe."`
	Audit     auditCmd     `cmd:"" help:"The audit log: search, proofs, export, verification."`
	Rules     rulesCmd     `cmd:"" help:"Detection rules: check and test them with the live engine."`
	Findings  findingsCmd  `cmd:"" help:"What scanners found, driven to a verified fix."`
	Scan      scanCmd      `cmd:"" help:"The safety inspection: leaked secrets, vulnerable dependencies."`
	Hunt      huntCmd      `cmd:"" help:"Hunt in files: Sigma rules over exports, event logs and log folders, as a timeline."`
	API       apiCmd       `cmd:"" name:"api" help:"The operator API: its description."`
	Config    configCmd    `cmd:"" help:"Configuration: check a file, print every value."`
	Doctor    doctorCmd    `cmd:"" help:"What is not as it should be on this machine, and what to do."`
	Version   versionCmd   `cmd:"" help:"The version and how it was built."`
	Child     childCmd     `cmd:"" hidden:""`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run parses args, runs the verb and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) (code int) {
	var g grammar
	ended := -1
	parser, err := kong.New(&g,
		kong.Name("interlock"),
		kong.Description("One security system for machines that stand where anyone can touch them.\n\nStart with: interlock up   or   interlock demo"),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(out, errOut),
		kong.Exit(func(c int) { ended = c; panic(exitPanic{}) }),
		kong.Vars{"data": defaultData(), "config": defaultConfig(), "advisories": defaultAdvisories()},
	)
	if err != nil {
		return fail(errOut, err)
	}
	defer func() {
		if p := recover(); p != nil {
			if _, ours := p.(exitPanic); !ours {
				panic(p)
			}
			code = ended
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		return fail(errOut, &core.Error{Kind: core.KindInvalid, Err: err, Hint: helpHint(err)})
	}
	e := &env{ctx: ctx, in: in, out: out, err: errOut, global: &g.globals}
	switch err := kctx.Run(e); {
	case err == nil:
		return exitClean
	case errors.Is(err, errFindings):
		return exitFindings
	default:
		return fail(errOut, err)
	}
}

// helpHint names the help of the verb that was not understood.
func helpHint(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil {
		if verb := wrong.Context.Selected(); verb != nil {
			return verb.FullPath() + " --help"
		}
	}
	return "interlock --help"
}

// exitPanic carries kong's wish to end (after --help) up to run.
type exitPanic struct{}

// fail tells the error and the next step.
func fail(w io.Writer, err error) int {
	_, _ = fmt.Fprintf(w, "interlock: %s\n", printable(err.Error()))
	if hint := core.HintOf(err); hint != "" {
		_, _ = fmt.Fprintf(w, "next: %s\n", printable(hint))
	}
	return exitBroken
}
