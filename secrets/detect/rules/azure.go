package rules

import "github.com/interlock-security/interlock/secrets/detect"

func azure() []detect.Rule {
	marked := func(id, title, pattern string, keywords ...string) detect.Rule {
		return checked(raw(id, title, critical, `(?:^|[^A-Za-z0-9+/])(`+pattern+`)(?:[^A-Za-z0-9+/=]|\z)`, keywords...), genuine)
	}
	all := ofKind(detect.KindCloudKey,
		raw("azure-ad-client-secret", "Azure AD client secret", critical, `(?:^|[^\w~.\-])([\w~.\-]{3}[78]Q~[\w~.\-]{31,34})(?:[^\w~.\-]|\z)`, "7q~", "8q~"),
		marked("azure-storage-account-key", "Azure storage account key", `[A-Za-z0-9+/]{76}\+ASt[A-Za-z0-9+/]{6}==`, "+ast"),
		marked("azure-cosmos-key", "Azure Cosmos DB key", `[A-Za-z0-9+/]{76}ACDb[A-Za-z0-9+/]{6}==`, "acdb"),
		marked("azure-batch-key", "Azure Batch key", `[A-Za-z0-9+/]{76}\+ABa[A-Za-z0-9+/]{6}==`, "+aba"),
		marked("azure-service-bus-key", "Azure Service Bus, Event Hubs or Relay key", `[A-Za-z0-9+/]{33}\+A(?:SbE|EhE|RmE)[A-Za-z0-9+/]{6,7}=`, "+asb", "+aeh", "+arm"),
		marked("azure-iot-key", "Azure IoT key", `[A-Za-z0-9+/]{33}AIoT[A-Za-z0-9+/]{5,6}=`, "aiot"),
		marked("azure-container-registry-key", "Azure container registry password", `[A-Za-z0-9+/]{42}\+ACR[A-Za-z0-9+/]{6}`, "+acr"),
		marked("azure-search-key", "Azure Search key", `[A-Za-z0-9]{42}AzSe[A-Za-z0-9]{6}`, "azse"),
		marked("azure-redis-key", "Azure Cache for Redis key", `[A-Za-z0-9+/]{33}AzCa[A-Za-z0-9+/]{6}=`, "azca"),
		marked("azure-functions-key", "Azure Functions key", `[\w\-]{44}AzFu[\w\-]{4,8}={0,2}`, "azfu"),
		marked("azure-devops-pat", "Azure DevOps personal access token", `[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}`, "azdo"),
		marked("azure-openai-key", "Azure AI services key", `[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}`, "jqqj99"),
	)
	return append(all, azureNamed()...)
}

// azureNamed are the forms that a name before them gives away.
func azureNamed() []detect.Rule {
	all := ofKind(detect.KindConnection,
		checked(raw("azure-storage-connection-string", "Azure storage connection string", critical, `(?i:AccountKey)[ \t]{0,3}=[ \t]{0,3}([A-Za-z0-9+/]{86}==)`, "accountkey"), mixed),
		checked(raw("azure-shared-access-key", "Azure shared access key in a connection string", critical, `(?i:SharedAccessKey)[ \t]{0,3}=[ \t]{0,3}([A-Za-z0-9+/]{42,44}={0,2})(?:[^A-Za-z0-9+/=]|\z)`, "sharedaccesskey"), mixed),
		checked(raw("azure-sas-token", "Azure shared access signature", high, `[?&](?i:sig)=([A-Za-z0-9%+/]{43,66}(?:=|%3[dD]))`, "&sig=", "?sig="), genuine),
		checked(raw("azure-logic-app-url", "Azure Logic Apps trigger URL", high, `logic\.azure\.com(?::443)?/workflows/[0-9a-f]{32}/[^\s"']{1,200}[?&]sig=([\w\-]{43})`, "logic.azure.com"), genuine),
		checked(raw("azure-devops-pat-classic", "Azure DevOps personal access token, classic", high, `(?i:(?:azure|ado|vsts|devops)[\w\-]{0,12}(?:pat|token)|dev\.azure\.com)[^\n]{0,40}?[^A-Za-z0-9]([a-z2-7]{52})(?:[^A-Za-z0-9]|\z)`, "azure", "ado_", "vsts", "devops"), scrambled),
	)
	all[2].Kind, all[3].Kind, all[4].Kind = detect.KindToken, detect.KindWebhook, detect.KindToken
	return all
}
