package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. In text it is a whole number, then a unit: B, KB,
// MB, GB (powers of 1000), KiB, MiB or GiB (powers of 1024). Upper and lower
// case are the same, a space before the unit is allowed, and no unit is bytes.
type Size int64

const (
	B   Size = 1
	KiB      = 1 << 10 * B
	MiB      = 1 << 20 * B
	GiB      = 1 << 30 * B
	KB       = 1e3 * B
	MB       = 1e6 * B
	GB       = 1e9 * B
)

// units is in the order String tries them: the largest that divides.
var units = []struct {
	name string
	size Size
}{
	{"GiB", GiB}, {"GB", GB}, {"MiB", MiB}, {"MB", MB}, {"KiB", KiB}, {"KB", KB}, {"B", B},
}

// ParseSize reads what Size describes.
func ParseSize(s string) (Size, error) {
	text := strings.TrimSpace(s)
	unit := B
	for _, u := range units {
		if n := len(text) - len(u.name); n > 0 && strings.EqualFold(text[n:], u.name) {
			text, unit = strings.TrimRight(text[:n], " "), u.size
			break
		}
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("parse size %q: not a whole number with B, KB, MB, GB, KiB, MiB or GiB", s)
	}
	if n > uint64(math.MaxInt64/unit) {
		return 0, fmt.Errorf("parse size %q: more than 8 EiB", s)
	}
	return Size(n) * unit, nil
}

// String is the shortest exact form that ParseSize reads.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return "0"
}

// MarshalYAML is String, but a plain 0 without quotes.
func (s Size) MarshalYAML() (any, error) {
	if s == 0 {
		return 0, nil
	}
	return s.String(), nil
}
