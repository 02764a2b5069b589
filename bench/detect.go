package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
)

// detectSSHD is what the detect stage does with a record of sshd's log: decode,
// normalise, judge by every shipped rule. The floor is decoding it alone.
func detectSSHD() trial {
	return trial{
		figures: []figure{{name: "detect/sshd", unit: "events/cpu-s", floor: "raw/json-decode"}},
		open:    openDetect,
	}
}

func openDetect(context.Context, string) (sides, error) {
	files, err := rules.Shipped()
	if err != nil {
		return sides{}, err
	}
	set, err := detect.NewRuleset(files)
	if err != nil {
		return sides{}, err
	}
	lines, err := records(perFrame, 0)
	if err != nil {
		return sides{}, err
	}
	detector := detect.NewDetector(set, normalise.New(), new(detect.Stats))
	return sides{
		ours: perSecond(perFrame, func() error { return judge(detector, lines) }),
		floor: perSecond(perFrame, func() error {
			return each(lines, func(*core.Event) {})
		}),
		close: func() error { return nil },
	}, nil
}

// judge fails where no rule holds: it would be measuring something else.
func judge(d *detect.Detector, lines [][]byte) error {
	matches := 0
	err := each(lines, func(e *core.Event) { d.Judge(e, func(detect.Match) { matches++ }) })
	if err == nil && matches == 0 {
		return errors.New("no shipped rule holds for a failed login")
	}
	return err
}

func each(lines [][]byte, fn func(*core.Event)) error {
	for _, b := range lines {
		var e core.Event
		if err := json.Unmarshal(b, &e); err != nil {
			return err
		}
		fn(&e)
	}
	return nil
}
