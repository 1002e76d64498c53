package gateway

// workQueue is the audiences a shard has to sweep, first in, first out, each
// once at most.
type workQueue struct {
	list []*audience
	head int // list[:head] is done
}

func (q *workQueue) empty() bool { return q.head == len(q.list) }

func (q *workQueue) first() *audience { return q.list[q.head] }

func (q *workQueue) push(a *audience) {
	if a.queued {
		return
	}
	a.queued = true
	if q.head > 64 && q.head > len(q.list)/2 {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, a)
}

func (q *workQueue) pop() {
	q.list[q.head].queued = false
	q.list[q.head] = nil
	if q.head++; q.empty() {
		q.list, q.head = q.list[:0], 0
	}
}
