#!/usr/bin/env bash
# Runs the Pulumi CLI over both stacks in the right order. Usage: stacks.sh preview|up|destroy|outputs STACK
# destroy and outputs are for the root project's single stack too, where there is one of that name.
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

# Whether a project has the stack; what else keeps the CLI from saying so ends this script.
has_stack() {
    local said
    said=$(cd "$here/$1" && pulumi stack output --stack "$stack" --json 2>&1) && return 0
    [[ $said == *"no stack named"* ]] && return 1
    echo "$said" >&2
    exit 1
}

destroy_all_but_backups() {
    local folder=$1 bucket
    bucket=$(cd "$here/$folder" && pulumi stack output backup_bucket --stack "$stack" 2>/dev/null) || bucket=
    in_stack "$folder" destroy --exclude-protected "${answer[@]}"
    # Without an output nothing has been deployed.
    [[ -z $bucket ]] ||
        left+=("The backup bucket $bucket stays, with its settings and the image repository: they are protected, so that" \
            "no destroy takes your backups; the next up goes on with them (docs/runbook.md: how to delete them too).")
}

answer=()
[[ $yes == 0 ]] || answer=(--yes)
here_too=()
left=()

case $verb in
destroy | outputs)
    for project in ec2_spot platform .; do
        if has_stack "$project"; then here_too+=("$project"); fi
    done
    if [[ ${#here_too[@]} == 0 ]]; then
        echo "There is no stack '$stack' to look at: neither ec2_spot, platform nor the root project has one." >&2
        exit 1
    fi
    ;;
esac

case $verb in
preview)
    in_stack platform preview
    in_stack ec2_spot preview
    echo "== ec2_spot is compared with the platform as it is deployed: a release that is new above follows at 'make up'," \
        "and replaces the instance."
    ;;
up)
    in_stack platform up "${answer[@]}"
    in_stack ec2_spot up "${answer[@]}"
    ;;
destroy)
    for project in "${here_too[@]}"; do
        case $project in
        ec2_spot) in_stack ec2_spot destroy "${answer[@]}" ;;
        *) destroy_all_but_backups "$project" ;;
        esac
    done
    [[ ${#left[@]} == 0 ]] || echo "== ${left[*]}"
    ;;
outputs)
    for project in "${here_too[@]}"; do
        in_stack "$project" stack output
    done
    ;;
*)
    echo "'$verb' is not allowed: preview, up, destroy or outputs." >&2
    exit 2
    ;;
esac
