#!/bin/bash
# Someone at work through the gateway: a line in the workspace twice a second, for as long as the gateway runs.
# Usage: work.sh FILE
set -eu
while :; do
  printf '%s\n' "$EPOCHREALTIME" >>"$1"
  sleep 0.5
done
