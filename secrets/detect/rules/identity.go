package rules

import (
	"encoding/base64"
	"time"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

func identity() []detect.Rule {
	return []detect.Rule{
		raw("okta-access-token", "Okta API token", critical, `(?i:okta|SSWS)[\w.\- ]{0,40}?(?:`+between+`|[ ]{1,3})(00[\w\-]{40})`+end, "okta", "ssws"),
		checked(raw("jwt", "JSON web token", high, `\b(ey[JKL][\w\-]{14,}\.ey[JKL][\w\-]{10,}\.[\w\-]{16,})`, "eyj", "eyk", "eyl"), jwt),
		checked(raw("jwt-base64", "JSON web token in base64", high, `\b(ZXlK[A-Za-z0-9+/]{40,1000}={0,2})`, "zxlk"), jwtBase64),
		checked(raw("kubernetes-service-account-token", "Kubernetes service account token", critical, `\b(eyJhbGciOi[\w\-]{14,}\.eyJ[\w\-]{60,}\.[\w\-]{300,})`, "eyjhbgcioi"), serviceAccount),
		raw("kubernetes-bootstrap-token", "Kubernetes bootstrap token", high, `(?i:--token|token|bootstrap)["'=: \t]{1,5}([a-z0-9]{6}\.[a-z0-9]{16})(?:[^\w.\-]|\z)`, "--token", "token:", "token=", "bootstrap"),
		raw("kubeadm-certificate-key", "kubeadm certificate key", critical, `--certificate-key[= \t]+([a-f0-9]{64})\b`, "--certificate-key"),
		raw("k3s-node-token", "k3s node token", critical, `\b(K10[a-f0-9]{64}::(?:server|node|agent):[a-f0-9]{16,64})\b`, "::server:", "::node:", "::agent:"),
		raw("docker-swarm-join-token", "Docker swarm join token", critical, `\b(SWMTKN-1-[a-z0-9]{50}-[a-z0-9]{25})\b`, "swmtkn-1-"),
		checked(raw("otpauth-uri", "one-time password seed", high, `otpauth://[ht]otp/[^\s"'<>]{1,200}?[?&](?i:secret)=([A-Za-z2-7]{16,128})`, "otpauth://"), genuine),
		token("jumpcloud-key", "JumpCloud API key", high, `jca_[A-Za-z0-9]{36}`, "jca_"),
		checked(token("stytch-secret", "Stytch secret", high, `secret-(?:live|test)-[\w\-]{36}`, "secret-live-", "secret-test-"), tail(24)),
	}
}

// longAgo is a time before which an ended token is documentation.
var longAgo = time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)

// jwt refuses what isn't one: no header, no claims, no signature, and jwt.io's.
func jwt(token []byte) detect.Verdict {
	t, ok := verify.ParseJWT(token)
	if !ok || !t.Signed || t.Expired(longAgo) || t.Subject == "1234567890" || genuineJWT(token) == detect.Invalid {
		return detect.Invalid
	}
	return detect.Unknown
}

// genuineJWT leaves out the word lists: claims name people and things.
func genuineJWT(token []byte) detect.Verdict {
	at := len(token) - 16
	return genuine(token[at:])
}

func jwtBase64(text []byte) detect.Verdict {
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		b, err = base64.RawStdEncoding.DecodeString(string(text))
	}
	if err != nil || len(b) < 40 {
		return detect.Invalid
	}
	return jwt(b)
}

func serviceAccount(token []byte) detect.Verdict {
	t, ok := verify.ParseJWT(token)
	if !ok || len(t.Subject) < 22 || t.Subject[:22] != "system:serviceaccount:" {
		return detect.Invalid
	}
	return jwt(token)
}
