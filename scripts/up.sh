#!/usr/bin/env bash
# `make up`. Arguments: what to put before a command that needs root; nothing for root.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/env.sh
export HOLDFAST_ENVIRONMENTS=local

python -m holdfast.mirror --require >/dev/null
"$@" env "PATH=$PATH" holdfast twin up --images debian-12
[[ -t 1 ]] || export CI=true # plain lines, not a picture that is drawn again and again
cdktf deploy 'local-*' --auto-approve
holdfast status local --wait 120
echo
holdfast endpoints local --show-password
echo
python scripts/paste.py
