package secretscan

import (
	"context"
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/secrets/detect/source"
	"github.com/interlock-security/interlock/secrets/detect/verify/online"
)

// Asker asks the provider of a secret whether it still works. *online.Client is one.
type Asker interface {
	Knows(rule string) bool
	Ask(ctx context.Context, q online.Question) (online.Answer, error)
}

// Tags of what a provider said.
const (
	TagLive = "valid"
	TagDead = "dead"
)

// mostQuestions bounds how many secrets are asked about: providers count.
const mostQuestions = 200

// question is what is to be asked of a finding, when the scan is over.
type question struct {
	finding int
	q       online.Question
}

// wonder notes what could be asked.
func (r *run) wonder(f *source.Found) {
	if r.Online == nil || f.Secret.IsZero() || !r.Online.Knows(f.Rule) {
		return
	}
	r.questions = append(r.questions, question{len(r.report.Findings) - 1, online.Question{Rule: f.Rule, Secret: f.Secret}})
}

// ask asks each secret once. What got no answer is counted and stays as it is: that it
// leaked is known all the same.
func (r *run) ask(ctx context.Context) {
	answers := map[string]*online.Answer{}
	for _, one := range r.questions {
		key := one.q.Rule + "\x00" + string(one.q.Secret.Reveal())
		a, known := answers[key]
		if !known {
			if len(answers) < mostQuestions && ctx.Err() == nil {
				if said, err := r.Online.Ask(ctx, one.q); err == nil {
					a = &said
				}
			}
			answers[key] = a
		}
		if a == nil || a.State == online.Unclear {
			r.unanswered++
			continue
		}
		judge(&r.report.Findings[one.finding], a)
	}
}

// judge writes what the provider said into a finding.
func judge(f *scanning.Finding, a *online.Answer) {
	if a.State == online.Dead {
		f.Tags = append(f.Tags, TagDead)
		f.Advice = "its provider refuses it: take it out and look at its use before that"
		return
	}
	f.Tags = append(f.Tags, TagLive)
	f.Severity = core.SeverityCritical
	whose := ""
	if a.Owner != "" {
		whose = fmt.Sprintf(" and is of %s", source.Shown(a.Owner))
	}
	f.Advice = "it works" + whose + ", now: " + f.Advice
}
