#!/usr/bin/env bash
# Deploys one environment, as a workflow runs it after the approval: deploy.sh ENV DIGEST
# Reviewed once more, since time has passed: a blocking finding stops here, and so does anything else than what was approved
# (DIGEST, of the review before). Then zone by zone; the first gate that stays closed ends it, and later zones are untouched.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/ci/mute.sh

environment=$1
approved=$2
summary=${GITHUB_STEP_SUMMARY:-/dev/stdout}
scripts/ci/review.sh "$environment" --expect "$approved" || {
    code=$?
    why="its review does not pass (exit code $code)"
    ((code != 4)) || why="it would do something else by now than what was approved; run all jobs again, the review too"
    echo "**$environment was not deployed: $why.**" >>"$summary"
    exit "$code"
}
source scripts/env.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
CI=true make --no-print-directory --old-file=setup deploy "ENV=$environment" YES=1 2>&1 | tee "$log" || code=$?
if ((code)); then
    {
        echo "**The deploy of $environment stopped. What it said last:**"
        echo
        tail -n 30 "$log" | tr '\r' '\n' | sed 's/^/    /' # an indented block: no line of it can end it, as it could a fence
    } >>"$summary"
    exit "$code"
fi
holdfast status "$environment" --wait 120
