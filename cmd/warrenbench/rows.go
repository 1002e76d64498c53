//go:build linux

package main

import "fmt"

// Of the eight digits of a message of several senders, the first name the
// sender and these count its messages.
const rowSize = 1_000_000

// maxSenders is how many the other two digits name.
const maxSenders = 100

// rows are the messages of several senders, as one client gets them: of each
// sender in its order, none missing, none twice.
type rows struct {
	counts [maxSenders]int64
	order  uint64 // FNV-1a of all numbers: equal where the common order is
}

// next says whether n may come now, and takes it.
func (r *rows) next(n int64) bool {
	count := &r.counts[n/rowSize%maxSenders]
	if n%rowSize != *count%rowSize {
		return false
	}
	*count++
	const basis, prime = 14695981039346656037, 1099511628211
	if r.order == 0 {
		r.order = basis
	}
	r.order = (r.order ^ uint64(n)) * prime
	return true
}

// oneOrder checks that all clients had all messages in one common order.
func (f *fan) oneOrder() error {
	for i := range f.clients {
		if r := f.clients[i].rows; r == nil || r.order != f.clients[0].rows.order {
			return fmt.Errorf("clients 0 and %d had the messages in different orders", i)
		}
	}
	return nil
}
