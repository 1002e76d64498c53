//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// agreed is the answer of a server that speaks the JSON protocol.
var agreed = strings.TrimSuffix(string(bareAnswer), "\r\n") + offer + "\r\n"

func TestJoinSpeaksJSONBehindThePublisher(t *testing.T) {
	f, err := newFan(64, fromZero)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for i, json := range []bool{false, true} {
		to := scripted(t, agreed, nil).speaking(json)
		if err := f.join(t.Context(), to, 3); err != nil {
			t.Fatal(err)
		}
		for k, c := range f.clients[3*i:] {
			if got, want := c.shape == &f.json, json && k > 0; got != want {
				t.Errorf("client %d of a fan in JSON %t: JSON %t, want %t", k, json, got, want)
			}
		}
	}
}

func TestResumersAskForTheProtocol(t *testing.T) {
	var log bytes.Buffer
	b := &bench{size: 64, limit: 100, log: &log}
	serve := func(d time.Duration) error {
		<-time.After(d)
		return nil
	}
	_, err := startResumers(t.Context(), b, scripted(t, string(bareAnswer), nil).speaking(true), 1, 1, serve)
	if err == nil || !strings.Contains(log.String(), "not to the subprotocol warren.v1.json") {
		t.Errorf("error %v, log %q", err, log.String())
	}
}
