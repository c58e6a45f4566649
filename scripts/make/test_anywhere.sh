#!/usr/bin/env bash
# Runs `make test` as other machines would, one way after the other: just started, busy, and in the background.
# TESTS="tests/docs" makes a quick try of it; needs root for the first way. Exits 1 where any of them fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

UPTIME=5 # seconds, of the machine that has just started
LOAD=8
# MAKE="make -o .venv/.ready" where another's .venv is used as it is.
read -ra make <<<"${MAKE:-make}"
failed=0
burners=()

busy() {
    for _ in $(seq "$LOAD"); do
        (while :; do :; done) &
        burners+=($!)
    done
}

idle() {
    [ "${#burners[@]}" = 0 ] || kill "${burners[@]}"
    wait "${burners[@]}" 2>/dev/null || true
    burners=()
}
trap idle EXIT

tell() {
    local way=$1 code=$2
    if [ "$code" = 0 ]; then
        echo "== $way: passed in $SECONDS s"
    else
        echo "== $way: FAILED (exit code $code) after $SECONDS s"
        failed=1
    fi
}

if [ "$(id -u)" != 0 ]; then
    echo "make test-anywhere sets a clock of its own for its tests, which only root may do: sudo make test-anywhere" >&2
    exit 2
fi

way="a machine that is up for $UPTIME s"
echo "== $way"
SECONDS=0
up=$(cut -d . -f 1 /proc/uptime)
code=0
# shellcheck disable=SC2016 # the new clock's shell expands it
unshare --time --fork --monotonic="$((UPTIME - up))" --boottime="$((UPTIME - up))" \
    bash -c 'echo "up for $(cut -d . -f 1 /proc/uptime) s"; exec "$@"' - "${make[@]}" test || code=$?
tell "$way" "$code"

way="a machine with a load of $LOAD"
echo "== $way"
SECONDS=0
busy
code=0
"${make[@]}" test || code=$?
idle
tell "$way" "$code"

way="the background of a shell, under nohup"
echo "== $way"
SECONDS=0
code=0
log=$(mktemp)
# A shell without job control starts what ends in & with SIGINT ignored, and so do cron and many a CI.
nohup "${make[@]}" test >"$log" 2>&1 </dev/null &
wait $! || code=$?
cat "$log"
rm "$log"
tell "$way" "$code"

exit "$failed"
