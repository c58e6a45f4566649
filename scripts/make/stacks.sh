#!/usr/bin/env bash
# Runs the Pulumi CLI over both stacks in the right order. Usage: stacks.sh preview|up|destroy|outputs STACK
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

in_stack() {
    local folder=$1
    shift
    echo "== $folder ($stack): pulumi $*"
    (cd "$here/$folder" && pulumi "$@" --stack "$stack")
}

case $verb in
preview | up)
    in_stack platform "$verb"
    in_stack ec2_spot "$verb"
    ;;
destroy)
    in_stack ec2_spot destroy
    in_stack platform destroy
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
