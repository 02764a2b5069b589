package files

import "testing"

// TestNoSecretIsPassedOver: the quick question says yes wherever the pattern does.
func TestNoSecretIsPassedOver(t *testing.T) {
	for doc, want := range map[string]bool{
		"kind: Secret":                                 true,
		"kind:Secret\r\n":                              true,
		"- kind:\t'Secret'\ndata:":                     true,
		"  kind: \"Secret\" \n":                        true,
		`{"kind":"Secret"}`:                            true,
		`{"kind" : "Secret"}`:                          true,
		"a: SecretSecret\nkind: Secret\n":              true,
		"kind: Pod\nimagePullSecrets:\n- name: Secret": false,
		"Secret":             false,
		"":                   false,
		"kindSecret":         false,
		"kind: SealedSecret": false,
	} {
		if got := couldBeSecret([]byte(doc)); got != want || secretKind.MatchString(doc) && !got {
			t.Errorf("%q: %v", doc, got)
		}
	}
}

func FuzzKubernetesSecret(f *testing.F) {
	f.Add("kind: Secret\ndata:\n  a: Yg==\n---\n{\"kind\": \"Secret\"}")
	f.Fuzz(func(t *testing.T, doc string) {
		if secretKind.MatchString(doc) && !couldBeSecret([]byte(doc)) {
			t.Errorf("%q is passed over", doc)
		}
		kubernetesSecret([]byte(doc), func(start, end int) {
			if start < 0 || end > len(doc) || start > end {
				t.Errorf("%d:%d of %d bytes", start, end, len(doc))
			}
		})
	})
}
