package playbook

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/response/action"
	"github.com/interlock-security/interlock/response/incident"
)

// DryRun tells what the playbooks that answer to an incident would do now, and
// for each step why it could not. It changes and records nothing.
func (e *Engine) DryRun(ctx context.Context, in incident.Incident) ([]string, error) {
	var lines []string
	for _, b := range e.books {
		if !b.Answers(in.Rule) {
			continue
		}
		how, err := e.wouldStart(ctx, in, b)
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s version %d: %s; %s", b.ID, b.Version, b.Title, how))
		for i := range b.Steps {
			line, err := e.dryStep(ctx, in, b, i)
			if err != nil {
				return nil, err
			}
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		lines = []string{"no playbook answers to rule " + in.Rule}
	}
	return lines, nil
}

func (e *Engine) wouldStart(ctx context.Context, in incident.Incident, b *Playbook) (string, error) {
	alone, why := b.Alone(in)
	if alone && in.Simulated {
		simulated, err := e.simulation(ctx, in)
		if err != nil {
			return "", err
		}
		if !simulated {
			alone, why = false, simulatedOnly(in)
		}
	}
	if !alone {
		return "waits for a person: " + why, nil
	}
	return "starts by itself", nil
}

func (e *Engine) dryStep(ctx context.Context, in incident.Incident, b *Playbook, i int) (string, error) {
	st := b.Steps[i]
	what := fmt.Sprintf("step %d (%s): %s of %s", i+1, st.ID, st.Do, in.Subject)
	obstacle, err := "", error(nil)
	if st.Do == DoVerify {
		what = fmt.Sprintf("step %d (%s): checks %s; only a pass in each closes the incident", i+1, st.ID, strings.Join(st.Checks, ", "))
	} else {
		var note string
		if note, obstacle, err = e.dryAction(ctx, in, st); err != nil {
			return "", err
		}
		what += ", " + note
	}
	if states := slices.Concat(st.Before, st.After); len(states) > 0 {
		words := make([]string, len(states))
		for i, s := range states {
			words[i] = string(s)
		}
		what += "; incident goes to " + strings.Join(words, ", ")
	}
	what += fmt.Sprintf("; at most %s and %d retries", st.Timeout, st.Retries)
	if !in.State.Open() {
		obstacle = fmt.Sprintf("the incident is %s", in.State)
	}
	if obstacle != "" {
		what += "; COULD NOT: " + obstacle
	}
	return what, nil
}

// dryAction says what an action takes, and what stands in its way now.
func (e *Engine) dryAction(ctx context.Context, in incident.Incident, st Step) (note, obstacle string, err error) {
	spec, _ := action.SpecOf(action.Kind(st.Do))
	row, _ := link.DirectionOf(spec.Order)
	note = "signed by the server"
	if row.Direction.Away() {
		note = fmt.Sprintf("waits for the signatures of persons of role %s", row.Role)
	} else if spec.Reversible {
		note += ", can be taken back"
	}
	if in.Device.IsZero() {
		return note, "the evidence names no device that proved who it is", nil
	}
	d, err := e.Fleet.Get(ctx, in.Tenant, in.Device)
	switch {
	case core.KindOf(err) == core.KindNotFound:
		return note, err.Error(), nil
	case err != nil:
		return note, "", err
	case d.Identity != fleet.IdentityActive:
		return note, fmt.Sprintf("device %s is %s and takes no orders", d.ID, d.Identity), nil
	case d.Known.Epoch == "":
		return note, fmt.Sprintf("device %s has not reported yet", d.ID), nil
	}
	on := fleet.ResourceOf(d)
	if judged := e.Would(playbookService(in.Tenant), spec.Action, on); !judged.Allowed {
		return note, judged.Reason, nil
	}
	if d.Link != core.DeviceOnline {
		note += fmt.Sprintf("; the device is %s and takes the order when it is back", d.Link)
	}
	return note, "", nil
}
