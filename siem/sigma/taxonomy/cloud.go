package taxonomy

import "strings"

// azureNames lists, name by name, how the same value is called in diagnostic
// settings, in Log Analytics tables, in the REST interface and in Elastic's
// module.
var azureActivity = map[string][]string{
	"operationName":         {"operationName.value", "OperationNameValue", "OperationName", "azure.activitylogs.operation_name"},
	"OperationNameValue":    {"operationName", "operationName.value", "OperationName", "azure.activitylogs.operation_name"},
	"CategoryValue":         {"category", "category.value", "Category", "azure.activitylogs.category"},
	"ResourceProviderValue": {"resourceProviderName.value", "ResourceProvider", "azure.resource.provider"},
	"ResourceId":            {"resourceId", "_ResourceId", "azure.resource.id"},
	// Rules ask here for the name of the operation.
	"properties.message": {"operationName", "operationName.value", "OperationNameValue", "azure.activitylogs.operation_name"},
}

var auditActivity = []string{
	"activityDisplayName", "ActivityDisplayName", "properties.activityDisplayName", "operationName", "OperationName",
	"azure.auditlogs.operation_name", "azure.auditlogs.properties.activity_display_name",
}

var azureAudit = map[string][]string{
	"properties.message": auditActivity, "ActivityDisplayName": auditActivity, "OperationName": auditActivity, "operationName": auditActivity,
	"ActivityType": auditActivity, "activityType": auditActivity,
	"Category":              {"category", "properties.category", "azure.auditlogs.properties.category"},
	"category":              {"Category", "properties.category", "azure.auditlogs.properties.category"},
	"LoggedByService":       {"loggedByService", "properties.loggedByService", "azure.auditlogs.properties.logged_by_service"},
	"Status":                {"result", "Result", "properties.result", "azure.auditlogs.properties.result"},
	"properties.result":     {"result", "Result", "azure.auditlogs.properties.result"},
	"failure_status_reason": {"resultReason", "ResultReason", "properties.resultReason", "azure.auditlogs.properties.result_reason"},
	"Initiatedby":           {"initiatedBy.user.userPrincipalName", "initiatedBy.app.displayName", "properties.initiatedBy.user.userPrincipalName", "properties.initiatedBy.app.displayName"},
	"Target":                targets("displayName", "userPrincipalName"),
	"targetResources.type":  targets("type"),
	"TargetResources.ModifiedProperties.DisplayName": targets("modifiedProperties.displayName"),
	"TargetResources.ModifiedProperties.NewValue":    targets("modifiedProperties.newValue"),
	"TargetResources.modifiedProperties.newValue":    targets("modifiedProperties.newValue"),
	"additionalDetails.additionalInfo":               {"additionalDetails.value", "AdditionalDetails.value", "properties.additionalDetails.value"},
	"ConsentContext.IsAdminConsent":                  {"properties.ConsentContext.IsAdminConsent"},
}

func targets(names ...string) []string {
	var out []string
	for _, n := range names {
		out = append(out, "targetResources."+n, "TargetResources."+n, "properties.targetResources."+n)
	}
	return out
}

// signin gives Log Analytics' name of a field of a sign-in its other forms.
func signin(field string) []string {
	lower := strings.ToLower(field[:min(1, len(field))]) + field[min(1, len(field)):]
	upper := strings.ToUpper(field[:min(1, len(field))]) + field[min(1, len(field)):]
	return []string{lower, upper, "properties." + lower, "azure.signinlogs.properties." + snake(lower)}
}

var azureSignin = map[string][]string{
	"ResultType":               {"properties.status.errorCode", "status.errorCode", "azure.signinlogs.result_type"},
	"ResultDescription":        {"properties.status.failureReason", "status.failureReason", "azure.signinlogs.result_description"},
	"Resultdescription":        {"ResultDescription", "resultDescription", "properties.status.failureReason", "status.failureReason"},
	"userAgent":                {"user_agent.original"},
	"ClientApp":                {"ClientAppUsed", "clientAppUsed", "properties.clientAppUsed"},
	"Username":                 {"UserPrincipalName", "userPrincipalName", "properties.userPrincipalName"},
	"DeviceDetail.trusttype":   {"DeviceDetail.trustType", "deviceDetail.trustType", "properties.deviceDetail.trustType"},
	"DeviceDetail.deviceId":    {"deviceDetail.deviceId", "properties.deviceDetail.deviceId"},
	"DeviceDetail.isCompliant": {"deviceDetail.isCompliant", "properties.deviceDetail.isCompliant"},
	"NetworkLocationDetails":   {"NetworkLocationDetails.networkType", "networkLocationDetails.networkType", "properties.networkLocationDetails.networkType"},
}

var awsNames = map[string][]string{
	"eventName":         {"event.action", "api.operation"},
	"eventSource":       {"event.provider", "api.service.name"},
	"userAgent":         {"user_agent.original", "http_request.user_agent"},
	"sourceIPAddress":   {"source.address", "source.ip", "src_endpoint.ip"},
	"errorCode":         {"api.response.error"},
	"errorMessage":      {"api.response.message"},
	"userIdentity.type": {"actor.user.type"},
	"userIdentity.arn":  {"actor.user.uid_alt"},
}

// data is where Pub/Sub puts the entry, and where SigmaHQ's rules look for it.
func googleData(field string) []string {
	if rest, ok := strings.CutPrefix(field, "data."); ok {
		return []string{rest}
	}
	return []string{"data." + field}
}

var (
	googleMethod   = []string{"protoPayload.methodName", "data.protoPayload.methodName", "event.action"}
	workspaceNames = map[string][]string{
		"eventService": {"protoPayload.serviceName", "data.protoPayload.serviceName", "event.provider"},
		"eventName": {
			"protoPayload.metadata.event.eventName", "data.protoPayload.metadata.event.eventName", "events.name", "event.action",
		},
		"protoPayload.metadata.event.eventName": {"data.protoPayload.metadata.event.eventName", "events.name", "event.action"},
		"protoPayload.Servicename":              {"protoPayload.serviceName", "data.protoPayload.serviceName"},
		"setting_name":                          {"google_workspace.admin.setting.name"},
		"new_value":                             {"google_workspace.admin.new_value"},
	}
	officeNames = map[string][]string{
		"eventSource": {"Workload", "o365.audit.Workload", "event.provider"},
		"eventName":   {"Name", "o365.audit.Name", "Operation", "o365.audit.Operation", "event.action"},
		"status":      {"ResultStatus", "Status", "o365.audit.ResultStatus"},
	}
	kubernetesNames = map[string][]string{
		"apiGroup": {"objectRef.apiGroup", "kubernetes.audit.objectRef.apiGroup"},
		"hostPath": {"requestObject.spec.volumes.hostPath.path", "kubernetes.audit.requestObject.spec.volumes.hostPath.path"},
		"capabilities": {
			"requestObject.spec.containers.securityContext.capabilities.add",
			"kubernetes.audit.requestObject.spec.containers.securityContext.capabilities.add",
		},
		"userAgent": {"user_agent.original"},
	}
)

var cloudTables = []table{
	{product: "aws", service: "cloudtrail", also: awsNames, shape: func(f string) []string {
		return append(under("detail.")(f), underSnake("aws.cloudtrail.")(f)...)
	}},
	{product: "azure", service: "activitylogs", also: azureActivity},
	{product: "azure", service: "auditlogs", also: azureAudit},
	{product: "azure", service: "signinlogs", also: azureSignin, shape: signin},
	{product: "azure", service: "riskdetection", shape: signin},
	{product: "azure", service: "pim", shape: signin},
	{product: "gcp", service: "gcp.audit", shape: googleData, also: map[string][]string{
		"gcp.audit.method_name": googleMethod, "data.protoPayload.methodName": {"gcp.audit.method_name"},
		"data.protoPayload.serviceName": {"gcp.audit.service_name", "event.provider"},
	}},
	{product: "gcp", service: "google_workspace.admin", also: workspaceNames},
	{product: "gcp", service: "google_workspace.login", also: workspaceNames},
	{product: "github", service: "audit", also: map[string][]string{"action": {"event.action", "github.action"}}},
	{product: "bitbucket", service: "audit", shape: under("bitbucket.audit.")},
	{product: "okta", service: "okta", shape: underSnake("okta."), also: map[string][]string{"eventType": {"event.action"}}},
	{product: "onelogin", service: "onelogin.events", shape: under("onelogin.events.", "onelogin.")},
	{product: "m365", also: officeNames, shape: under("o365.audit.")},
	{product: "kubernetes", also: kubernetesNames, shape: under("kubernetes.audit.")},
}
