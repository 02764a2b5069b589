package app

import (
	"context"
	"math"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/baseline"
)

// baselineStage learns how much each log source usually sends. What it notices
// goes the way of the server's other notices: an event, of which rules make an
// alert.
func (s *Server) baselineStage(raw journal.Reader, partition int32) journal.Stage {
	return baseline.Stage(raw, partition, func(ctx context.Context, tx *store.Tx, n baseline.Notice) error {
		return s.Registry.Raise(ctx, tx, fleet.Notice{Tenant: n.Tenant, Kind: string(n.Kind), Severity: sourceSeverity(n.Kind), Fields: map[string]any{
			"log_source": n.Source, "count": n.Count, "expected": math.Round(n.Expected), "score": math.Round(n.Score*10) / 10,
			"minutes": n.For / time.Minute, "longest_minutes": n.Longest / time.Minute, "until": n.At,
		}})
	})
}

func sourceSeverity(k baseline.Kind) core.Severity {
	if k == baseline.TypeBack {
		return core.SeverityInfo
	}
	return core.SeverityMedium
}
