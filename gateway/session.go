package gateway

// session is what a client of the JSON protocol has.
type session struct {
	seats   []*seat
	turn    int    // of seats: the one written last
	private []byte // frames for it alone, while nothing is owed to it
}
