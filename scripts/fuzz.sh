#!/usr/bin/env bash
# Runs every fuzz target there is so many times each, or for so long:
# fuzz.sh [COUNTx|DURATION]
# A count by default: up to Go 1.26 the end of a duration may count as a failure,
# "context deadline exceeded", without an input that fails (golang.org/issue/75804).
set -euo pipefail
most=${1:-50000x}

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
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$most" -fuzzminimizetime 100x "$package"
done <<<"$targets"
