package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/interlock-security/interlock/core"
)

// cappedEvery is how often one actor's reaching the cap is told.
const cappedEvery = time.Hour

// cappedAct is an act that the Guard refused because of the cap.
type cappedAct struct {
	who    core.Principal
	action core.Action
	on     core.Resource
}

// caps carries what the Guard says about its cap to where it becomes an alarm.
// The Guard waits for nobody, so what finds no room is dropped: the alarm is of
// the first.
type caps chan cappedAct

func (c caps) tell(who core.Principal, action core.Action, on core.Resource) {
	select {
	case c <- cappedAct{who, action, on}:
	default:
	}
}

// run raises one alarm an actor and hour until ctx ends.
func (c caps) run(ctx context.Context, clock core.Clock, log *slog.Logger, raise func(context.Context, core.Principal, core.Action, core.Resource) error) error {
	told := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case act := <-c:
			now := clock.Now()
			for who, at := range told {
				if now.Sub(at) >= cappedEvery {
					delete(told, who)
				}
			}
			if _, known := told[act.who.String()]; known {
				continue
			}
			if err := raise(ctx, act.who, act.action, act.on); err != nil {
				log.Error("an alarm waits for the next act over the cap", slog.String("actor", act.who.String()), slog.Any("err", err))
				continue
			}
			told[act.who.String()] = now
		}
	}
}
