package files

import (
	"regexp"

	"github.com/interlock-security/interlock/secrets/detect"
)

// clouds are the credentials of cloud tools.
func clouds() []format {
	return []format{
		{
			id: "aws-credentials-file", title: "AWS credentials", kind: detect.KindCloudKey, severity: critical,
			names:    []string{"credentials", ".credentials", ".aws_credentials", "aws_credentials", "config", ".boto", "boto.cfg", ".passwd-s3fs", "passwd-s3fs", "credentials.*", ".awssecret", "s3.conf", ".s3curl"},
			patterns: []string{`(?mi)^[ \t]*(?:export[ \t]+)?(?:aws_secret_access_key|aws_session_token|aws_security_token|gs_secret_access_key|gs_oauth2_refresh_token|aws_secret_key)[ \t]*=[ \t]*` + toEnd, `(?m)^(?:[\w.\-]+:)?(?:AKIA|ASIA)[A-Z2-7]{16}:([A-Za-z0-9/+]{40})\b`},
		},
		{
			id: "s3cfg-secret", title: "credentials of s3cmd", kind: detect.KindCloudKey, severity: critical,
			names:    []string{".s3cfg", "s3cfg", "*.s3cfg"},
			patterns: []string{`(?mi)^[ \t]*(?:secret_key|access_token|gpg_passphrase|proxy_password)[ \t]*=[ \t]*` + toEnd},
		},
		{
			id: "heroku-json-key", title: "Heroku API key in a settings file", kind: detect.KindCloudKey, severity: critical,
			names:    []string{"heroku.json", ".heroku", "heroku.yml"},
			patterns: []string{`(?i)"?heroku_api_key"?[ \t]*[:=][ \t]*["']?([\w\-]{8,80})`},
		},
		{
			id: "tugboat-key", title: "DigitalOcean key of tugboat or doctl", kind: detect.KindCloudKey, severity: critical,
			names:    []string{".tugboat", "doctl.yaml", ".doctl.yaml"},
			patterns: []string{`(?mi)^[ \t]*(?:api_key|access[_\-]token|client_key)["']?:[ \t]*` + toEnd},
		},
		{
			id: "gcloud-credentials", title: "Google Cloud credentials of a user", kind: detect.KindCloudKey, severity: critical,
			names:    []string{"application_default_credentials.json", "legacy_credentials.json", "adc.json", "*client_secret*.json", "credentials.json", "token.json", "*service*account*.json", "*service-account*.json"},
			patterns: []string{`"(?:refresh_token|client_secret|access_token|private_key_id_secret)"[ \t]*:[ \t]*"([^"\n]{10,})"`},
		},
		{
			id: "azure-publish-profile", title: "Azure publish profile", kind: detect.KindCloudKey, severity: critical,
			names: []string{"*.publishsettings", "*.pubxml", "*.pubxml.user"}, patterns: []string{`(?i)\buserPWD="([^"\n]+)"`, `(?i)<Password>([^<\n]+)</Password>`},
		},
		{
			id: "azure-profile-token", title: "tokens of the Azure command line", kind: detect.KindCloudKey, severity: critical,
			names:    []string{"accesstokens.json", "msal_token_cache.json", "service_principal_entries.json"},
			patterns: []string{`"(?:refreshToken|accessToken|secret|client_secret|servicePrincipalKey)"[ \t]*:[ \t]*"([^"\n]{10,})"`},
		},
		{
			id: "terraform-variable", title: "secret in Terraform variables", kind: detect.KindPassword, severity: critical,
			names: []string{"*.tfvars", "*.auto.tfvars", "terraform.tfvars", "*.pkrvars.hcl"},
			read:  func(body []byte, emit func(start, end int)) { named(body, terraformVariable, emit) },
			keep:  notName,
		},
		{
			id: "terraform-state-secret", title: "secret in Terraform's state", kind: detect.KindPassword, severity: critical,
			names:    []string{"*.tfstate", "*.tfstate.backup", "*.tfstate.*"},
			patterns: []string{`(?i)"(?:\w*(?:password|passwd|secret|private_key|private_key_pem|access_token|auth_token|api_key|connection_string|primary_access_key|secondary_access_key|master_password|secret_string))"[ \t]*:[ \t]*"((?:[^"\\\n]|\\.)+)"`},
			keep:     notName,
		},
		{
			id: "terraform-state-secret", title: "secret in Terraform's state", kind: detect.KindPassword, severity: critical,
			names: []string{"*.tfstate", "*.tfstate.backup", "*.tfstate.*"}, needs: `"random_password"`,
			patterns: []string{`"result"[ \t]*:[ \t]*"((?:[^"\\\n]|\\.){8,256})"`},
		},
		{
			id: "terraformrc-token", title: "token of Terraform's command line", kind: detect.KindToken, severity: critical,
			names:    []string{".terraformrc", "terraform.rc", "credentials.tfrc.json"},
			patterns: []string{`(?i)"?\btoken"?[ \t]*[=:][ \t]*"([^"\n]+)"`},
		},
		{
			id: "openstack-rc-password", title: "password of OpenStack", kind: detect.KindPassword, severity: high,
			names: []string{"*openrc*", "clouds.yaml", "clouds.yml", "secure.yaml"}, patterns: []string{`(?mi)\b(?:OS_PASSWORD|password|OS_APPLICATION_CREDENTIAL_SECRET|application_credential_secret)[ \t]*[=:][ \t]*` + toEnd},
		},
	}
}

var terraformVariable = regexp.MustCompile(`(?m)^[ \t]*["']?(\w+)["']?[ \t]*[=:][ \t]*"((?:[^"\\\n]|\\.)+)"`)

// notName refuses identifiers of resources, which state and variables hold too.
func notName(secret []byte) bool {
	for _, start := range []string{"arn:", "projects/", "/subscriptions/", "https://", "var.", "data.", "module.", "local.", "aws_", "random_", "google_", "azurerm_", "-----BEGIN "} {
		if len(secret) >= len(start) && string(secret[:len(start)]) == start {
			return false
		}
	}
	return len(secret) >= 3
}
