#!/bin/bash
# The gateway's own CLI from a shell of the instance, as /usr/local/bin/openclaw: `sudo openclaw devices list`.
# OPENCLAW_CLI is the command that reaches it where it runs in no container (split at spaces).
set -euo pipefail

if [ "$(id -u)" -ne 0 ]; then
  echo "openclaw: only root reaches the gateway's container: sudo openclaw $*" >&2
  exit 1
fi
if ! systemctl is-active --quiet openclaw.service; then
  echo "openclaw: the gateway is not running, so its CLI cannot be reached: systemctl status openclaw.service" >&2
  exit 1
fi

if [ -n "${OPENCLAW_CLI:-}" ]; then
  read -r -a cli <<<"$OPENCLAW_CLI"
else
  cli=(docker compose --env-file /etc/openclaw/gateway.env --file /opt/openclaw-agent/current/docker-compose.yaml exec)
  # In a script or a pipe there is no terminal to give on.
  if [ ! -t 0 ] || [ ! -t 1 ]; then cli+=(-T); fi
  cli+=(openclaw-gateway node dist/index.js)
fi
exec "${cli[@]}" "$@"
