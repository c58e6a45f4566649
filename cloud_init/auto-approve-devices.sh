#!/bin/bash
# Approves every device that waits for pairing. Off unless auto_approve_devices is configured: whoever can reach the
# gateway is then let in. OPENCLAW_CLI is the command that reaches the gateway's CLI (split at spaces).
set -euo pipefail

settings=/etc/openclaw/gateway.env
if [ -z "${OPENCLAW_CLI:-}" ] && [ -r "$settings" ]; then
  set -a
  # shellcheck source=/dev/null
  . "$settings"
  set +a
fi
compose="docker compose --file /opt/openclaw-agent/current/docker-compose.yaml"
read -r -a cli <<<"${OPENCLAW_CLI:-$compose exec -T openclaw-gateway node dist/index.js}"

if ! listed=$("${cli[@]}" devices list --json </dev/null); then
  echo "cannot list the devices: is the gateway running and ready? (systemctl status openclaw.service)" >&2
  exit 1
fi
if ! waiting=$(jq --raw-output '.pending[]?.requestId // empty' <<<"$listed"); then
  echo "the device list is not the JSON that was expected: has the gateway's version changed?" >&2
  exit 1
fi

failed=0
while read -r request; do
  [ -n "$request" ] || continue
  if "${cli[@]}" devices approve "$request" </dev/null >/dev/null; then
    echo "approved device request $request" >&2
  else
    echo "could not approve device request $request" >&2
    failed=1
  fi
done <<<"$waiting"
exit "$failed"
