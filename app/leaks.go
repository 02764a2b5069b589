package app

import (
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/scanning/stream"
	"github.com/interlock-security/interlock/secrets/detect"
)

// leaksStage looks for secrets in what comes in.
func (s *Server) leaksStage(raw journal.Reader, partition int32) journal.Stage {
	return stream.Stage(raw, partition, func() (stream.Detector, error) {
		return detect.New(stream.Config())
	}, s.flow.Findings)
}
