package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// unknownKey words the error for a key that doesn't exist: the key that was
// probably meant, else those that the section has.
func unknownKey(section, name string) string {
	full := name
	if section != "" {
		full = section + "." + name
	}
	if near := nearest(full, keys); near != "" {
		return fmt.Sprintf("%s: unknown key; did you mean %s?", mask(full), near)
	}
	place := "keys here are "
	if section == "" {
		place = "keys at the top are "
	}
	return fmt.Sprintf("%s: unknown key; %s%s", mask(full), place, strings.Join(sectionKeys(section), ", "))
}

// nearest is the candidate at most two edits away, or the only one that ends
// in the same name in another section; else "".
func nearest(full string, candidates []string) string {
	best, distance := "", 3
	for _, c := range candidates {
		if d := edits(full, c); d < distance {
			best, distance = c, d
		}
	}
	if best != "" {
		return best
	}
	last := "." + full[strings.LastIndexByte(full, '.')+1:]
	var same []string
	for _, c := range candidates {
		if strings.HasSuffix("."+c, last) {
			same = append(same, c)
		}
	}
	if len(same) == 1 {
		return same[0]
	}
	return ""
}

// edits is the Levenshtein distance between a and b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// mask hides a key that looks like a URL put in the wrong place: it may hold
// a password.
func mask(key string) string {
	if strings.ContainsAny(key, "@/") {
		return "a key that looks like a URL"
	}
	return key
}

// FileVariable names the configuration file.
const FileVariable = "WARREN_CONFIG"

// serviceLink matches the variables that Kubernetes and docker --link put into
// every container for a service whose name begins with "warren".
var serviceLink = regexp.MustCompile(
	`^WARREN_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// checkEnv refuses WARREN_ variables that nothing reads: a misspelt one would
// else be ignored in silence.
func checkEnv(environ []string) error {
	known := make([]string, 0, len(keys)+1)
	for _, key := range keys {
		known = append(known, EnvName(key))
	}
	known = append(known, FileVariable)
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "WARREN_") || slices.Contains(known, name) || serviceLink.MatchString(name) {
			continue
		}
		hint := "names are WARREN_ and the key in capitals, such as WARREN_AMQP_URL for amqp.url"
		if near := nearest(name, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		return fmt.Errorf("environment: %s: unknown variable; %s", name, hint)
	}
	return nil
}
