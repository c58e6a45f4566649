#!/usr/bin/env bash
# Runs the Pulumi CLI over both stacks in the right order. Usage: stacks.sh preview|up|destroy|outputs STACK
# YES=1 in the environment answers its questions, which it asks of a terminal alone; REFRESH_AMI=1 reaches the program.
set -euo pipefail
verb=$1
stack=$2
here=$(cd "$(dirname "$0")/../.." && pwd)

if ! command -v pulumi >/dev/null; then
    echo "The Pulumi CLI is missing: install it (see docs/deploy.md), or try everything without AWS: make lab" >&2
    exit 1
fi
if ! "$here/.venv/bin/python" -c 'import boto3, sys; sys.exit(boto3.Session().get_credentials() is None)'; then
    echo "No AWS credentials were found: run 'aws sso login' or 'aws configure', or set AWS_PROFILE." >&2
    exit 1
fi

yes=${YES:-0}
case $yes in
0 | 1) ;;
*)
    echo "YES is '$yes', but must be 1 (do it without a question), 0 or nothing." >&2
    exit 2
    ;;
esac
if [[ $verb == up || $verb == destroy ]] && [[ $yes == 0 ]] && ! [[ -t 0 ]]; then
    echo "There is no terminal to answer on: look at it with 'make preview', then run 'make $verb YES=1'." >&2
    exit 2
fi

in_stack() {
    local folder=$1
    shift
    echo "== $folder ($stack): pulumi $*"
    (cd "$here/$folder" && pulumi "$@" --stack "$stack")
}

answer=()
[[ $yes == 0 ]] || answer=(--yes)

case $verb in
preview)
    in_stack platform preview
    in_stack ec2_spot preview
    ;;
up | destroy)
    halves=(platform ec2_spot)
    [[ $verb == up ]] || halves=(ec2_spot platform)
    for half in "${halves[@]}"; do
        in_stack "$half" "$verb" "${answer[@]}"
    done
    ;;
outputs)
    in_stack platform stack output
    in_stack ec2_spot stack output
    ;;
*)
    echo "'$verb' is not allowed: preview, up, destroy or outputs." >&2
    exit 2
    ;;
esac
