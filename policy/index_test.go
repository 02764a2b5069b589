package policy

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
)

// randomPolicy writes a policy whose scopes, conditions and faults are drawn.
func randomPolicy(r *rand.Rand, id int) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	principal := pick("principal", "principal is Person", "principal is Device", "principal is Service",
		`principal in Role::"viewer"`, `principal in Role::"operator"`, `principal is Person in Role::"administrator"`,
		`principal is Device in Role::"operator"`, `principal == Person::"anna"`, `principal == Service::"playbook"`, `principal in Person::"otto"`)
	action := pick("action", `action == Action::"device.list"`, `action == Action::"device.quarantine"`, `action in Action::"contain"`,
		`action in Action::"read"`, `action in [Action::"device.show", Action::"contain"]`, `action in Action::"event.read"`)
	resource := pick("resource", "resource", "resource is Object", `resource == Object::"device/press-7"`, `resource in Object::"device/press-8"`)
	when := pick("", "", " when { resource.type == \"device\" }", " unless { resource.site == \"hall-a\" }", " when { resource.self }",
		" when { resource.nothing == 1 }", " when { resource has nothing && resource.nothing }", " when { 9223372036854775807 + 1 > 0 }",
		" when { principal in Role::\"operator\" }", " when { action in Action::\"contain\" }", " when { false }")
	return fmt.Sprintf("@id(\"p%d\") %s (%s, %s, %s)%s;\n", id, pick("permit", "permit", "forbid"), principal, action, resource, when)
}

// TestSlicedEqualsFull: for random sets and requests the slice answers as the
// whole set does, down to the policies named and the errors met.
func TestSlicedEqualsFull(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	kinds := []core.PrincipalKind{core.KindPerson, core.KindDevice, core.KindService, core.KindToken, core.KindStranger}
	answers := map[string]int{}
	for range 300 {
		var text strings.Builder
		n := 1 + r.IntN(12)
		for i := range n {
			text.WriteString(randomPolicy(r, i))
		}
		set := mustParse(t, text.String())
		for range 40 {
			who := core.Principal{Kind: kinds[r.IntN(len(kinds))], ID: []string{"anna", "otto", "playbook", "press-7"}[r.IntN(4)], Tenant: tenant}
			for _, role := range roleNames {
				if r.IntN(3) == 0 {
					who.Roles = append(who.Roles, role)
				}
			}
			action := Actions[r.IntN(len(Actions))].Action
			if r.IntN(2) == 0 {
				action = []core.Action{DeviceList, DeviceQuarantine, DeviceShow, EventRead}[r.IntN(4)]
			}
			on := device([]string{"press-7", "press-8"}[r.IntN(2)])
			e, request, err := newRequest(who, action, on)
			if err != nil {
				t.Fatal(err)
			}
			full := set.decide(slice{set.all}, e, request)
			sliced := set.decide(set.slice(nil, action, &e.principal), e, request)
			if full.Policies[0] == RuleError { // which of several errors is told first is the order's choice
				full.Reason, sliced.Reason = "", ""
			}
			if !reflect.DeepEqual(full, sliced) {
				t.Fatalf("%s %v %s %s:\nfull   %+v\nsliced %+v\n%s", who, who.Roles, action, on, full, sliced, text.String())
			}
			answers[fmt.Sprint(full.Allowed, full.Policies[0] == RuleError, full.Policies[0] == RuleDefault)]++
		}
	}
	if len(answers) < 4 {
		t.Errorf("the requests drew too few kinds of answer: %v", answers)
	}
}

func TestOpenForbidsAreInEverySlice(t *testing.T) {
	set := mustParse(t, `@id("grant") permit (principal, action, resource);
		@id("freeze") forbid (principal, action, resource) when { resource.type == "device" };`)
	for _, r := range Actions {
		if Undelayed(r.Action) {
			continue
		}
		d := set.Evaluate(person("anna", core.RoleViewer), r.Action, device("press-7"))
		if d.Allowed || !contains(d.Policies, "freeze") {
			t.Errorf("%s passed the open forbid: %+v", r.Action, d)
		}
	}
}

// thousand is a set of 1 000 policies of which 15 are left for an operator who
// quarantines: what a site with a policy per hall and shift looks like.
func thousand(t testing.TB) *Set {
	t.Helper()
	var text strings.Builder
	n := 0
	add := func(format string, args ...any) {
		fmt.Fprintf(&text, "@id(\"p%d\") ", n)
		fmt.Fprintf(&text, format, args...)
		n++
	}
	for i := range 7 {
		add("permit (principal is Person in Role::\"operator\", action == Action::\"device.quarantine\", resource) when { resource.type == \"device\" && resource.zone == %d };\n", i)
	}
	for i := range 4 {
		add("forbid (principal, action, resource) when { resource has frozen%d && resource.frozen%d };\n", i, i)
	}
	for i := range 4 {
		add("forbid (principal is Person, action == Action::\"device.quarantine\", resource) when { resource.id == \"never-%d\" };\n", i)
	}
	for n < 1000 {
		a := Actions[n%len(Actions)].Action
		if a == DeviceQuarantine {
			a = DeviceShow
		}
		add("permit (principal is Person in Role::\"%s\", action == Action::\"%s\", resource) when { resource.type == \"device\" && resource.zone == %d };\n", roleNames[n%len(roleNames)], a, n)
	}
	return mustParse(t, text.String())
}

func zoned() core.Resource {
	on := device("press-7")
	on.Attrs = map[string]any{"zone": int64(3), "state": "online", "simulated": false}
	return on
}

func TestAThousandPoliciesLeaveFifteen(t *testing.T) {
	set := thousand(t)
	p := newPrincipal(person("otto", core.RoleOperator))
	left := 0
	for range set.slice(nil, DeviceQuarantine, &p).All() {
		left++
	}
	if set.Len() != 1000 || left != 15 {
		t.Errorf("%d of %d policies are left in the slice", left, set.Len())
	}
	if d := set.Evaluate(person("otto", core.RoleOperator), DeviceQuarantine, zoned()); !d.Allowed {
		t.Errorf("the benchmark's question is refused: %+v", d)
	}
}

func BenchmarkEvaluate1000(b *testing.B) {
	set, who, on := thousand(b), person("otto", core.RoleOperator), zoned()
	b.ReportAllocs()
	b.ResetTimer()
	start := clocktest.CPU(b)
	for range b.N {
		if !set.Evaluate(who, DeviceQuarantine, on).Allowed {
			b.Fatal("refused")
		}
	}
	b.ReportMetric(float64((clocktest.CPU(b)-start).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// BenchmarkEvaluate1000Unsliced is what the index is compared with.
func BenchmarkEvaluate1000Unsliced(b *testing.B) {
	set, who, on := thousand(b), person("otto", core.RoleOperator), zoned()
	b.ReportAllocs()
	b.ResetTimer()
	start := clocktest.CPU(b)
	for range b.N {
		e, request, err := newRequest(who, DeviceQuarantine, on)
		if err != nil || !set.decide(slice{set.all}, e, request).Allowed {
			b.Fatal("refused")
		}
	}
	b.ReportMetric(float64((clocktest.CPU(b)-start).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}
