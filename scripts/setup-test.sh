#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: RabbitMQ, HAProxy,
# Chromium, Node.js with the package ws, Python with websockets and pika, and a C
# compiler for the race detector. Through apt-get, as root or by sudo; elsewhere
# it says what to install. Quick when all is there.
set -euo pipefail

# Debian keeps servers in sbin, which users' PATH may lack.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

have_any() {
	local name
	for name in "$@"; do
		if command -v "$name" >/dev/null; then return 0; fi
	done
	return 1
}

missing=()
have_any rabbitmq-server || missing+=(rabbitmq-server)
have_any haproxy || missing+=(haproxy)
have_any chromium chromium-browser google-chrome google-chrome-stable || missing+=(chromium)
have_any node || missing+=(nodejs)
# Debian's packages are found by NODE_PATH only.
NODE_PATH=${NODE_PATH:-}:/usr/share/nodejs node -e 'require("ws")' 2>/dev/null || missing+=(node-ws)
# For the programs of docs/clients.md. Debian's packages are for Debian's Python.
/usr/bin/python3 -c 'import websockets, pika' 2>/dev/null || missing+=(python3 python3-websockets python3-pika)
cc=$(go env CC)
have_any "${cc%% *}" || missing+=(gcc libc6-dev)
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if [ "$(id -u)" -eq 0 ]; then
	root=()
elif have_any sudo && sudo -n true 2>/dev/null; then
	root=(sudo -n)
else
	root=(none)
fi
if ! have_any apt-get || [ "${root[*]}" = none ]; then
	echo "make test needs ${missing[*]}: please install them (this needs root, and apt-get to do it by itself), then try again" >&2
	exit 1
fi

# The packages would start their servers; the tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap '"${root[@]}" rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
	"${root[@]}" chmod 755 "$policy"
fi

echo "installing for the tests: ${missing[*]}"
apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=120)
"${apt[@]}" update
"${apt[@]}" install --no-install-recommends "${missing[@]}" >/dev/null

# Nor should they start with the machine from now on.
if have_any systemctl; then
	for name in "${missing[@]}"; do
		case $name in rabbitmq-server | haproxy) "${root[@]}" systemctl --quiet disable "$name" ;; esac
	done
fi
