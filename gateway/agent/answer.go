package agent

import (
	"errors"
	"fmt"
	"strings"

	"warren/gateway"
)

// word is what an answer is about.
type word string

const (
	up    word = "up"
	drain word = "drain"
	down  word = "down"
)

// answer is what HAProxy is told.
type answer struct {
	word    word
	percent int64  // of the weight, if up
	reason  string // if down
}

func answerOf(node Node) answer {
	switch err := node.Status(); {
	case errors.Is(err, gateway.ErrDraining), errors.Is(err, gateway.ErrStopping):
		return answer{word: drain}
	case err != nil:
		return answer{word: down, reason: printable(err.Error())}
	}
	return answer{word: up, percent: left(node.Clients())}
}

// String is the line without its end.
func (a answer) String() string {
	switch a.word {
	case up:
		return fmt.Sprintf("ready up %d%%", a.percent)
	case down:
		return "down #" + a.reason // the blank ends the word: "down#" is none that HAProxy knows
	}
	return string(a.word)
}

// line is ended by LF: HAProxy ignores one that is not.
func (a answer) line() []byte { return append([]byte(a.String()), '\n') }

// left is the part of the capacity that is left, in percent: 0 only of a node
// that is full, since HAProxy sends nobody to a weight of 0.
func left(now, capacity int64) int64 {
	switch {
	case capacity <= 0 || now <= 0:
		return 100
	case now >= capacity:
		return 0
	}
	return (100*(capacity-now) + capacity - 1) / capacity // rounded up
}

// maxReason is what HAProxy keeps of a reason, 128 bytes, less its own words.
const maxReason = 100

// printable is a reason in one line of ASCII, all that HAProxy promises to read.
// In its log it stands between quotes.
func printable(reason string) string {
	reason = strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ':
			return ' '
		case r > '~':
			return '?'
		}
		return r
	}, reason)
	return reason[:min(len(reason), maxReason)]
}
