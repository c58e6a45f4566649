#!/bin/bash
# Fetches the gateway's image before each start. An image that is already here is good enough when the registry is not.
#
# A tag may be moved to other content. So the digest that a tag had at its first pull is kept on this machine, and every
# later start takes that content, under OPENCLAW_IMAGE in a file that openclaw.service reads after this. Another image in
# the settings, or no $kept file, pulls anew.
set -euo pipefail

: "${OPENCLAW_IMAGE:?is not set; run openclaw-bootstrap again, which writes /etc/openclaw/gateway.env}"

if [ "${OPENCLAW_GATEWAY_ENGINE:-docker}" = native ]; then
  exit 0
fi

kept=${OPENCLAW_IMAGE_RECORD:-/var/lib/openclaw-agent/image}
chosen=${OPENCLAW_IMAGE_FILE:-/run/openclaw/image.env}
tag=$OPENCLAW_IMAGE
if [ -r "$kept" ] && read -r of digest <"$kept" && [ "$of" = "$tag" ] && [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]]; then
  OPENCLAW_IMAGE=$tag@$digest
fi

# Keeps what was pulled: the digest by which its registry knows it, if it came from one.
keep_digest() {
  local known digest repository=$tag
  [[ ${tag##*/} != *:* ]] || repository=${tag%:*}
  known=$(docker image inspect --format '{{join .RepoDigests "\n"}}' "$OPENCLAW_IMAGE" 2>/dev/null || :)
  # The same image may be known under other repositories too.
  digest=$(grep --max-count=1 "^$repository@sha256:[0-9a-f]\{64\}\$" <<<"$known" || :)
  digest=${digest##*@}
  if [ -n "$digest" ] && [[ $tag != *@sha256:* ]]; then
    if [ "$OPENCLAW_IMAGE" = "$tag" ]; then
      echo "$tag is $digest from now on; \`pulumi config set image $tag@$digest\` keeps it for later instances too." >&2
      printf '%s %s\n' "$tag" "$digest" >"$kept"
    fi
    OPENCLAW_IMAGE=$tag@$digest
  fi
  printf 'OPENCLAW_IMAGE=%s\n' "$OPENCLAW_IMAGE" >"$chosen"
}

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
  keep_digest
  exit 0
fi
if have_image; then
  keep_digest
  echo "cannot pull $OPENCLAW_IMAGE now; starting the copy that is already on this machine." >&2
  exit 0
fi
echo "cannot pull $OPENCLAW_IMAGE and no copy is here: check the image name, the registry and the instance role." >&2
exit 1
