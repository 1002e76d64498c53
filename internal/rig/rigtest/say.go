package rigtest

import (
	"testing"

	"warren/internal/rig"
)

// Say publishes text on a channel, on the exchange of the test.
func Say(t testing.TB, amqpURL, channel, text string) {
	t.Helper()
	ctx, cancel := Context(t)
	defer cancel()
	Check(t, rig.Say(ctx, amqpURL, Exchange(t), channel, text))
}

// Dismiss ends the listening of clients on a channel.
func Dismiss(t testing.TB, amqpURL, channel string, clients []*rig.Client) {
	t.Helper()
	Say(t, amqpURL, channel, rig.LastWord)
	Dismissed(t, clients)
}
