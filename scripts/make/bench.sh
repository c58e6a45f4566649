#!/usr/bin/env bash
# Measure the agent beside its peers, and write docs/benchmarks.md.
# Usage: bench.sh PYTHON [--quick]
set -euo pipefail
cd "$(dirname "$0")/../.."

python=$1
shift
peers=.cache/peers
if ! [ -e "$peers/bin/rclone" ]; then
    "$python" -m venv "$peers"
    "$peers/bin/pip" install --quiet -r bench/requirements.txt
fi
command -v restic >/dev/null || echo "restic is not installed (apt-get install restic); its rows are left out."
"$python" bench/suite.py "$@"
"$python" bench/report.py
