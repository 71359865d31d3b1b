#!/usr/bin/env bash
# Two gateways and one Redis on this machine, in front of a pretend system: 41 calls, one login.
#
#   examples/fleet/start.sh          shows it and ends
#   examples/fleet/start.sh --stay   leaves everything running until Ctrl-C
#
# It needs curl, redis-server and keyhitch, or Go to build that. FLEET_PORTS="8790 6390 8741 8742"
# chooses other ports: of the system, Redis, and the two gateways.
set -euo pipefail
cd "$(dirname "$0")"
umask 077

read -r system redis one two <<<"${FLEET_PORTS:-8790 6390 8741 8742}"
export FLEET_REDIS="redis://127.0.0.1:$redis" FLEET_SYSTEM="http://127.0.0.1:$system"
mkdir -p run

keyhitch=${KEYHITCH:-$(command -v keyhitch || true)}
if [[ -z $keyhitch ]]; then
	keyhitch=$PWD/run/keyhitch
	(cd ../.. && CGO_ENABLED=0 go build -o "$keyhitch" ./cmd/keyhitch)
fi

started=()
stop() {
	((${#started[@]} == 0)) || kill "${started[@]}" 2>/dev/null || true
	wait
}
trap stop EXIT

# start NAME COMMAND… runs in the background; what it says is in run/NAME.log.
start() {
	"${@:2}" >"run/$1.log" 2>&1 &
	started+=($!)
}

# until_it WORKS… tries for ten seconds.
until_it() {
	local try
	for try in {1..100}; do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "not after ten seconds: $*; see $PWD/run/*.log" >&2
	exit 1
}

[[ -s run/seal_key ]] || "$keyhitch" secret key >run/seal_key
start system "$keyhitch" demo --stay --listen "127.0.0.1:$system"
start redis redis-server --port "$redis" --bind 127.0.0.1 --save '' --appendonly no
until_it redis-cli -p "$redis" ping
until_it grep -q 'What reaches them' run/system.log
for port in "$one" "$two"; do
	start "gateway-$port" "$keyhitch" serve --project keyhitch.yaml --listen "127.0.0.1:$port" --admin "unix:$PWD/run/$port.sock"
	until_it "$keyhitch" serve --project keyhitch.yaml --ready --admin "unix:$PWD/run/$port.sock"
done

ask() {
	curl -sS --noproxy '*' --fail -H 'Authorization: Bearer pretend-caller-key' "http://127.0.0.1:$1/proxy/orders/v1/devices"
}

echo "One call:"
ask "$one"
answered=1
calls=()
for _ in {1..20}; do
	for port in "$one" "$two"; do
		ask "$port" >/dev/null &
		calls+=($!)
	done
done
for call in "${calls[@]}"; do
	wait "$call" && answered=$((answered + 1))
done
logins=$(grep -c 'POST /client-credentials/oauth/token' run/system.log || true)
echo "$answered calls answered by two gateways, $logins login."
if ((answered != 41 || logins != 1)); then
	echo "want 41 calls and 1 login; see $PWD/run/*.log" >&2
	exit 1
fi

if [[ ${1:-} == --stay ]]; then
	echo "Callers: http://127.0.0.1:$one and http://127.0.0.1:$two; logs in $PWD/run; Ctrl-C ends it."
	wait
fi
