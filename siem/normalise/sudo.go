package normalise

import "strings"

// readSudo reads "anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/bin/x".
// The directory and the command are names that the caller chose, and may hold
// " ; USER=x" themselves. Every USER is therefore a value of the field: nobody
// hides the true one behind another.
func readSudo(message string, set func(field, text string)) Outcome {
	caller, rest, ok := strings.Cut(message, " : ")
	if !ok || !strings.Contains(rest, "COMMAND=") {
		return Plain
	}
	set(FieldUser, strings.TrimSpace(caller))
	for _, part := range strings.Split(rest, " ; ") {
		if user, ok := strings.CutPrefix(strings.TrimSpace(part), "USER="); ok {
			set("USER", user)
		}
	}
	return Parsed
}
