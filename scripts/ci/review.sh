#!/usr/bin/env bash
# One environment's review, as a workflow runs it: review.sh ENV [OPTIONS OF holdfast review]
# Leaves review/ENV.md and review/ENV.html. The Markdown goes to the job's summary and, with PULL_REQUEST set, into the one
# comment that this environment has there. The SHA-256 of what would be done is the step's output `digest`. Exit code: that
# of the review.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/ci/mute.sh
source scripts/env.sh

environment=$1
shift
mkdir -p review
report=review/$environment
rm -f "$report".*
code=0
holdfast review "$environment" "$@" --markdown "$report.md" --html "$report.html" --digest "$report.digest" 2>"$report.err" || code=$?
cat "$report.err" >&2
if [[ ! -s $report.md ]]; then
    # An old comment must not stand there as if it were about this commit.
    {
        echo "<!-- holdfast review $environment -->"
        echo "## ⛔ $environment: there is no review of this commit"
        echo
        tail -c 4000 "$report.err" | tr '\r' '\n' | sed 's/^/    /' # an indented block: no line of it can end it, as it could a fence
    } >"$report.md"
fi
if [[ -n ${GITHUB_STEP_SUMMARY:-} ]]; then
    cat "$report.md" >>"$GITHUB_STEP_SUMMARY"
fi
if [[ -n ${GITHUB_OUTPUT:-} && -s $report.digest ]]; then
    echo "digest=$(<"$report.digest")" >>"$GITHUB_OUTPUT"
fi
if [[ -n ${PULL_REQUEST:-} ]]; then
    python scripts/ci/comment.py "$PULL_REQUEST" "$report.md"
fi
exit "$code"
