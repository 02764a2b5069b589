package policy

import (
	"slices"

	"github.com/interlock-security/interlock/core"
)

// Class says what kind of act an action is, and so how it is decided and
// recorded.
type Class string

// The classes. The first three are not effects.
const (
	// ClassRead is counted, not recorded.
	ClassRead Class = "read"
	// ClassReport is what a device says of itself. It is counted: the batch
	// or the result is itself a leaf of the audit log.
	ClassReport Class = "report"
	// ClassPersonal reads personal data or secrets; every permit is recorded.
	ClassPersonal Class = "personal-read"
	// ClassChange changes something without moving a machine's protection.
	ClassChange Class = "change"
	// ClassContain isolates, suspends or locks; capped per actor and hour.
	ClassContain Class = "contain"
	// ClassStop brings machines to their safe state; never refused to a
	// person on the own sites, never capped, recorded late.
	ClassStop Class = "stop"
	// ClassLoosen is away from safety: a permit allows asking, the threshold
	// is checked where the effect is.
	ClassLoosen Class = "loosen"
	// ClassDestroy cannot be undone; as ClassLoosen.
	ClassDestroy Class = "destroy"
)

// Classes lists them.
var Classes = []Class{ClassRead, ClassReport, ClassPersonal, ClassChange, ClassContain, ClassStop, ClassLoosen, ClassDestroy}

// Recorded reports whether a permit of this class must be durable in the audit
// log before the answer. A refusal of somebody known always must.
func (c Class) Recorded() bool { return c != ClassRead && c != ClassReport }

// Row is an action with its class.
type Row struct {
	Action core.Action
	Class  Class
	// Note says what it is, for the generated table.
	Note string
}

// The actions that code outside this package names.
const (
	DeviceList       core.Action = "device.list"
	DeviceShow       core.Action = "device.show"
	DeviceEnrol      core.Action = "device.enrol"
	DeviceApprove    core.Action = "device.approve"
	DeviceArm        core.Action = "device.arm"
	DeviceQuarantine core.Action = "device.quarantine"
	DeviceSuspend    core.Action = "device.suspend"
	DeviceStop       core.Action = "device.stop"
	DeviceRelease    core.Action = "device.release"
	DeviceReset      core.Action = "device.reset"
	DeviceDisarm     core.Action = "device.disarm"
	DeviceBypass     core.Action = "device.bypass"
	DeviceBaseline   core.Action = "device.baseline"
	DevicePolicy     core.Action = "device.policy"
	DeviceUpdate     core.Action = "device.update"
	DeviceMove       core.Action = "device.server_address"
	DeviceZeroize    core.Action = "device.zeroize"
	DeviceRetire     core.Action = "device.retire"
	ReflexContain    core.Action = "reflex.contain"
	// DeviceSignOff and DeviceCriticality are the server's own record: no order
	// goes out.
	DeviceSignOff     core.Action = "device.sign-off"
	DeviceCriticality core.Action = "device.criticality"

	SealList    core.Action = "seal.list"
	SealShow    core.Action = "seal.show"
	SealApply   core.Action = "seal.apply"
	SealInspect core.Action = "seal.inspect"
	SealRemove  core.Action = "seal.remove"

	OrderList     core.Action = "order.list"
	OrderShow     core.Action = "order.show"
	OrderRequest  core.Action = "order.request"
	OrderApprove  core.Action = "order.approve"
	OrderWithdraw core.Action = "order.withdraw"
	OrderFetch    core.Action = "order.fetch"
	ResultAppend  core.Action = "result.append"
	BatchAppend   core.Action = "batch.append"
	IdentityRenew core.Action = "identity.renew"
	// IdentityWorkload is what tamper takes away; IdentityRenew is not.
	IdentityWorkload core.Action = "identity.workload"

	EventRead          core.Action = "event.read"
	AlertRead          core.Action = "alert.read"
	AlertAck           core.Action = "alert.ack"
	AlertClose         core.Action = "alert.close"
	IncidentRead       core.Action = "incident.read"
	IncidentTransition core.Action = "incident.transition"
	EvidenceRead       core.Action = "evidence.read"
	PlaybookRead       core.Action = "playbook.read"
	PlaybookRun        core.Action = "playbook.run"
	RuleRead           core.Action = "rule.read"
	RuleLoad           core.Action = "rule.load"
	// RuleDisable, RuleExclude and RuleRestore tune single rules, RuleTry shows
	// on past events what that would change.
	RuleDisable core.Action = "rule.disable"
	RuleExclude core.Action = "rule.exclude"
	RuleRestore core.Action = "rule.restore"
	RuleTry     core.Action = "rule.try"

	// FindingWork moves a finding towards its fix, FindingDismiss closes it by
	// judgement; a risk is accepted by two persons, FindingAccept asks.
	FindingRead    core.Action = "finding.read"
	FindingSubmit  core.Action = "finding.submit"
	FindingWork    core.Action = "finding.work"
	FindingDismiss core.Action = "finding.dismiss"
	FindingAccept  core.Action = "finding.accept"
	FindingApprove core.Action = "finding.approve"
	FindingFact    core.Action = "finding.fact"
	FindingOwners  core.Action = "finding.owners"
	CampaignRead   core.Action = "campaign.read"
	CampaignStart  core.Action = "campaign.start"

	TokenList     core.Action = "token.list"
	TokenCreate   core.Action = "token.create"
	TokenRevoke   core.Action = "token.revoke"
	SessionCreate core.Action = "session.create"
	SessionList   core.Action = "session.list"
	SessionEnd    core.Action = "session.end"

	PersonList    core.Action = "person.list"
	PersonShow    core.Action = "person.show"
	PersonInvite  core.Action = "person.invite"
	PersonRoles   core.Action = "person.roles"
	PersonName    core.Action = "person.name"
	PersonLink    core.Action = "person.link"
	PersonLinkOwn core.Action = "person.link-own"
	PersonRevoke  core.Action = "person.revoke"
	PersonRestore core.Action = "person.restore"
	PasskeyAdd    core.Action = "passkey.add"
	PasskeyRemove core.Action = "passkey.remove"

	ApprovalList     core.Action = "approval.list"
	ApprovalShow     core.Action = "approval.show"
	ApprovalRequest  core.Action = "approval.request"
	ApprovalDecide   core.Action = "approval.decide"
	ApprovalWithdraw core.Action = "approval.withdraw"
	ApprovalUse      core.Action = "approval.use"

	AuditRead   core.Action = "audit.read"
	AuditExport core.Action = "audit.export"
	AuditVerify core.Action = "audit.verify"
	AuditProof  core.Action = "audit.proof"
	// AuditSucceed ends the damage of the audit log; it loosens, because what
	// waited for a whole log goes on then.
	AuditSucceed core.Action = "audit.succeed"

	RootRead      core.Action = "root.read"
	RootUpdate    core.Action = "root.update"
	PolicyRead    core.Action = "policy.read"
	PolicyLoad    core.Action = "policy.load"
	PolicyRestore core.Action = "policy.restore"
	CapLift       core.Action = "cap.lift"
	ConfigRead    core.Action = "config.read"
	StatusRead    core.Action = "status.read"
	HealthRead    core.Action = "health.read"
	MetricsRead   core.Action = "metrics.read"
	DebugRead     core.Action = "debug.read"
	BreakerTrip   core.Action = "breaker.trip"
	BreakerReset  core.Action = "breaker.reset"

	StopRead     core.Action = "stop.read"
	StopReset    core.Action = "stop.reset"
	StopWithdraw core.Action = "stop.withdraw-right"
	LockPlace    core.Action = "lock.place"
	LockRemove   core.Action = "lock.remove"

	KeysSignOrder       core.Action = "keys.sign-order"
	KeysIssueManagement core.Action = "keys.issue-management"
	KeysIssueWorkload   core.Action = "keys.issue-workload"
	KeysIssueServer     core.Action = "keys.issue-server"
)

// Actions is the whole vocabulary, noun.verb. An action that is not here is
// denied to everybody, and a policy that names one is refused on load.
var Actions = []Row{
	{DeviceList, ClassRead, "see which devices there are"},
	{DeviceShow, ClassRead, "see one device"},
	{DeviceEnrol, ClassChange, "bring a device in with an enrolment token"},
	{DeviceApprove, ClassChange, "take a waiting device out of the queue"},
	{DeviceArm, ClassChange, "treat what the device senses as an attack"},
	{DeviceQuarantine, ClassContain, "leave the device only its server link"},
	{DeviceSuspend, ClassContain, "switch the device's workload identity off"},
	{DeviceStop, ClassStop, "bring machines to their safe state"},
	{DeviceRelease, ClassLoosen, "ask for latches to be opened"},
	{DeviceReset, ClassLoosen, "ask for a restart after a stop"},
	{DeviceDisarm, ClassLoosen, "ask for disarming"},
	{DeviceBypass, ClassLoosen, "ask for a sensor to be ignored"},
	{DeviceBaseline, ClassLoosen, "ask for changed hardware to be accepted"},
	{DevicePolicy, ClassLoosen, "ask for another device policy"},
	{DeviceUpdate, ClassLoosen, "ask for another agent"},
	{DeviceMove, ClassLoosen, "ask for another server address"},
	{DeviceZeroize, ClassDestroy, "ask for the device's secrets to be erased"},
	{DeviceRetire, ClassDestroy, "ask for the device's identity to end"},
	{ReflexContain, ClassContain, "a device's own containment, offline"},
	{DeviceSignOff, ClassChange, "put one's name under a device's walk test"},
	{DeviceCriticality, ClassChange, "say how much depends on a device"},

	{SealList, ClassRead, "see which seals there are and when they are due"},
	{SealShow, ClassRead, "see a seal, its photos and who looked at it"},
	{SealApply, ClassChange, "register a seal that was put on a machine"},
	{SealInspect, ClassChange, "record what one found at a seal, with a photo"},
	{SealRemove, ClassChange, "take a seal out of the registry or replace it"},

	{OrderList, ClassRead, "see which orders there are"},
	{OrderShow, ClassRead, "see an order's bytes and signatures"},
	{OrderRequest, ClassChange, "put an order up for approval"},
	{OrderApprove, ClassChange, "hand in a signature over an order"},
	{OrderWithdraw, ClassChange, "take back an own request"},
	{OrderFetch, ClassReport, "a device takes its orders"},
	{ResultAppend, ClassReport, "a device hands in the result of an order"},
	{BatchAppend, ClassReport, "a device hands in events"},
	{IdentityRenew, ClassChange, "a device renews its management certificate"},
	{IdentityWorkload, ClassChange, "a device has a certificate issued for a program that runs on it"},

	{EventRead, ClassPersonal, "read events; log lines name people"},
	{AlertRead, ClassRead, "see alerts"},
	{AlertAck, ClassChange, "take an alert"},
	{AlertClose, ClassChange, "close an alert with a verdict, such as a false positive"},
	{IncidentRead, ClassRead, "see incidents"},
	{IncidentTransition, ClassChange, "move an incident to its next state"},
	{EvidenceRead, ClassPersonal, "take an evidence bundle"},
	{PlaybookRead, ClassRead, "see playbooks and their runs"},
	{PlaybookRun, ClassChange, "start a playbook by hand"},
	{RuleRead, ClassRead, "see detection rules"},
	{RuleLoad, ClassLoosen, "put other detection rules in force"},
	{RuleDisable, ClassChange, "take one detection rule's alerts away, with owner and reason; everybody is told"},
	{RuleExclude, ClassChange, "keep events from detection rules for a time, after a back-test; everybody is told"},
	{RuleRestore, ClassChange, "let a detection rule speak again"},
	{RuleTry, ClassPersonal, "see on past events what a change of rules would do; alerts name people"},

	{FindingRead, ClassRead, "see findings, their timelines and their figures"},
	{FindingSubmit, ClassChange, "hand in reports of scanners and inventories"},
	{FindingWork, ClassChange, "triage a finding, give it an owner, say that it is being fixed or is fixed; only a scan verifies it"},
	{FindingDismiss, ClassChange, "say that a finding is a false positive, a duplicate or affects nothing, with a reason"},
	{FindingAccept, ClassChange, "ask for a finding's risk to be accepted until a day"},
	{FindingApprove, ClassChange, "accept a finding's risk that somebody else asked to accept"},
	{FindingFact, ClassChange, "note what became known about an advisory, such as that it is exploited"},
	{FindingOwners, ClassChange, "say who looks after which findings"},
	{CampaignRead, ClassRead, "see who is affected by an advisory or has a package"},
	{CampaignStart, ClassChange, "start a campaign: follow an advisory or a package until nobody has it"},

	{TokenList, ClassRead, "see which tokens there are, never their secrets"},
	{TokenCreate, ClassChange, "make an enrolment token"},
	{TokenRevoke, ClassChange, "end a token"},
	{SessionCreate, ClassChange, "sign in"},
	{SessionList, ClassRead, "see who is signed in"},
	{SessionEnd, ClassChange, "end somebody's session"},

	{PersonList, ClassRead, "see which people there are"},
	{PersonShow, ClassRead, "see one person, with passkeys and sessions"},
	{PersonInvite, ClassLoosen, "let somebody in; above viewer, ask for it"},
	{PersonRoles, ClassLoosen, "ask for other roles or sites of a person"},
	{PersonName, ClassChange, "say what one is called"},
	{PersonLink, ClassLoosen, "ask for another sign-in link for somebody"},
	{PersonLinkOwn, ClassChange, "make a sign-in link for oneself"},
	{PersonRevoke, ClassChange, "take somebody's passkeys and sessions away"},
	{PersonRestore, ClassChange, "end a person's stop-only after looking: what the log says holds"},
	{PasskeyAdd, ClassChange, "make a passkey of one's own"},
	{PasskeyRemove, ClassChange, "end a passkey"},

	{ApprovalList, ClassRead, "see what waits for a second person"},
	{ApprovalShow, ClassRead, "see one request with its exact parameters"},
	{ApprovalRequest, ClassChange, "ask for what takes a second person"},
	{ApprovalDecide, ClassChange, "agree to somebody else's request, or refuse it"},
	{ApprovalWithdraw, ClassChange, "take back an own request of that kind"},
	{ApprovalUse, ClassChange, "carry out what was agreed on"},

	{AuditRead, ClassPersonal, "read audit entries with their bodies"},
	{AuditExport, ClassPersonal, "export the audit log"},
	{AuditVerify, ClassRead, "verify the audit log"},
	{AuditProof, ClassRead, "take an inclusion proof"},
	{AuditSucceed, ClassLoosen, "hand in a signed succession to a damaged audit log"},

	{RootRead, ClassRead, "see the trust root"},
	{RootUpdate, ClassLoosen, "hand in a new, signed trust root"},
	{PolicyRead, ClassRead, "see the policies in force"},
	{PolicyLoad, ClassLoosen, "put other policies in force"},
	{PolicyRestore, ClassChange, "go back to the last good policies"},
	{CapLift, ClassLoosen, "lift an actor's containment cap"},
	{ConfigRead, ClassRead, "see the configuration, without secrets"},
	{StatusRead, ClassRead, "see how the installation is"},
	{HealthRead, ClassRead, "ask whether the server is up"},
	{MetricsRead, ClassRead, "read metrics"},
	{DebugRead, ClassPersonal, "read profiles; memory may hold anything"},
	{BreakerTrip, ClassChange, "open a circuit breaker by hand"},
	{BreakerReset, ClassChange, "close a circuit breaker by hand"},

	{StopRead, ClassRead, "see active stops and who has not confirmed"},
	{StopReset, ClassLoosen, "ask for an active stop to end"},
	{StopWithdraw, ClassChange, "take a person's remote stop away for a day"},
	{LockPlace, ClassContain, "hang a personal lock"},
	{LockRemove, ClassLoosen, "take a personal lock off"},

	{KeysSignOrder, ClassChange, "have the keys process sign an order"},
	{KeysIssueManagement, ClassChange, "have a management certificate issued"},
	{KeysIssueWorkload, ClassChange, "have a workload certificate issued"},
	{KeysIssueServer, ClassChange, "have the agent listener's certificate issued"},
}

var classes = func() map[core.Action]Class {
	m := make(map[core.Action]Class, len(Actions))
	for _, r := range Actions {
		m[r.Action] = r.Class
	}
	return m
}()

// ClassOf returns an action's class, false for an action that does not exist.
func ClassOf(a core.Action) (Class, bool) {
	c, ok := classes[a]
	return c, ok
}

// AtDoor reports whether a door may ask the Guard about the action before it
// knows the exact object: true for plain reads. Everything else is asked where
// the effect is, with the exact parameters.
func AtDoor(a core.Action) bool { return classes[a] == ClassRead }

// Recorded reports whether every call for the action leaves an entry in the log.
func Recorded(a core.Action) bool {
	c, exists := classes[a]
	return !exists || c.Recorded()
}

// RepairActions are what an administrator may do while there is no good set of
// policies at all, decided in code (TRUST F39: errors deny, so a broken set
// could not be mended by anybody whom only that set permits). They are recorded
// like any other act. None of them loosens a device.
var RepairActions = []core.Action{SessionCreate, StatusRead, HealthRead, ConfigRead, AuditVerify, PolicyRead, PolicyRestore}

func repairs(who core.Principal, a core.Action) bool {
	return who.Kind == core.KindPerson && who.HasRole(core.RoleAdministrator) && slices.Contains(RepairActions, a)
}
