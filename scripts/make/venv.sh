#!/usr/bin/env bash
# Creates the virtual environment that every make target uses. Usage: venv.sh FOLDER
set -euo pipefail
folder=$1
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Python 3.11 or newer is needed; '$python' is $("$python" --version 2>&1). Set PYTHON=python3.12, for example." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    # Debian and Ubuntu ship venv apart.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing Debian's python3-venv."
        apt-get -qq update && apt-get -qq install -y python3-venv >/dev/null
    else
        echo "'$python' cannot create virtual environments; install python3-venv (apt-get install python3-venv)." >&2
        exit 1
    fi
fi
echo "Setting up $folder (about a minute)."
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
