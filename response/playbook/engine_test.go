package playbook_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
)

// TestFromTheAlertToClosed walks the whole way with nobody but the device and
// its approvers at the edges.
func TestFromTheAlertToClosed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		in := w.take(alertOf(press, false))
		w.answer(w.untilOrder(press, link.OrderQuarantine, 0), fleet.OrderDone, "contained")
		w.untilState(in.ID, incident.StateEradicating)
		release := w.untilOrder(press, link.OrderRelease, 0)
		w.until("the timeline asks for approvals", 0, func() bool {
			return strings.Contains(w.said(in.ID), "interlock approve "+w.order(release).ID.String())
		})
		w.answer(release, fleet.OrderDone, "opened")
		w.untilState(in.ID, incident.StateClosed)
		r := w.untilRun(in.ID, playbook.RunDone, 0)
		if got := w.attempts(in.ID); !slices.Equal(got, []string{"1.0.1 done", "1.1.1 done", "1.2.1 done"}) || r.Round != 1 || r.Starter != "" {
			t.Errorf("attempts %v of %+v", got, r)
		}
		w.hears(in.ID, "starts by itself", "sha256 ", "new→triaged", "triaged→contained device press-7 answered: quarantine done",
			"recovering→verifying", "service/verification moved verifying→closed verification: audit-known pass")
		if w.made() != 2 {
			t.Errorf("%d orders for two actions", w.made())
		}
	})
}
