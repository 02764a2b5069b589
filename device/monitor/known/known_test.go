package known_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/known"
	"github.com/interlock-security/interlock/device/sensor"
)

var (
	_  monitor.Learner = (*known.Judge)(nil)
	t0                 = time.Unix(1_800_000_000, 0)
)

const day = 24 * time.Hour

// desk is a judge with its time, which it lets pass as the core does.
type desk struct {
	t    *testing.T
	j    *known.Judge
	now  time.Time
	said []sensor.Reading
}

func newDesk(t *testing.T, c known.Config) *desk {
	t.Helper()
	j, err := known.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t: t, j: j, now: t0}
}

// learned is a desk whose judge knows mac1 and has learned.
func learned(t *testing.T, c known.Config) *desk {
	t.Helper()
	d := newDesk(t, c)
	d.sight("mac1")
	d.pass(day)
	d.said = nil
	return d
}

func (d *desk) sight(identity string) *desk {
	p := sensor.Part{Class: "neighbour", Place: "eth0", Identity: identity, About: map[string]string{"ip": "192.0.2.1"}}
	d.said = append(d.said, d.j.Judge(d.now, sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{p}})...)
	return d
}

// pass ticks whenever the judge asks for it.
func (d *desk) pass(by time.Duration) *desk {
	d.t.Helper()
	end := d.now.Add(by)
	for steps := 0; ; steps++ {
		next := d.j.Next()
		if next.IsZero() || next.After(end) {
			break
		}
		if steps > 100_000 {
			d.t.Fatal("it ticks without end")
		}
		if next.After(d.now) {
			d.now = next
		}
		d.said = append(d.said, d.j.Tick(d.now)...)
	}
	d.now = end
	return d
}

func (d *desk) take() []sensor.Reading {
	said := d.said
	d.said = nil
	return said
}

func types(said []sensor.Reading) []string {
	var all []string
	for _, r := range said {
		all = append(all, r.Type)
	}
	return all
}

func field(t *testing.T, r sensor.Reading, name string) any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal(r.Fields, &m); err != nil {
		t.Fatal(err)
	}
	return m[name]
}

func (d *desk) wants(want ...string) []sensor.Reading {
	d.t.Helper()
	said := d.take()
	if got := types(said); !slices.Equal(got, want) {
		d.t.Fatalf("said %v, want %v", got, want)
	}
	return said
}

func TestWhatIsThereWhileItLearnsIsKnownAndWhatComesAfterIsNew(t *testing.T) {
	d := newDesk(t, known.Config{})
	d.sight("mac1").pass(12 * time.Hour).sight("mac2").sight("mac1").wants()
	d.pass(12 * time.Hour)
	end := d.wants("inventory")[0]
	if field(t, end, "known") != 2.0 || field(t, end, "learned") != true {
		t.Errorf("%s", end.Fields)
	}
	d.sight("mac1").sight("mac2").wants()
	d.sight("mac3")
	r := d.wants("neighbour_new")[0]
	if r.Severity != core.SeverityMedium || r.Alarm || r.Point != "eth0" || field(t, r, "identity") != "mac3" || field(t, r, "about_ip") != "192.0.2.1" {
		t.Errorf("%+v %s", r, r.Fields)
	}
	d.sight("mac3").wants()
	d.pass(time.Minute)
	list := d.wants("inventory")[0]
	if field(t, list, "sha256") != field(t, r, "sha256") || !strings.Contains(string(list.Fields), "mac3") {
		t.Errorf("%s", list.Fields)
	}
}

func TestTheSameStationElsewhereIsNew(t *testing.T) {
	d := learned(t, known.Config{Alarm: true})
	p := sensor.Part{Class: "switch-port", Place: "eth0", Identity: "mac1"}
	said := d.j.Judge(d.now, sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{p}})
	if got := types(said); !slices.Equal(got, []string{"switch_port_new"}) || !said[0].Alarm {
		t.Errorf("%+v", said)
	}
}

func TestAnotherGatewayIsMoreThanAnotherStation(t *testing.T) {
	for class, want := range map[string]string{"gateway": "gateway_new", "dhcp-server": "dhcp_server_new", "router": "router_new", "bmc-intrusion": "bmc_intrusion_logged", "access-point": "access_point_new", "card": "identity_new"} {
		d := learned(t, known.Config{})
		said := d.j.Judge(d.now, sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{{Class: class, Place: "eth0", Identity: "x"}}})
		if len(said) != 1 || said[0].Type != want || (said[0].Severity == core.SeverityHigh) != (want != "access_point_new" && want != "identity_new") {
			t.Errorf("%s: %+v", class, said)
		}
	}
}

func TestAnOrderAcceptsTheListThatPeopleSawAndNoOther(t *testing.T) {
	d := learned(t, known.Config{})
	first := field(t, d.sight("mac2").wants("neighbour_new")[0], "sha256").(string)
	second := field(t, d.sight("mac3").wants("neighbour_new")[0], "sha256").(string)
	if _, err := d.j.Accept(d.now, first); core.KindOf(err) != core.KindConflict || core.HintOf(err) == "" {
		t.Errorf("the list of before mac3: %v", err)
	}
	said, err := d.j.Accept(d.now, second)
	if err != nil || field(t, said[0], "known") != 3.0 || field(t, said[0], "sha256") != second {
		t.Errorf("%v %v", said, err)
	}
	d.sight("mac2").sight("mac3").wants()
}

func TestANewcomerThatNobodyAcceptedIsToldAgain(t *testing.T) {
	d := learned(t, known.Config{Forget: 2 * day})
	d.sight("mac2").pass(day).sight("mac2").wants("neighbour_new", "inventory")
	d.pass(day + 2*time.Hour)
	d.wants("inventory") // it is gone from the list
	d.sight("mac2").wants("neighbour_new")
}

func TestAKnownOneThatIsUnseenForLongIsKnownNoMore(t *testing.T) {
	d := learned(t, known.Config{Expire: 30 * day})
	for range 40 {
		d.sight("mac2") // told again each week, which is not of interest here
		d.pass(day)
	}
	said := d.take()
	if got := types(said); !slices.Contains(got, "identity_expired") {
		t.Fatalf("said %v", got)
	}
	if r := said[slices.Index(types(said), "identity_expired")]; field(t, r, "identity") != "mac1" {
		t.Errorf("%s", r.Fields)
	}
	d.sight("mac1")
	if got := types(d.take()); !slices.Contains(got, "neighbour_new") {
		t.Errorf("back again: %v", got)
	}
}

func TestAFloodIsToldAsOneAndPushesNobodyOut(t *testing.T) {
	d := learned(t, known.Config{Alarm: true})
	for i := range 5000 {
		d.sight(fmt.Sprintf("made-up-%d", i))
	}
	said := d.take()
	if got := types(said); len(got) != 17 || got[15] != "neighbour_new" || got[16] != "identity_flood" {
		t.Fatalf("%d said: %v", len(got), got)
	}
	if r := said[16]; !r.Alarm || r.Severity != core.SeverityHigh {
		t.Errorf("%+v", r)
	}
	if b, _ := d.j.Memory(); len(b) > 16<<10 {
		t.Errorf("it remembers %d bytes", len(b))
	}
	d.sight("mac1").wants()
	d.pass(2 * time.Hour)
	for _, r := range d.take() {
		if r.Type == "identity_flood" && field(t, r, "count") != 4984.0 {
			t.Errorf("%s", r.Fields)
		}
	}
	for i := range 300 { // day after day
		d.sight(fmt.Sprintf("later-%d", i)).pass(time.Hour)
	}
	if got := types(d.take()); !slices.Contains(got, "identity_flood") {
		t.Errorf("the room for newcomers is full and nobody was told: %v", got)
	}
	d.sight("mac1").wants()
}

func TestAFloodOfStationsHidesNoGateway(t *testing.T) {
	d := learned(t, known.Config{})
	for i := range 5000 {
		d.sight(fmt.Sprintf("made-up-%d", i))
	}
	d.take()
	p := sensor.Part{Class: "gateway", Place: "eth0", Identity: "192.0.2.1 mac2"}
	said := d.j.Judge(d.now, sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{p}})
	if got := types(said); !slices.Equal(got, []string{"gateway_new"}) {
		t.Errorf("%v", got)
	}
	for i := range 100 {
		p := sensor.Part{Class: fmt.Sprintf("class-%d", i), Place: "eth0", Identity: "x"}
		d.said = append(d.said, d.j.Judge(d.now, sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{p}})...)
	}
	if b, _ := d.j.Memory(); len(b) > 32<<10 || len(d.take()) > 20 {
		t.Errorf("it remembers %d bytes", len(b))
	}
}

func TestAFullListSaysSo(t *testing.T) {
	d := newDesk(t, known.Config{Room: 3})
	for i := range 10 {
		d.sight(fmt.Sprint(i))
	}
	d.wants("identities_full")
	d.pass(day)
	d.take()
	sum := field(t, d.sight("8").wants("neighbour_new")[0], "sha256").(string)
	if _, err := d.j.Accept(d.now, sum); core.KindOf(err) != core.KindTooLarge {
		t.Errorf("a fourth of three: %v", err)
	}
}

func TestWhoSetsTheClockNeitherForgetsNorLearns(t *testing.T) {
	d := learned(t, known.Config{})
	d.now = d.now.AddDate(12, 0, 0)
	d.sight("mac1").wants()
	d.sight("mac2").wants("neighbour_new")
	d.now = t0.AddDate(-30, 0, 0)
	d.sight("mac1").sight("mac2").pass(time.Hour)
	d.sight("mac3")
	if got := types(d.take()); !slices.Equal(got, []string{"inventory", "neighbour_new"}) {
		t.Errorf("%v", got)
	}
	while := newDesk(t, known.Config{})
	while.sight("mac1")
	while.now = while.now.AddDate(1, 0, 0)
	while.sight("mac2").wants() // it still learns: two hours are the most that count
}

func TestItGoesOnWhereItWas(t *testing.T) {
	d := learned(t, known.Config{})
	d.sight("mac2")
	kept, changed := d.j.Memory()
	if !changed {
		t.Error("a newcomer is not worth keeping")
	}
	if _, again := d.j.Memory(); again {
		t.Error("nothing changed since, and it is to be kept again")
	}
	next := newDesk(t, known.Config{})
	if err := next.j.Recall(kept); err != nil {
		t.Fatal(err)
	}
	next.sight("mac1").sight("mac2").wants()
	next.sight("mac3").wants("neighbour_new")
}

// TestLearningEndsAlthoughTheDeviceIsRestarted starts the judge anew every half
// hour: what counts is how long it learned in all.
func TestLearningEndsAlthoughTheDeviceIsRestarted(t *testing.T) {
	var kept []byte
	for range 90 {
		d := newDesk(t, known.Config{})
		if err := d.j.Recall(kept); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			d.sight("mac1").pass(5 * time.Minute)
			if b, changed := d.j.Memory(); changed {
				kept = b
			}
		}
	}
	d := newDesk(t, known.Config{})
	if err := d.j.Recall(kept); err != nil {
		t.Fatal(err)
	}
	d.sight("mac2")
	if got := types(d.take()); !slices.Contains(got, "neighbour_new") {
		t.Errorf("it learns for ever: %v", got)
	}
}

func TestAQuietSegmentIsWrittenDownOnceADay(t *testing.T) {
	d := learned(t, known.Config{})
	d.j.Memory()
	writes := 0
	for range 10 * 24 {
		d.pass(time.Hour).sight("mac1")
		if _, changed := d.j.Memory(); changed {
			writes++
		}
	}
	if writes > 10 {
		t.Errorf("%d writes in ten days", writes)
	}
}

func TestADamagedListIsNotLearnedAnew(t *testing.T) {
	for _, kept := range []string{"", "{", `{"v":9}`, `{"v":1,"at":-1}`, `[]`, strings.Repeat(" ", 2<<20)} {
		d := newDesk(t, known.Config{})
		if err := d.j.Recall([]byte(kept)); core.KindOf(err) == core.KindInternal {
			t.Errorf("%.20q is believed: %v", kept, err)
		}
		d.sight("mac1")
		if got := types(d.take()); !slices.Contains(got, "neighbour_new") {
			t.Errorf("%.20q: %v", kept, got)
		}
	}
}

func TestWhatAPersonMadeUpCanBeJudgedLow(t *testing.T) {
	d := learned(t, known.Config{Alarm: true, Randomised: "low"})
	p := sensor.Part{Class: "neighbour", Place: "eth0", Identity: "da:a1:19:00:00:01", About: map[string]string{"randomised": "true"}}
	said := d.j.Judge(d.now, sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{p}})
	if len(said) != 1 || said[0].Severity != core.SeverityLow || said[0].Alarm {
		t.Errorf("%+v", said)
	}
	d.sight("00:1b:21:00:00:01")
	if r := d.wants("neighbour_new")[0]; r.Severity != core.SeverityMedium || !r.Alarm {
		t.Errorf("%+v", r)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []known.Config{
		{Learn: 9000 * time.Hour}, {Forget: time.Second}, {Forget: -1}, {Expire: time.Hour}, {Room: 5000}, {Burst: 1000}, {Randomised: "maybe"},
	} {
		if _, err := known.New(c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
	d := newDesk(t, known.Config{Learn: -1})
	d.sight("mac1").wants("neighbour_new")
}

func FuzzRecall(f *testing.F) {
	d, _ := known.New(known.Config{})
	d.Judge(t0, sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{{Class: "neighbour", Place: "eth0", Identity: "mac1"}}})
	b, _ := d.Memory()
	f.Add(b)
	f.Add([]byte(`{"v":1,"known":null,"new":{"a":{}}}`))
	f.Fuzz(func(t *testing.T, kept []byte) {
		j, err := known.New(known.Config{})
		if err != nil {
			t.Fatal(err)
		}
		_ = j.Recall(kept)
		for i := range 3 {
			j.Judge(t0.Add(time.Duration(i)*time.Hour), sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{{Class: "neighbour", Place: "eth0", Identity: "mac2"}}})
		}
		if _, changed := j.Memory(); changed && err != nil {
			t.Error("a damaged list is written back")
		}
	})
}

func TestTheListFitsInOneEventWhateverNewcomersCallThemselves(t *testing.T) {
	d := learned(t, known.Config{Burst: 256})
	for i := range 100 { // more than there is room for
		p := sensor.Part{
			Class: "switch-port", Place: "eth0", Identity: fmt.Sprint(i) + strings.Repeat("<", 250),
			About: map[string]string{"host": strings.Repeat("<", 256), "vendor": strings.Repeat("\x00", 256), "other": strings.Repeat("x", 9999)},
		}
		d.said = append(d.said, d.j.Judge(d.now, sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{p}})...)
	}
	d.pass(time.Hour)
	most := 0
	for _, r := range d.take() {
		most = max(most, len(r.Fields))
	}
	if most > 12<<10 {
		t.Errorf("an event of %d bytes", most)
	}
	if b, _ := d.j.Memory(); len(b) > 64<<10 {
		t.Errorf("%d bytes are remembered", len(b))
	}
}

// crowd is a desk whose judge knows five stations, which have shown themselves
// since it was started anew.
func crowd(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t, known.Config{Learn: time.Hour})
	for i := range 5 {
		d.sight(fmt.Sprintf("old-%d", i))
	}
	d.pass(2 * time.Hour)
	d.said = nil
	return d
}

// hours lets time pass in which stations show themselves every ten minutes.
func (d *desk) hours(n int, stations ...string) *desk {
	d.t.Helper()
	for range 6 * n {
		for _, s := range stations {
			d.sight(s)
		}
		d.pass(10 * time.Minute)
	}
	return d
}

func (d *desk) moves() (all []string) {
	d.t.Helper()
	for _, r := range d.take() {
		switch {
		case r.Type == "surroundings_changed" && r.Active:
			all = append(all, "elsewhere")
			if !r.Alarm || r.Severity != core.SeverityHigh || r.Point != "neighbour@eth0" {
				d.t.Errorf("%+v", r)
			}
		case r.Type == "surroundings_changed":
			all = append(all, "home")
		}
	}
	return all
}

func TestADeviceAmongStrangersIsElsewhere(t *testing.T) {
	d := crowd(t)
	d.hours(3, "old-1", "new-1", "new-2", "new-3", "new-4") // guests
	if got := d.moves(); got != nil {
		t.Errorf("guests: %v", got)
	}
	d.hours(5) // nobody: the cable is pulled, which is told elsewhere
	if got := d.moves(); got != nil {
		t.Errorf("silence: %v", got)
	}
	d.hours(5, "new-1", "new-2") // too few to be sure
	if got := d.moves(); got != nil {
		t.Errorf("two strangers: %v", got)
	}
	d.hours(5, "new-1", "new-2", "new-3")
	if got := d.moves(); !slices.Equal(got, []string{"elsewhere"}) {
		t.Errorf("strangers alone: %v", got)
	}
	d.hours(2, "new-1", "old-4")
	if got := d.moves(); !slices.Equal(got, []string{"home"}) {
		t.Errorf("a known one: %v", got)
	}
}

func TestADeviceThatStartsIsNotElsewhereBeforeAnybodySpoke(t *testing.T) {
	d := crowd(t)
	kept, _ := d.j.Memory()
	next := newDesk(t, known.Config{Learn: time.Hour})
	if err := next.j.Recall(kept); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		next.sight("new-1").sight("new-2").sight("new-3").pass(10 * time.Minute)
	}
	next.hours(3, "new-1", "new-2", "new-3", "old-2")
	if got := next.moves(); got != nil {
		t.Errorf("%v", got)
	}
	moved := newDesk(t, known.Config{Learn: time.Hour})
	if err := moved.j.Recall(kept); err != nil {
		t.Fatal(err)
	}
	moved.hours(3, "new-1", "new-2", "new-3")
	if got := moved.moves(); !slices.Equal(got, []string{"elsewhere"}) {
		t.Errorf("it was moved while it was off: %v", got)
	}
}
