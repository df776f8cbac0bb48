#!/usr/bin/env bash
# Generates stacks/bindings/aws from the committed schema; needs node, but neither terraform nor the provider.
# In a folder of its own and then moved, so that an interrupted run leaves no half-written bindings.
# Argument: the command that generates, if it is not cdktf (docs/successor.md).
set -euo pipefail
cd "$(dirname "$0")/.."

schema=(stacks/bindings/aws@*.json)
version=${schema[0]#*@}
version=${version%.json}
repository=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/cdktf.json" <<JSON
{
  "language": "python",
  "app": "true",
  "projectId": "bindings",
  "sendCrashReports": "false",
  "terraformProviders": ["aws@$version"],
  "codeMakerOutput": "stacks/bindings"
}
JSON
mkdir "$work/schema"
# cdktf looks for the first name. cdktn looks for the second where it finds no terraform, so none is shown to either.
cp "${schema[0]}" "$work/schema/aws@$version.json"
cp "${schema[0]}" "$work/schema/aws@$version@unknown-cli.json"

if ! (
    cd "$work"
    CHECKPOINT_DISABLE=1 CI=1 TERRAFORM_BINARY_NAME=no-terraform \
        CDKTF_EXPERIMENTAL_PROVIDER_SCHEMA_CACHE_PATH="$work/schema" \
        "$repository/node_modules/.bin/${1:-cdktf}" get --log-level error
) >"$work/log" 2>&1; then
    cat "$work/log" >&2
    exit 1
fi
rm -rf stacks/bindings/aws
mv "$work/stacks/bindings/aws" stacks/bindings/aws
