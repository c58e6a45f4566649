#!/bin/bash
# Fetches the gateway's image before each start. An image that is already here is good enough when the registry is not.
set -euo pipefail

: "${OPENCLAW_IMAGE:?is not set; run openclaw-bootstrap again, which writes /etc/openclaw/gateway.env}"

if [ "${OPENCLAW_GATEWAY_ENGINE:-docker}" = native ]; then
  exit 0
fi

have_image() { docker image inspect "$OPENCLAW_IMAGE" >/dev/null 2>&1; }

# A dead registry must not hold a start for long that could do without it.
if have_image; then limit=60; else limit=900; fi

log_in_to_ecr() {
  local registry=${OPENCLAW_IMAGE%%/*} region
  [[ $registry =~ ^[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$ ]] || return 0
  region=${BASH_REMATCH[1]}
  timeout 60 aws ecr get-login-password --region "$region" |
    timeout 60 docker login --username AWS --password-stdin "$registry" >/dev/null
}

if log_in_to_ecr && timeout "$limit" docker pull --quiet "$OPENCLAW_IMAGE" >/dev/null; then
  exit 0
fi
if have_image; then
  echo "cannot pull $OPENCLAW_IMAGE now; starting the copy that is already on this machine." >&2
  exit 0
fi
echo "cannot pull $OPENCLAW_IMAGE and no copy is here: check the image name, the registry and the instance role." >&2
exit 1
