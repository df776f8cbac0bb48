#!/usr/bin/env bash
# Deploys one environment, as a workflow runs it after the approval: deploy.sh ENV
# Reviewed once more, since time has passed: a blocking finding stops here. Then zone by zone; the first gate that stays
# closed ends it, and later zones are untouched.
set -euo pipefail
cd "$(dirname "$0")/../.."

environment=$1
summary=${GITHUB_STEP_SUMMARY:-/dev/stdout}
scripts/ci/review.sh "$environment" || {
    code=$?
    echo "**$environment was not deployed: its review does not pass (exit code $code).**" >>"$summary"
    exit "$code"
}
source scripts/env.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
CI=true make --no-print-directory deploy "ENV=$environment" YES=1 2>&1 | tee "$log" || code=$?
if ((code)); then
    {
        echo "**The deploy of $environment stopped. What it said last:**"
        echo
        tail -n 30 "$log" | tr '\r' '\n' | sed 's/^/    /' # an indented block: no line of it can end it, as it could a fence
    } >>"$summary"
    exit "$code"
fi
holdfast status "$environment" --wait 120
