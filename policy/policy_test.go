package policy

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/core"
)

var (
	tenant = core.MustID[core.TenantID]("acme")
	hallA  = core.MustID[core.SiteID]("hall-a")
	hallB  = core.MustID[core.SiteID]("hall-b")
)

func person(id string, roles ...string) core.Principal {
	return core.Principal{Kind: core.KindPerson, ID: id, Tenant: tenant, Roles: roles, Sites: []core.SiteID{hallA}}
}

func program(id string) core.Principal {
	return core.Principal{Kind: core.KindService, ID: id, Tenant: tenant}
}

func device(id string) core.Resource {
	return core.Resource{Type: "device", ID: id, Tenant: tenant, Site: hallA}
}

func machine(id string) core.Principal {
	return core.Principal{Kind: core.KindDevice, ID: id, Tenant: tenant, Sites: []core.SiteID{hallA}}
}

var (
	token    = core.Principal{Kind: core.KindToken, ID: "t1", Tenant: tenant, Sites: []core.SiteID{hallA}}
	stranger = core.Principal{Kind: core.KindStranger, ID: "198.51.100.7"}
)

func TestVocabularyIsClosedAndWellFormed(t *testing.T) {
	seen := map[core.Action]bool{}
	for _, r := range Actions {
		noun, verb, ok := strings.Cut(string(r.Action), ".")
		if !ok || noun == "" || verb == "" || strings.ToLower(string(r.Action)) != string(r.Action) {
			t.Errorf("%q is not noun.verb", r.Action)
		}
		if seen[r.Action] || r.Note == "" {
			t.Errorf("%q twice, or without a note", r.Action)
		}
		seen[r.Action] = true
		if !contains(Classes, r.Class) {
			t.Errorf("%q has the class %q", r.Action, r.Class)
		}
		if r.Class == ClassStop && !Undelayed(r.Action) {
			t.Errorf("%q is a stop that waits", r.Action)
		}
	}
	for _, a := range []core.Action{"", "device", "device.*", "Device.list", "device.list ", "device.quarantin", "*"} {
		for _, who := range []core.Principal{person("anna", roleNames[:]...), program("serve"), machine("press-7")} {
			if d := Default().Evaluate(who, a, device("press-7")); d.Allowed {
				t.Errorf("%s may %q", who, a)
			}
		}
	}
}

func contains[T comparable](all []T, v T) bool {
	for _, a := range all {
		if a == v {
			return true
		}
	}
	return false
}

// TestWhoMayDoWhat is the matrix of TRUST F04: principal kind x class x scope.
func TestWhoMayDoWhat(t *testing.T) {
	viewer, operator := person("vera", core.RoleViewer), person("otto", core.RoleOperator)
	officer, admin := person("olga", core.RoleSecurityOfficer), person("adam", core.RoleAdministrator)
	playbook := program("playbook")
	other := device("press-7")
	other.Site = hallB
	abroad := device("press-7")
	abroad.Tenant = core.MustID[core.TenantID]("rival")
	lost := device("press-7")
	lost.Site = core.SiteID{}
	own, batch := device("press-7"), core.Resource{Type: "batch", ID: "1", Tenant: tenant, Attrs: map[string]any{"device": "press-7"}}
	log := core.Resource{Type: "audit", ID: "log", Tenant: tenant}
	rows := []struct {
		who    core.Principal
		action core.Action
		on     core.Resource
		want   bool
		by     string
	}{
		{viewer, DeviceList, own, true, "viewer-read"},
		{viewer, DeviceStop, own, true, RuleStop},
		{viewer, DeviceStop, other, false, RuleSite},
		{viewer, DeviceStop, abroad, false, RuleTenant},
		{viewer, DeviceStop, lost, false, RuleSite},
		{viewer, DeviceQuarantine, own, false, RuleDefault},
		{viewer, EventRead, own, false, RuleDefault},
		{viewer, DeviceRelease, own, false, RuleDefault},
		{person("nemo"), DeviceStop, own, true, RuleStop},
		{person("nemo", "root", "*"), DeviceList, own, false, RuleDefault},
		{operator, DeviceQuarantine, own, true, "operator-contain"},
		{operator, DeviceQuarantine, other, false, RuleSite},
		{operator, DeviceQuarantine, lost, false, RuleSite},
		{operator, DeviceRelease, own, true, "operator-ask"},
		{operator, DeviceRetire, own, false, RuleDefault},
		{operator, ReflexContain, own, false, RuleReflex},
		{operator, TokenCreate, log, false, RuleDefault},
		{operator, AuditExport, log, false, RuleDefault},
		{operator, KeysSignOrder, own, false, RuleDefault},
		{officer, DeviceRetire, own, true, "officer-ask"},
		{officer, AuditRead, log, true, "officer-record"},
		{officer, RootUpdate, log, true, "officer-ask"},
		{officer, AuditSucceed, log, true, "officer-ask"},
		{operator, AuditSucceed, log, false, RuleDefault},
		{admin, TokenCreate, log, true, "administrator-run"},
		{admin, AuditRead, log, false, RuleDefault},
		{admin, DeviceQuarantine, own, false, RuleDefault},
		{admin, EventRead, own, false, RuleDefault},
		{playbook, DeviceQuarantine, own, true, "playbook-respond"},
		{playbook, DeviceQuarantine, abroad, false, RuleTenant},
		{playbook, DeviceStop, own, false, RuleStop},
		{playbook, DeviceZeroize, own, false, RuleDefault},
		{program("detect"), DeviceQuarantine, own, false, RuleDefault},
		{program("serve"), KeysSignOrder, own, true, "server-keys"},
		{machine("press-7"), BatchAppend, own, true, "device-report"},
		{machine("press-7"), BatchAppend, batch, true, "device-report"},
		{machine("press-8"), BatchAppend, batch, false, RuleSelf},
		{machine("press-8"), BatchAppend, own, false, RuleSelf},
		{machine("press-7"), DeviceStop, own, true, RuleStop},
		{machine("press-8"), DeviceStop, own, false, RuleSelf},
		{machine("press-7"), ReflexContain, own, true, RuleReflex},
		{machine("press-7"), DeviceQuarantine, own, false, RuleDefault},
		{machine("press-7"), EventRead, own, false, RuleDefault},
		{token, DeviceEnrol, own, true, "token-enrol"},
		{token, DeviceStop, own, false, RuleStop},
		{token, DeviceList, own, false, RuleDefault},
		{token, DeviceQuarantine, own, false, RuleDefault},
		{stranger, HealthRead, log, true, "stranger-health"},
		{stranger, DeviceStop, own, false, RuleIdentity},
		{stranger, DeviceList, own, false, RuleIdentity},
		{core.Principal{}, HealthRead, log, false, RuleIdentity},
		{core.Principal{Kind: "root", ID: "x", Tenant: tenant}, DeviceStop, own, false, RuleIdentity},
		{core.Principal{Kind: core.KindPerson, ID: "x"}, DeviceStop, core.Resource{Type: "device", ID: "a"}, false, RuleTenant},
	}
	set := Default()
	for _, r := range rows {
		d := set.Evaluate(r.who, r.action, r.on)
		if d.Allowed != r.want || !contains(d.Policies, r.by) || d.Reason == "" {
			t.Errorf("%s %s %s@%s: %+v, want %v by %s", r.who, r.action, r.on, r.on.Site, d, r.want, r.by)
		}
	}
}

func TestARoleHeldByAnotherKindGrantsNothing(t *testing.T) {
	for _, kind := range []core.PrincipalKind{core.KindDevice, core.KindService, core.KindToken} {
		who := core.Principal{Kind: kind, ID: "press-7", Tenant: tenant, Roles: roleNames[:], Sites: []core.SiteID{hallA}}
		for _, a := range []core.Action{DeviceQuarantine, TokenCreate, AuditRead, DeviceZeroize, PolicyLoad} {
			if d := Default().Evaluate(who, a, device("press-7")); d.Allowed {
				t.Errorf("%s with every role may %s: %v", who, a, d.Policies)
			}
		}
	}
}

// TestOnlyPersonsAndThemselvesStop is F04's last sentence over every default
// and over a policy that tries to grant it.
func TestNoPolicyCanGrantWhatCodeForbids(t *testing.T) {
	generous := mustParse(t, `@id("all") permit (principal, action, resource);`)
	other := device("press-7")
	other.Tenant = core.MustID[core.TenantID]("rival")
	rows := []struct {
		who    core.Principal
		action core.Action
		on     core.Resource
	}{
		{token, DeviceStop, device("press-7")},
		{program("playbook"), DeviceStop, device("press-7")},
		{machine("press-8"), DeviceList, device("press-7")},
		{person("anna", core.RoleAdministrator), DeviceList, other},
		{stranger, DeviceList, device("press-7")},
		{person("anna", core.RoleAdministrator), "device.explode", device("press-7")},
		{person("anna", core.RoleAdministrator), ReflexContain, device("press-7")},
	}
	for _, r := range rows {
		if d := generous.Evaluate(r.who, r.action, r.on); d.Allowed {
			t.Errorf("%s may %s %s: %v", r.who, r.action, r.on, d.Policies)
		}
	}
}

// TestCouldNeverShutsOutWhoMay: what is permitted somewhere is never said to be
// hopeless, and somebody without a role could do nothing.
func TestCouldNeverShutsOutWhoMay(t *testing.T) {
	set := Default()
	for _, row := range Actions {
		for _, kind := range kinds {
			for _, role := range append([]string{""}, roleNames[:]...) {
				who := core.Principal{Kind: kind, ID: "playbook", Tenant: tenant, Sites: []core.SiteID{hallA}}
				if role != "" {
					who.Roles = []string{role}
				}
				allowed := false
				for _, on := range []core.Resource{device("playbook"), {Type: "x", ID: "y", Tenant: tenant}} {
					allowed = allowed || set.Evaluate(who, row.Action, on).Allowed
				}
				if could := set.Could(who, row.Action); allowed && !could {
					t.Errorf("%s as %q may %s and is said not to", who, role, row.Action)
				} else if could && role == "" && kind == core.KindPerson && row.Action != SessionCreate && !Undelayed(row.Action) {
					t.Errorf("a person without a role could %s", row.Action)
				}
			}
		}
	}
}

func TestNoPolicyCanRefuseAStop(t *testing.T) {
	for name, set := range map[string]*Set{
		"forbidding": mustParse(t, `@id("none") forbid (principal, action, resource);`),
		"erring":     mustParse(t, `@id("bad") forbid (principal, action, resource) when { resource.nothing == 1 };`),
		"none":       nil,
	} {
		if d := set.Evaluate(person("vera"), DeviceStop, device("press-7")); !d.Allowed {
			t.Errorf("%s policies refused a stop: %s", name, d.Reason)
		}
		if d := set.Evaluate(person("vera", core.RoleViewer), DeviceList, device("press-7")); d.Allowed {
			t.Errorf("%s policies allowed a read", name)
		}
	}
}

func TestAnErrorInAnyPolicyDenies(t *testing.T) {
	const grant = `@id("grant") permit (principal, action, resource);`
	for _, bad := range []string{
		`@id("bad") forbid (principal, action, resource) when { resource.nothing == 1 };`,
		`@id("bad") forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };`,
		`@id("bad") permit (principal, action, resource) when { resource.type > 1 };`,
	} {
		d := mustParse(t, grant+bad).Evaluate(person("anna"), DeviceList, device("press-7"))
		if d.Allowed || d.Policies[0] != RuleError || !contains(d.Policies, "bad") {
			t.Errorf("%s: %+v", bad, d)
		}
	}
	on := device("press-7")
	for name, v := range map[string]any{"float": 1.5, "type": "server", "self": true, "int": 1} {
		on.Attrs = map[string]any{name: v}
		if d := mustParse(t, grant).Evaluate(person("anna"), DeviceList, on); d.Allowed || d.Policies[0] != RuleError {
			t.Errorf("attribute %s: %+v", name, d)
		}
	}
}

func TestASetThatDoesNotParseIsRefusedWithItsPlace(t *testing.T) {
	rows := []struct{ name, text, want string }{
		{"syntax", "// one\npermit (principal, action, resource)\n when { resource.x == };", "bad.cedar:3:24"},
		{"unfinished", "permit (prin", "bad.cedar:1:13"},
		{"string", "@id(\"a\npermit(", "bad.cedar:1:5"},
		{"no id", "\npermit (principal, action, resource);", "bad.cedar:2:1: the policy has no @id"},
		{"twice", "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);", `bad.cedar:2:1: @id("a") is taken by bad.cedar:1:1`},
		{"ours", `@id("code:stop") permit (principal, action, resource);`, "belong to rules in code"},
		{"action", `@id("a") forbid (principal, action == Action::"device.quarantin", resource);`, `bad.cedar:1:1: there is no action "device.quarantin"`},
		{"class by ==", `@id("a") forbid (principal, action == Action::"contain", resource);`, `there is no action "contain"`},
		{"class", `@id("a") forbid (principal, action in [Action::"device.list", Action::"contains"], resource);`, `there is no action "contains"`},
		{"action type", `@id("a") forbid (principal, action == Verb::"device.list", resource);`, "is not an action"},
		{"role", `@id("a") forbid (principal in Role::"admin", action, resource);`, `there is no role "admin"`},
		{"kind", `@id("a") forbid (principal is User, action, resource);`, "a principal is never a User"},
		{"kind in", `@id("a") forbid (principal is User in Role::"viewer", action, resource);`, "a principal is never a User"},
		{"eq", `@id("a") forbid (principal == User::"x", action, resource);`, "a principal is never a User"},
		{"nobody", `@id("a") forbid (principal == Person::"", action, resource);`, "names nobody"},
		{"resource", `@id("a") forbid (principal, action, resource is Device);`, "a resource is never a Device"},
		{"resource eq", `@id("a") forbid (principal, action, resource == Device::"x");`, "a resource is never a Device"},
		{"bytes", "\xff\xfe", "bad.cedar is not text"},
		{"nul", "permit\x00", "bad.cedar is not text"},
		{"empty", "// nothing", "there is no policy"},
	}
	for _, r := range rows {
		_, err := Parse(File{"bad.cedar", []byte(r.text)})
		if core.KindOf(err) != core.KindInvalid || !strings.Contains(fmt.Sprint(err), r.want) {
			t.Errorf("%s: %v, want %q", r.name, err, r.want)
		}
	}
	if _, err := Parse(File{"big.cedar", make([]byte, MaxFile+1)}); core.KindOf(err) != core.KindTooLarge {
		t.Errorf("a file too large: %v", err)
	}
	if _, err := Load(fstest.MapFS{}); core.KindOf(err) != core.KindInvalid {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Load(fstest.MapFS{"a.cedar": {Data: make([]byte, MaxFile+1)}}); core.KindOf(err) != core.KindTooLarge {
		t.Errorf("a file too large: %v", err)
	}
}

func TestHashNamesThePolicies(t *testing.T) {
	a := File{"a.cedar", []byte(`@id("a") permit (principal, action, resource);`)}
	b := File{"b.cedar", []byte(`@id("b") forbid (principal, action, resource);`)}
	seen := map[string]bool{}
	for _, files := range [][]File{{a}, {b}, {a, b}, {{"b.cedar", a.Text}}} {
		s, err := Parse(files...)
		if err != nil || seen[s.Hash()] {
			t.Fatalf("%v: %v, hash seen %v", files, err, seen)
		}
		seen[s.Hash()] = true
	}
	if a, b := Default(), Default(); a.Hash() != b.Hash() || a.Len() < 10 {
		t.Error("the default set differs from itself")
	}
}

func mustParse(t testing.TB, text string) *Set {
	t.Helper()
	s, err := Parse(File{"test.cedar", []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", `@id("a") permit (principal, action, resource);`, `@id("a") forbid (principal in Role::"viewer", action in [Action::"read"], resource) when { resource.x };`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(File{"fuzz.cedar", text})
		if (s == nil) == (err == nil) {
			t.Fatal("neither or both of set and error")
		}
		if err == nil {
			s.Evaluate(person("anna", core.RoleViewer), DeviceList, device("press-7"))
		}
	})
}
