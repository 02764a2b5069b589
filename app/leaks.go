package app

import (
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/scanning/stream"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// leaksStage looks for secrets in what comes in. Events are looked into one layer
// deep: what a machine encodes for its own use is seldom nested further.
func (s *Server) leaksStage(raw journal.Reader, partition int32) journal.Stage {
	return stream.Stage(raw, partition, func() (stream.Detector, error) {
		c := standard.Config()
		c.Decode = 1
		return detect.New(c)
	}, s.flow.Findings)
}
