#!/usr/bin/env bash
# Whether what runs is what this commit says, as a workflow asks every night: drift.sh ENV
# Exit code 1, with the report in the job's summary, when a deploy would change anything.
set -euo pipefail
cd "$(dirname "$0")/../.."

environment=$1
report=$(mktemp)
trap 'rm -f "$report"' EXIT
code=0
scripts/ci/review.sh "$environment" --json >"$report" || code=$?
# 3: blocking findings, in a review that was made.
((code == 0 || code == 3)) || exit "$code"
verdict=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["verdict"])' <"$report")
if [[ $verdict != "nothing changes" ]]; then
    echo "$environment has drifted, or something merged is not deployed: $verdict" >&2
    exit 1
fi
