package rules

import (
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

func databases() []detect.Rule {
	return []detect.Rule{
		token("databricks-api-token", "Databricks token", critical, `dapi[a-f0-9]{32}(?:-[0-9])?`, "dapi"),
		token("databricks-oauth-secret", "Databricks OAuth secret", critical, `dose[a-f0-9]{32}`, "dose"),
		token("supabase-access-token", "Supabase access token", critical, `sbp_(?:v0_|oauth_)?[a-f0-9]{40}`, "sbp_"),
		token("supabase-secret-key", "Supabase secret key", critical, `sb_secret_[\w\-]{22,40}`, "sb_secret_"),
		raw("mongodb-atlas-service-secret", "MongoDB Atlas service account secret", critical, `\b(mdb_sa_sk_[\w\-]{20,60})`, "mdb_sa_sk_"),
		raw("elastic-api-key", "Elastic API key header", high, `(?i:authorization)["']?[ \t]{0,4}[:=,][ \t]{0,4}["']?ApiKey[ ]+([A-Za-z0-9+/]{50,120}={0,2})`, "apikey "),
		token("elastic-cloud-key", "Elastic Cloud API key", critical, `essu_[A-Za-z0-9+/=]{40,160}`, "essu_"),
		raw("snowflake-programmatic-token", "Snowflake programmatic access token", critical, `(?i:snowflake)[\w.\- ]{0,20}?(?i:token|pat)[\w.\-]{0,10}`+between+`(eyJraWQi[\w\-]{20,400}\.eyJ[\w\-]{20,1000}\.[\w\-]{40,800})`, "snowflake"),
		raw("airtable-personnal-access-token", "Airtable personal access token", high, `(?i:airtable)[^\n]{0,60}?\b(pat[A-Za-z0-9]{14}\.[a-f0-9]{64})\b`, "airtable"),
		token("maxmind-license-key", "MaxMind licence key", medium, `[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk`, "_mmk"),
	}
}

func observability() []detect.Rule {
	return []detect.Rule{
		checked(token("grafana-service-account-token", "Grafana service account token", critical, `glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}`, "glsa_"), proven(verify.Grafana)),
		raw("grafana-cloud-api-token", "Grafana Cloud token", critical, `\b(glc_[A-Za-z0-9+/]{32,400}={0,3})`, "glc_"),
		raw("grafana-api-key", "Grafana API key", high, `\b(eyJrIjoi[A-Za-z0-9]{70,400}={0,3})`, "eyjrijoi"),
		token("new-relic-user-api-key", "New Relic user key", high, `NRAK-[A-Z0-9]{27}`, "nrak-"),
		token("new-relic-insert-key", "New Relic insert key", high, `NRI[IQ]-[\w\-]{32}`, "nrii-", "nriq-"),
		token("new-relic-admin-key", "New Relic admin key", critical, `NRAA-[a-f0-9]{27}`, "nraa-"),
		token("new-relic-browser-api-token", "New Relic browser key", low, `NRJS-[a-f0-9]{19}`, "nrjs-"),
		token("new-relic-licence-key", "New Relic licence key", high, `[a-f0-9]{36}NRAL`, "nral"),
		token("sentry-user-token", "Sentry user token", high, `sntryu_[a-f0-9]{64}`, "sntryu_"),
		raw("sentry-org-token", "Sentry organisation token", high, `\b(sntrys_eyJ[A-Za-z0-9+/]{30,400}={0,2}_[A-Za-z0-9+/]{43})`, "sntrys_eyj"),
		token("sentry-integration-token", "Sentry integration token", high, `sntry[ai]_[a-f0-9]{64}`, "sntrya_", "sntryi_"),
		raw("sentry-dsn-secret", "Sentry DSN with secret", medium, `https?:`+`//[a-f0-9]{32}:`+`([a-f0-9]{32})@[\w.\-]{0,60}sentry[\w.\-]{0,40}/[0-9]+`, "sentry"),
		token("dynatrace-api-token", "Dynatrace API token", critical, `dt0(?:c01|s01|s02|s03|s08|s16)\.[A-Z0-9]{24}\.[A-Z0-9]{64}`, "dt0c01.", "dt0s01.", "dt0s02.", "dt0s03.", "dt0s16.", "dt0s08."),
		token("honeycomb-api-key", "Honeycomb API key", high, `hca(?:ik|mk|lk)_[a-z0-9]{50,64}`, "hcaik_", "hcamk_", "hcalk_"),
		token("rootly-api-key", "Rootly API key", high, `rootly_[a-f0-9]{64}`, "rootly_"),
		token("posthog-personal-key", "PostHog personal key", high, `phx_[A-Za-z0-9]{40,52}`, "phx_"),
		token("logfire-token", "Axiom or Logfire token", high, `(?:xa[ap]t-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|pylf_v[0-9]_[a-z]{2}_[A-Za-z0-9]{40,64})`, "xaat-", "xapt-", "pylf_v"),
	}
}
