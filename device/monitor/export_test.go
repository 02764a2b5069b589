package monitor

import "time"

// NextAnew reckons every deadline anew.
func (c *Core) NextAnew() time.Time {
	for _, in := range c.inputs {
		in.staleDue = true
	}
	return c.Next()
}
