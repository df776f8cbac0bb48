#!/usr/bin/env bash
# `make up`. Arguments: what to put before a command that needs root; nothing for root.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/env.sh
export HOLDFAST_ENVIRONMENTS=local CI=true # cdktf prints plain lines, not a picture that is drawn again and again

log=.holdfast/log/up.log
step() { # step NAME COMMAND...
    python scripts/steps.py "$log" "$1" -- "${@:2}"
}

rm -f "$log"
echo "details: $log"
step provider python -m holdfast.mirror --require
step twin "$@" env "PATH=$PATH" holdfast twin up --images debian-12
if ! compgen -G '.holdfast/state/local-*.tfstate' >/dev/null &&
    "$@" env "PATH=$PATH" holdfast twin ls --json |
    python -c 'import json, sys; sys.exit("local" not in json.load(sys.stdin)["environments"])'; then
    echo "the twin has an environment \`local\` already that was not deployed from here, and a machine has one twin:" >&2
    echo "end it with \`make down\`, here or there, and run \`make up\` again" >&2
    exit 1
fi
step deploy cdktf deploy 'local-*' --auto-approve
step healthy holdfast status local --wait 120
echo
holdfast endpoints local --show-password
echo
python scripts/paste.py
