package sensor

import "context"

// SelfTester is a driver that can test itself beyond looking whether its
// hardware is there. A self-test changes nothing that anybody relies on, or puts
// it back, and it claims nothing that it did not try.
type SelfTester interface {
	// SelfTest tests until it is done or ctx ends. It may be called while Run is
	// running, from another goroutine, and on a driver that never ran.
	SelfTest(ctx context.Context) []Finding
}

// Finding is what one check of a self-test found.
type Finding struct {
	// Check names what was tried: "lid: drive-back".
	Check  string `json:"check"`
	Result Result `json:"result"`
	// Why says what was seen, or why it could not be tested. Only a pass may have
	// none.
	Why string `json:"why,omitempty"`
	// Drives says that the check made happen what the sensor is there to notice,
	// and looked whether it did: a pass proves that it works.
	Drives bool `json:"drives,omitempty"`
}

// Result is how a check went.
type Result string

// The results. Skipped and warning are not a pass: what could not be tested is
// one of them.
const (
	Pass    Result = "pass"
	Fail    Result = "fail"
	Warning Result = "warning" // it works as far as can be told, and something about it needs a person
	Untried Result = "skipped" // it could not be tested
)

// Found returns a finding.
func Found(check string, result Result, why string) Finding {
	return Finding{Check: Text(check), Result: result, Why: Text(why)}
}
