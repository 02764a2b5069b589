package events

// ShareAccount puts the rows of all tenants into one account of the store.
func (c *Client) ShareAccount() { c.oneAccount = true }

// Line is a row as it goes to the store.
func Line(r Row) string { return string(r.appendTo(nil)) }

// The limits, for tests that go to them.
const (
	MaxLine   = maxLine
	MaxAnswer = maxAnswer
	MaxRow    = maxRow
	MaxValue  = maxValue
	MaxFields = maxFields
)
