#!/bin/bash
# A device of its own home that asks the gateway for pairing from elsewhere, and waits to be let in.
# Usage: pair_device.sh FAR_AWAY_PROGRAM NAME
set -eu
home=/var/tmp/openclaw-lab-device
rm -rf "$home"
install -d -o 1000 -g 1000 -m 0700 "$home"
token=$(sed -n 's/^OPENCLAW_GATEWAY_TOKEN=//p' /run/openclaw/.env)
node "$1" 18999 18789 &
trap 'kill $!' EXIT
cd "$home"
timeout 60 env -i PATH=/opt/openclaw-npm/bin:/usr/local/bin:/usr/bin:/bin HOME="$home" OPENCLAW_GATEWAY_TOKEN="$token" \
  setpriv --reuid=1000 --regid=1000 --clear-groups \
  openclaw node run --host 127.0.0.1 --port 18999 --no-tls --display-name "$2"
