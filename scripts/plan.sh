#!/usr/bin/env bash
# `make plan`: what a deploy would change. Argument: the environment. Fails when a stack cannot be planned, but not for a stack
# that needs outputs of one that was never deployed: before the first deploy that is all there is to say.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/env.sh
environment=$1

HOLDFAST_ENVIRONMENTS=$environment python main.py
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
failed=0
for folder in cdktf.out/stacks/"$environment"-*; do
    echo "== ${folder##*/}"
    if terraform -chdir="$folder" init -input=false >/dev/null 2>"$log/errors" &&
        terraform -chdir="$folder" plan -input=false -no-color >"$log/plan" 2>"$log/errors"; then
        cat "$log/plan"
        continue
    fi
    if grep -q -e 'Unable to find remote state' -e 'terraform_remote_state.* is object with no attributes' "$log/errors"; then
        echo "it needs what another stack has not made yet: it can be planned after the first deploy"
        continue
    fi
    cat "$log/errors" >&2
    failed=1
done
exit "$failed"
