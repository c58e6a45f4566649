#!/usr/bin/env bash
# Looks up known vulnerabilities of all pins, and writes the release's bill of materials. Usage: audit.sh PYTHON
# A vulnerability fails it. A database that cannot be asked does not: it says so, and the bill is written all the same.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.cache/audit
bill=.cache/release.cdx.json

if ! [ -e "$folder/.ready" ] || [ requirements-audit.txt -nt "$folder/.ready" ]; then
    "$1" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-audit.txt
    touch "$folder/.ready"
fi

"$folder/bin/cyclonedx-py" requirements requirements-agent.txt --output-reproducible --output-file "$bill"
echo "$bill: the bill of materials of the release ($(grep -c '"bom-ref"' "$bill") components)."

for pins in requirements-agent.txt requirements.txt requirements-dev.txt; do
    failed=0
    said=$("$folder/bin/pip-audit" --disable-pip --require-hashes --progress-spinner off --requirement "$pins" 2>&1) ||
        failed=$?
    if grep -q "Found [0-9]* known vulnerabilit" <<<"$said"; then
        echo "$said" >&2
        exit 1
    fi
    all=$(grep -c "^[A-Za-z0-9._-]*==" "$pins")
    unknown=$(grep -c "could not be audited" <<<"$said" || true)
    if [ "$failed" != 0 ]; then
        echo "$pins: the database of vulnerabilities could not be asked; not judged: $(tail -n 1 <<<"$said")"
    else
        echo "$pins: no known vulnerability in $((all - unknown)) of $all pins; the others could not be looked up."
    fi
done
