package rigtest

import (
	"testing"

	"warren/amqp/amqptest"
	"warren/internal/rig"
)

// Links are connections to a RabbitMQ, one for each name, for the length of the
// test. urls are by way of them.
func Links(t testing.TB, b *amqptest.Server, names ...string) (links *rig.Links, urls []string) {
	t.Helper()
	ctx, cancel := Context(t)
	defer cancel()
	links, err := rig.StartLinks(ctx, Programs)
	Check(t, err)
	t.Cleanup(func() {
		if err := links.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("toxiproxy printed:\n%s", links.Log())
		}
	})
	for _, name := range names {
		l, err := links.Add(name, b.Addr())
		Check(t, err)
		url, err := l.URL(b.URL())
		Check(t, err)
		urls = append(urls, url)
	}
	return links, urls
}
