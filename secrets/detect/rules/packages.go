package rules

import (
	"bytes"
	"encoding/base64"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

// packages are the registries of code: who holds such a token publishes.
func packages() []detect.Rule {
	return []detect.Rule{
		checked(token("npm-access-token", "npm access token", critical, `npm_[A-Za-z0-9]{36}`, "npm_"), proven(verify.TrailingCRC)),
		checked(raw("pypi-upload-token", "PyPI upload token", critical, `\b(pypi-AgE(?:IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZ)[\w\-]{50,1000})`, "pypi-age"), macaroon),
		token("rubygems-api-token", "RubyGems API token", critical, `rubygems_[a-f0-9]{48}`, "rubygems_"),
		checked(token("crates-io-token", "crates.io token", critical, `cio[A-Za-z0-9]{32}`, "cio"), disorderly),
		token("nuget-api-key", "NuGet API key", critical, `oy2[a-z0-9]{43}`, "oy2"),
		token("dockerhub-pat", "Docker Hub personal access token", critical, `dckr_(?:pat|oat)_[\w\-]{27,36}`, "dckr_pat_", "dckr_oat_"),
		token("clojars-api-token", "Clojars API token", critical, `CLOJARS_[A-Za-z0-9]{60}`, "clojars_"),
		token("artifactory-api-key", "JFrog Artifactory API key", high, `AKCp[A-Za-z0-9]{69}`, "akcp"),
		token("artifactory-reference-token", "JFrog Artifactory reference token", high, `cmVmd[A-Za-z0-9]{59}`, "cmvmd"),
		token("packagist-token", "Packagist token", high, `packagist_(?:oat|ort|uut|ack)_[a-f0-9]{60,80}`, "packagist_"),
		token("gemfury-token", "Gemfury deploy token", high, `fury_[A-Za-z0-9]{20,40}`, "fury_"),
		token("jsr-token", "JSR token", high, `jsr[dp]_[A-Za-z0-9]{36,48}`, "jsrd_", "jsrp_"),
	}
}

// macaroon proves a token that has the location, the identifier and the
// signature of a version 2 macaroon.
func macaroon(token []byte) detect.Verdict {
	if v := genuine(token); v != detect.Unknown {
		return v
	}
	_, body, _ := bytes.Cut(token, []byte("-"))
	b, err := base64.RawURLEncoding.DecodeString(string(bytes.TrimRight(body, "=")))
	if err != nil || len(b) < 40 || b[0] != 2 || b[1] != 1 {
		return detect.Unknown
	}
	if at := len(b) - 34; b[at] == 6 && b[at+1] == 32 {
		return detect.Valid
	}
	return detect.Unknown
}

// ci are the services that build and deploy.
func ci() []detect.Rule {
	return []detect.Rule{
		token("circleci-token", "CircleCI token", critical, `CCI(?:PAT|PRJ)_[A-Za-z0-9]{20,24}_[a-f0-9]{40}`, "ccipat_", "cciprj_"),
		token("buildkite-token", "Buildkite token", high, `bk[ua]a_[a-z0-9]{40}`, "bkua_", "bkaa_"),
		token("octopus-deploy-api-key", "Octopus Deploy API key", high, `API-[A-Z0-9]{26}`, "api-"),
		token("harness-api-key", "Harness API key", high, `(?:pat|sat)\.[\w\-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}`, "pat.", "sat."),
		token("prefect-api-token", "Prefect API key", high, `pnu_[A-Za-z0-9]{36}`, "pnu_"),
		token("pulumi-api-token", "Pulumi access token", critical, `pul-[a-f0-9]{40}`, "pul-"),
		raw("hashicorp-tf-api-token", "Terraform Cloud API token", critical, `\b([A-Za-z0-9]{14}\.atlasv1\.[\w\-=]{60,70})`, ".atlasv1."),
		token("infracost-api-token", "Infracost API token", medium, `ico-[A-Za-z0-9]{32}`, "ico-"),
		token("scalr-token", "Scalr token", high, `sclr[ts]_[A-Za-z0-9.]{30,60}`, "sclrt_", "sclrs_"),
		token("openshift-user-token", "OpenShift user token", critical, `sha256~[\w\-]{43}`, "sha256~"),
		token("postman-api-token", "Postman API key", high, `PMAK-[a-f0-9]{24}-[a-f0-9]{34}`, "pmak-"),
		token("defined-networking-api-token", "Defined Networking API token", high, `dnkey-[a-z0-9]{26}-[a-z0-9]{52}`, "dnkey-"),
		token("readme-api-token", "ReadMe API key", high, `rdme_[a-z0-9]{70}`, "rdme_"),
		token("authress-service-client-access-key", "Authress service client key", high, `(?:sc|ext|scauth|authress)_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_\-][a-z0-9\-]{10,32}\.[\w+/=\-]{30,120}`, ".acc_", ".acc-"),
		token("launchdarkly-sdk-key", "LaunchDarkly SDK or API key", high, `(?:sdk|api|mob)-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`, "sdk-", "api-", "mob-"),
	}
}
