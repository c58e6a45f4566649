#!/usr/bin/env bash
# Builds the Pulumi CLI into .cache/pulumi/ out of its Go module, pinned with its sums in lab/provider/cli_module/.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=v3.274.1
target=$PWD/.cache/pulumi/pulumi

go=${GO:-$(command -v go || echo /usr/local/go/bin/go)}
if ! [ -x "$go" ]; then
    echo "Go 1.26 or newer builds the Pulumi CLI, and is not here; without it the lab uses its own engine." >&2
    exit 1
fi
if [ -x "$target" ] && [ "$("$target" version)" = "$version" ]; then
    echo "$target is $version already."
    exit 0
fi
echo "Building the Pulumi CLI $version: about six minutes of processor time, once."
mkdir -p "$(dirname "$target")"
# -p 2: each compiler takes up to 1 GB. The version is that of the official builds; without it the CLI has none.
(cd lab/provider/cli_module && GOFLAGS=-mod=readonly GOTOOLCHAIN=local "$go" build -p 2 -trimpath \
    -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$version" \
    -o "$target.new" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi)
mv "$target.new" "$target"
echo "$target is $("$target" version)."
