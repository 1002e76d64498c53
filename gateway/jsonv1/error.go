package jsonv1

// Codes of errors. Clients rely on them.
const (
	CodeBadJSON           = "bad_json"
	CodeBadMessage        = "bad_message"
	CodeBadChannel        = "bad_channel"
	CodeBadID             = "bad_id"
	CodeTooManyChannels   = "too_many_channels"
	CodeAlreadySubscribed = "already_subscribed"
	CodeNotSubscribed     = "not_subscribed"
	CodeTooLarge          = "too_large"
	CodePublishingOff     = "publishing_off"
	CodeNotAccepted       = "not_accepted"
)

// Error is what was wrong with a client's frame. The connection stays.
//
// Functions here return *Error itself: put into a variable of type error, a nil
// one is no longer nil.
type Error struct {
	Code    string // for programs
	Message string // for humans
	Ref     []byte // the command's, as in Command; nil if it has none that can be read
}

// Error is for logs.
func (e *Error) Error() string { return e.Code + ": " + e.Message }
