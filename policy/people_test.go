package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
)

// TestWhoMayDoWhatWithPeople: each action about people is refused to everybody
// but those named here; programs, devices and tokens have no business with any.
func TestWhoMayDoWhatWithPeople(t *testing.T) {
	office := []string{core.RoleSecurityOfficer, core.RoleAdministrator}
	everybody := append([]string{core.RoleViewer, core.RoleOperator}, office...)
	may := map[core.Action][]string{
		PersonList: office, PersonShow: office, PersonInvite: office, PersonRoles: office, PersonLink: office, PersonRevoke: office,
		PersonRestore: office, PasskeyRemove: office, SessionList: office, SessionEnd: office,
		ApprovalRequest: office, ApprovalDecide: office, ApprovalWithdraw: office, ApprovalUse: office,
		PersonName: everybody, PersonLinkOwn: everybody, PasskeyAdd: everybody, ApprovalList: everybody, ApprovalShow: everybody,
	}
	for _, row := range Actions {
		noun, _, _ := strings.Cut(string(row.Action), ".")
		if _, named := may[row.Action]; !named && slices.Contains([]string{"person", "passkey", "session", "approval"}, noun) && row.Action != SessionCreate {
			t.Errorf("%s has no row in this test", row.Action)
		}
	}
	set := Default()
	for action, roles := range may {
		on := core.Resource{Type: "person", ID: "ben", Tenant: tenant}
		for _, role := range append([]string{""}, roleNames[:]...) {
			who := person("anna", role)
			if d := set.Evaluate(who, action, on); d.Allowed != slices.Contains(roles, role) {
				t.Errorf("%s by a %q: %+v", action, role, d)
			}
			foreign := on
			foreign.Tenant = core.MustID[core.TenantID]("other")
			if set.Evaluate(who, action, foreign).Allowed {
				t.Errorf("%s by a %q in another tenant", action, role)
			}
		}
		for _, who := range []core.Principal{program("playbook"), program("serve"), program("verification"), machine("press-7"), token, stranger} {
			who.Roles = roleNames[:] // a claim that makes nobody a person
			if set.Evaluate(who, action, on).Allowed {
				t.Errorf("%s by %s", action, who)
			}
		}
	}
}
