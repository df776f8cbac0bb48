#!/usr/bin/env bash
# `make down`, from wherever `make up` got to. Arguments: what to put before a command that needs root; nothing for root.
set -euo pipefail
cd "$(dirname "$0")/.."
export HOLDFAST_ENVIRONMENTS=local

answers() { # does the twin's API?
    (exec 3<>/dev/tcp/127.0.0.1/5599) 2>/dev/null
}

failed=0
if compgen -G '.holdfast/state/local-*.tfstate' >/dev/null && [[ -e stacks/bindings/aws/.generated ]] && answers; then
    # Without the provider, say, the twin must still go.
    (
        source scripts/env.sh
        [[ -t 1 ]] || export CI=true # plain lines, as in up.sh
        cdktf destroy 'local-*' --auto-approve
    ) || failed=1
fi
"$@" .venv/bin/holdfast twin down
rm -f .holdfast/state/local-*.tfstate* # of a cloud that is no more
exit "$failed"
