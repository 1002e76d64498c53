#!/usr/bin/env bash
# Runs every fuzz target there is for a while each: fuzz.sh [DURATION]
set -euo pipefail
duration=${1:-3s}

# go test -list prints the names, then "ok <package> <time>" behind them.
targets=$(go test -list '^Fuzz' ./... | awk '
	/^Fuzz/ { names[n++] = $1 }
	/^ok/   { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }')
if [ -z "$targets" ]; then
	echo "no fuzz targets found" >&2
	exit 1
fi
while read -r package name; do
	# Minimizing what is merely interesting could take all of the time.
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" -fuzzminimizetime 100x "$package"
done <<<"$targets"
