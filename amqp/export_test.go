package amqp

import "time"

// SetMaxHold shortens the time that deliveries are held at most.
func (x *Exchange) SetMaxHold(d time.Duration) { x.maxHold = d }

// SetReport shortens the time between looks at what was lost.
func (x *Exchange) SetReport(d time.Duration) { x.report = d }

// Publisher is "<node>.<boot>".
func (x *Exchange) Publisher() string { return x.publisher }

// FormatID makes a message id.
var FormatID = formatID
