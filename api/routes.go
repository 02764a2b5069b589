package api

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

// routes is the route table.
func (a *API) routes() {
	a.installation()
	a.detection()
	a.rules()
	a.findingRoutes()
	a.fleet()
	a.seals()
	a.safety()
	a.peopleRoutes()
	a.audit()
}

func (a *API) installation() {
	Register(a, policy.StatusRead, get("status", "/v1/status", "How the installation is"), a.Status)
	Register(a, policy.StatusRead, get("board", "/v1/board", "The figures of the safety board"), a.Board)
	Register(a, policy.RootRead, get("root", "/v1/root", "The trust root in force"), a.Root)
	Register(a, policy.RootUpdate, post("publish-root", "/v1/root", "Hand in the next trust root"), a.PublishRoot)
}

func (a *API) detection() {
	a.stream(policy.EventRead, eventsOperation(), a.serveEvents)
	a.stream(policy.EventRead, liveOperation(), a.serveLive)
	Register(a, policy.EventRead, get("search-events", "/v1/events/search", "Find events in the event store"), a.SearchEvents)
	Register(a, policy.EventRead, get("event-histogram", "/v1/events/histogram", "Count found events by time"), a.EventHistogram)
	Register(a, policy.EventRead, get("explain-event", "/v1/events/{id}/explain", "What the rules in force make of an event"), a.ExplainEvent)
	Register(a, policy.AlertRead, get("alerts", "/v1/alerts", "Alerts, the latest change first"), a.Alerts)
	Register(a, policy.AlertRead, get("alert", "/v1/alerts/{id}", "One alert"), a.Alert)
	Register(a, policy.AlertClose, post("close-alert", "/v1/alerts/{id}/close", "Close an alert with a verdict"), a.CloseAlert)
	Register(a, policy.AlertAck, post("ack-alert", "/v1/alerts/{id}/ack", "Acknowledge an alert"), a.AckAlert)
	Register(a, policy.IncidentRead, get("incidents", "/v1/incidents", "Incidents, the newest first"), a.Incidents)
	Register(a, policy.IncidentRead, get("incident", "/v1/incidents/{id}", "One incident with its timeline"), a.Incident)
	Register(a, policy.PlaybookRead, get("dry-run", "/v1/incidents/{id}/dry-run", "What the playbooks would do"), a.DryRun)
	Register(a, policy.IncidentTransition, post("move-incident", "/v1/incidents/{id}/move", "Move an incident by hand"), a.MoveIncident)
	Register(a, policy.PlaybookRead, get("runs", "/v1/runs", "Runs of playbooks, the newest first"), a.Runs)
	Register(a, policy.PlaybookRead, get("run", "/v1/runs/{id}", "One run with its attempts"), a.Run)
	Register(a, policy.PlaybookRun, post("start-run", "/v1/runs/{id}/start", "Start a run that waits for a person"), a.StartRun)
}

func (a *API) rules() {
	Register(a, policy.RuleRead, get("rules", "/v1/rules", "Detection rules, those with most alerts first"), a.Rules)
	Register(a, policy.RuleRead, get("rule", "/v1/rules/{id}", "One detection rule"), a.Rule)
	Register(a, policy.RuleDisable, post("disable-rule", "/v1/rules/{id}/disable", "Take a rule's alerts away"), a.DisableRule)
	Register(a, policy.RuleRestore, post("restore-rule", "/v1/rules/{id}/restore", "Let a rule speak again, or end an exclusion"), a.RestoreRule)
	Register(a, policy.RuleRead, get("rule-changes", "/v1/rules/changes", "Rules out of force, and exclusions"), a.RuleChanges)
	Register(a, policy.RuleExclude, post("exclude", "/v1/rules/exclusions", "Keep events from rules for a time"), a.Exclude)
	a.stream(policy.RuleTry, backtestOperation(), a.serveStartBacktest)
	Register(a, policy.RuleRead, get("backtest", "/v1/rules/backtests/{id}", "A back-test: how far it is, what it showed"), a.Backtest)
	Register(a, policy.RuleRead, get("noise", "/v1/rules/noise", "What each rule cost the people who look at alerts"), a.Noise)
	Register(a, policy.RuleRead, get("rule-coverage", "/v1/rules/coverage", "Which rules can fire, by the events of the last days"), a.RuleCoverage)
}

func (a *API) fleet() {
	Register(a, policy.DeviceList, get("devices", "/v1/devices", "Devices by name"), a.Devices)
	Register(a, policy.DeviceList, get("sites", "/v1/sites", "Where devices stand"), a.Sites)
	Register(a, policy.DeviceList, get("risks", "/v1/risks", "The devices that somebody should look at first, and why"), a.Risks)
	Register(a, policy.DeviceShow, get("device", "/v1/devices/{id}", "One device with sensors, latches and orders"), a.Device)
	Register(a, policy.DeviceApprove, post("approve-device", "/v1/devices/{id}/approve", "Take in a device that waits"), a.ApproveDevice)
	Register(a, policy.DeviceShow, get("device-sensors", "/v1/devices/{id}/sensors", "What a device's sensors last said"), a.DeviceSensors)
	Register(a, policy.DeviceShow, get("walk-tests", "/v1/devices/{id}/walk-tests", "A device's walk tests, the newest first"), a.WalkTests)
	Register(a, policy.DeviceSignOff, post("sign-walk-test", "/v1/devices/{id}/walk-tests/sign", "Put one's name under a walk test"), a.SignWalkTest)
	Register(a, policy.DeviceCriticality, post("set-criticality", "/v1/devices/{id}/criticality", "Say how much depends on a device"), a.SetCriticality)
	for _, t := range slices.Sorted(maps.Keys(acts)) {
		Register(a, acts[t], post(string(t)+"-device", "/v1/devices/{id}/"+string(t), "Ask for the order: "+string(t)),
			func(ctx context.Context, in *ActInput) (*Out[Order], error) { return a.ActOnDevice(ctx, t, in) })
	}
	Register(a, policy.OrderList, get("orders", "/v1/orders", "Orders, the newest first"), a.Orders)
	Register(a, policy.OrderShow, get("order", "/v1/orders/{id}", "One order with its exact bytes"), a.Order)
	Register(a, policy.OrderApprove, post("approve-order", "/v1/orders/{id}/approvals", "Hand in a signature over an order"), a.ApproveOrder)
	Register(a, policy.TokenCreate, post("create-token", "/v1/tokens", "Make an enrolment string"), a.CreateToken)
}

func (a *API) seals() {
	Register(a, policy.SealList, get("seals", "/v1/seals", "Seals: what is wrong first, then by the day they are due"), a.Seals)
	Register(a, policy.SealShow, get("seal", "/v1/seals/{id}", "One seal and who looked at it"), a.Seal)
	Register(a, policy.SealApply, post("apply-seal", "/v1/seals", "Register a seal that was put on a machine"), a.ApplySeal)
	Register(a, policy.SealInspect, post("inspect-seal", "/v1/seals/{id}/inspections", "Record what was found at a seal"), a.InspectSeal)
	Register(a, policy.SealRemove, post("remove-seal", "/v1/seals/{id}/remove", "End a seal, or replace it"), a.RemoveSeal)
	a.stream(policy.SealInspect, addPhotoOperation(), a.serveAddPhoto)
	a.stream(policy.SealShow, photoOperation(), a.servePhoto)
}

func (a *API) safety() {
	Register(a, policy.StopRead, get("stops", "/v1/stops", "Stops in force, and who has not confirmed"), a.Stops)
	Register(a, policy.DeviceStop, post("request-stop", "/v1/stops", "Stop machines, now"), a.RequestStop)
}

func (a *API) audit() {
	Register(a, policy.AuditRead, get("audit-entries", "/v1/audit/entries", "Entries of the audit log, the newest first"), a.AuditEntries)
	Register(a, policy.AuditVerify, get("audit-state", "/v1/audit/state", "The log's size, root and mode"), a.LogState)
	Register(a, policy.AuditVerify, post("audit-verify", "/v1/audit/verify", "Verify the running log from its bytes"), a.VerifyLog)
	Register(a, policy.AuditProof, get("audit-proof", "/v1/audit/proofs/{id}", "The inclusion proof of an entry"), a.Proof)
	a.stream(policy.AuditExport, exportOperation(), a.serveExport)
	Register(a, policy.AuditVerify, get("audit-statement", "/v1/audit/succession", "What is signed to begin a new log"), a.Statement)
	Register(a, policy.AuditSucceed, post("audit-succeed", "/v1/audit/succession", "Hand in a signed succession"), a.Succeed)
}

func get(id, path, summary string) huma.Operation {
	return operation(http.MethodGet, id, path, summary)
}

func post(id, path, summary string) huma.Operation {
	return operation(http.MethodPost, id, path, summary)
}

func operation(method, id, path, summary string) huma.Operation {
	tag, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"), "/")
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{tag}}
}

// query describes a parameter of a route that is not huma's.
func query(name, kind, doc string) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: doc, Schema: &huma.Schema{Type: kind}}
}

// answers describes the answer of a route that is not huma's.
func answers(kind, doc string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {Description: doc, Content: map[string]*huma.MediaType{kind: {Schema: &huma.Schema{Type: huma.TypeString}}}}}
}

// OpenAPI returns the description of the API, OpenAPI 3.1.
func OpenAPI() ([]byte, error) {
	spec := New(Parts{}).huma.OpenAPI()
	for _, unused := range []string{"ErrorModel", "ErrorDetail"} { // huma's own; ours is Problem
		delete(spec.Components.Schemas.Map(), unused)
	}
	b, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "api.OpenAPI", err)
	}
	return append(b, '\n'), nil
}
