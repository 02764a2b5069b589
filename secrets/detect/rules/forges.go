package rules

import (
	"strings"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

func forges() []detect.Rule {
	var all []detect.Rule
	for _, g := range []struct{ id, title, prefix string }{
		{"github-pat", "GitHub personal access token", "ghp_"},
		{"github-oauth", "GitHub OAuth token", "gho_"},
		{"github-app-token", "GitHub App token", "gh[us]_"},
		{"github-refresh-token", "GitHub refresh token", "ghr_"},
	} {
		keywords := []string{g.prefix}
		if g.id == "github-app-token" {
			keywords = []string{"ghu_", "ghs_"}
		}
		all = append(all, checked(token(g.id, g.title, critical, g.prefix+`[0-9A-Za-z]{36}`, keywords...), proven(verify.TrailingCRC)))
	}
	all = append(all,
		token("github-fine-grained-pat", "GitHub fine-grained personal access token", critical, `github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}`, "github_pat_"),
		raw("github-refresh-token-long", "GitHub refresh token", critical, `\b(ghr_[0-9A-Za-z]{76})\b`, "ghr_"),
		raw("github-app-token-jwt", "GitHub App installation token", critical, `\b(ghs_[0-9]{1,12}_eyJ[\w\-]{20,1000}\.eyJ[\w\-]{20,1000}\.[\w\-]{20,1000})`, "ghs_"),
	)
	return append(append(all, gitlab()...), otherForges()...)
}

func gitlab() []detect.Rule {
	var all []detect.Rule
	for _, g := range []struct{ id, title, prefix, rest string }{
		{"gitlab-pat", "GitLab personal access token", "glpat-", `[\w\-]{20}`},
		{"gitlab-oauth-app-secret", "GitLab OAuth application secret", "gloas-", `[\w\-]{64}`},
		{"gitlab-deploy-token", "GitLab deploy token", "gldt-", `[\w\-]{20}`},
		{"gitlab-runner-authentication-token", "GitLab runner authentication token", "glrt-", `(?:t\d_)?[\w\-]{20}`},
		{"gitlab-runner-token-routed", "GitLab runner authentication token", "glrtr-", `[\w\-]{20,40}`},
		{"gitlab-cicd-job-token", "GitLab CI job token", "glcbt-", `[0-9A-Za-z]{1,5}_[\w\-]{20}`},
		{"gitlab-ptt", "GitLab pipeline trigger token", "glptt-", `[0-9a-f]{40}`},
		{"gitlab-feed-token", "GitLab feed token", "glft-", `[\w\-]{20}(?:[\w\-]{44})?`},
		{"gitlab-incoming-mail-token", "GitLab incoming mail token", "glimt-", `[\w\-]{25}`},
		{"gitlab-kubernetes-agent-token", "GitLab agent token", "glagent-", `[\w\-]{50}`},
		{"gitlab-workspaces-token", "GitLab workspaces token", "glwt-", `[\w\-]{20,60}`},
		{"gitlab-scim-token", "GitLab SCIM token", "glsoat-", `[\w\-]{20}`},
		{"gitlab-feature-flag-client-token", "GitLab feature flags client token", "glffct-", `[\w\-]{20}`},
		{"gitlab-rrt", "GitLab runner token, of the older kind", "GR1348941", `[\w\-]{20}`},
		{"gitlab-session-cookie", "GitLab session cookie", "_gitlab_session=", `[0-9a-z]{32}`},
	} {
		r := raw(g.id, g.title, critical, `(?:\b|_)(`+g.prefix+g.rest+`)`+end, strings.ToLower(g.prefix))
		r.Group = 1
		all = append(all, r)
	}
	return append(all,
		checked(raw("gitlab-pat-routable", "GitLab personal access token, routable", critical, `\b(glpat-[\w\-]{27,300}\.[0-9a-z]{2}\.?[0-9a-z]{7})\b`, "glpat-"), routable),
		checked(raw("gitlab-runner-authentication-token-routable", "GitLab runner authentication token, routable", critical, `\b(glrt-t\d_[\w\-]{27,300}\.[0-9a-z]{2}\.?[0-9a-z]{7})\b`, "glrt-"), routable),
	)
}

// routable proves a token whose checksum holds. One that doesn't is kept: GitLab
// has changed the form once.
func routable(token []byte) detect.Verdict {
	if verify.GitLabRoutable(token) {
		return detect.Valid
	}
	return genuine(token)
}

func otherForges() []detect.Rule {
	return []detect.Rule{
		checked(raw("atlassian-api-token", "Atlassian API token", critical, `\b(AT[AC]TT3[\w\-]{60,250}=[A-F0-9]{8})\b`, "atatt3", "atctt3"), proven(verify.Atlassian)),
		checked(raw("atlassian-api-token-classic", "Atlassian API token, classic", high, `(?i:atlassian|confluence|jira)[\w.\- ]{0,20}?(?i:token|key|pass|secret|auth)[\w.\-]{0,10}`+between+`([A-Za-z0-9]{24})(?:[^A-Za-z0-9]|\z)`, "atlassian", "confluence", "jira"), mixed),
		token("bitbucket-app-password", "Bitbucket app password", critical, `ATBB[A-Za-z0-9]{24}[A-F0-9]{8}`, "atbb"),
		token("bitbucket-repository-token", "Bitbucket server access token", high, `BBDC-[A-Za-z0-9+/@_\-]{40,50}`, "bbdc-"),
		token("sourcegraph-access-token", "Sourcegraph access token", high, `sgp_(?:(?:[a-fA-F0-9]{16}|local)_)?[a-fA-F0-9]{40}`, "sgp_"),
		token("sonar-api-token", "SonarQube token", high, `sq[uap]_[a-f0-9]{40}`, "squ_", "sqa_", "sqp_"),
		token("linear-api-key", "Linear API key", high, `lin_api_[A-Za-z0-9]{40}`, "lin_api_"),
		token("linear-oauth-token", "Linear OAuth token", high, `lin_oauth_[A-Za-z0-9]{40,64}`, "lin_oauth_"),
	}
}
