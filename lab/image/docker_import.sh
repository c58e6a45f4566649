#!/bin/sh
# Lets a Docker engine import an image, in namespaces of its own that end with it:
#   unshare --mount --net --pid --fork docker_import.sh ENGINE_ROOT LAYERS SCRATCH IMAGE
# LAYERS are the folders that the image is made of, uppermost first, joined by ":". The engine is that of ENGINE_ROOT.
# None of them is written to; the engine's store is SCRATCH/store.
set -eu
engine_root=$1 layers=$2 scratch=$3 image=$4

mount --make-rprivate /
mkdir -p "$scratch/upper" "$scratch/work" "$scratch/root" "$scratch/store" "$scratch/image"
root=$scratch/root
mount -t overlay import -o "lowerdir=$engine_root,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
mount -t overlay image -o "lowerdir=$layers" "$scratch/image"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/var/lib/docker"
mount --bind "$scratch/store" "$root/var/lib/docker"

# No container is run here, so the engine needs no network.
chroot "$root" dockerd --storage-driver=overlay2 --bridge=none --iptables=false >"$scratch/dockerd.log" 2>&1 &
engine=$!
tries=0
until chroot "$root" docker version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt 120 ] || ! kill -0 "$engine" 2>/dev/null; then
    echo "dockerd does not start here: $(tail -n 3 "$scratch/dockerd.log")" >&2
    exit 1
  fi
  sleep 0.25
done
# A file, because the end of a pipe would hide a tar that failed. The link to the state would lead the mount astray.
tar --create --numeric-owner --exclude=./home/node/.openclaw --directory="$scratch/image" --file="$root/var/tmp/image.tar" .
chroot "$root" docker import --change 'USER node' --change 'WORKDIR /app' \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' /var/tmp/image.tar "$image" >&2
kill "$engine"
wait "$engine" || :
# Nothing of the store may still be mounted when this namespace ends.
sync
