package taxonomy

import "github.com/interlock-security/interlock/siem/sigma"

// pimAlerts are the alerts of privileged identity management, which come in the
// form of risk detections and have no mark but their names.
var pimAlerts = []string{
	"staleSignInAlertIncident", "invalidLicenseAlertIncident", "rolesAssignedOutsidePrivilegedIdentityManagementAlertConfiguration",
	"sequentialActivationRenewalsAlertIncident", "noMfaOnRoleActivationAlertIncident", "redundantAssignmentAlertIncident",
	"tooManyGlobalAdminsAssignedToTenantAlertIncident",
}

var cloudRoutes = []sigma.Route{
	route("aws", "", "cloudtrail", has("eventVersion"), has("eventSource"), has("eventName")),
	route("aws", "", "cloudtrail", has("detail.eventVersion"), has("detail.eventSource"), has("detail.eventName")),

	route("azure", "", "activitylogs", has("operationName"), has("resourceId"), is("category", "Administrative", "ServiceHealth", "ResourceHealth", "Alert", "Autoscale", "Security", "Recommendation", "Policy")),
	route("azure", "", "activitylogs", has("operationName"), has("resourceId"), is("category.value", "Administrative", "ServiceHealth", "ResourceHealth", "Alert", "Autoscale", "Security", "Recommendation", "Policy")),
	route("azure", "", "activitylogs", has("OperationNameValue"), has("CategoryValue")),
	route("azure", "", "activitylogs", is("Type", "AzureActivity")),
	route("azure", "", "auditlogs", has("operationName"), is("category", "AuditLogs")),
	route("azure", "", "auditlogs", is("Type", "AuditLogs")),
	route("azure", "", "auditlogs", has("activityDisplayName"), has("loggedByService")),
	route("azure", "", "auditlogs", has("ActivityDisplayName"), has("LoggedByService")),
	route("azure", "", "auditlogs", has("OperationName"), has("LoggedByService")),
	route("azure", "", "signinlogs", is("category", "SignInLogs", "NonInteractiveUserSignInLogs", "ServicePrincipalSignInLogs", "ManagedIdentitySignInLogs", "ADFSSignInLogs")),
	route("azure", "", "signinlogs", is("Type", "SigninLogs", "AADNonInteractiveUserSignInLogs", "AADServicePrincipalSignInLogs", "AADManagedIdentitySignInLogs")),
	route("azure", "", "signinlogs", has("ResultType"), has("ConditionalAccessStatus")),
	route("azure", "", "signinlogs", has("userPrincipalName"), has("conditionalAccessStatus")),
	route("azure", "", "riskdetection", has("riskEventType")),
	route("azure", "", "riskdetection", has("RiskEventType")),
	route("azure", "", "riskdetection", has("properties.riskEventType")),
	route("azure", "", "pim", is("riskEventType", pimAlerts...)),
	route("azure", "", "pim", is("RiskEventType", pimAlerts...)),
	route("azure", "", "pim", is("properties.riskEventType", pimAlerts...)),

	route("gcp", "", "gcp.audit", is("protoPayload.@type", googleAudit)),
	route("gcp", "", "gcp.audit", is("data.protoPayload.@type", googleAudit)),
	route("gcp", "", "gcp.audit", has("data.protoPayload.methodName"), has("data.protoPayload.serviceName")),
	route("gcp", "", "gcp.audit", has("protoPayload.methodName"), has("protoPayload.serviceName")),
	route("gcp", "", "google_workspace.admin", is("protoPayload.serviceName", "admin.googleapis.com")),
	route("gcp", "", "google_workspace.admin", is("data.protoPayload.serviceName", "admin.googleapis.com")),
	route("gcp", "", "google_workspace.admin", is("eventService", "admin.googleapis.com")),
	route("gcp", "", "google_workspace.admin", is("id.applicationName", "admin")),
	route("gcp", "", "google_workspace.login", is("protoPayload.serviceName", "login.googleapis.com")),
	route("gcp", "", "google_workspace.login", is("data.protoPayload.serviceName", "login.googleapis.com")),
	route("gcp", "", "google_workspace.login", is("id.applicationName", "login")),

	route("github", "", "audit", has("action"), has("actor"), has("_document_id")),
	route("github", "", "audit", has("action"), has("actor"), has("org"), has("created_at")),
	route("bitbucket", "", "audit", has("auditType.category"), has("auditType.action")),
	route("okta", "", "okta", has("eventType"), has("legacyEventType"), has("published")),
	route("okta", "", "okta", has("eventType"), has("actor.alternateId"), has("outcome.result")),
	route("onelogin", "", "onelogin.events", has("event_type_id"), has("account_id")),
	route("cisco", "", "duo", has("event_type"), has("factor"), has("txid")),
	route("cisco", "", "duo", has("event_type"), has("reason"), has("auth_device.name")),

	route("m365", "", "audit", has("Operation"), has("Workload"), has("RecordType")),
	route("m365", "", "exchange", has("Operation"), is("Workload", "Exchange")),
	{When: []sigma.Mark{has("Operation"), is("Workload", "SecurityComplianceCenter")}, Sources: officeSecurity},
	{When: []sigma.Mark{has("eventName"), is("eventSource", "SecurityComplianceCenter")}, Sources: officeSecurity},
	route("m365", "", "exchange", has("eventName"), is("eventSource", "Exchange")),

	// Rules write the source in two ways; this is both.
	route("kubernetes", "application", "audit", has("auditID"), has("verb"), has("stage")),
	route("kubernetes", "application", "audit", has("kubernetes.audit.auditID"), has("kubernetes.audit.verb")),
}

var officeSecurity = []sigma.Logsource{source("m365", "", "threat_management"), source("m365", "", "threat_detection")}

const googleAudit = "type.googleapis.com/google.cloud.audit.AuditLog"
