package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// numbered is an event in a file: "FILE:N", or FILE that has but one.
type numbered struct {
	path   string
	n      int
	stated bool
}

// numberedFile splits "FILE:N". A file that has that very name goes before.
func numberedFile(name string) numbered {
	at := strings.LastIndexByte(name, ':')
	if at <= 0 {
		return numbered{path: name}
	}
	if _, err := os.Stat(name); err == nil {
		return numbered{path: name}
	}
	n, err := strconv.Atoi(name[at+1:])
	if err != nil || n < 0 {
		return numbered{path: name}
	}
	return numbered{name[:at], n, true}
}

// find calls fn with the event as a hunt reads it. It refuses to guess which
// event was meant.
func (f numbered) find(e *env, engine *sigma.Engine, forced *sigma.Logsource, fn func(hunt.Event)) error {
	if err := f.isFile(); err != nil {
		return err
	}
	found, more := false, false
	c := hunt.Config{Engine: engine, Paths: []string{f.path}, Stdin: e.in, Force: forced, Now: time.Now()}
	res, err := hunt.Each(e.ctx, c, func(ev hunt.Event) bool {
		switch {
		case ev.Number == f.n:
			found = true
			fn(ev)
		case ev.Number > f.n:
			more = true
		}
		// To its end if it is not there: then the faults say why.
		return !found || !f.stated && !more
	})
	switch {
	case err != nil:
		return err
	case e.ctx.Err() != nil:
		return core.Wrap(core.KindUnavailable, "rules explain", e.ctx.Err())
	case more && !f.stated:
		return core.E(core.KindInvalid, "rules explain", f.path+" holds more than one event").
			WithHint(fmt.Sprintf("say which, counted from zero: interlock rules explain %s:0", f.path))
	case !found:
		return f.missing(res)
	}
	return nil
}

func (f numbered) isFile() error {
	if f.path == "-" {
		return nil
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return core.E(core.KindNotFound, "rules explain", "there is no file "+f.path).
			WithHint("an event is a file, FILE:N, - or the id of an event that the server has")
	}
	if info.IsDir() {
		return core.E(core.KindInvalid, "rules explain", f.path+" is a folder").WithHint("name one file; folders are searched by: interlock hunt")
	}
	return nil
}

// missing says why there was no such event.
func (f numbered) missing(res *hunt.Result) error {
	for _, fault := range res.Faults {
		if fault.Event < 0 {
			return core.E(core.KindInvalid, "rules explain", f.path+" can't be read: "+fault.Why)
		}
		if fault.Event == f.n {
			return core.E(core.KindInvalid, "rules explain", fmt.Sprintf("event %d of %s can't be read: %s", f.n, f.path, fault.Why))
		}
	}
	if res.Events == 0 {
		return core.E(core.KindInvalid, "rules explain", f.path+" holds no event").WithHint("an event is a JSON object, a line of a log, or a record of an EVTX file")
	}
	return core.E(core.KindNotFound, "rules explain", fmt.Sprintf("%s holds %d events, so the last is %s:%d", f.path, res.Events, f.path, res.Events-1))
}

// eventRules compiles the rules in files and folders, without any the shipped
// ones, for verbs that look at events in files. A rule that can't be used is
// told and left out. values is a file with those of placeholders, "" for none.
func eventRules(e *env, paths []string, values string) (*sigma.Engine, error) {
	files, err := ruleTexts(paths)
	if err != nil {
		return nil, err
	}
	parsed, faults := hunt.Parse(files)
	o := sigma.Options{Aliases: normalise.Aliases, Routes: taxonomy.Routes(), Now: time.Now()}
	if values != "" {
		text, err := readLimited(values, sigma.MaxFile)
		if err != nil {
			return nil, err
		}
		if o.Placeholders, err = sigma.ParsePlaceholders(values, text); err != nil {
			return nil, err
		}
	}
	engine, more, err := hunt.Compile(parsed, o)
	for _, f := range append(faults, more...) {
		_, _ = fmt.Fprintf(e.err, "rule left out: %s\n", oneLineOf(f.String()))
	}
	if err == nil && len(engine.Rules()) == 0 {
		return nil, core.E(core.KindInvalid, "rules", "none of the rules can be used").WithHint("interlock rules check " + strings.Join(paths, " "))
	}
	return engine, err
}

func ruleTexts(paths []string) ([]hunt.RuleFile, error) {
	if len(paths) > 0 {
		return hunt.ReadRules(paths)
	}
	shipped, err := rules.Shipped()
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "rules", err)
	}
	out := make([]hunt.RuleFile, len(shipped))
	for i, f := range shipped {
		out[i] = hunt.RuleFile{Name: f.Name, Text: []byte(f.Text)}
	}
	return out, nil
}
