package priority

// The decision points of CISA's tree, in the words of CERT/CC's data.
type (
	// Exploitation is the present state of exploitation.
	Exploitation string
	// Automatable says whether an attacker can automate the attack.
	Automatable string
	// Impact is the technical impact.
	Impact string
	// Mission is the combined mission and well-being impact.
	Mission string
	// Prevalence is how much the mission depends on the component.
	Prevalence string
	// WellBeing is the impact on people.
	WellBeing string
	// Decision is what the tree says.
	Decision string
)

// The words.
const (
	ExploitationNone   Exploitation = "none"
	ExploitationPoC    Exploitation = "public poc"
	ExploitationActive Exploitation = "active"

	AutomatableNo  Automatable = "no"
	AutomatableYes Automatable = "yes"

	ImpactPartial Impact = "partial"
	ImpactTotal   Impact = "total"

	MissionLow    Mission = "low"
	MissionMedium Mission = "medium"
	MissionHigh   Mission = "high"

	PrevalenceMinimal   Prevalence = "minimal"
	PrevalenceSupport   Prevalence = "support"
	PrevalenceEssential Prevalence = "essential"

	WellBeingMinimal      WellBeing = "minimal"
	WellBeingMaterial     WellBeing = "material"
	WellBeingIrreversible WellBeing = "irreversible"

	Track     Decision = "Track"
	TrackStar Decision = "Track*"
	Attend    Decision = "Attend"
	Act       Decision = "Act"
)

// Decisions lists them from the least to the most urgent.
var Decisions = []Decision{Track, TrackStar, Attend, Act}

// decisions is the CISA coordinator table 2.0.3 of CERT/CC, one string per
// exploitation and automatable: technical impact partial, then total, each for
// mission low, medium and high. t is Track, s Track*, a Attend, A Act.
var decisions = map[Exploitation]map[Automatable]string{
	ExploitationNone:   {AutomatableNo: "ttt" + "tts", AutomatableYes: "tta" + "tta"},
	ExploitationPoC:    {AutomatableNo: "tts" + "tsa", AutomatableYes: "tta" + "tsa"},
	ExploitationActive: {AutomatableNo: "tta" + "taA", AutomatableYes: "aaA" + "aAA"},
}

var letters = map[byte]Decision{'t': Track, 's': TrackStar, 'a': Attend, 'A': Act}

// Decide reads the tree. A word that is none of the list's counts as the worst
// of it.
func Decide(e Exploitation, a Automatable, i Impact, m Mission) Decision {
	branches, ok := decisions[e]
	if !ok {
		branches = decisions[ExploitationActive]
	}
	row, ok := branches[a]
	if !ok {
		row = branches[AutomatableYes]
	}
	column := 2
	switch m {
	case MissionLow:
		column = 0
	case MissionMedium:
		column = 1
	}
	if i != ImpactPartial {
		column += 3
	}
	return letters[row[column]]
}

// MissionAndWellBeing combines the two as CERT/CC's table 1.0 does: what is
// essential or irreversible is high, what is minimal twice is low.
func MissionAndWellBeing(p Prevalence, w WellBeing) Mission {
	switch {
	case p == PrevalenceMinimal && w == WellBeingMinimal:
		return MissionLow
	case (p == PrevalenceMinimal || p == PrevalenceSupport) && (w == WellBeingMinimal || w == WellBeingMaterial):
		return MissionMedium
	}
	return MissionHigh
}

// rank is 0 for Track up to 3 for Act, and -1 for none.
func rank(d string) int {
	for i, known := range Decisions {
		if string(known) == d {
			return i
		}
	}
	return -1
}
