package lifecycle

import (
	"embed"

	"github.com/interlock-security/interlock/platform/store"
)

//go:embed sqlite/*.sql postgres/*.sql
var migrations embed.FS

// Migrations returns the schema of the tables scanning_….
func Migrations() store.Migrations {
	return store.Migrations{Owner: "scanning", FS: migrations}
}
