package admin

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// deadlines is a response whose connection's read deadline is looked at.
type deadlines struct {
	*httptest.ResponseRecorder
	read []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = append(d.read, t)
	return nil
}

// slow takes its time for each byte, and ends with err.
type slow struct {
	step time.Duration
	left int
	err  error
}

func (s *slow) Read(b []byte) (int, error) {
	time.Sleep(s.step) // in a bubble's time
	if s.left == 0 {
		return 0, s.err
	}
	s.left--
	return copy(b[:1], "x"), nil
}

// A body may come slowly, if it never stands still; but not for ever. At its end
// the deadline goes, since the server goes on reading: only then.
func TestDeadlinesOfBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		for _, end := range []error{io.EOF, broken} {
			s := New(Options{ReadTimeout: 10 * time.Second}, nil)
			w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
			began := time.Now()
			r := httptest.NewRequest(http.MethodPost, "/publish", io.NopCloser(&slow{9 * time.Second, 40, end}))
			if _, err := io.Copy(io.Discard, iotest.OneByteReader(s.reader(w, r, 100))); err != nil && err != broken {
				t.Fatal(err)
			}
			for i := range 41 {
				want := min(time.Duration(i)*9*time.Second+10*time.Second, bodyTimeout)
				if got := w.read[i].Sub(began); got != want {
					t.Errorf("read %d has until %v, want %v", i, got, want)
				}
			}
			if cleared := len(w.read) == 42 && w.read[41].IsZero(); cleared != (end == io.EOF) {
				t.Errorf("after %v: %d deadlines, cleared: %v", end, len(w.read), cleared)
			}
		}
	})
}

func TestLines(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 30)
	tests := []struct {
		in   string
		want []string // "!" for too long
	}{
		{"", nil},
		{"a", []string{"a"}},
		{"a\nbc\r\n\nd", []string{"a", "bc", "", "d"}},
		{"0123456789\n0123456789\r\nx\n", []string{"0123456789", "0123456789", "x"}},
		{"0123456789abc\nx\n", []string{"!", "x"}},
		{string(long) + "\nx\n" + string(long), []string{"!", "x", "!"}},
	}
	for _, tt := range tests {
		in := newLines(bytes.NewReader([]byte(tt.in)), 10, 16)
		for n := 0; ; n++ {
			line, err := in.next()
			if err == io.EOF && n == len(tt.want) {
				break
			}
			got := string(line)
			if err == errLong {
				got = "!"
			} else if err != nil {
				t.Fatalf("%q: %v", tt.in, err)
			}
			if n == len(tt.want) || got != tt.want[n] {
				t.Fatalf("%q: line %d is %q, want of %q", tt.in, n, got, tt.want)
			}
		}
	}
}

// What is cut off before its end is no line.
func TestLinesOfBrokenBody(t *testing.T) {
	broken := errors.New("broken")
	in := newLines(io.MultiReader(bytes.NewReader([]byte("a\nb")), iotest.ErrReader(broken)), 10, 16)
	if line, err := in.next(); string(line) != "a" || err != nil {
		t.Errorf("got %q, %v", line, err)
	}
	if line, err := in.next(); err != broken {
		t.Errorf("got %q, %v; want the body's error", line, err)
	}
}
