package events

import "time"

// SetProbe asks the child that often, and gives it that long to answer.
func (s *Supervisor) SetProbe(d time.Duration) { s.probeFor = d }

// ShareAccount puts the rows of all tenants into one account of the store.
func (c *Client) ShareAccount() { c.oneAccount = true }

// SetMaxAnswer bounds an answer, in bytes.
func (c *Client) SetMaxAnswer(n int64) { c.most = n }

// Line is a row as it goes to the store.
func Line(r Row) string { return string(r.appendTo(nil)) }

// The limits, for tests that go to them.
const (
	MaxLine   = maxLine
	MaxRow    = maxRow
	MaxValue  = maxValue
	MaxFields = maxFields
)

// Where says where the store is and what it asks for.
func (c *Client) Where() (base, user, password string) {
	to := c.to.Load()
	if to == nil {
		return "", "", ""
	}
	return to.Insert, to.User, string(to.Password.Reveal())
}
