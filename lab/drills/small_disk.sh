#!/bin/bash
# Moves the gateway's and the agent's folders onto a disk of their own that can be filled. The gateway must be stopped.
# Usage: small_disk.sh SIZE
set -eu
mkdir -p /mnt/small
mount -t tmpfs -o "size=$1,mode=0755" small /mnt/small
for folder in /opt/openclaw/state /var/lib/openclaw-agent; do
  cp --archive "$folder" "/mnt/small/"
  mount --bind "/mnt/small/${folder##*/}" "$folder"
done
