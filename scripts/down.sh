#!/usr/bin/env bash
# `make down`, from wherever `make up` got to. Arguments: what to put before a command that needs root; nothing for root.
set -euo pipefail
cd "$(dirname "$0")/.."
export HOLDFAST_ENVIRONMENTS=local CI=true # plain lines, as in up.sh

log=.holdfast/log/down.log
step() { # step NAME COMMAND...
    .venv/bin/python scripts/steps.py "$log" "$1" -- "${@:2}"
}
answers() { # does the twin's API?
    (exec 3<>/dev/tcp/127.0.0.1/5599) 2>/dev/null
}

rm -f "$log"
echo "details: $log"
failed=0
if compgen -G '.holdfast/state/local-*.tfstate' >/dev/null && [[ -e stacks/bindings/aws/.generated ]] && answers; then
    # Without the provider, say, the twin must still go.
    (
        source scripts/env.sh
        step destroy cdktf destroy 'local-*' --auto-approve
    ) || failed=$?
fi
step 'end of the twin' "$@" .venv/bin/holdfast twin down
rm -f .holdfast/state/local-*.tfstate* # of a cloud that is no more
if ((failed)); then
    echo "destroy failed, as said above, and the twin was ended all the same; the details are in $log" >&2
fi
exit "$failed"
