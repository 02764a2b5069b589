package playbook_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
)

// chaos drives one engine step by step, in an order that dice choose: frames in
// their order, jobs in any order and as often as the dice like (a job that has
// been done is done again, as after a crash), devices, persons, outages, time.
type chaos struct {
	*world
	dice *rand.Rand
	in   incident.Incident
	read map[string]uint64
	last playbook.Run
	log  []string
	deep int // steps within steps
}

// FuzzRun is the model of a run: whatever happens in whatever order, it stands
// only where the state diagram allows, makes each order once, and can be brought
// to an end by people once everything works again. The seeds below run as a
// normal test.
func FuzzRun(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		lite(t, func(w *world) {
			c := &chaos{world: w, dice: rand.New(rand.NewPCG(seed, 7)), read: map[string]uint64{}}
			c.in = w.take(alertOf(press, false))
			w.between = c.comesBetween
			for i := range 80 {
				c.log = append(c.log, c.step())
				if c.holds(); t.Failed() {
					t.Fatalf("after %d steps:\n%s\n%s", i+1, strings.Join(c.log, "\n"), w.said(c.in.ID))
				}
			}
			c.heal()
		})
	})
}

// comesBetween has others act while the engine is in the middle of something.
func (c *chaos) comesBetween() {
	if c.deep > 0 || c.dice.IntN(4) > 0 {
		return
	}
	c.deep++
	c.holds()
	for range 1 + c.dice.IntN(4) {
		c.log = append(c.log, "  between: "+c.step())
		c.holds()
	}
	c.deep--
}

func (c *chaos) step() string {
	type op struct {
		weight int
		run    func() string
	}
	ops := []op{
		{12, c.frame},
		{14, c.anyJob},
		{6, c.answerAny},
		{2, c.personMoves},
		{2, c.personStarts},
		{4, c.timePasses},
		{2, c.outage},
		{1, c.restart},
		{1, c.reportAgain},
		{3, c.sensorTurns},
	}
	sum := 0
	for _, o := range ops {
		sum += o.weight
	}
	n := c.dice.IntN(sum)
	for _, o := range ops {
		if n -= o.weight; n < 0 {
			return o.run()
		}
	}
	return ""
}

// frame hands the next frame of a topic to its stage, once.
func (c *chaos) frame() string {
	stages := []journal.Stage{c.engine.Stage(c.topicIncidents.Bind(c.db)), c.engine.OrderStage(c.topicOrders.Bind(c.db))}
	s := stages[c.dice.IntN(2)]
	frames, err := s.From.Read(c.t.Context(), 0, c.read[s.Name]+1, 1)
	c.must(err)
	if len(frames) == 0 {
		return s.Name + ": nothing new"
	}
	c.must(c.db.Tx(c.t.Context(), func(tx *store.Tx) error { return s.Handle(c.t.Context(), tx, frames[0]) }))
	c.read[s.Name] = frames[0].Offset
	return fmt.Sprintf("%s: frame %d", s.Name, frames[0].Offset)
}

func (c *chaos) jobs() []jobs.Trouble {
	var list []jobs.Trouble
	c.must(c.db.View(c.t.Context(), func(tx *store.Tx) (err error) {
		list, err = jobs.List(c.t.Context(), tx, tenant, jobs.Waiting, 1000)
		return err
	}))
	return list
}

func (c *chaos) anyJob() string {
	list := c.jobs()
	if len(list) == 0 {
		return "no job"
	}
	return c.job(list[c.dice.IntN(len(list))])
}

// job does a job that is in the table; a deadline not before its time.
func (c *chaos) job(j jobs.Trouble) string {
	parts := strings.Split(j.Key, "/")
	number := func(i int) int { n, _ := strconv.Atoi(parts[i]); return n }
	if r := c.current(); j.Kind == playbook.JobDeadline && (r.State != playbook.RunRunning || c.clock.Now().Before(r.Deadline)) {
		return "a deadline that is not due"
	}
	payload, err := json.Marshal(map[string]any{"run": parts[1], "round": number(2), "step": number(3), "attempt": number(4)})
	c.must(err)
	err = c.engine.Handlers()[j.Kind].Run(c.t.Context(), jobs.Job{Tenant: tenant, Kind: j.Kind, Key: j.Key, Payload: payload, Attempt: 1})
	return fmt.Sprintf("%s %s: %v", j.Kind, strings.Join(parts[2:], "."), err)
}

func (c *chaos) answerAny() string {
	var live []string
	for key, o := range c.orders {
		if !o.State.Final() {
			live = append(live, key)
		}
	}
	if len(live) == 0 {
		return "no order"
	}
	slices.Sort(live)
	key := live[c.dice.IntN(len(live))]
	to := []fleet.OrderState{
		fleet.OrderDone, fleet.OrderDone, fleet.OrderDone, fleet.OrderPending, fleet.OrderRefused,
		fleet.OrderFailed, fleet.OrderExpired, fleet.OrderSuperseded, fleet.OrderWithdrawn,
	}[c.dice.IntN(9)]
	c.answer(key, to, "by dice")
	return fmt.Sprintf("order %s is %s", key, to)
}

func (c *chaos) personMoves() string {
	in := c.incident(c.in.ID)
	next := slices.DeleteFunc(incident.Next(in.State), func(s incident.State) bool { return s == incident.StateMerged })
	if len(next) == 0 {
		return "nowhere to go"
	}
	to := next[c.dice.IntN(len(next))]
	return fmt.Sprintf("anna moves it to %s: %v", to, c.move(c.in.ID, anna, to, "by dice"))
}

func (c *chaos) personStarts() string {
	r := c.current()
	if r.ID.IsZero() {
		return "no run"
	}
	_, err := c.engine.Start(c.t.Context(), ben, r.ID)
	return fmt.Sprintf("ben starts it: %v", err)
}

func (c *chaos) timePasses() string {
	d := []time.Duration{time.Second, time.Minute, 20 * time.Minute, 2 * time.Hour, 80 * time.Hour}[c.dice.IntN(5)]
	c.clock.Advance(d)
	return d.String() + " pass"
}

func (c *chaos) outage() string {
	c.onCreate, c.onCreated, c.logDown = nil, nil, nil
	switch c.dice.IntN(5) {
	case 0:
		c.onCreate = func(fleet.OrderRequest) error { return errAway }
		return "the keys process is away"
	case 1:
		c.onCreate = func(fleet.OrderRequest) error { return core.E(core.KindConflict, "fleet", "no open latch") }
		return "the device is in the way"
	case 2:
		c.onCreated = func(fleet.OrderRequest) error { return core.E(core.KindUncertain, "fleet", "the answer was lost") }
		return "answers are lost"
	case 3:
		c.logDown = core.E(core.KindUnavailable, "audit", "stop-only")
		return "the log is in stop-only mode"
	}
	return "everything works"
}

func (c *chaos) restart() string {
	c.build()
	return "restart"
}

// reportAgain is another alert of the same kind.
func (c *chaos) reportAgain() string {
	a := alertOf(press, c.dice.IntN(2) == 0)
	a.ID = core.NewUUID(c.clock.Now().Add(time.Duration(c.dice.IntN(1000)) * time.Millisecond))
	if in := c.incident(c.in.ID); !in.State.Open() {
		return "the incident is over"
	}
	c.take(a)
	return "another alert"
}

func (c *chaos) sensorTurns() string {
	s := []core.SensorState{core.SensorOK, core.SensorOK, core.SensorAlarm, core.SensorUnknown}[c.dice.IntN(4)]
	c.device(press, func(m *machine) { m.sensor, m.silent = s, c.dice.IntN(4) == 0 })
	return "the sensor is " + string(s)
}

// current is the incident's run, zero while there is none.
func (c *chaos) current() playbook.Run {
	runs, err := c.engine.List(c.t.Context(), tenant, c.in.ID)
	c.must(err)
	if len(runs) == 0 {
		return playbook.Run{}
	}
	if len(runs) > 1 {
		c.t.Errorf("%d runs of one incident", len(runs))
	}
	return runs[0]
}

// next is the state diagram: what one step may make of a run.
var next = map[playbook.RunState][]playbook.RunState{
	"":                   {playbook.RunRunning, playbook.RunProposed},
	playbook.RunProposed: {playbook.RunRunning},
	playbook.RunRunning:  {playbook.RunDone, playbook.RunFailed, playbook.RunStopped, playbook.RunProposed},
	playbook.RunFailed:   {playbook.RunRunning},
	playbook.RunStopped:  {playbook.RunRunning},
	playbook.RunDone:     {playbook.RunRunning},
}

// holds checks what is true after every step.
func (c *chaos) holds() {
	r, was := c.current(), c.last
	if r.State != was.State && !slices.Contains(next[was.State], r.State) {
		c.t.Errorf("the run went from %q to %q", was.State, r.State)
	}
	if was.State != playbook.RunRunning && was.State != "" && r.State == playbook.RunRunning && r.Round != was.Round+1 {
		c.t.Errorf("it was started and is in round %d after %d", r.Round, was.Round)
	}
	if slices.Compare([]int{r.Round, r.Step, r.Attempt}, []int{was.Round, was.Step, was.Attempt}) < 0 {
		c.t.Errorf("it went back from %d.%d.%d to %d.%d.%d", was.Round, was.Step, was.Attempt, r.Round, r.Step, r.Attempt)
	}
	in := c.incident(c.in.ID)
	if r.State == playbook.RunDone && was.State != playbook.RunDone && in.State != incident.StateClosed {
		c.t.Errorf("the run is done, the incident %s", in.State)
	}
	if c.created != len(c.orders) {
		c.t.Errorf("%d orders under %d keys", c.created, len(c.orders))
	}
	c.last = r
	c.ordersHold()
}

// ordersHold: no more attempts than the plan allows, and no release without the
// step before it.
func (c *chaos) ordersHold() {
	count := map[string]int{}
	for key := range c.orders {
		parts := strings.Split(key, "/")
		if count[parts[2]+"."+parts[3]]++; count[parts[2]+"."+parts[3]] > 11 || parts[3] == "0" && count[parts[2]+".0"] > 4 {
			c.t.Errorf("too many orders in one step: %v", c.orders)
		}
	}
	for _, a := range c.attemptsNow() {
		if a.Step == 1 && a.Round == 1 && !slices.ContainsFunc(c.attemptsNow(), func(b playbook.Attempt) bool { return b.Round == 1 && b.Step == 0 && b.State == playbook.RunDone }) {
			c.t.Error("the release came before the quarantine was done")
		}
	}
}

func (c *chaos) attemptsNow() []playbook.Attempt {
	r := c.current()
	if r.ID.IsZero() {
		return nil
	}
	_, list, err := c.engine.Get(c.t.Context(), tenant, r.ID)
	c.must(err)
	return list
}

// heal makes everything work, does what is due, answers what waits, and has a
// person start the run where it wants one. The incident must come to its end.
func (c *chaos) heal() {
	c.onCreate, c.onCreated, c.logDown, c.between = nil, nil, nil, nil
	for range 400 {
		c.device(press, func(m *machine) { m.sensor, m.silent = core.SensorOK, false })
		for range 4 {
			c.log = append(c.log, c.frame())
		}
		c.clock.Advance(10 * time.Second)
		r := c.current()
		if in := c.incident(c.in.ID); !in.State.Open() && r.State != playbook.RunRunning {
			return
		}
		for key, o := range c.orders {
			if !o.State.Final() {
				c.answer(key, fleet.OrderDone, "healed")
			}
		}
		for _, j := range c.jobs() {
			if strings.HasSuffix(j.Key, fmt.Sprintf("/%d/%d/%d", r.Round, r.Step, r.Attempt)) {
				c.log = append(c.log, c.job(j))
			}
		}
		if r.State == playbook.RunFailed || r.State == playbook.RunStopped || r.State == playbook.RunProposed || r.State == playbook.RunDone {
			c.log = append(c.log, c.personStarts())
		}
		if c.holds(); c.t.Failed() {
			break
		}
	}
	c.t.Errorf("it never came to its end:\n%s\n%s", strings.Join(c.log[max(0, len(c.log)-60):], "\n"), c.said(c.in.ID))
}

// TestALateFailureDoesNotTouchTheNextRound: while an attempt is under way its
// step runs out of time and a person starts the run again. What the old attempt
// comes to then is nobody's business any more.
func TestALateFailureDoesNotTouchTheNextRound(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c := &chaos{world: w, dice: rand.New(rand.NewPCG(1, 7)), read: map[string]uint64{}}
		c.in = w.take(alertOf(press, false))
		for c.current().ID.IsZero() {
			c.frame()
		}
		w.onCreate = func(r fleet.OrderRequest) error {
			if strings.Contains(r.Key, "/1/0/1") {
				return core.E(core.KindDenied, "fleet", "refused, late")
			}
			return nil
		}
		find := func(kind string, round int) jobs.Trouble {
			for _, j := range c.jobs() {
				if j.Kind == kind && strings.HasSuffix(j.Key, fmt.Sprintf("/%d/0/1", round)) {
					return j
				}
			}
			t.Fatalf("no %s in round %d", kind, round)
			return jobs.Trouble{}
		}
		w.between = func() {
			w.between = nil
			w.clock.Advance(11 * time.Minute)
			c.job(find(playbook.JobDeadline, 1))
			if _, err := w.engine.Start(t.Context(), ben, c.current().ID); err != nil {
				t.Error(err)
			}
		}
		first := find(playbook.JobStep, 1)
		c.job(first)
		if w.between == nil && c.current().State != playbook.RunRunning {
			t.Fatalf("the run is %s, by the attempt of a round that is over", c.current().State)
		}
		c.job(first) // again, as after a crash
		c.job(find(playbook.JobStep, 2))
		if r := c.current(); r.State != playbook.RunRunning || r.Round != 2 || w.made() != 1 {
			t.Errorf("the run is %s in round %d with %d orders", r.State, r.Round, w.made())
		}
	})
}
