package taxonomy

import "github.com/interlock-security/interlock/siem/sigma"

const reserved = sigma.Reserved

// interlockNames are what rules call the fields of Interlock's own events.
var interlockNames = map[string][]string{
	"type": {reserved + "type"}, "device": {reserved + "device"}, "source": {reserved + "source"},
	"severity": {reserved + "severity"}, "simulated": {reserved + "simulated"}, "provenance": {reserved + "provenance"},
}

// tables are tried in order; all that fit are used.
var tables []table
