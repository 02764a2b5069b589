package secretscan

import (
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/source"
)

// TagGone is on a leak that is only in a repository's history.
const TagGone = "history-only"

func finding(f *source.Found) scanning.Finding {
	out := scanning.Finding{
		Rule: f.Rule, Class: scanning.ClassSecret, Title: f.Title, Severity: f.Severity, Redacted: f.Redacted, Fingerprint: f.Fingerprint,
		Detail: f.Note, Advice: advice(f), Tags: tags(f),
		Location: scanning.Location{
			File: f.Path, Line: f.Line, Column: f.Column, EndLine: f.EndLine, Inner: f.Inner, Layer: layerOf(f.Inner), Context: f.Excerpt,
			Commit: f.Commit, Author: author(f), Date: f.Date,
		},
	}
	return out
}

func author(f *source.Found) string {
	if f.Email == "" {
		return f.Author
	}
	return f.Author + " <" + f.Email + ">"
}

func tags(f *source.Found) []string {
	out := append([]string{string(f.Kind)}, f.Tags...)
	if f.Gone {
		out = append(out, TagGone)
	}
	if f.Verdict == detect.Valid {
		out = append(out, "checksum-valid")
	}
	for _, d := range f.Decoded {
		out = append(out, "decoded-"+d)
	}
	return out
}

// layerOf is the digest of the image's layer that an entry of an image is in.
func layerOf(inner []string) string {
	for _, part := range inner {
		for _, prefix := range []string{"blobs/sha256/", ""} {
			hex, ok := strings.CutPrefix(part, prefix)
			hex = strings.TrimSuffix(strings.TrimSuffix(hex, "/layer.tar"), ".tar")
			if ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == "" && len(inner) > 1 {
				return "sha256:" + hex
			}
		}
	}
	return ""
}

// remedies say what to do with a leak of a kind. Taking it out of the file comes last:
// whoever has read it keeps it.
var remedies = map[detect.Kind]string{
	detect.KindPassword:   "change the password where it is used, then have it given at run time",
	detect.KindToken:      "revoke it where it was issued and look at its use since, then issue a new one",
	detect.KindCloudKey:   "disable the key in the cloud account and look at its use since, then issue a new one with fewer rights",
	detect.KindPrivateKey: "make a new key, have its certificates revoked, take the old public key out of every authorized_keys",
	detect.KindConnection: "change the password of that account, then have the address given at run time",
	detect.KindHash:       "change the password: who has the hash can try passwords at leisure",
	detect.KindWebhook:    "make a new address where it was issued: whoever knows this one can post",
	detect.KindKey:        "make a new key; what the old one signed or encrypted counts as known",
}

func advice(f *source.Found) string {
	what := remedies[f.Kind]
	if what == "" {
		what = "replace it where it is used"
	}
	if f.Gone {
		what += "; it is no more in HEAD, but in every clone"
	}
	return what
}
