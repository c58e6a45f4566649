#!/bin/bash
# Gives a small machine swap: hosts with 2 GB have hung when the gateway's memory ran over.
set -euo pipefail

file=/var/lib/openclaw-swapfile
size_mib=${OPENCLAW_SWAP_MIB:-0}

is_in_use() {
  local listed
  # By inode: in this unit's view of the disk the kernel may show another path.
  while read -r listed; do
    if [ "$listed" -ef "$file" ]; then return 0; fi
  done < <(swapon --show=NAME --noheadings --raw)
  return 1
}

if [ "$size_mib" -eq 0 ] || is_in_use; then
  exit 0
fi
if [ "$(stat --format=%s "$file" 2>/dev/null || echo 0)" -ne $((size_mib * 1024 * 1024)) ]; then
  free_mib=$(df --output=avail --block-size=1M /var/lib | tail -n 1)
  if [ "$free_mib" -lt $((size_mib * 2)) ]; then
    echo "no swap: $size_mib MiB wanted but only $free_mib MiB are free; enlarge root_volume_size_gib." >&2
    exit 1
  fi
  # Written, not allocated: swapon refuses a file with holes.
  dd if=/dev/zero of="$file.new" bs=1M count="$size_mib" status=none
  chmod 600 "$file.new"
  mkswap "$file.new" >/dev/null
  mv "$file.new" "$file"
fi
if ! said=$(LC_ALL=C swapon "$file" 2>&1); then
  # The kernel's word for a file that swaps already, under whatever path.
  [[ $said == *"Device or resource busy"* ]] || { echo "no swap: $said" >&2 && exit 1; }
fi
