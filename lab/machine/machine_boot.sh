#!/bin/sh
# Becomes systemd-nspawn with its disk mounted, in a mount namespace of its own that ends with it:
#   unshare --mount machine_boot.sh DISK LOWER NAMESPACE NAME ENGINE CGROUP...
# LOWER is the overlay's lower layers joined by ":", or empty where the disk is a full copy.
set -eu
disk=$1 lower=$2 namespace=$3 name=$4 engine=$5
shift 5

# Without a systemd on the host, nspawn stays in the groups that the lab made; with one, it gets a scope of its own.
keep=
for group in "$@"; do
  echo $$ >"$group/cgroup.procs"
  keep=--keep-unit
done

mount --make-rprivate /
if [ -n "$lower" ]; then
  mount -t overlay "$name" -o "lowerdir=$lower,upperdir=$disk/upper,workdir=$disk/work" "$disk/root"
fi

# What a Docker engine needs in a machine: a store that is no overlay, and a kernel that it may ask for networks, keys
# and device rules.
set --
if [ "$engine" = docker ]; then
  set -- --bind="$disk/docker:/var/lib/docker" --capability=CAP_NET_ADMIN --system-call-filter="add_key keyctl bpf"
  export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
fi

export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn --quiet --directory="$disk/root" --boot --register=no $keep --machine="$name" \
  --network-namespace-path="$namespace" --resolv-conf=off --timezone=off --link-journal=no --console=read-only "$@"
