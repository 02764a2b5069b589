package incident

import (
	"embed"

	"github.com/interlock-security/interlock/platform/store"
)

//go:embed sqlite/*.sql postgres/*.sql
var migrations embed.FS

// Migrations returns the schema of the tables response_incidents,
// response_incident_alerts and response_timeline.
func Migrations() store.Migrations {
	return store.Migrations{Owner: "response_incident", FS: migrations}
}
