package amqp

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"

	"warren/gateway"
)

// bootLen is the length of the random hex that tells one run of a node from
// the next, which counts from 1 again.
const bootLen = 12

// newBoot makes up the boot part of this process's ids.
func newBoot() string {
	var b [bootLen / 2]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// formatID makes a message id. publisher is "<node>.<boot>".
func formatID(publisher string, seq uint64) string {
	b := make([]byte, 0, maxNodeName+bootLen+24)
	b = append(b, publisher...)
	b = append(b, '-')
	return string(strconv.AppendUint(b, seq, 10))
}

// parseID takes "<node>.<boot>-<seq>" apart. A node's name may hold dots and
// dashes itself. It doesn't allocate.
func parseID(id string) (publisher string, seq uint64, ok bool) {
	dash := strings.LastIndexByte(id, '-')
	if dash < bootLen+2 || len(id) == dash+1 || id[dash+1] < '1' || id[dash+1] > '9' {
		return "", 0, false
	}
	publisher = id[:dash]
	boot := publisher[dash-bootLen:]
	if publisher[dash-bootLen-1] != '.' {
		return "", 0, false
	}
	for _, c := range []byte(boot) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", 0, false
		}
	}
	for _, c := range []byte(id[dash+1:]) {
		if c < '0' || c > '9' || seq > (1<<64-1-9)/10 {
			return "", 0, false
		}
		seq = seq*10 + uint64(c-'0')
	}
	return publisher, seq, true
}

// formatClient names a connection within its node's publisher.
func formatClient(id gateway.ConnID) string { return strconv.FormatUint(uint64(id), 10) }

// parseClient reads what formatClient makes; 0 for anything else.
func parseClient(id string) gateway.ConnID {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || id[0] == '0' {
		return 0
	}
	return gateway.ConnID(n)
}
